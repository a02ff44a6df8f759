"""Words of a reviewer's note that our own code follows."""

import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from dam_connector.domain.row_request import RowRequest
from dam_connector.domain.rules import Deliverable
from dam_connector.domain.run import RunKind
from dam_connector.domain.version import Version
from dam_connector.domain.wishes import LARGER, SMALLER, Wishes, read_wishes, understood_words, with_wishes
from dam_connector.usecases import intake, review
from dam_connector.wiring import Services
from tests.support import PhotoServer, picture, product

DELIVERABLES = [
    {"name": "packshot", "kind": "rendition", "size_px": 256, "formats": ["jpeg"], "shadow": False},
    {"name": "room", "kind": "rendition", "style": "lifestyle", "size_px": 256, "formats": ["jpeg"]},
]


@pytest.mark.parametrize(
    ("note", "wishes"),
    [
        ("", Wishes()),
        ("More room around it, please", Wishes(growth=SMALLER)),
        ("The whole product is a bit too small.", Wishes(growth=LARGER)),
        (
            "too large, and in a different room without a shadow",
            Wishes(growth=SMALLER, other_room=True, no_shadow=True),
        ),
        ("larger and smaller", Wishes()),
        ("the small handle is red", Wishes()),
        ("a new wall", Wishes(other_room=True)),
    ],
)
def test_wishes_are_read_from_a_note(note: str, wishes: Wishes) -> None:
    assert read_wishes(note) == wishes


def test_a_wish_keeps_within_the_picture() -> None:
    full = Deliverable(name="p", kind=RunKind.IMAGE, fill=0.95)
    assert with_wishes(full, Wishes(growth=LARGER)).fill == 0.96
    assert with_wishes(full, Wishes()) == full
    assert not with_wishes(full, Wishes(no_shadow=True)).shadow
    assert understood_words(full) == ("more room", "less room", "no shadow")
    assert "on marble" in understood_words(replace(full, style="lifestyle"))


def test_the_next_version_follows_the_words_that_the_page_names(
    services: Services, photos: PhotoServer, drain: Callable[[], int], write_rules: Callable[..., None]
) -> None:
    write_rules(
        deliverables=DELIVERABLES, naming={"default": "{sku}_{deliverable}_V{version}_{format:upper}"}
    )
    photos.files["a.jpg"] = picture()
    intake.add_product(services, product(images={"front": photos.url("a.jpg")}), by="test")
    drain()
    first = newest(services)
    review.regenerate(services, first["packshot"], note="more room", by="ann")
    review.regenerate(services, first["room"], note="another room", by="ann")
    drain()
    second = newest(services)
    assert {version.number for version in second.values()} == {2}
    before, after = (height(services, versions["packshot"]) for versions in (first, second))
    assert after / before == pytest.approx(SMALLER, abs=0.03)
    walls = [pixels(services, versions["room"])[10, 10].astype(int) for versions in (first, second)]
    assert np.abs(walls[0] - walls[1]).max() > 10


def test_prompt_and_note_choose_the_set_and_the_version_says_so(
    services: Services, photos: PhotoServer, drain: Callable[[], int], write_rules: Callable[..., None]
) -> None:
    write_rules(
        deliverables=DELIVERABLES, naming={"default": "{sku}_{deliverable}_V{version}_{format:upper}"}
    )
    photos.files["a.jpg"] = picture()
    asked = product(images={"front": photos.url("a.jpg")})
    intake.add_product(services, asked.with_request(RowRequest(prompt="on a plinth, green")), by="test")
    drain()
    first = newest(services)
    assert facts(first["room"]) == {"set": "plinth", "prompt_words": "plinth, green"}
    review.regenerate(services, first["room"], note="in an arch, please", by="ann")
    drain()
    assert facts(newest(services)["room"]) == {"set": "arch", "prompt_words": "arch"}


def facts(version: Version) -> dict[str, object]:
    known = version.report.facts
    return {name: known[name] for name in ("set", "prompt_words")}


def newest(services: Services) -> dict[str, Version]:
    ordered = sorted(services.assets.of_product("CH123"), key=lambda version: version.number)
    return {version.asset.deliverable: version for version in ordered}


def pixels(services: Services, version: Version) -> np.ndarray:
    file = version.file("jpeg")
    assert file
    return np.asarray(Image.open(io.BytesIO(services.blobs.get(file.sha256))).convert("RGB"))


def height(services: Services, version: Version) -> int:
    """The height of the product on white, in pixels."""
    rows = np.flatnonzero((pixels(services, version) < 200).any(axis=(1, 2)))
    return int(rows[-1] - rows[0] + 1)
