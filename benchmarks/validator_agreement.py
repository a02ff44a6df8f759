"""Our verdicts beside those of the Khronos validator's own suite: `python -m benchmarks.validator_agreement --checkout DIR`.

DIR is a checkout of KhronosGroup/glTF-Validator. Each `assets.json` in it lists the cases of its folder; the expected report of a case stands beside it
as `NAME.report.json`, or in the list. A verdict is whether there are errors. Printed: how many are equal, and each that is not.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from worker.measuring.khronos_validator import validate

MODELS = (".gltf", ".glb")


def cases(checkout: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The listed files with their expected reports."""
    for listing in sorted(checkout.rglob("assets.json")):
        yield from _listed(json.loads(listing.read_text()), listing.parent, "")


def _listed(found: Any, folder: Path, key: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Every name of a model in a listing, however it is nested, with its report: in the listing, or beside the model."""
    if key.endswith(MODELS):
        report = found.get("report", found) if isinstance(found, dict) else {}
        if isinstance(report, dict) and "issues" in report:
            yield folder / key, report
        else:
            yield from _beside(folder / key)
    elif isinstance(found, dict):
        for name, value in found.items():
            yield from _listed(value, folder, name)
    elif isinstance(found, list):
        for value in found:
            yield from _listed(value, folder, value if isinstance(value, str) else "")
    elif isinstance(found, str) and found.endswith(MODELS):
        yield from _beside(folder / found)


def _beside(path: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    for name in (f"{path.name}.report.json", f"{path.stem}.report.json", f"{path.stem}.json"):
        if (path.parent / name).is_file():
            yield path, json.loads((path.parent / name).read_text())
            return


def resources(path: Path, data: bytes) -> dict[str, bytes]:
    """The files that a glTF refers to, as far as they are there."""
    try:
        document = json.loads(data)
        rows = [*document.get("buffers", []), *document.get("images", [])]
        uris = [
            unquote(r["uri"])
            for r in rows
            if isinstance(r, dict) and isinstance(r.get("uri"), str) and not r["uri"].startswith("data:")
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
    """How many verdicts are equal, of how many, and which are not."""
    total = equal = 0
    other = []
    for path, expected in dict(cases(checkout)).items() if checkout.is_dir() else []:
        data = path.read_bytes() if path.is_file() else b""
        said = validate(
            data, format="glb" if path.suffix == ".glb" else "gltf", resources=resources(path, data)
        )
        ours = bool(said.get("failed")) or said["issues"]["numErrors"] > 0
        wanted = expected["issues"]["numErrors"] > 0
        total, equal = total + 1, equal + (ours == wanted)
        if ours != wanted:
            other.append(
                f"{path.relative_to(checkout)}: expected {'errors' if wanted else 'none'}, ours {said.get('failed') or said['issues']['numErrors']}"
            )
    return equal, total, other


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkout", type=Path, required=True)
    equal, total, other = measure(parser.parse_args().checkout)
    print(f"{equal} of {total} verdicts equal")
    print("\n".join(other))
    raise SystemExit(not total)
