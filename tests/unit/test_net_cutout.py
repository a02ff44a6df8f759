"""Cut-outs with a net: the classical one where both agree, the net where the classical one is wrong."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from dam_connector.domain.rules import ImagingRules
from dam_connector.errors import ConfigError, InputError
from dam_connector.net_file import NO_NET
from tests.support import picture
from worker.imaging.cutout import Cutout, cut_out
from worker.imaging.cutout_evidence import CutoutEvidence, Source, outline_agreement, overlap
from worker.imaging.decode import Photo, decode
from worker.imaging.guided_filter import guide_mask
from worker.imaging.net_cutout import cut_out_product, cut_out_with_evidence, finish
from worker.imaging.photo_quality import source_issues
from worker.imaging.salient_net import SalientNet, find_net

U8 = NDArray[np.uint8]
DISC = np.zeros((600, 600), np.uint8)
cv2.circle(DISC, (300, 300), 170, 1, -1)


@pytest.fixture(scope="module")
def net() -> SalientNet:
    found = find_net(ImagingRules().net)
    assert found is not None, "run make frontend"
    return found


def ball(ground: float = 238.0, shadow: float = 0.0) -> Photo:
    """A shaded ball on a plain ground, with a wide soft shadow beside it."""
    y, x = np.mgrid[-300:300, -300:300].astype(np.float32)
    light = np.full(x.shape, ground, np.float32)
    light *= 1 - shadow * np.exp(-(((x - 150) / 170) ** 2 + ((y - 150) / 60) ** 2))
    rgb = np.dstack([light, light * 0.98, light * 0.95])
    shade = np.clip(1.1 - np.hypot(x + 80, y + 80) / 330, 0.15, 1)
    rgb[DISC > 0] = (shade[..., None] * np.array([190, 70, 60], np.float32))[DISC > 0]
    return Photo(rgb=np.asarray(cv2.GaussianBlur(rgb, (0, 0), 0.8), np.uint8), alpha=None, format="PNG")


@pytest.fixture(scope="module")
def on_white(net: SalientNet) -> Cutout:
    return cut_out_product(ball(), net)


def test_where_both_agree_the_classical_cut_out_is_kept(on_white: Cutout, net: SalientNet) -> None:
    assert np.array_equal(cut_out_with_evidence(ball(), net)[0].alpha, cut_out(ball()).alpha)
    assert overlap(on_white.alpha > 127, DISC > 0) > 0.99  # by the exact colour of the background
    assert on_white.net == "u2netp.onnx" and on_white.is_certain


def test_the_net_leaves_a_soft_dark_shadow_out(net: SalientNet) -> None:
    """The shadow is as dark as a product: the classical cut-out keeps a part of it."""
    photo = ball(ground=225, shadow=0.75)
    classical, fused = cut_out(photo), cut_out_product(photo, net)
    assert overlap(classical.alpha > 127, DISC > 0) < 0.97
    assert overlap(fused.alpha > 127, DISC > 0) > 0.98


@pytest.mark.issue("cutout.no_net")
def test_without_a_net_the_classical_cut_out_answers_and_says_so() -> None:
    photo, imaging = ball(), ImagingRules(net="isnet-absent.onnx")
    found = cut_out_product(photo, find_net(imaging.net))
    assert overlap(found.alpha > 127, cut_out(photo).alpha > 127) > 0.99 and found.net == ""
    issues = [i for i in source_issues(photo, found, "front", imaging) if i.code == "cutout.no_net"]
    assert len(issues) == 1 and "isnet-absent.onnx" in issues[0].message
    assert find_net(NO_NET) is None
    codes = {i.code for i in source_issues(photo, found, "front", ImagingRules(net=NO_NET))}
    assert "cutout.no_net" not in codes


def test_the_limit_without_a_net_is_said_to_be_another_where_an_admin_set_one() -> None:
    photo = ball()
    found = replace(cut_out_product(photo, None), confidence=0.65)
    for least, is_said in ((0.6, False), (0.3, True)):
        imaging = ImagingRules(net=NO_NET, min_probability=least)
        issues = source_issues(photo, found, "front", imaging)
        (doubt,) = [i for i in issues if i.code == "cutout.uncertain"]
        assert doubt.limit == "0.72" and ("not imaging/min_probability" in doubt.message) == is_said


def test_a_picture_without_a_product_is_refused_or_doubted(net: SalientNet) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (400, 400, 3), np.uint8)
    photo = Photo(rgb=cv2.GaussianBlur(noise, (0, 0), 12), alpha=None, format="PNG")
    try:
        found = cut_out_product(photo, net)
    except InputError as error:
        assert error.issue_code == "cutout.empty"
        return
    assert "cutout.uncertain" in {i.code for i in source_issues(photo, found, "front")}
    assert found.doubts


def test_a_clear_thing_that_was_left_out_is_doubted(net: SalientNet) -> None:
    """A part of a set that the net does not see must not get lost without a word."""
    photo = ball(shadow=0.02)
    _, evidence = cut_out_with_evidence(photo, net)
    assert not evidence.is_disputed and evidence.probability == cut_out_product(photo, net).confidence
    disputed = replace(evidence, is_disputed=True)
    assert disputed.probability < ImagingRules().min_probability and "left out" in disputed.doubts[0]


def large_net(monkeypatch: pytest.MonkeyPatch, seen: U8) -> SalientNet:
    """A net of 1024 px that sees this mask, whatever it looks at. Only one look is allowed."""
    looks = []

    def look(self: SalientNet, rgb: U8) -> NDArray[np.float32]:
        looks.append(rgb.shape)
        assert len(looks) == 1
        return np.asarray(cv2.resize(seen.astype(np.float32), (1024, 1024)), np.float32)

    monkeypatch.setattr(SalientNet, "look", look)
    return SalientNet(Path("isnet.onnx"))


def test_the_look_of_a_large_net_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a closer look nor the classical mask takes from it: both did on real photos."""
    seen = DISC | np.roll(DISC, 40, 1)
    found, evidence = cut_out_with_evidence(ball(), large_net(monkeypatch, seen))
    assert evidence.source is Source.FINE
    assert overlap(found.alpha > 127, seen > 0) > 0.97


