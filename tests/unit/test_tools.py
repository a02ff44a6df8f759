"""The tools of `dam-worker`: their results, their exit codes, and the JSON that docs/tools.md documents."""

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from benchmarks.report_time import large_glb
from dam_connector.domain.brought_model import MIME_BY_FORMAT
from tests.support import ROOT, picture
from tests.unit.shapes import box
from tests.unit.test_checks import textured
from worker.__main__ import main
from worker.imaging.decode import decode
from worker.imaging.net_cutout import cut_out_product
from worker.modeling.glb_export import write_glb
from worker.modeling.usdz_export import convert_glb

SAMPLES = ROOT / "dam_connector/samples"
ORIENTATION = 0x0112  # EXIF
NO_NET = ("--net", "none")
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command; returns its exit code and its standard output."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("DAM_CONNECTOR_DATA_DIR", str(tmp_path / "data"))

    def invoke(*args: object) -> tuple[int, str]:
        done = CliRunner().invoke(main, [str(a) for a in args])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.stdout

    return invoke


@pytest.fixture
def glb(tmp_path: Path) -> Path:
    path = tmp_path / "CH123_Chair_V1_GLB.glb"
    path.write_bytes(write_glb(textured(box(0.4, 0.4, 0.3)), "CH123", {"sku": "CH123"}))
    return path


def photo_file(folder: Path, data: bytes, name: str = "photo.jpg") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def documented(section: str, part: str = "") -> set[str]:
    """The keys that docs/tools.md lists for a command, in the part that begins with these words."""
    text = (ROOT / "docs/tools.md").read_text()
    text = re.split(r"^### ", text.split(f"\n### {section}\n", 1)[1], flags=re.M)[0]
    text = text.split(part, 1)[1].split("\nFrom ", 1)[0] if part else text
    return set(re.findall(r"^\| `(\w+)` \|", text, flags=re.M))


def printed(output: str) -> set[str]:
    """The keys of a printed object; those of colour differences are one key, whatever the format."""
    return {re.sub(r"^(jpeg|webp|avif|png)_de2000$", "FORMAT_de2000", key) for key in json.loads(output)}


def mask(path: Path) -> np.ndarray:
    with Image.open(path) as found:
        assert found.mode == "L" and found.format == "PNG"
        return np.asarray(found)


def test_cutout_writes_the_mask_that_renditions_use(run: Run, tmp_path: Path) -> None:
    photo, out = photo_file(tmp_path, picture()), tmp_path / "masks" / "mask.png"
    code, text = run("cutout", photo, *NO_NET, "--out", out, "--json")
    result, expected = json.loads(text), cut_out_product(decode(photo.read_bytes(), max_pixels=10**8), None)
    assert code == 0 and printed(text) == documented("cutout")
    assert np.array_equal(mask(out), expected.alpha)
    assert result["size_px"] == [400, 400] and result["touches"] == [] and result["issues"] == []
    assert result["confidence"] == round(expected.confidence, 3) and result["seconds"] >= 0


def test_cutouts_mask_has_the_size_of_the_upright_photo(run: Run, tmp_path: Path) -> None:
    """A photo whose camera was held sideways, and one that is larger than what is worked on."""
    sideways, out = io.BytesIO(), tmp_path / "mask.png"
    with Image.open(io.BytesIO(picture(size=(600, 400)))) as image:
        exif = image.getexif()
        exif[ORIENTATION] = 6
        image.save(sideways, "JPEG", exif=exif)
    for data, size in ((sideways.getvalue(), (400, 600)), (picture(size=(5000, 2500)), (5000, 2500))):
        code, text = run("cutout", photo_file(tmp_path, data), *NO_NET, "--out", out, "--json")
        assert code == 0 and json.loads(text)["size_px"] == list(size) and mask(out).shape == size[::-1]
    middle, corner = mask(out)[1250, 2500], mask(out)[10, 10]
    assert middle == 255 and corner == 0


def test_cutout_exits_with_1_in_doubt_and_with_2_without_a_product(run: Run, tmp_path: Path) -> None:
    pale = picture(lambda a: cv2.circle(a, (200, 200), 120, (243, 243, 243), -1), ground=252)
    code, text = run("cutout", photo_file(tmp_path, pale), *NO_NET, "--out", tmp_path / "pale.png", "--json")
    issues = json.loads(text)["issues"]
    assert code == 1 and mask(tmp_path / "pale.png").any()
    assert "cutout.uncertain" in {i["code"] for i in issues} and set(issues[0]) == documented("Issue")
    for data, reason in ((picture(lambda a: None), "cutout.empty"), (b"no picture", "source.not_an_image")):
        out = tmp_path / "none.png"
        code, text = run("cutout", photo_file(tmp_path, data), *NO_NET, "--out", out, "--json")
        assert code == 2 and json.loads(text)["error"]["code"] == reason and not out.exists()
        assert printed(text) == documented("Refusal")


