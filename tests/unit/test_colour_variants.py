"""Colour variants on one shape: recoloured from photos, measured, written, selected, kept when brought."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from skimage.color import deltaE_ciede2000

from benchmarks.glb_corpus import finish
from dam_connector.errors import InputError
from tests.unit import glb_cases as made
from tests.unit.shapes import box, unwrapped
from worker.__main__ import main
from worker.gltf.container import read_json, replace_json
from worker.gltf.document import Document
from worker.gltf.rewriting import GlbRewriter
from worker.gltf.variants import MAX_VARIANTS, VARIANTS, colour_names, select_colour, write_variants
from worker.imaging.main_colours import main_colours, to_lab
from worker.measuring.khronos_validator import validate_gltf
from worker.modeling.camera import named_camera
from worker.modeling.colour_variants import MAX_DE, WantedColour, add_variants, recolour, render_hero
from worker.modeling.glb_export import write_glb
from worker.modeling.glb_import import read_glb
from worker.modeling.render import Renderer, RenderOptions

RED, GREEN, BLACK = (190, 40, 40), (30, 110, 80), (25, 25, 28)


def seat(cloth: tuple[int, int, int]) -> bytes:
    """A box with a picture of a cloth with a weave, and of black stripes."""
    picture = np.zeros((256, 256, 3), np.int16) + cloth
    picture += np.where(np.indices((256, 256)).sum(0)[..., None] // 2 % 2, 8, -8)
    picture[:, np.arange(256) // 4 % 4 == 3] = BLACK
    data = made.png(picture.clip(0, 255).astype(np.uint8))
    return write_glb(replace(unwrapped(box(0.5, 0.6, 0.5)), texture=data), "seat")


def photo_picture(cloth: tuple[int, int, int]) -> bytes:
    """A photo of the seat in a colour, from the hero view, as JPEG."""
    out = io.BytesIO()
    Image.fromarray(render_hero(seat(cloth), 400)).save(out, "JPEG", quality=95)
    return out.getvalue()


def lit(glb: bytes) -> tuple[np.ndarray, np.ndarray]:
    model = read_glb(glb)
    camera = named_camera(model.min_corner, model.max_corner, "hero")
    options = RenderOptions(background=None, floor_shadow=False)
    rgb, alpha = Renderer(model).render(camera, 160, options)
    return to_lab(rgb), alpha > 250


def photo_of(glb: bytes, name: str) -> WantedColour:
    lab, inside = lit(glb)
    return WantedColour(name, colours=main_colours(lab[inside]))


@pytest.fixture(scope="module")
def chairs() -> bytes:
    """A red seat with a green variant from its photo, and a blue one from a code."""
    blue = WantedColour("Blue", plain=to_lab(np.array([40, 70, 160], np.uint8)))
    glb, colours = add_variants(seat(RED), "Red", [photo_of(seat(GREEN), "Green"), blue])
    assert all(c.de2000 < 2 and not list(c.issues()) for c in colours)
    return glb


def test_a_variant_looks_like_the_product_in_its_photo(chairs: bytes) -> None:
    (truth, inside), (found, _) = lit(seat(GREEN)), lit(select_colour(chairs, "Green"))
    assert float(np.median(deltaE_ciede2000(truth, found)[inside])) < 3
    base, _ = lit(seat(RED))
    black = inside & (np.hypot(base[..., 1], base[..., 2]) < 12)
    assert black.sum() > 300
    assert float(np.median(deltaE_ciede2000(base, found)[black])) < 2
    assert float(np.median(deltaE_ciede2000(base, found)[inside & ~black])) > 30


def lacquered(glb: bytes) -> bytes:
    """A model with a surface that reflects light, whatever its colour."""
    document = read_json(glb)
    document["materials"][0]["pbrMetallicRoughness"]["roughnessFactor"] = 0.35
    return replace_json(glb, document)


def cloth_of(glb: bytes) -> np.ndarray:
    """The lightness of the picture of a cloth."""
    document = Document(glb)
    with Image.open(io.BytesIO(document.image(0, ""))) as picture:
        return to_lab(np.asarray(picture.convert("RGB")))[..., 0]


def test_a_white_model_becomes_black_and_white_again() -> None:
    picture = np.full((256, 256, 3), (235, 232, 225), np.int16)
    picture += np.where(np.indices((256, 256)).sum(0)[..., None] // 2 % 2, 8, -8)
    data = made.png(picture.clip(0, 255).astype(np.uint8))
    white = lacquered(write_glb(replace(unwrapped(box(0.5, 0.6, 0.5)), texture=data), "seat"))
    for code in ((0, 0, 0), (16, 16, 16)):
        black, to_black = recolour(white, WantedColour("Black", plain=to_lab(np.array(code, np.uint8))))
        assert not list(to_black.issues()), to_black
        cloth = cloth_of(black)
        assert cloth.max() < 20 and np.ptp(np.percentile(cloth, [20, 80])) > 0.8  # the weave is there
        swatch = to_lab(np.array((235, 232, 225), np.uint8))
        again, to_white = recolour(black, WantedColour("White", plain=swatch))
        assert not list(to_white.issues()), to_white
        (first, inside), (last, _) = lit(white), lit(again)
        assert float(np.median(deltaE_ciede2000(first, last)[inside])) < 3


def test_a_near_black_swatch_on_a_model_that_cannot_be_black_is_told() -> None:
    red_metal = lacquered(seat(RED))
    document = read_json(red_metal)
    document["materials"][0]["emissiveFactor"] = [0.5, 0.1, 0.1]
    wanted = WantedColour("Black", plain=to_lab(np.array((16, 16, 16), np.uint8)))
    _, found = recolour(replace_json(red_metal, document), wanted)
    assert [i.code for i in found.issues()] == ["variant.colour"]


def test_one_file_has_one_shape_and_all_variants(chairs: bytes) -> None:
    document, before = read_json(chairs), read_json(seat(RED))
    assert colour_names(document) == ["Red", "Green", "Blue"]
    assert (
        document["meshes"][0]["primitives"][0]["attributes"]
        == (before["meshes"][0]["primitives"][0]["attributes"])
    )
    assert len(document["accessors"]) == len(before["accessors"]) and len(document["images"]) == 3
    issues = validate_gltf(chairs)["issues"]
    assert (issues["numErrors"], issues["numWarnings"], issues["numInfos"]) == (0, 0, 0)


def test_a_selected_variant_is_a_plain_glb(chairs: bytes) -> None:
    green, red = select_colour(chairs, "Green"), select_colour(chairs, "Red")
    document = read_json(green)
    assert "extensions" not in document and "extensionsUsed" not in document
    assert len(document["materials"]) == len(document["images"]) == len(document["textures"]) == 1
    assert len(red) < len(chairs) and np.array_equal(render_hero(red, 64), render_hero(seat(RED), 64))
    issues = validate_gltf(green)["issues"]
    assert (issues["numErrors"], issues["numWarnings"], issues["numInfos"]) == (0, 0, 0)


def test_materials_of_one_colour_are_changed_by_their_factor() -> None:
    rewriter = GlbRewriter(made.two_materials())
    colours = [[0.5, 0.02, 0.02, 1], [0.01, 0.01, 0.01, 1]]
    for row, colour in zip(rewriter.json["materials"], colours, strict=True):
        row["pbrMetallicRoughness"] = {"baseColorFactor": colour, "metallicFactor": 0}
    wanted = WantedColour("Green", plain=to_lab(np.array(GREEN, np.uint8)))
    glb, [colour] = add_variants(rewriter.finish(), "Red", [wanted])
    assert colour.de2000 < MAX_DE and "images" not in read_json(glb)
    names = [m.get("name", "") for m in read_json(glb)["materials"]]
    assert sum("Green" in name for name in names) >= 1 and len(names) <= 4


@pytest.mark.issue("variant.impossible")
def test_what_cannot_be_recoloured_is_refused_with_the_reason(chairs: bytes) -> None:
    wanted = [WantedColour("Blue", plain=np.array([40.0, 10.0, -40.0]))]
    for glb, reason in (
        (chairs, "variants already"),
        (made.varying_colours(), "vertex colours"),
        (made.ktx2_only(), "KTX2"),
    ):
        with pytest.raises(InputError, match=reason) as found:
            add_variants(glb, "Red", wanted)
        assert found.value.issue_code == "variant.impossible"
    with pytest.raises(InputError, match="Red, Green, Blue"):
        select_colour(chairs, "Pink")


def test_a_brought_model_with_variants_passes_through_unharmed(chairs: bytes) -> None:
    work, services = finish(chairs)
    files = {f.format: services.blobs.get(f.sha256) for f in work.files}
    for kind in ("glb", "web"):
        document = read_json(files[kind])
        assert colour_names(document) == ["Red", "Green", "Blue"]
        mappings = document["meshes"][0]["primitives"][0]["extensions"][VARIANTS]["mappings"]
        assert sorted(v for m in mappings for v in m["variants"]) == [0, 1, 2]
        assert validate_gltf(files[kind])["issues"]["numErrors"] == 0
        assert all(m["material"] < len(document["materials"]) for m in mappings)
        one, two = lit(select_colour(files[kind], "Green"))[0], lit(select_colour(chairs, "Green"))[0]
        assert float(np.median(deltaE_ciede2000(one, two))) < 2
    lost = next(i for i in work.issues if i.code == "usdz.lost")
    assert VARIANTS in lost.message


@pytest.mark.parametrize(
    ("mappings", "material"),
    [
        (None, 0),
        ("abc", 0),
        ([None, "abc", 5, {"variants": [1]}, {"variants": None, "material": 1}], 0),
        ([{"variants": [1], "material": m} for m in (None, "1", -1, True, 99)], 0),
        ([{"variants": [1], "material": None}, {"variants": ["x", 1], "material": 1}], 1),
    ],
)
def test_odd_mappings_of_variants_are_passed_over(mappings: object, material: int) -> None:
    rewriter = GlbRewriter(made.two_materials())
    names = [row.setdefault("name", f"m{n}") for n, row in enumerate(rewriter.json["materials"])]
    variants = [7, {"name": "Green"}, *({"name": f"v{n}"} for n in range(MAX_VARIANTS))]
    rewriter.json["extensions"] = {VARIANTS: {"variants": variants}}
    primitive = rewriter.json["meshes"][0]["primitives"][0]
    primitive |= {"material": 0, "extensions": {VARIANTS: {"mappings": mappings}}}
    rewriter.json["meshes"][0]["primitives"][1:] = []
    odd = rewriter.finish()
    assert len(colour_names(read_json(odd))) == MAX_VARIANTS
    chosen = read_json(select_colour(odd, "Green"))
    shown = chosen["meshes"][0]["primitives"][0]
    assert chosen["materials"][shown["material"]]["name"] == names[material] and "extensions" not in shown
    with pytest.raises(InputError) as refused:
        select_colour(odd, "Pink")
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize("extensions", [None, [], {VARIANTS: None}, {VARIANTS: []}])
def test_extensions_that_are_no_objects_have_no_variants(extensions: object) -> None:
    rewriter = GlbRewriter(made.two_materials())
    rewriter.json["extensions"] = {VARIANTS: {"variants": [{"name": "Green"}]}}
    for primitive in rewriter.json["meshes"][0]["primitives"]:
        primitive["extensions"] = extensions
    plain = select_colour(rewriter.finish(), "Green")
    assert VARIANTS not in str(read_json(plain))
    assert colour_names(read_json(write_variants(plain, ["Red", "Blue"], [{}]))) == ["Red", "Blue"]


def run(*arguments: object) -> tuple[int, dict]:
    result = CliRunner().invoke(main, ["variants", *map(str, arguments), "--json"])
    return result.exit_code, json.loads(result.output)


@pytest.mark.issue("variant.colour")
def test_the_command_writes_the_file_and_a_picture_of_each(tmp_path: Path) -> None:
    model, photo, swatch = tmp_path / "seat.glb", tmp_path / "green.jpg", tmp_path / "cloth.png"
    model.write_bytes(seat(RED))
    Image.fromarray(render_hero(seat(GREEN), 640)).save(photo, quality=95)
    Image.new("RGB", (60, 60), (60, 90, 170)).save(swatch)
    colours = (f"Green={photo}", f"Sky blue=swatch:{swatch}", "Grey=#808080")
    options = [word for colour in colours for word in ("--colour", colour)]
    code, answer = run(model, *options, "--base", "Red", "--each", "--out", tmp_path / "out")
    assert (code, answer.get("error")) == (0, None) and answer["validator_errors"] == 0
    assert [v["name"] for v in answer["variants"]] == ["Green", "Sky blue", "Grey"]
    assert all(v["de2000"] < 3 for v in answer["variants"]), answer["variants"]
    assert Path(answer["files"]["Sky blue"]["glb"]).name == "seat_Sky-blue.glb"
    assert all(Path(p).is_file() for paths in answer["files"].values() for p in paths.values())
    assert colour_names(read_json(Path(answer["out"]).read_bytes()))[0] == "Red"
    mirror = GlbRewriter(seat(RED))
    mirror.json["materials"][0]["pbrMetallicRoughness"] |= {"metallicFactor": 1, "roughnessFactor": 0.2}
    model.write_bytes(mirror.finish())
    code, answer = run(model, "--colour", "Neon=#00ff00", "--out", tmp_path / "neon")
    assert code == 1 and [i["code"] for i in answer["issues"]] == ["variant.colour"]


def test_the_command_says_what_it_cannot_use(tmp_path: Path) -> None:
    model = tmp_path / "seat.glb"
    model.write_bytes(seat(RED))
    for options, said in (
        (["--colour", "Green"], "NAME=PHOTO"),
        (["--colour", "Green=none.jpg"], "there is no file none.jpg"),
        (["--colour", "Green=#00aa00", "--colour", "green=#00bb00"], "given twice"),
        (["--colour", "Original=#00aa00"], "given twice"),
    ):
        code, answer = run(model, *options, "--out", tmp_path / "out")
        assert code == 2 and said in answer["error"]["message"]
    model.write_bytes(b"no GLB")
    assert run(model, "--colour", "Green=#00aa00", "--out", tmp_path / "out")[0] == 2
    assert not (tmp_path / "out").exists()
