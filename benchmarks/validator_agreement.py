"""Agreement with the expected verdicts of the Khronos validator's own test cases.

`python -m benchmarks.validator_agreement --checkout DIR`. DIR is a checkout of KhronosGroup/glTF-Validator.
Each `assets.json` in it lists the cases of its folder, as `{"GROUP": {"name": ..., "tests": {"FILE":
"title"}}}`; a case is `data/GROUP/FILE` beside the listing, and its expected report
`data/GROUP/FILE.report.json`. A verdict is whether there are errors. The number of equal verdicts is printed,
and each one that differs.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from benchmarks.bench_folder import matching_files
from worker.measuring.khronos_validator import validate_gltf


def cases(checkout: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield each case's file with its expected report.

    Raises:
        SystemExit: The checkout has no listing, or a listed file or its report is missing.
    """
    for listing in matching_files(checkout, "**/assets.json"):
        for group, content in json.loads(listing.read_text()).items():
            for name in content["tests"]:
                path = listing.parent / "data" / group / name
                report = path.with_name(f"{name}.report.json")
                for file in (path, report):
                    if not file.is_file():
                        raise SystemExit(f"{listing} lists {name!r} of {group!r}, but {file} is missing")
                yield path, json.loads(report.read_text())


def resources(path: Path, data: bytes) -> dict[str, bytes]:
    """Return the files that a glTF refers to, by URI, if they exist inside its folder."""
    try:
        document = json.loads(data)
        rows = [*document.get("buffers", []), *document.get("images", [])]
        uris = [
            unquote(row["uri"])
            for row in rows
            if isinstance(row, dict)
            and isinstance(row.get("uri"), str)
            and not row["uri"].startswith("data:")
        ]
    except (ValueError, AttributeError, TypeError):
        return {}
    return {
        uri: (path.parent / uri).read_bytes()
        for uri in uris
        if (path.parent / uri).is_file()
        and (path.parent / uri).resolve().is_relative_to(path.parent.resolve())
    }


def measure(checkout: Path) -> tuple[int, int, list[str]]:
    """Return the number of equal verdicts, the number of cases, and a line for each verdict that differs.

    Raises:
        SystemExit: There is no case, or the validator is not installed.
    """
    equal = total = 0
    different = []
    for path, expected in cases(checkout):
        data = path.read_bytes()
        report = validate_gltf(
            data, format="glb" if path.suffix == ".glb" else "gltf", resources=resources(path, data)
        )
        if not report:
            raise SystemExit("nothing measured: the Khronos validator is not installed (`make setup`)")
        has_errors = bool(report.get("failed")) or report["issues"]["numErrors"] > 0
        expects_errors = expected["issues"]["numErrors"] > 0
        total, equal = total + 1, equal + (has_errors == expects_errors)
        if has_errors != expects_errors:
            different.append(
                f"{path.relative_to(checkout)}: expected {'errors' if expects_errors else 'none'}, "
                f"ours {report.get('failed') or report['issues']['numErrors']}"
            )
    if not total:
        raise SystemExit(f"nothing measured: the listings in {checkout} have no cases")
    return equal, total, different


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkout", type=Path, required=True)
    equal, total, different = measure(parser.parse_args().checkout)
    print(f"{equal} of {total} verdicts equal")
    print("\n".join(different))
