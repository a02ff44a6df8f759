"""Views that a product has no photo of: what is made from another side says so, and old issues go away."""

from collections.abc import Callable

import pytest

from dam_connector.domain.issue import Issue
from dam_connector.domain.product import View
from dam_connector.domain.version import VersionState
from dam_connector.usecases import rules_change
from dam_connector.usecases.photo_uploads import upload_photo
from dam_connector.wiring import Services
from tests.pipeline.helpers import Drain, chair, newest, send
from tests.support import PhotoServer, picture

PACKSHOT = {"name": "packshot", "kind": "rendition", "formats": ["jpeg"], "size_px": 320}
MODEL = {"name": "model", "kind": "model", "formats": ["glb"], "texture_px": 512, "max_triangles": 5000}
TOP = {**PACKSHOT, "name": "top-shot", "views": ["top"]}
NAMING = {"default": "{sku}_{deliverable}_V{version}_{format:upper}"}
Bring = Callable[..., None]


@pytest.fixture
def bring(services: Services, photos: PhotoServer, drain: Drain, write_rules: Callable[..., None]) -> Bring:
    """Bring the product with a photo of each of these views, and make one deliverable of it."""

    def bring(deliverable: dict[str, object], *views: str, damaged: tuple[str, ...] = ()) -> None:
        write_rules(deliverables=[deliverable], naming=NAMING)
        for view in views:
            data = picture(ground=200 + len(view))
            photos.files[f"{view}.jpg"] = data[: len(data) // 2] if view in damaged else data
        send(services, chair(photos, images={view: photos.url(f"{view}.jpg") for view in views}))
        drain()

    return bring


def found(services: Services, deliverable: str = "packshot") -> list[Issue]:
    return [i for i in newest(services, deliverable).report.issues if i.code == "source.no_front"]


@pytest.mark.issue("source.no_front")
@pytest.mark.parametrize("view", ["right", "left", "back", "top"])
def test_a_picture_of_another_side_says_so_until_the_front_comes(
    bring: Bring, services: Services, drain: Drain, view: str
) -> None:
    bring(PACKSHOT, view)
    (issue,) = found(services)
    said = f"packshot is made from the photo of the {view}: the product has no photo of the front."
    assert (issue.message, issue.pointer) == (said, f"/images/{view}")
    assert newest(services).state is VersionState.IN_REVIEW
    assert "Upload a photo of the front" in issue.remedy_for(is_admin=False)
    stored = services.products.get("CH123")
    assert stored
    upload_photo(services, stored, View.FRONT, picture(), by="ann")
    drain()
    assert newest(services).number == 2 and not found(services)


@pytest.mark.parametrize(
    ("deliverable", "views", "is_other"),
    [
        (PACKSHOT, ("hero", "back"), False),
        (PACKSHOT, ("front",), False),
        ({**PACKSHOT, "views": ["back"]}, ("back", "front"), False),
        ({**PACKSHOT, "views": ["back", "hero"]}, ("hero",), False),
        ({**PACKSHOT, "views": ["front", "back"]}, ("back",), True),
        ({**PACKSHOT, "views": ["left", "right"]}, ("right",), True),
        (MODEL, ("back",), True),
        (MODEL, ("back", "hero"), False),
    ],
)
def test_only_a_side_that_nobody_asked_for_is_warned_of(
    bring: Bring, services: Services, deliverable: dict[str, object], views: tuple[str, ...], is_other: bool
) -> None:
    bring(deliverable, *views)
    assert bool(found(services, str(deliverable["name"]))) is is_other


def test_a_front_that_cannot_be_used_is_named_as_the_reason(bring: Bring, services: Services) -> None:
    bring(PACKSHOT, "front", "back", damaged=("front",))
    (issue,) = found(services)
    assert issue.message.endswith("the photo of the front cannot be used.")


def issues(services: Services) -> list[str]:
    return [i.code for i in services.products.get("CH123").issues]  # type: ignore[union-attr]


def test_a_missing_view_is_forgotten_when_its_photo_comes(
    bring: Bring, services: Services, drain: Drain
) -> None:
    bring(TOP, "front")
    assert issues(services) == ["source.missing_view"]
    stored = services.products.get("CH123")
    assert stored
    upload_photo(services, stored, View.TOP, picture(), by="ann")
    drain()
    assert newest(services, "top-shot").number == 1 and issues(services) == []


@pytest.mark.parametrize("changed", [{**TOP, "views": ["top", "front"]}, PACKSHOT], ids=["views", "name"])
def test_a_missing_view_is_forgotten_when_the_rules_want_it_no_more(
    bring: Bring,
    services: Services,
    drain: Drain,
    write_rules: Callable[..., None],
    changed: dict[str, object],
) -> None:
    bring(TOP, "front")
    rules_change.continue_change(services)
    assert issues(services) == ["source.missing_view"]
    write_rules(deliverables=[changed], naming=NAMING)
    rules_change.apply_rules(services, by="ada")
    while rules_change.continue_change(services):
        drain()
    assert newest(services, str(changed["name"])).number == 1
    assert issues(services) == [] and not services.products.get("CH123").flagged  # type: ignore[union-attr]


def test_the_issue_of_another_deliverable_stays(
    bring: Bring, services: Services, drain: Drain, write_rules: Callable[..., None]
) -> None:
    bring(TOP, "front")
    write_rules(deliverables=[TOP, PACKSHOT], naming=NAMING)
    rules_change.apply_rules(services, by="ada")
    while rules_change.continue_change(services):
        drain()
    assert newest(services).number == 1 and issues(services) == ["source.missing_view"]
