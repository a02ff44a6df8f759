"""Decoding, cut-out, composition and encoding of pictures."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from dam_connector.domain.picture_profiles import byte_budget
from dam_connector.errors import InputError
from tests.support import SAMPLES, huge_png, picture
from worker.imaging.background import content_region
from worker.imaging.bilinear_sampling import sample_bilinear
from worker.imaging.composition import Studio, compose_studio
from worker.imaging.cutout import MIN_CONFIDENCE, cut_out, extend_colours
from worker.imaging.decode import Photo, decode
from worker.imaging.encode import METADATA_RESERVE_BYTES, MIN_QUALITY, encode, encode_within
from worker.imaging.metadata import ALGORITHMICALLY_ENHANCED, PROPERTIES, read_metadata, write_metadata

LIMIT = 64_000_000


def photo_of(draw, **options) -> tuple[Photo, np.ndarray]:
    """A photo and the mask of what was drawn on it."""
    rgb = np.zeros((400, 400, 3), np.uint8)
    draw(rgb)
    return decode(picture(draw, **options), max_pixels=LIMIT), rgb.any(2)


def iou(alpha: np.ndarray, truth: np.ndarray) -> float:
    mask = alpha > 127
    return float((mask & truth).sum() / (mask | truth).sum())


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (picture()[:3000], "source.damaged"),
        (huge_png(), "source.too_large"),
        (b"text", "source.not_an_image"),
        (b"", "source.not_an_image"),
        (picture(size=(100, 400)), "source.too_small"),
        (b"GIF89a" + b"\x00" * 50, "source.not_an_image"),
        (b"<svg xmlns='x'/>", "source.not_an_image"),
        (picture(format="PNG")[:500], "source.damaged"),
    ],
)
@pytest.mark.issue(param="code")
def test_what_cannot_be_decoded_says_why(data: bytes, code: str) -> None:
    with pytest.raises(InputError) as found:
        decode(data, max_pixels=LIMIT)
    assert found.value.issue_code == code


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_formats_that_are_read(format: str) -> None:
    assert decode(picture(format=format), max_pixels=LIMIT).size == (400, 400)


def test_a_picture_is_turned_upright_and_brought_to_rgb() -> None:
    image = Image.new("CMYK", (300, 200), (0, 255, 255, 0))
    exif = Image.Exif()
    exif[0x0112] = 6
    out = io.BytesIO()
    image.save(out, "JPEG", exif=exif)
    found = decode(out.getvalue(), max_pixels=LIMIT)
    assert found.size == (200, 300) and found.rgb[..., 0].mean() > 200 > found.rgb[..., 1].mean()


def test_transparency_is_taken_as_it_is() -> None:
    rgba = np.zeros((300, 300, 4), np.uint8)
    cv2.circle(rgba, (150, 150), 100, (10, 200, 30, 255), -1)
    out = io.BytesIO()
    Image.fromarray(rgba).save(out, "PNG")
    cutout = cut_out(decode(out.getvalue(), max_pixels=LIMIT))
    assert iou(cutout.alpha, rgba[..., 3] > 0) == 1.0 and cutout.confidence == 1.0


DRAWINGS = {
    "a box": lambda a: cv2.rectangle(a, (100, 120), (300, 330), (170, 40, 40), -1),
    "a disc": lambda a: cv2.circle(a, (200, 210), 120, (30, 60, 160), -1),
    "a ring": lambda a: cv2.circle(a, (200, 200), 110, (30, 120, 60), 40),
    "thin legs": lambda a: (
        [cv2.line(a, (x, 150), (x, 350), (60, 40, 20), 8) for x in (120, 280)]
        + [cv2.rectangle(a, (100, 130), (300, 160), (60, 40, 20), -1)]
    ),
}


@pytest.mark.parametrize("ground", [255, 225, 190])
@pytest.mark.parametrize("what", DRAWINGS)
def test_cutting_out(what: str, ground: int) -> None:
    photo, truth = photo_of(DRAWINGS[what], ground=ground)
    cutout = cut_out(photo)
    assert (
        iou(cutout.alpha, truth) > 0.97 and cutout.confidence > MIN_CONFIDENCE and cutout.touched_sides == ()
    )


def test_a_soft_shadow_is_not_product() -> None:
    def draw(a: np.ndarray) -> None:
        cv2.rectangle(a, (120, 100), (280, 300), (170, 40, 40), -1)

    rgb = np.full((400, 400, 3), 235, np.float32)
    shade = np.zeros((400, 400), np.float32)
    cv2.ellipse(shade, (220, 305), (140, 22), 0, 0, 360, 1.0, -1)
    rgb *= (1 - 0.35 * cv2.GaussianBlur(shade, (0, 0), 14))[..., None]
    draw(rgb)
    truth = np.zeros((400, 400, 3), np.uint8)
    draw(truth)
    cutout = cut_out(Photo(rgb=rgb.astype(np.uint8), alpha=None, format="JPEG"))
    assert iou(cutout.alpha, truth.any(2)) > 0.96


def test_a_grey_part_that_looks_like_a_shadow_is_kept_or_doubted() -> None:
    rgb, truth = np.full((500, 500, 3), 205, np.float32), np.zeros((500, 500), np.uint8)
    cv2.rectangle(truth, (120, 100), (400, 400), 1, -1)
    grey = np.zeros((500, 500), np.float32)
    cv2.rectangle(grey, (220, 100), (400, 290), 1.0, -1)
    rgb *= (1 - 0.2 * cv2.GaussianBlur(grey, (0, 0), 10))[..., None]
    for a, b in (((120, 100), (220, 400)), ((120, 290), (400, 400)), ((220, 100), (330, 130))):
        cv2.rectangle(rgb, a, b, (40, 40, 40), -1)
    cutout = cut_out(Photo(rgb=rgb.astype(np.uint8), alpha=None, format="JPEG"))
    assert iou(cutout.alpha, truth > 0) > 0.95 or cutout.confidence < MIN_CONFIDENCE


def test_a_faint_stroke_beside_the_product_is_dirt() -> None:
    def draw(a: np.ndarray) -> None:
        cv2.rectangle(a, (150, 100), (250, 200), (170, 40, 40), -1)
        cv2.line(a, (100, 300), (125, 325), (246, 246, 246), 4)

    assert cut_out(photo_of(draw, ground=238)[0]).box[3] < 210


def test_more_of_a_plain_ground_changes_nothing() -> None:
    small = np.full((400, 400, 3), 240, np.uint8)
    cv2.rectangle(small, (120, 100), (280, 300), (170, 40, 40), -1)
    assert content_region(small, 40) == (slice(56, 344), slice(80, 328))
    wide = cv2.copyMakeBorder(small, 200, 200, 240, 160, cv2.BORDER_CONSTANT, value=(240, 240, 240))
    assert content_region(wide, 40) == (slice(256, 544), slice(320, 568))
    near, far = (cut_out(Photo(rgb=rgb, alpha=None, format="PNG")) for rgb in (small, wide))
    inner = far.alpha[200:600, 240:640]
    assert (
        inner.sum() == far.alpha.sum()
        and np.abs(np.subtract(far.box, near.box) - (240, 200, 240, 200)).max() <= 1
    )
    assert iou(inner, near.alpha > 127) > 0.99


def test_a_ground_that_is_not_plain_is_looked_at_whole() -> None:
    rgb = np.random.default_rng(0).integers(200, 220, (300, 400, 3), np.uint8)
    assert content_region(rgb, 10) == (slice(0, 300), slice(0, 400))


def test_a_picture_is_sampled_between_its_pixels_and_led_on_beyond_its_rim() -> None:
    shown = np.arange(12, dtype=np.float32).reshape(3, 4, 1)
    at = np.array([(0, 0), (1.5, 0), (1, 0.5), (-5, 1), (9, 9)], np.float32)
    assert np.allclose(sample_bilinear(shown, at)[:, 0], [0, 1.5, 3, 4, 11])
    many = np.tile(at, (2000, 1))  # more than a row of places
    assert np.allclose(sample_bilinear(shown, many).reshape(-1, 5), [0, 1.5, 3, 4, 11])


def test_white_on_white_is_uncertain() -> None:
    photo, _ = photo_of(lambda a: cv2.circle(a, (200, 200), 120, (240, 240, 240), -1), ground=250)
    assert cut_out(photo).confidence < MIN_CONFIDENCE


def test_white_on_the_same_white_is_nothing() -> None:
    photo, _ = photo_of(lambda a: cv2.circle(a, (200, 200), 120, (247, 247, 247), -1), ground=250)
    with pytest.raises(InputError) as found:
        cut_out(photo)
    assert found.value.issue_code == "cutout.empty"


def test_a_shadow_under_a_table_is_not_product_and_the_space_between_its_legs_is_free() -> None:
    rgb, truth = np.full((800, 800, 3), 225, np.float32), np.zeros((800, 800, 3), np.uint8)
    for a, b in (((200, 260), (600, 320)), ((220, 320), (240, 620)), ((560, 320), (580, 620))):
        cv2.rectangle(truth, a, b, (120, 90, 60), -1)
    shade = np.zeros((800, 800), np.float32)
    cv2.ellipse(shade, (400, 620), (260, 30), 0, 0, 360, 1.0, -1)
    rgb *= (1 - 0.4 * cv2.GaussianBlur(shade, (0, 0), 12))[..., None]
    rgb = np.where(truth.any(2, keepdims=True), truth, rgb).astype(np.uint8)
    cutout = cut_out(Photo(rgb=rgb, alpha=None, format="JPEG"))
    assert iou(cutout.alpha, truth.any(2)) > 0.98 and cutout.confidence > MIN_CONFIDENCE


def test_a_product_that_leaves_the_frame_is_noticed() -> None:
    photo, _ = photo_of(lambda a: cv2.rectangle(a, (100, -5), (300, 250), (170, 40, 40), -1))
    assert cut_out(photo).touched_sides == ("top",)


@pytest.mark.issue("cutout.empty")
def test_nothing_to_cut_out() -> None:
    with pytest.raises(InputError) as found:
        cut_out(photo_of(lambda a: None)[0])
    assert found.value.issue_code == "cutout.empty"


# Samples that show what is flagged: a damaged file, and white on white.
FLAGGED_SAMPLES = ("bottle", "white-vase")


@pytest.mark.parametrize(
    "name", sorted(p.name for p in SAMPLES.glob("*.jpg") if not p.name.startswith(FLAGGED_SAMPLES))
)
def test_the_sample_photos_are_cut_out_with_confidence(name: str) -> None:
    cutout = cut_out(decode((SAMPLES / name).read_bytes(), max_pixels=LIMIT))
    assert cutout.confidence > MIN_CONFIDENCE and cutout.touched_sides == ()


def test_the_sample_in_white_on_white_is_doubted() -> None:
    photo = decode((SAMPLES / "white-vase-hero.jpg").read_bytes(), max_pixels=LIMIT)
    assert cut_out(photo).confidence < MIN_CONFIDENCE


def test_a_corner_where_the_light_falls_off_is_not_product() -> None:
    left, top, right, bottom = cut_out(decode((SAMPLES / "mug-top.jpg").read_bytes(), max_pixels=LIMIT)).box
    assert abs((right - left) / (bottom - top) - 11.75 / 8.3) < 0.05


def test_no_halo_on_dark_ground() -> None:
    photo, _ = photo_of(lambda a: cv2.circle(a, (200, 200), 120, (120, 20, 20), -1), ground=250)
    picture_ = compose_studio(
        cut_out(photo), Studio(width=400, height=400, background="#000000", fill=0.6, shadow=False)
    )
    bright = picture_.rgb.max(2) > 140
    outline = 2 * np.pi * 120
    assert bright.sum() < 0.03 * outline


def test_no_crumbs_of_bright_ground_hang_at_a_dark_foot() -> None:
    cutout = cut_out(decode((SAMPLES / "mug-front.jpg").read_bytes(), max_pixels=LIMIT))
    foot = compose_studio(
        cutout, Studio(width=800, height=800, background="#000000", fill=0.8, shadow=False)
    ).rgb[560:]
    rows = np.flatnonzero((foot > 8).any((1, 2)))
    assert (foot[rows[-1] - 16 :].max(2) > 60).sum() < 40  # there were a thousand


def test_a_dark_legs_light_foot_stays() -> None:
    """Between white ground and a dark leg a beige foot looks like a mixture of both."""

    def stool(a: np.ndarray) -> None:
        cv2.rectangle(a, (200, 200), (800, 500), (190, 160, 160), -1)
        for x in (250, 740):
            for top, low, colour in ((500, 700, (60, 60, 60)), (700, 730, (225, 215, 208))):
                cv2.line(a, (x + (700 - top) // 4, top), (x + (700 - low) // 4, low), colour, 11, cv2.LINE_AA)
        a[:] = cv2.GaussianBlur(a, (0, 0), 1.2)

    photo = decode(picture(stool, size=(1000, 1000), ground=255, format="PNG"), max_pixels=LIMIT)
    assert abs(cut_out(photo).box[3] - 736) <= 2  # it ended where the dark leg does, at 702


@pytest.mark.parametrize(("width", "height"), [(400, 400), (400, 500), (800, 200)])
def test_framing_keeps_the_proportions_and_fills_the_tighter_side(width: int, height: int) -> None:
    photo, _ = photo_of(lambda a: cv2.rectangle(a, (100, 150), (299, 249), (170, 40, 40), -1))
    made = compose_studio(
        cut_out(photo), Studio(width=width, height=height, background="transparent", fill=0.8, shadow=False)
    )
    rows, columns = np.flatnonzero((made.alpha > 127).any(1)), np.flatnonzero((made.alpha > 127).any(0))
    w, h = columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1
    assert abs(w / h - 2) < 0.06 and abs(max(w / width, h / height) - 0.8) < 0.02


def test_a_white_background_is_pure_white_away_from_the_shadow() -> None:
    photo, _ = photo_of(DRAWINGS["a box"])
    made = compose_studio(
        cut_out(photo), Studio(width=500, height=500, background="#ffffff", fill=0.6, shadow=True)
    )
    assert (made.rgb[:80] == 255).all() and made.rgb[400:430, 250].min() < 255


def test_the_products_pixels_are_the_photos_pixels() -> None:
    photo, _ = photo_of(DRAWINGS["a box"])
    made = compose_studio(
        cut_out(photo), Studio(width=400, height=400, background="#ffffff", fill=0.525, shadow=False)
    )
    assert np.abs(made.rgb[200, 200].astype(int) - photo.rgb[200, 200].astype(int)).max() <= 2


@pytest.mark.parametrize("format", ["jpeg", "webp", "avif", "png"])
def test_encoding_is_deterministic_and_labels_can_be_read_back(format: str) -> None:
    rgb = np.random.default_rng(1).integers(0, 255, (64, 48, 3), np.uint8)
    alpha = None if format == "jpeg" else np.full((64, 48), 128, np.uint8)
    data = encode(rgb, alpha, format)
    assert data == encode(rgb, alpha, format)
    labels = {"sku": "A<&1", "description": 'Stuhl "Ä"', "source_type": ALGORITHMICALLY_ENHANCED}
    labelled = write_metadata(data, labels)
    assert read_metadata(labelled) == labels
    with Image.open(io.BytesIO(data)) as before, Image.open(io.BytesIO(labelled)) as after:
        assert (np.asarray(before) == np.asarray(after)).all()


@pytest.mark.parametrize("format", ["jpeg", "webp", "avif"])
def test_a_byte_budget_is_met_by_searching_quality(format: str) -> None:
    rgb = cv2.GaussianBlur(np.random.default_rng(2).integers(0, 255, (300, 300, 3), np.uint8), (0, 0), 1.2)
    free, least = len(encode(rgb, None, format)), len(encode(rgb, None, format, quality=MIN_QUALITY))
    budget = (free + least) // 2 + METADATA_RESERVE_BYTES
    made = encode_within(rgb, None, format, budget)
    assert least <= len(made) <= budget - METADATA_RESERVE_BYTES and len(made) > 0.8 * (
        budget - METADATA_RESERVE_BYTES
    )
    assert encode_within(rgb, None, format, 10**7) == encode(rgb, None, format)
    assert len(encode_within(rgb, None, format, 10)) == least


def test_the_tightest_of_all_byte_limits_counts() -> None:
    assert byte_budget(("shopify", "walmart"), "jpeg", 16_000_000) == 5_000_000
    assert byte_budget(("shopify", "walmart"), "webp", 16_000_000) == 16_000_000
    assert byte_budget(("shopify",), "jpeg", 300_000) == 300_000


@pytest.mark.parametrize("filler", ["x", "椅", "&"])
def test_labels_of_any_length_fit_into_an_avif(filler: str) -> None:
    data = encode(np.zeros((40, 40, 3), np.uint8), None, "avif")
    made = write_metadata(data, dict.fromkeys(PROPERTIES, filler * 9000))
    assert len(made) == len(data) and set(read_metadata(made)) == set(PROPERTIES)


def test_colours_are_led_on_from_the_nearest() -> None:
    rgb = np.zeros((5, 9, 3), np.uint8)
    rgb[:, 0], rgb[:, 8] = (255, 0, 0), (0, 0, 255)
    known = np.zeros((5, 9), bool)
    known[:, [0, 8]] = True
    led = extend_colours(rgb, known)
    assert (led[:, 3] == (255, 0, 0)).all() and (led[:, 5] == (0, 0, 255)).all()


def test_colours_under_transparency_continue_those_of_the_product() -> None:
    """Programs leave any colour where a picture is transparent; it must not show at a model's rim."""
    rgba = np.zeros((400, 400, 4), np.uint8)
    rgba[..., :3] = (0, 255, 0)
    rgba[100:300, 100:300] = (180, 40, 40, 255)
    out = io.BytesIO()
    Image.fromarray(rgba).save(out, "PNG")
    cutout = cut_out(decode(out.getvalue(), max_pixels=10**6))
    assert (cutout.rgb == (180, 40, 40)).all() and cutout.box == (100, 100, 300, 300)


def test_a_cropped_cut_out_is_the_same_product() -> None:
    whole = cut_out(decode(picture(), max_pixels=10**7))
    part = whole.crop_to_product()
    left, top, right, bottom = whole.box
    x0, y0, x1, y1 = part.box
    assert (
        part.alpha.size < whole.alpha.size
        and part.confidence == whole.confidence
        and part.touched_sides == whole.touched_sides
    )
    assert np.array_equal(part.rgb[y0:y1, x0:x1], whole.rgb[top:bottom, left:right])
    assert np.array_equal(part.alpha[y0:y1, x0:x1], whole.alpha[top:bottom, left:right])
