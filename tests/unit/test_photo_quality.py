"""Photo quality: a fixture for each issue code, and no issue for good photos."""

import io
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from dam_connector.domain.issue import Issue
from dam_connector.domain.product import Dimensions, View
from dam_connector.domain.rules import ImagingRules
from tests.support import SAMPLES
from worker.imaging.cutout import Cutout, cut_out
from worker.imaging.decode import Photo, decode
from worker.imaging.mirror_image import has_mirror_image
from worker.imaging.person import shows_person
from worker.imaging.photo_quality import (
    MAX_SAME_BITS,
    blur_px,
    fingerprint,
    is_copy,
    same_picture_issues,
    source_issues,
    wrong_view_issues,
)

GOOD = (SAMPLES / "chair-front.jpg").read_bytes()
FRONT, RIGHT = (
    decode((SAMPLES / f"speaker-{view}.jpg").read_bytes(), max_pixels=10**8) for view in ("front", "right")
)


def of(rgb: np.ndarray) -> Photo:
    return Photo(rgb=np.ascontiguousarray(rgb, np.uint8), alpha=None, format="JPEG")


def same_pictures(photos: dict[str, Photo]) -> list[Issue]:
    return list(same_picture_issues({view: fingerprint(p) for view, p in photos.items()}, photos.__getitem__))


def codes(photo: Photo) -> set[str]:
    return {i.code for i in source_issues(photo, cut_out(photo), "front")}


def scene(draw: Callable[[np.ndarray], object], ground: int = 225) -> Photo:
    rgb = np.full((600, 600, 3), ground, np.uint8)
    draw(rgb)
    return of(rgb)


def stored(format: str, **options: object) -> bytes:
    out = io.BytesIO()
    with Image.open(io.BytesIO(GOOD)) as image:
        image.convert(str(options.pop("mode", "RGB"))).save(out, format, **options)
    return out.getvalue()


def test_a_good_photo_has_no_issues() -> None:
    assert codes(decode(GOOD, max_pixels=10**8)) == set()


@pytest.mark.parametrize("sigma", [3.0, 5.0])
@pytest.mark.issue("source.blurred")
def test_blur_is_measured_in_pixels(sigma: float) -> None:
    sharp = decode(GOOD, max_pixels=10**8)
    soft = of(cv2.GaussianBlur(sharp.rgb, (0, 0), sigma * max(sharp.size) / 1024))
    assert blur_px(sharp, cut_out(sharp)) < 1.2 and abs(blur_px(soft, cut_out(soft)) - sigma) < 0.6
    assert "source.blurred" in codes(soft)


@pytest.mark.issue("source.overexposed", "source.underexposed")
def test_too_much_and_too_little_light() -> None:
    burnt = scene(
        lambda a: (
            cv2.circle(a, (300, 300), 150, (255, 255, 255), -1),
            cv2.circle(a, (300, 300), 60, (200, 40, 40), -1),
        ),
        ground=180,
    )
    assert "source.overexposed" in codes(burnt)
    dark = scene(lambda a: cv2.circle(a, (300, 300), 150, (4, 4, 4), -1), ground=36)
    assert "source.underexposed" in codes(dark)


@pytest.mark.issue("source.several_objects")
def test_two_products_in_one_photo() -> None:
    pair = scene(lambda a: [cv2.circle(a, (x, 300), 90, (170, 40, 40), -1) for x in (170, 430)])
    speck = scene(
        lambda a: (
            cv2.circle(a, (300, 300), 150, (170, 40, 40), -1),
            cv2.circle(a, (540, 60), 12, (20, 20, 20), -1),
        )
    )
    assert "source.several_objects" in codes(pair) and "source.several_objects" not in codes(speck)


def drawn_person(skin: tuple[int, int, int]) -> tuple[Photo, np.ndarray]:
    """A person from the hips up, in a blue shirt, and the mask."""
    rgb, mask = np.full((600, 600, 3), 235, np.uint8), np.zeros((600, 600), np.uint8)
    shirt, hair = (60, 80, 150), (60, 40, 30)
    for canvas, of_skin, of_shirt, of_hair in ((rgb, skin, shirt, hair), (mask, 255, 255, 255)):
        cv2.ellipse(canvas, (300, 120), (72, 92), 0, 0, 360, of_hair, -1)
        cv2.rectangle(canvas, (270, 200), (330, 270), of_skin, -1)
        cv2.ellipse(canvas, (300, 140), (58, 76), 0, 0, 360, of_skin, -1)
        body = np.array([[190, 300], [230, 265], [370, 265], [410, 300], [400, 600], [200, 600]])
        cv2.fillPoly(canvas, [body], of_shirt)
        for side in (-1, 1):
            cv2.line(canvas, (300 + side * 140, 460), (300 + side * 120, 590), of_skin, 44)
            cv2.line(canvas, (300 + side * 105, 300), (300 + side * 140, 460), of_shirt, 62)
    for x in (278, 322):
        cv2.ellipse(rgb, (x, 132), (9, 5), 0, 0, 360, (255, 255, 255), -1)
        cv2.circle(rgb, (x, 132), 4, hair, -1)
    cv2.ellipse(rgb, (300, 182), (18, 6), 0, 0, 180, (180, 70, 70), -1)
    return of(cv2.GaussianBlur(rgb, (0, 0), 1.2)), mask


