"""The benchmark over the Khronos validator's own test cases: it finds every case, its resources and its
verdict.
"""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.validator_agreement import measure
from tests.unit.test_checks import good

FILES = ("good.glb", "bad.glb", "good.gltf", "bad.gltf")


def write_listing(folder: Path, files: tuple[str, ...], group: str = "accessor") -> None:
    """Write `assets.json` in the layout of KhronosGroup/glTF-Validator."""
    listing: dict[str, Any] = {group: {"name": group, "tests": {name: name.title() for name in files}}}
    (folder / "assets.json").write_text(json.dumps(listing))


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A folder with two groups of cases, one of them nested, as in `test/base` of a checkout."""
    for group in ("accessor", "mesh/primitive"):
        folder = tmp_path / "base" / "data" / group
        folder.mkdir(parents=True)
        (folder / "good.glb").write_bytes(good())
        (folder / "bad.glb").write_bytes(good()[:-8])
        buffer = base64.b64decode("AAAAAAAAAAAAAAAAAACAPwAAAAAAAAAAAAAAAAAAgD8AAAAA")
        (folder / "a b.bin").write_bytes(buffer)
        accessor = {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"}
        document = {
            "asset": {"version": "2.0"},
            "buffers": [{"uri": "a%20b.bin", "byteLength": len(buffer)}],
            "bufferViews": [{"buffer": 0, "byteLength": len(buffer)}],
            "accessors": [{**accessor, "min": [0, 0, 0], "max": [1, 1, 0]}],
            "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        }
        (folder / "good.gltf").write_text(json.dumps(document))
        missing = {**document, "buffers": [{"uri": "none.bin", "byteLength": 36}]}
        (folder / "bad.gltf").write_text(json.dumps(missing))
        for name in FILES:
            report = {"issues": {"numErrors": int("bad" in name)}}
            (folder / f"{name}.report.json").write_text(json.dumps(report))
    return tmp_path / "base"


@pytest.mark.parametrize("group", ["accessor", "mesh/primitive"])
def test_each_case_is_found_and_judged(suite: Path, group: str) -> None:
    write_listing(suite, FILES, group)
    assert measure(suite.parent) == (4, 4, [])


def test_a_different_verdict_is_reported(suite: Path) -> None:
    write_listing(suite, ("good.glb",))
    (suite / "data/accessor/good.glb.report.json").write_text(json.dumps({"issues": {"numErrors": 3}}))
    equal, total, different = measure(suite.parent)
    assert (equal, total) == (0, 1) and "good.glb" in different[0]


def test_measuring_nothing_fails_with_the_reason(suite: Path, tmp_path: Path) -> None:
    for folder, reason in ((suite, r"has no .*assets\.json"), (tmp_path / "none", "not a folder")):
        with pytest.raises(SystemExit, match=rf"nothing measured: .*{reason}"):
            measure(folder)
    write_listing(suite, ())
    with pytest.raises(SystemExit, match=r"nothing measured: .* no cases"):
        measure(suite)


@pytest.mark.parametrize("missing", ["good.glb", "good.glb.report.json"])
def test_a_missing_file_of_a_listed_case_fails(suite: Path, missing: str) -> None:
    write_listing(suite, ("good.glb",))
    (suite / "data/accessor" / missing).unlink()
    with pytest.raises(SystemExit, match="is missing"):
        measure(suite)
