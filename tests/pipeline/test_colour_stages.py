"""Colours of one shape where reviews have stages: all of them for the shape, one glance for each colour."""

from collections.abc import Callable

import pytest

from dam_connector.domain.event import Decision, Verdict
from dam_connector.domain.version import VersionState
from dam_connector.errors import StateConflict
from dam_connector.usecases import review, stages
from dam_connector.wiring import Services
from tests.pipeline.helpers import Drain
from tests.pipeline.test_colour_variants import ALL, NAMED, SHARED, joined_colours, newest, red, take_in
from tests.support import PhotoServer
from tests.unit.test_colour_variants import RED, seat

pytestmark = pytest.mark.usefixtures("small_previews")
ARTIST = {"name": "3D artist", "people": ["ann"], "dam": True}
BRAND = {"name": "brand", "people": ["eve"]}
YES = {name: Decision(verdict=Verdict.APPROVED, by=name) for name in ("ann", "eve")}


@pytest.fixture
def staged(services: Services, photos: PhotoServer, write_rules: Callable[..., None]) -> Services:
    """Rules with two stages, a red shape in review and a blue product that waits for it."""
    write_rules(deliverables=[SHARED, ALL], naming=NAMED, review={"stages": {"*": [ARTIST, BRAND]}})
    photos.files["red.glb"] = seat(RED)
    red(services, photos)
    take_in(services, photos, "BLUE", "Blue", swatch="#2846a0")
    return services


def approve_shape(services: Services, drain: Drain) -> None:
    for stage, decision in (("3D artist", YES["ann"]), ("brand", YES["eve"])):
        review.decide(services, newest(services, "RED"), decision, source="page", stage=stage)
        drain()


def test_a_colour_needs_one_glance_of_the_last_stage(staged: Services, drain: Drain) -> None:
    drain()
    ended = review.decide(staged, newest(staged, "RED"), YES["ann"], source="page", stage="3D artist")
    drain()
    assert not ended and not staged.assets.of_product("BLUE")  # half a review makes no colours
    assert review.decide(staged, newest(staged, "RED"), YES["eve"], source="page", stage="brand")
    drain()
    blue = newest(staged, "BLUE")
    assert [s.name for s in stages.progress(staged, blue).stages] == ["brand"]
    assert not stages.may_decide(staged, blue, name="ann", roles=("reviewer",))
    assert staged.assets.page(state=VersionState.IN_REVIEW, limit=5) == [blue]
    with pytest.raises(StateConflict):
        review.decide(staged, blue, YES["ann"], source="page", stage="3D artist")
    assert review.decide(staged, blue, YES["eve"], source="page", stage="brand")
    drain()
    assert newest(staged, "BLUE").state in (VersionState.APPROVED, VersionState.PUBLISHED)
    assert joined_colours(staged) == ["Red", "Blue"]


def test_a_glance_in_the_dam_by_an_earlier_stage_does_not_end_it(staged: Services, drain: Drain) -> None:
    drain()
    approve_shape(staged, drain)
    blue = newest(staged, "BLUE")
    assert blue.dam
    assert not review.decide(staged, blue, YES["ann"], source=blue.dam)
    assert newest(staged, "BLUE").state is VersionState.IN_REVIEW
    assert review.decide(staged, newest(staged, "BLUE"), YES["eve"], source="page", stage="brand")
    assert newest(staged, "BLUE").state is VersionState.APPROVED