def test_a_large_nets_own_detail_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Faint slats of 2 px, 1 px apart, are one area at working size; the photo's edges lead nowhere."""
    slats = np.zeros((1024, 1024), np.uint8)
    slats[300:700, 300:700:3] = slats[300:700, 301:700:3] = slats[290:310, 300:700] = 1
    rgb = np.asarray(225 - 6 * np.repeat(slats[..., None], 3, 2), np.uint8)
    photo = Photo(rgb=rgb, alpha=None, format="PNG")
    found, _ = cut_out_with_evidence(photo, large_net(monkeypatch, slats))
    assert overlap(found.alpha > 127, slats > 0) > 0.9


def test_holes_that_a_large_net_leaves_in_the_product_are_filled(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = DISC | np.roll(DISC, 40, 1)  # more than the classical mask has, which is not taken then
    seen = whole.copy()
    cv2.circle(seen, (300, 250), 40, 0, -1)
    found, evidence = cut_out_with_evidence(ball(), large_net(monkeypatch, seen))
    assert evidence.source is Source.FINE
    assert overlap(found.alpha > 127, whole > 0) > 0.97


@pytest.mark.parametrize("is_plain", [True, False])
def test_parts_that_a_large_net_lost_come_back_on_a_plain_ground(
    monkeypatch: pytest.MonkeyPatch, is_plain: bool
) -> None:
    """More than a quarter: the classical mask is not taken whole, but what is joined and sharp is product."""
    photo, seen = ball(), DISC.copy()
    seen[:, :240] = 0
    rgb = np.ascontiguousarray(photo.rgb[..., ::-1])  # blue: red is taken for skin
    if not is_plain:  # a room: a dark skirting along the wall
        rgb[500:560] = (90, 80, 70)
    net = large_net(monkeypatch, seen)
    found, evidence = cut_out_with_evidence(replace(photo, rgb=rgb), net)
    assert evidence.source is Source.FINE
    assert (overlap(found.alpha > 127, DISC > 0) > 0.97) == is_plain
    assert evidence.is_disputed != is_plain


@pytest.mark.parametrize(("length", "source"), [(130, Source.CLASSICAL), (290, Source.FINE)])
def test_the_clear_classical_mask_gives_back_what_a_large_net_lost(
    monkeypatch: pytest.MonkeyPatch, length: int, source: Source
) -> None:
    """A little more is a part of the product; much more is a hand or another product."""
    seen = DISC.copy()
    for row in range(180, 420, 30):
        seen[row : row + 15, 130 : 130 + length] = 0
    picture = cv2.resize(seen.astype(np.float32), (1024, 1024))
    monkeypatch.setattr(SalientNet, "look", lambda self, rgb: picture)
    found, evidence = cut_out_with_evidence(ball(), SalientNet(Path("isnet.onnx")))
    assert evidence.source is source
    whole = overlap(found.alpha > 127, DISC > 0) > 0.99
    assert whole == (source is Source.CLASSICAL)


@pytest.mark.parametrize(("confidence", "is_opened"), [(0.4, True), (0.55, False)])
def test_a_doubted_mask_is_opened_where_the_ground_shows(confidence: float, is_opened: bool) -> None:
    opening = cv2.circle(np.zeros_like(DISC), (300, 300), 60, 1, -1)
    photo = ball(ground=225)
    rgb = np.where(opening[..., None] > 0, photo.rgb[5, 5], photo.rgb)
    found = Cutout(rgb=rgb, alpha=np.asarray(DISC * 255, np.uint8), confidence=confidence, net="u2netp.onnx")
    scores = {"own_outline": 2.0, "edge_share": 0.9, "unsure_px": 2.0, "narrow_gaps": -5.0}
    evidence = CutoutEvidence(source=Source.SECOND_LOOK, **scores)
    finished = finish(replace(photo, rgb=rgb), found, evidence)
    assert (finished.alpha[opening > 0].mean() < 25) == is_opened


def test_a_photos_own_transparency_needs_no_net(net: SalientNet) -> None:
    photo = Photo(rgb=ball().rgb, alpha=DISC * 255, format="PNG")
    found = cut_out_product(photo, net)
    assert found.net == "" and found.confidence == 1.0


def test_a_plain_print_is_cut_out_whole(net: SalientNet) -> None:
    """A cover whose motif is what the net sees: its white paper belongs to it."""

    def cover(rgb: U8) -> None:
        cv2.rectangle(rgb, (90, 40), (310, 360), (250, 246, 240), -1)
        cv2.rectangle(rgb, (90, 40), (310, 360), (60, 60, 70), 3)
        cv2.circle(rgb, (200, 250), 45, (200, 40, 60), -1)

    photo = decode(picture(cover, ground=255), max_pixels=10**7)
    alpha = cut_out_product(photo, net).alpha
    assert (alpha[60:340, 110:290] > 127).all()


def test_the_guided_filter_moves_a_masks_edge_to_the_photos() -> None:
    rgb = np.where(DISC[..., None] > 0, np.uint8([200, 60, 40]), np.uint8([220, 220, 215]))
    blurred = cv2.GaussianBlur(DISC.astype(np.float32), (0, 0), 6)
    shifted = np.roll(blurred, 3, axis=1)
    led = guide_mask(np.ascontiguousarray(rgb), shifted, 8)
    assert overlap(led > 0.5, DISC > 0) > 0.995 > overlap(shifted > 0.5, DISC > 0)
    assert outline_agreement(led > 0.5, DISC > 0) == 1.0


def test_a_file_that_is_no_net_is_refused_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "isnet.onnx"
    path.write_bytes(b"no net")
    with pytest.raises(ConfigError, match=r"isnet\.onnx"):
        SalientNet(path).look(ball().rgb)
    found = find_net("isnet.onnx", [tmp_path])
    assert found is not None and found.path == path and found is find_net("isnet.onnx", [tmp_path])
