"""The script that scores the Khronos validator's own suite: cases listed in any of the usual ways, resources beside a glTF, wrong verdicts told."""

import base64
import json
from pathlib import Path

import pytest

from benchmarks.validator_agreement import measure
from tests.unit.test_checks import good

LISTINGS = [
    lambda names: names,
    lambda names: {name: {} for name in names},
    lambda names: {"cases": [{"file": name} for name in names]},
    lambda names: {name: {"report": {"issues": {"numErrors": int("bad" in name)}}} for name in names},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    here = tmp_path / "suite" / "accessor"
    here.mkdir(parents=True)
    (here / "good.glb").write_bytes(good())
    (here / "bad.glb").write_bytes(good()[:-8])
    buffer = base64.b64decode("AAAAAAAAAAAAAAAAAACAPwAAAAAAAAAAAAAAAAAAgD8AAAAA")
    (here / "a b.bin").write_bytes(buffer)
    document = {
        "asset": {"version": "2.0"},
        "buffers": [{"uri": "a%20b.bin", "byteLength": len(buffer)}],
        "bufferViews": [{"buffer": 0, "byteLength": len(buffer)}],
        "accessors": [
            {
                "bufferView": 0,
                "componentType": 5126,
                "count": 3,
                "type": "VEC3",
                "min": [0, 0, 0],
                "max": [1, 1, 0],
            }
        ],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
    }
    (here / "good.gltf").write_text(json.dumps(document))
    (here / "bad.gltf").write_text(
        json.dumps({**document, "buffers": [{"uri": "none.bin", "byteLength": 36}]})
    )
    for name in ("good.glb", "bad.glb", "good.gltf", "bad.gltf"):
        (here / f"{name}.report.json").write_text(json.dumps({"issues": {"numErrors": int("bad" in name)}}))
    return here


@pytest.mark.parametrize("listing", range(len(LISTINGS)))
def test_each_case_is_found_and_judged(folder: Path, listing: int) -> None:
    (folder / "assets.json").write_text(
        json.dumps(LISTINGS[listing](["good.glb", "bad.glb", "good.gltf", "bad.gltf"]))
    )
    assert measure(folder.parent) == (4, 4, [])


def test_a_verdict_that_differs_is_told(folder: Path) -> None:
    (folder / "assets.json").write_text(json.dumps(["good.glb"]))
    (folder / "good.glb.report.json").write_text(json.dumps({"issues": {"numErrors": 3}}))
    equal, total, other = measure(folder.parent)
    assert (equal, total) == (0, 1) and "good.glb" in other[0]