@pytest.mark.issue("source.person")
def test_a_person_who_wears_the_product() -> None:
    for skin in ((224, 172, 140), (140, 90, 65)):
        photo, mask = drawn_person(skin)
        worn = replace(cut_out(photo), alpha=mask)
        assert "source.person" in {i.code for i in source_issues(photo, worn, "front")}
        without = source_issues(photo, worn, "front", ImagingRules(net="none"))
        assert "source.person" not in {i.code for i in without}
        in_parts = mask.copy()
        in_parts[262:270] = 0  # the head is apart
        parts = replace(worn, alpha=in_parts)
        assert "source.several_objects" not in {i.code for i in source_issues(photo, parts, "front")}
        without = source_issues(photo, parts, "front", ImagingRules(net="none"))
        assert "source.several_objects" in {i.code for i in without}
    green, mask = drawn_person((60, 170, 90))  # a figure
    assert not shows_person(green, replace(cut_out(green), alpha=mask))


@pytest.mark.issue("source.mirror_image")
def test_a_table_that_mirrors_the_product() -> None:
    rgb, mask = np.full((600, 600, 3), 250, np.float32), np.zeros((600, 600), np.uint8)
    stripes = np.linspace(0, 9, 240)[None, :, None] + np.linspace(0, 4, 240)[:, None, None]
    product = 120 + 60 * np.sin(stripes + np.array([0, 1, 2]))
    rgb[180:420, 180:420], mask[180:420, 180:420] = product, 255
    plain, mirroring, shaded = rgb.copy(), rgb.copy(), rgb.copy()
    fade = np.linspace(0.3, 0, 80)[:, None, None]
    mirroring[420:500, 180:420] = 250 * (1 - fade) + product[:-81:-1] * fade
    shaded[420:500, 180:420] *= 1 - fade
    worn = Cutout(rgb=of(plain).rgb, alpha=mask, confidence=1.0)
    found = [has_mirror_image(of(each), worn) for each in (plain, mirroring, shaded)]
    assert found == [False, True, False]
    assert "source.mirror_image" in {i.code for i in source_issues(of(mirroring), worn, "front")}
    transparent = Photo(rgb=of(mirroring).rgb, alpha=mask, format="PNG")
    assert not has_mirror_image(transparent, worn)


@pytest.mark.issue("source.background_busy")
def test_a_background_that_is_not_plain() -> None:
    rng = np.random.default_rng(3)
    busy = cv2.resize(
        rng.integers(90, 240, (20, 20, 3), np.uint8), (600, 600), interpolation=cv2.INTER_NEAREST
    )
    cv2.circle(busy, (300, 300), 150, (200, 20, 20), -1)
    cutout = cut_out(of(busy))
    assert (
        "source.background_busy" in {i.code for i in source_issues(of(busy), cutout, "front")}
        and cutout.busy_share > 0.25
    )


@pytest.mark.issue("source.same_picture")
def test_the_same_picture_as_two_views_is_reported() -> None:
    smaller = of(cv2.resize(FRONT.rgb, (500, 500), interpolation=cv2.INTER_AREA))
    found = list(same_pictures({"front": FRONT, "right": RIGHT, "back": smaller}))
    assert [(i.code, i.pointer) for i in found] == [("source.same_picture", "/images/back")]
    assert (fingerprint(FRONT) ^ fingerprint(RIGHT)).bit_count() > 10