def test_cutout_uses_the_net_of_plugin_json_and_refuses_other_files(run: Run, tmp_path: Path) -> None:
    photo, out = photo_file(tmp_path, picture()), tmp_path / "mask.png"
    _, text = run("cutout", photo, "--out", out, "--json")
    assert json.loads(text)["net"] == "u2netp.onnx"
    code, text = run("cutout", photo, "--net", "other.onnx", "--out", out, "--json")
    assert code == 2 and json.loads(text)["error"]["code"] == "net"
    (tmp_path / "u2net.onnx").write_bytes(b"no net")
    code, text = run("cutout", photo, "--net", tmp_path / "u2net.onnx", "--out", out, "--json")
    assert code == 2 and "u2net.onnx" in json.loads(text)["error"]["message"]


def test_cutout_names_the_sides_that_the_product_touches(run: Run, tmp_path: Path) -> None:
    cut = picture(lambda a: cv2.rectangle(a, (100, 100), (300, 420), (150, 40, 40), -1))
    _, text = run("cutout", photo_file(tmp_path, cut), *NO_NET, "--out", tmp_path / "mask.png", "--json")
    assert json.loads(text)["touches"] == ["bottom"]


def test_build_and_check_a_model(run: Run, tmp_path: Path) -> None:
    out, size = (
        tmp_path / "new" / "CH123_Chair_V1_GLB.glb",
        ("--height-m", 0.3, "--width-m", 0.18, "--depth-m", 0.18),
    )
    photo = SAMPLES / "vase-hero.jpg"
    code, text = run("build", "--front", photo, *size, "--texture-px", 512, "--out", out, "--json")
    assert code == 0 and json.loads(text)["size_m"] == [0.18, 0.3, 0.18]
    assert printed(text) == documented("build", "From any input")
    code, text = run("check", out, "--json")
    assert code == 0 and json.loads(text)["blocked"] is False
    assert printed(text) == documented("check")
    assert run("build", "--out", out)[0] == 2


def test_a_doubtful_cut_out_ends_every_tool_with_1_and_its_remedy(run: Run, tmp_path: Path) -> None:
    pale = picture(lambda rgb: cv2.circle(rgb, (200, 200), 120, (243, 243, 243), -1))
    photo = photo_file(tmp_path, pale)
    for command in (
        ("cutout", photo, "--out", tmp_path / "m.png"),
        ("build", "--front", photo, "--texture-px", 512, "--out", tmp_path / "m.glb"),
        ("rendition", photo, "--out-dir", tmp_path / "r"),
    ):
        code, text = run(*command, *NO_NET)
        assert code == 1 and "blocked by an error:" in text and "error: cutout.uncertain" in text, command
        assert "Look at the mask: dam-worker cutout PHOTO" in text
        code, text = run(*command, *NO_NET, "--json")
        found = json.loads(text)
        errors = [i["code"] for i in found["issues"] if i["severity"] == "error"]
        assert code == 1 and "cutout.uncertain" in errors
        assert command[0] == "cutout" or found["blocked"] is True


def test_adopt_finishes_and_checks_a_model_from_elsewhere(run: Run, tmp_path: Path, glb: Path) -> None:
    record, out = tmp_path / "p.json", tmp_path / "out"
    size = {"width": 80, "height": 80, "depth": 60, "unit": "cm"}
    record.write_text(json.dumps({"sku": "CH123", "name": "Chair", "dimensions": size}))
    package = tmp_path / "chair.usdz"
    package.write_bytes(convert_glb(glb.read_bytes(), "CH123").data)
    code, text = run("adopt", package, "--product", record, "--out", out, "--json")
    result = json.loads(text)
    assert code == 0 and printed(text) == documented("adopt")
    assert (
        result["original_format"] == "usdz" and result["report"]["facts"]["size_m"] == "0.800 x 0.800 x 0.600"
    )
    assert sorted(result["files"]) == sorted(path.name for path in out.iterdir())
    assert {Path(name).suffix for name in result["files"]} == {".glb", ".usdz", ".webp"}
    photo = photo_file(tmp_path, b"<html>", "page.html")
    code, text = run("adopt", photo, "--product", record, "--out", out, "--json")
    assert code == 2 and json.loads(text)["error"]["code"] == "source.not_a_model"


def test_check_exits_by_its_report(run: Run, tmp_path: Path, glb: Path) -> None:
    (tmp_path / "bad.glb").write_bytes(b"no glb")
    (tmp_path / "large.glb").write_bytes(large_glb())
    (tmp_path / "chair.glb").write_bytes(glb.read_bytes())
    assert run("check", tmp_path / "bad.glb")[0] == 2
    assert run("check", glb, "--profile", "nothing")[0] == 2
    assert run("check", tmp_path / "chair.glb")[0] == 0
    for name, code in (("chair.glb", 0), ("large.glb", 1)):
        assert run("check", tmp_path / name, "--profile", "khronos-banner")[0] == code


