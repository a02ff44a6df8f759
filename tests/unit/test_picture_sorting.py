"""A shop's unnamed pictures: each is taken for the side that it shows, and the useless are left out."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from dam_connector.domain.product import Dimensions, View
from tests.unit.shapes import as_model
from tests.unit.test_tools import documented, printed
from tests.unit.true_shapes import Truth, bag, chair
from worker.imaging.cutout import Cutout
from worker.modeling.camera import Camera
from worker.modeling.picture_sorting import sort_pictures
from worker.modeling.render import Renderer
from worker.tools import build_folders
from worker.tools.build_command import build

PX = 240


def size_of(truth: Truth) -> Dimensions:
    width, height, depth = (float(v) for v in truth.whole.extents)
    return Dimensions(width_m=width, height_m=height, depth_m=depth)


def photo(truth: Truth, azimuth: float, elevation: float, stripes: int = 0) -> Cutout:
    """A photo from a few metres, with so many stripes on the product."""
    model = as_model(truth.whole)
    camera = Camera(
        azimuth=azimuth,
        elevation=elevation,
        target=(0.0, float(model.extent[1]) / 2, 0.0),
        half_width=float(np.linalg.norm(model.extent)) * 0.62,
        fov=24.0,
    )
    alpha = Renderer(model).silhouette(camera, PX).astype(np.uint8) * 255
    rgb = np.full((PX, PX, 3), 120, np.uint8)
    for n in range(stripes):
        cv2.line(rgb, (0, n * PX // stripes), (PX, n * PX // stripes), (250, 250, 250), 2)
    return Cutout(rgb=rgb, alpha=alpha, confidence=0.9)


def close_up() -> Cutout:
    alpha = np.full((PX, PX), 255, np.uint8)
    return Cutout(rgb=np.zeros((PX, PX, 3), np.uint8), alpha=alpha, confidence=0.9, touched_sides=("left",))


def test_each_picture_is_taken_for_its_side() -> None:
    pictures = {
        "1.jpg": photo(bag(), 178, 8),
        "2.jpg": photo(bag(), 38, 20),
        "3.jpg": photo(bag(), 2, 5, stripes=24),
        "4.jpg": close_up(),
        "5.jpg": photo(bag(), 91, 6),
        "6.jpg": None,
    }
    found = sort_pictures(pictures, size_of(bag()))
    assert found.taken_for == {
        "1.jpg": "back",
        "2.jpg": "hero",
        "3.jpg": "front",
        "4.jpg": "detail",
        "5.jpg": "right",
        "6.jpg": "unclear",
    }
    assert found.cutouts[View.BACK] is pictures["1.jpg"] and set(found.cutouts) == {
        View.FRONT,
        View.BACK,
        View.RIGHT,
        View.HERO,
    }


@pytest.mark.parametrize(("azimuth", "side"), [(90, "right"), (-90, "left")])
def test_the_high_side_of_a_chair_is_its_back(azimuth: float, side: str) -> None:
    pictures = {"a.jpg": photo(chair(), 0, 5), "b.jpg": photo(chair(), azimuth, 5)}
    assert sort_pictures(pictures, size_of(chair())).taken_for == {"a.jpg": "front", "b.jpg": side}


def test_a_second_three_quarter_picture_is_spare() -> None:
    pictures = {"a.jpg": photo(bag(), 0, 5), "b.jpg": photo(bag(), 40, 20), "c.jpg": photo(bag(), -40, 20)}
    taken = sort_pictures(pictures, size_of(bag())).taken_for
    assert sorted([taken["b.jpg"], taken["c.jpg"]]) == ["hero", "spare"] and taken["a.jpg"] == "front"


def test_what_is_like_no_side_is_left_out() -> None:
    alpha = np.zeros((PX, PX), np.uint8)
    alpha[110:118, 20:220] = 255
    rod = Cutout(rgb=np.zeros((PX, PX, 3), np.uint8), alpha=alpha, confidence=0.9)
    found = sort_pictures({"a.jpg": photo(bag(), 0, 5), "b.jpg": rod}, size_of(bag()))
    assert found.taken_for == {"a.jpg": "front", "b.jpg": "unlike"}


def test_the_command_prints_the_documented_keys(tmp_path: Path) -> None:
    for number, found in enumerate([photo(chair(), 0, 5), photo(chair(), 90, 5)]):
        picture = np.dstack([found.rgb, found.alpha])
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
    size = ["--width-m", "0.46", "--height-m", "0.86", "--depth-m", "0.46", "--texture-px", "512"]
    options = ["--pictures", str(tmp_path), "--net", "none", "--out", str(tmp_path / "o.glb"), "--json"]
    ran = CliRunner().invoke(build, [*options, *size])
    assert ran.exit_code == 0
    answer = json.loads(ran.output)
    assert answer["pictures"] == {"0.png": "front", "1.png": "right"}
    assert answer["confidence"] < 0.5 and "was guessed" in ran.output  # sides are often taken for others
    keys = documented("build", "From any input") | documented("build", "From unnamed pictures")
    assert printed(ran.output) == keys


def test_pictures_beyond_the_limit_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_folders, "MAX_PICTURES", 1)
    for number in range(2):
        Image.new("RGB", (300, 300), "white").save(tmp_path / f"{number}.png")
    ran = CliRunner().invoke(
        build, ["--pictures", str(tmp_path), "--net", "none", "--out", str(tmp_path / "o.glb")]
    )
    assert ran.exit_code == 2 and "0.png: unclear, 1.png: surplus" in ran.output


def test_pictures_without_a_product_are_refused_by_name(tmp_path: Path) -> None:
    Image.new("RGB", (300, 300), "white").save(tmp_path / "one.png")
    options = ["--pictures", str(tmp_path), "--net", "none", "--out", str(tmp_path / "o.glb"), "--json"]
    ran = CliRunner().invoke(build, options)
    error = json.loads(ran.output)["error"]
    assert ran.exit_code == 2 and error["code"] == "source.missing_view"
    assert "one.png: unclear" in error["message"]
