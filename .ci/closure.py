"""Resolve all dependencies to wheels for each platform and Python: `python .ci/closure.py`.

Each row is a resolution by uv with that platform's own markers, without building anything from source,
under the versions that constraints.txt pins. docs/install.md holds the table. The exit code is 1 when a
combination has no solution.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
UV = Path(sys.executable).parent / "uv"
PLATFORMS = {
    "Linux x86-64 (glibc 2.28)": "x86_64-manylinux_2_28",
    "Linux arm64 (glibc 2.28)": "aarch64-manylinux_2_28",
    "macOS arm64": "aarch64-apple-darwin",
}
PYTHONS = ("3.11", "3.12", "3.13", "3.14")


def resolve(platform: str, python: str) -> tuple[int, str]:
    """Return the number of wheels and an empty string, or 0 and the reason why there is no solution."""
    command = [UV, "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--only-binary", ":all:"]
    target = ["--python-platform", platform, "--python-version", python, "--constraints", "constraints.txt"]
    done = subprocess.run(
        [*command, *target, "pyproject.toml"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return len(re.findall(r"^[\w.-]+==", done.stdout, re.M)), done.stderr.strip() if done.returncode else ""


def main() -> int:
    """Print the table as Markdown and the reasons for failures; return 1 if there is one."""
    print(f"| platform | {' | '.join(PYTHONS)} |\n|---|{'---|' * len(PYTHONS)}")
    reasons = []
    for name, platform in PLATFORMS.items():
        found = [resolve(platform, python) for python in PYTHONS]
        print(
            f"| {name} | {' | '.join(str(count) if not why else 'no' for count, why in found)} |", flush=True
        )
        reasons.extend(f"{name}: {why}" for _, why in found if why)
    print("\n".join(reasons))
    return int(bool(reasons))


if __name__ == "__main__":
    sys.exit(main())
