"""Write a CycloneDX 1.6 bill of materials of all that an installation has, and lists made from it.

Python packages are those that the installed `dam-connector` needs here, with the hashes of constraints.txt.
The files that are fetched from npm are those of package-lock.json. `python .ci/sbom.py dist/sbom.cdx.json`
writes the bill; the ending .txt gives the requirements with hashes, for pip (`-web.txt`: of the web process);
.md the licences.
"""

import base64
import json
import re
import sys
import tomllib
import uuid
from collections.abc import Container
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
EXTRAS = ("c2pa", "otel", "step", "video", "walk")  # of the bill of materials and of the licences
PROJECT = "dam-connector"
NPM_PACKAGES = (
    "@google/model-viewer",
    "swagger-ui-dist",
    "gltf-validator",
    "meshoptimizer",
    "draco3dgltf",
    "@mediapipe/selfie_segmentation",
)
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def closure(name: str, extras: tuple[str, ...] = (), without: Container[str] = ()) -> dict[str, Distribution]:
    """Return the installed distributions that one needs, itself included, by normalized name.

    Args:
        name: The distribution.
        extras: Its extras that are wanted.
        without: Names that are left out, with all that only they need.
    """
    found: dict[str, Distribution] = {}
    open_names = [(name, extra) for extra in ("", *extras)]
    seen = set()
    while open_names:
        wanted = open_names.pop()
        if wanted in seen or normalized(wanted[0]) in without:
            continue
        seen.add(wanted)
        try:
            dist = distribution(wanted[0])
        except PackageNotFoundError:
            continue  # of another platform
        found[normalized(wanted[0])] = dist
        for text in dist.requires or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": wanted[1]}):
                open_names += [(requirement.name, extra) for extra in ("", *requirement.extras)]
    return found


def normalized(name: str) -> str:
    """Return a package's name as PyPI writes it in addresses."""
    return re.sub(r"[-_.]+", "-", name).lower()


def locked_hashes() -> dict[tuple[str, str], list[str]]:
    """Return the SHA-256 of the files of each pinned package, by name and version."""
    hashes: dict[tuple[str, str], list[str]] = {}
    pinned = ("", "")
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if pin := _PIN.match(line):
            pinned = normalized(pin[1]), pin[2]
        hashes.setdefault(pinned, []).extend(_HASH.findall(line))
    return hashes


def python_component(name: str, dist: Distribution, hashes: list[str]) -> dict[str, Any]:
    """Return the component of a Python package.

    A package has a file for each platform; their hashes are properties, since `hashes` is for one file.
    """
    purl = f"pkg:pypi/{name}@{dist.version}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": dist.version,
        "purl": purl,
        "licenses": [{"license": {"name": license_of(dist)}}],
        "properties": [{"name": "lock:sha256", "value": value} for value in hashes],
    }


def license_of(dist: Distribution) -> str:
    """Return a package's licence: its SPDX expression, else its classifiers, else its own words."""
    data = dist.metadata
    if expression := data.get("License-Expression"):
        return expression
    classifiers = [c.rpartition(" :: ")[2] for c in data.get_all("Classifier") or () if "License ::" in c]
    words = (data.get("License") or "").strip().splitlines()
    return ", ".join(classifiers) or (words[0][:100] if words else "unknown")


def npm_component(name: str, entry: dict[str, Any]) -> dict[str, Any]:
    """Return the component of an npm package."""
    purl = f"pkg:npm/{name.replace('@', '%40')}@{entry['version']}"
    algorithm, _, digest = entry["integrity"].partition("-")
    content = base64.b64decode(digest).hex()
    return {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": entry["version"],
        "purl": purl,
        "licenses": [{"license": {"name": entry.get("license", "unknown")}}],
        "hashes": [{"alg": algorithm.replace("sha", "SHA-"), "content": content}],
    }


def bill_of_materials() -> dict[str, Any]:
    """Return the bill of materials."""
    packages, hashes = closure(PROJECT, EXTRAS), locked_hashes()
    own = packages.pop(PROJECT)
    npm = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    components = [
        python_component(name, dist, hashes.get((name, dist.version), []))
        for name, dist in sorted(packages.items())
    ]
    components += [npm_component(name, npm[f"node_modules/{name}"]) for name in NPM_PACKAGES]
    main = {"type": "application", "bom-ref": PROJECT, "name": PROJECT, "version": own.version}
    text = json.dumps(components, sort_keys=True)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, text)}",  # the same for the same contents
        "version": 1,
        "metadata": {"component": {**main, "licenses": [{"license": {"id": "Apache-2.0"}}]}},
        "components": components,
        "dependencies": [{"ref": PROJECT, "dependsOn": [c["bom-ref"] for c in components]}],
    }


def worker_only() -> frozenset[str]:
    """Return the packages that pyproject.toml names as those of the worker alone."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return frozenset(settings["tool"]["dam-connector"]["worker-only"])


def web_requirements() -> str:
    """Return the requirements without those of the worker alone."""
    return _entries(closure(PROJECT, without=worker_only()))


def requirements() -> str:
    """Return the entries of constraints.txt that an installation here needs, with their hashes."""
    return _entries(closure(PROJECT, ("c2pa",)))


def _entries(names: Container[str]) -> str:
    entries = re.split(r"^(?=[A-Za-z0-9])", (ROOT / "constraints.txt").read_text(), flags=re.MULTILINE)
    return "".join(entry for entry in entries if (pin := _PIN.match(entry)) and normalized(pin[1]) in names)


def licences() -> str:
    """Return the licences as a table in Markdown."""
    rows = [
        f"| {c['name']} | {c['licenses'][0]['license']['name']} |" for c in bill_of_materials()["components"]
    ]
    return "\n".join(["| package | licence, in its own words |", "|---|---|", *rows]) + "\n"


def main(target: Path) -> None:
    """Write the bill of materials, or by the file's ending the requirements or the table of licences.

    A file of requirements whose name ends with `-web` has those of the web process.
    """
    text = {
        ".txt": web_requirements if target.stem.endswith("-web") else requirements,
        ".md": licences,
        ".json": lambda: json.dumps(bill_of_materials(), indent=1) + "\n",
    }[target.suffix]()
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        main(Path(argument))