def round_thing(seed: int, grain: float = 2.0, shine: int = 0) -> np.ndarray:
    """A bottle without print, photographed with grain."""
    rgb = np.full((700, 500, 3), 236, np.float32)
    for x in range(-110, 111):
        light = 150 + 60 * np.cos(np.arcsin(x / 111)) + shine * np.exp(-(((x - 50) / 12) ** 2))
        rgb[220:640, 250 + x] = (light * 0.4, light * 0.9, light * 0.6)
    rgb[80:220, 215:286] = (70, 60, 50)
    if grain:
        rgb += np.random.default_rng(seed).normal(0, grain, (*rgb.shape[:2], 1))
    return np.clip(np.round(rgb), 0, 255).astype(np.uint8)


def saved(rgb: np.ndarray, format: str, **options: object) -> Photo:
    out = io.BytesIO()
    Image.fromarray(rgb).save(out, format, **options)
    return decode(out.getvalue(), max_pixels=10**8)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (saved(round_thing(1), "JPEG", quality=92), saved(round_thing(2), "JPEG", quality=92)),
        (saved(round_thing(1), "PNG"), saved(round_thing(2), "PNG")),
        (saved(round_thing(0, 0), "PNG"), saved(round_thing(0, 0, shine=3), "PNG")),
        (saved(round_thing(0, 0), "JPEG"), saved(round_thing(0, 0, shine=14), "JPEG")),
    ],
    ids=["grain", "grain without loss", "a shine without loss", "a shine"],
)
def test_two_photos_of_a_round_product_are_not_the_same_picture(one: Photo, other: Photo) -> None:
    assert (fingerprint(one) ^ fingerprint(other)).bit_count() <= MAX_SAME_BITS  # they look alike
    assert not is_copy(one, other) and same_pictures({"front": one, "right": other}) == []


@pytest.mark.parametrize("grain", [0.0, 2.0])
@pytest.mark.parametrize(
    ("format", "options", "share"),
    [
        ("PNG", {}, 1),
        ("JPEG", {"quality": 95}, 1),
        ("JPEG", {"quality": 60}, 1),
        ("WEBP", {"quality": 80}, 0.7),
        ("PNG", {}, 0.5),
    ],
)
def test_a_copy_of_a_photo_of_a_round_product_is_the_same_picture(
    grain: float, format: str, options: dict[str, object], share: float
) -> None:
    first = saved(round_thing(1, grain), "JPEG", quality=92)
    size = (round(500 * share), round(700 * share))
    copy = saved(cv2.resize(first.rgb, size, interpolation=cv2.INTER_AREA), format, **options)
    assert is_copy(first, copy) and is_copy(copy, first)


@pytest.mark.issue("source.wrong_view")
def test_a_view_that_shows_another_side() -> None:
    size = Dimensions(width_m=0.16, height_m=0.27, depth_m=0.09)
    wide, narrow = (
        cut_out(scene(lambda a, w=w: cv2.rectangle(a, (300 - w, 165), (300 + w, 435), (170, 40, 40), -1)))
        for w in (80, 45)
    )
    assert list(wrong_view_issues({View.FRONT: wide, View.RIGHT: narrow}, size)) == []
    found = list(wrong_view_issues({View.FRONT: narrow, View.RIGHT: wide}, size))
    assert [(i.code, i.pointer) for i in found] == [
        ("source.wrong_view", "/images/front"),
        ("source.wrong_view", "/images/right"),
    ]
    assert list(wrong_view_issues({View.FRONT: narrow}, replace(size, depth_m=None))) == []


@pytest.mark.issue("source.rotated", "source.cmyk", "source.animated", "source.profile_missing")
def test_corrections_of_the_file_are_reported() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(io.BytesIO(GOOD)) as image:
        frames = [image.convert("RGB").resize((400, 400)), Image.new("RGB", (400, 400), (1, 2, 3))]
    out = io.BytesIO()
    frames[0].save(out, "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    made = {
        "source.rotated": stored("JPEG", exif=exif),
        "source.cmyk": stored("JPEG", mode="CMYK"),
        "source.animated": out.getvalue(),
    }
    for code, data in made.items():
        assert code in codes(decode(data, max_pixels=10**8)), code
    assert "source.profile_missing" in codes(decode(made["source.cmyk"], max_pixels=10**8))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert codes(decode(stored("JPEG", icc_profile=profile), max_pixels=10**8)) == set()


@pytest.mark.parametrize("side", [613, 777, 1023, 1399])
def test_a_picture_scaled_by_any_share_keeps_its_fingerprint(side: int) -> None:
    for photo in (FRONT, RIGHT):
        scaled = replace(photo, rgb=cv2.resize(photo.rgb, (side, side), interpolation=cv2.INTER_AREA))
        assert (fingerprint(photo) ^ fingerprint(scaled)).bit_count() <= MAX_SAME_BITS
