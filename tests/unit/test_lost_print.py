"""Print that a cut-out lost: found on made packages, covers, labels and screens, and on nothing else."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from dam_connector.domain.rules import ImagingRules
from tests.unit.print_cases import NAMES, PrintCase, print_case
from worker.imaging.cutout import Cutout
from worker.imaging.decode import Photo
from worker.imaging.lost_print import lines_of_print, lost_letters
from worker.imaging.net_cutout import cut_out_product, doubt_lost_print
from worker.imaging.photo_quality import source_issues
from worker.imaging.salient_net import find_net


def cut(case: PrintCase, mask: np.ndarray, confidence: float = 0.9) -> Cutout:
    return Cutout(rgb=case.photo.rgb, alpha=mask.astype(np.uint8), confidence=confidence)


@pytest.mark.issue("cutout.print_lost")
@pytest.mark.parametrize("name", NAMES)
def test_print_that_is_lost_with_its_paper_or_without(name: str) -> None:
    """The whole mask loses nothing; the others lose the white part, the paper alone, or the letters alone."""
    case = print_case(name)
    without_letters = np.where(case.letters > 127, 0, case.truth)
    lost = (case.eaten, np.maximum(case.eaten, case.letters), without_letters)
    assert lost_letters(case.photo, cut(case, case.truth)) == 0
    assert all(lost_letters(case.photo, cut(case, mask)) >= 4 for mask in lost)
    issues = {i.code for i in source_issues(case.photo, cut(case, case.eaten), "front")}
    assert "cutout.print_lost" in issues


def test_a_cut_out_that_lost_print_is_doubted() -> None:
    """The net takes the picture on a white box on white for the product, and is sure of it."""
    net, case = find_net(ImagingRules().net), print_case("packaging 3")
    assert net is not None, "run make frontend"
    found = cut_out_product(case.photo, net)
    overlap = ((found.alpha > 127) & (case.truth > 127)).sum() / (
        (found.alpha > 127) | (case.truth > 127)
    ).sum()
    assert overlap < 0.9 and found.confidence < ImagingRules().min_probability
    assert "print" in found.doubts[0]
    whole = cut(case, case.truth)
    looked_at = doubt_lost_print(case.photo, whole)
    assert (looked_at.confidence, looked_at.doubts, looked_at.lost_letters) == (whole.confidence, (), 0)


def test_print_on_a_busy_background_belongs_to_the_background() -> None:
    case = print_case("packaging 0")
    busy = replace(cut(case, case.eaten), busy_share=0.4)
    assert lost_letters(case.photo, busy) == 0
    transparent = Photo(rgb=case.photo.rgb, alpha=case.eaten, format="PNG")
    assert lost_letters(transparent, cut(case, case.eaten)) == 0


def test_slats_holes_and_teeth_are_no_print() -> None:
    slats, holes = np.zeros((2, 600, 600), np.uint8)
    for x in range(60, 500, 40):
        cv2.rectangle(slats, (x, 200), (x + 16, 280), 1, -1)
        cv2.circle(holes, (x, 300), 8 + x % 3, 1, -1)
    assert not list(lines_of_print(slats)) and not list(lines_of_print(holes))