def test_rendition_from_a_photo_and_from_a_model(
    run: Run, tmp_path: Path, glb: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, text = run("rendition", SAMPLES / "mug-front.jpg", "--out-dir", tmp_path / "r", "--json")
    assert code == 0 and set(json.loads(text)["files"]) == {"jpeg", "webp"}
    assert printed(text) == documented("rendition", "From a photo:")
    assert run("rendition", SAMPLES / "bottle-front.jpg", "--out-dir", tmp_path / "r")[0] == 2
    assert run("rendition", glb, "--deliverable", "none", "--out-dir", tmp_path / "r")[0] == 2
    rules: dict[str, Any] = json.loads((ROOT / "plugin.json").read_text())
    spin = {"name": "spin", "kind": "rendition", "made_from": "model", "motion": "spin", "frames": 8}
    rules["deliverables"].append({**spin, "size_px": 96, "formats": ["webp"]})
    (tmp_path / "plugin.json").write_text(json.dumps(rules))
    monkeypatch.setenv("DAM_CONNECTOR_PLUGIN_JSON", str(tmp_path / "plugin.json"))
    code, text = run("rendition", glb, "--deliverable", "spin", "--out-dir", tmp_path / "r", "--json")
    assert code == 0 and set(json.loads(text)["files"]) == {f"webp_0{n}" for n in range(1, 9)}
    assert printed(text) == documented("rendition", "From a model:")


def test_render_named_views(run: Run, tmp_path: Path, glb: Path) -> None:
    options = ("--size", 64, "--out-dir", tmp_path / "v")
    code, text = run("render", glb, "--views", "hero,top", *options, "--json")
    assert code == 0 and printed(text) == documented("render")
    assert all(Path(p).stat().st_size > 500 for p in json.loads(text)["files"].values())
    assert run("render", glb, "--views", "sideways", *options)[0] == 2


WRONG_OPTIONS = (
    ("build", "--front", "MISSING.jpg", "--out", "x.glb"),
    ("build", "--front", "PHOTO", "--height-m", "0", "--out", "x.glb"),
    ("build", "--front", "PHOTO"),
    ("adopt", "PHOTO"),
    ("check", "MISSING.glb"),
    ("cutout", "PHOTO", "--out", "x.png", "--colour"),
    ("render", "PHOTO", "--size", "1"),
    ("rendition", "PHOTO", "--view", "below"),
    ("variants", "PHOTO", "--out", "x"),
    ("bild", "PHOTO"),
)


@pytest.mark.parametrize("options", WRONG_OPTIONS, ids=" ".join)
def test_wrong_options_are_json_too(run: Run, tmp_path: Path, options: tuple[str, ...]) -> None:
    photo = photo_file(tmp_path, picture())
    given = [str(photo) if option == "PHOTO" else option for option in options]
    code, text = run(*given, "--json")
    error = json.loads(text)["error"]
    assert code == 2 and error["code"] == "usage" and error["message"] and "--help" in error["remedy"]
    assert run(*given) == (2, "")  # for people, on standard error


def test_check_says_wrong_options_in_the_json_that_as_json_asks_for(run: Run) -> None:
    for wanted in (("--as", "json"), ("--as=json",)):
        code, text = run("check", "MISSING.glb", *wanted)
        assert code == 2 and json.loads(text)["error"]["code"] == "usage"


@pytest.mark.parametrize(("command", "ending"), [("build", ".glb"), ("cutout", ".png")])
@pytest.mark.parametrize("name", ["x.obj", "x.usdz", "x.jpg", "x", "glb"])
def test_an_ending_of_another_format_is_refused(
    run: Run, tmp_path: Path, command: str, ending: str, name: str
) -> None:
    photo = photo_file(tmp_path, picture())
    given = ("--front", photo) if command == "build" else (photo,)
    code, text = run(command, *given, *NO_NET, "--out", tmp_path / name, "--json")
    assert code == 2 and ending in json.loads(text)["error"]["message"]
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("name", MIME_BY_FORMAT)
def test_every_format_of_a_brought_model_is_named_where_people_look(name: str) -> None:
    help_text = CliRunner().invoke(main, ["adopt", "--help"]).output.lower()
    field = next(s for s in (ROOT / "schemas/product.py").read_text().split("model_url = ")[1:])[:600].lower()
    row = next(x for x in (ROOT / "docs/tools.md").read_text().splitlines() if "`original_format`" in x)
    assert name in help_text and name in field and (name == "zip" or f"`{name}`" in row)
