"""Products of several colours: one shape, a recolouring each, and one model of all approved colours."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from dam_connector.app import create_app
from dam_connector.domain.event import Decision, Verdict
from dam_connector.domain.rules import ColourRules
from dam_connector.domain.shapes import shape_key
from dam_connector.domain.version import Version, VersionState
from dam_connector.errors import StateConflict
from dam_connector.store.users import UserRole
from dam_connector.usecases import publish, review, run_planning
from dam_connector.usecases.expiry import withdraw_deleted
from dam_connector.usecases.product_intake import ingest_product
from dam_connector.wiring import Services
from tests.pipeline.helpers import Drain, chair, send
from tests.support import MODEL, PhotoServer, product
from tests.unit.test_colour_variants import GREEN, RED, photo_picture, seat
from worker.gltf.container import read_json, replace_json
from worker.gltf.document import Document
from worker.gltf.variants import colour_names
from worker.imaging.metadata import COMPOSITE_WITH_TRAINED_MEDIA, TRAINED_ALGORITHMIC_MEDIA

APPROVED = Decision(verdict=Verdict.APPROVED, by="ann")
SHARED = {**MODEL, "formats": ["glb"], "colours": {}, "channels": []}
ALL = {"name": "colours", "kind": "model", "made_from": "model", "formats": ["glb"], "channels": ["viewer"]}
NAMED = {"default": "{sku}_{name:pascal}_{deliverable}_V{version}_{format:upper}"}
SIZE = {"width": 50, "height": 60, "depth": 50, "unit": "cm"}
MESSAGES = count()
KEY = "500x600x500"
TALL = {**SIZE, "height": 61}
States = list[tuple[str, str, int, str]]


@pytest.fixture
def family(services: Services, photos: PhotoServer, write_rules: Callable[..., None]) -> Services:
    """Rules for shared shapes, a red model that a product brings along, and a photo of it in green."""
    write_rules(deliverables=[SHARED, ALL], naming=NAMED)
    photos.files |= {"red.glb": seat(RED), "green.jpg": photo_picture(GREEN)}
    return services


def take_in(services: Services, photos: PhotoServer, sku: str, color: str, **more: object) -> None:
    fields = {"sku": sku, "color": color, "parent": "CHAIR", "dimensions": SIZE, "images": {}, **more}
    services.clock.forward(1)  # type: ignore[attr-defined]
    send(services, chair(photos, **fields), message=f"msg_{sku}_{next(MESSAGES)}")


def red(services: Services, photos: PhotoServer, **more: object) -> None:
    take_in(services, photos, "RED", "Red", model_url=photos.url("red.glb"), **more)


def approved(services: Services, photos: PhotoServer, drain: Drain, *, green: bool = False) -> None:
    """Approve the red shape, its blue recolouring, and its green one if asked."""
    red(services, photos)
    drain()
    approve(services, "RED", drain)
    take_in(services, photos, "BLUE", "Blue", swatch="#2846a0")
    if green:
        take_in(services, photos, "GREEN", "Green", images={"front": photos.url("green.jpg")})
    drain()
    for sku in ("BLUE", "GREEN") if green else ("BLUE",):
        approve(services, sku, drain)


def newest(services: Services, sku: str, deliverable: str = "model") -> Version:
    return next(v for v in services.assets.of_product(sku) if v.asset.deliverable == deliverable)


def states(services: Services, *skus: str) -> States:
    return [
        (v.asset.sku, v.asset.deliverable, v.number, v.state.value)
        for sku in skus
        for v in services.assets.of_product(sku)
    ]


def approve(services: Services, sku: str, drain: Drain) -> None:
    review.decide(services, newest(services, sku), APPROVED, source="page")
    drain()


def glb_of(services: Services, version: Version) -> bytes:
    file = version.file("glb")
    assert file is not None
    return services.blobs.get(file.sha256)


def joined_colours(services: Services) -> list[str]:
    return colour_names(read_json(glb_of(services, newest(services, "RED", "colours"))))


def test_colours_share_one_approved_shape_and_go_live_as_one_model(
    family: Services, photos: PhotoServer, drain: Drain
) -> None:
    red(family, photos)
    take_in(family, photos, "GREEN", "Green", images={"front": photos.url("green.jpg")})
    take_in(family, photos, "BLUE", "Blue", swatch="#2846a0")
    drain()
    assert states(family, "RED", "GREEN", "BLUE") == [("RED", "model", 1, "in_review")]
    summaries = [d.summary for d in family.inbox.page()]
    assert any("its model waits for the approval of the shape of RED" in s for s in summaries), summaries
    approve(family, "RED", drain)
    assert states(family, "GREEN", "BLUE") == [
        ("GREEN", "model", 1, "in_review"),
        ("BLUE", "model", 1, "in_review"),
    ]
    shape, green = newest(family, "RED"), newest(family, "GREEN")
    assert green.provenance["generator"] == "recoloured" and green.provenance["shape_version"] == shape.id
    assert green.provenance["made_from"] == "RED model V1"
    assert [p.positions.tobytes() for p in Document(glb_of(family, green)).primitives] == [
        p.positions.tobytes() for p in Document(glb_of(family, shape)).primitives
    ]
    for sku in ("GREEN", "BLUE"):
        report = newest(family, sku).report
        assert 0 < float((report.facts or {})["colour_de2000"] or 0) < 6 and not report.errors()
    assert joined_colours_are_absent(family)
    approve(family, "BLUE", drain)
    approve(family, "GREEN", drain)
    assert joined_colours(family) == ["Red", "Blue", "Green"]
    assert states(family, "RED")[:2] == [
        ("RED", "colours", 2, "published"),
        ("RED", "colours", 1, "superseded"),
    ]
    joined = newest(family, "RED", "colours")
    assert joined.provenance["generator"] == "joined"
    client = create_app(family).test_client()
    for sku, color in (("RED", "Red"), ("GREEN", "Green")):
        page = client.get(f"/ar/{sku}").text
        assert f'variant-name="{color}"' in page and joined.files[0].sha256 in page
        assert client.get(f"/ar/{sku}/qr.svg").status_code == 200
    assert client.get("/ar/GREEN/latest/colours.glb").location.endswith(joined.files[0].name)


def joined_colours_are_absent(services: Services) -> bool:
    return all(v.asset.deliverable == "model" for v in services.assets.of_product("RED"))


def test_a_new_colour_is_recoloured_at_once_and_a_withdrawn_one_leaves(
    family: Services, photos: PhotoServer, drain: Drain
) -> None:
    red(family, photos)
    drain()
    approve(family, "RED", drain)
    take_in(family, photos, "BLUE", "Blue", swatch="#2846a0")
    drain()
    approve(family, "BLUE", drain)
    take_in(family, photos, "GREEN", "Green", images={"front": photos.url("green.jpg")})
    drain()
    approve(family, "GREEN", drain)
    assert joined_colours(family) == ["Red", "Blue", "Green"]
    assert {v.provenance["generator"] for v in family.assets.of_product("GREEN")} == {"recoloured"}
    publish.withdraw(family, newest(family, "BLUE"), by="ann", reason="sold out")
    drain()
    assert joined_colours(family) == ["Red", "Green"]
    found = {v.number: v.state for v in family.assets.of_product("RED") if v.asset.deliverable == "colours"}
    assert found == {1: VersionState.SUPERSEDED, 2: VersionState.WITHDRAWN, 3: VersionState.PUBLISHED}


def test_a_colour_that_is_back_is_in_the_joined_model_again(
    family: Services, photos: PhotoServer, drain: Drain
) -> None:
    approved(family, photos, drain)
    publish.withdraw(family, newest(family, "BLUE"), by="ann", reason="sold out")
    drain()
    assert newest(family, "RED", "colours").state is VersionState.WITHDRAWN
    publish.rollback(family, newest(family, "BLUE"), by="ann")
    drain()
    assert newest(family, "RED", "colours").state is VersionState.PUBLISHED
    publish.withdraw(family, newest(family, "RED", "colours"), by="ann", reason="not now")
    take_in(family, photos, "BLUE", "Blue", swatch="#2846a0", description="Sold again.")
    drain()
    assert newest(family, "RED", "colours").state is VersionState.WITHDRAWN


def test_a_colour_far_from_its_swatch_is_named(
    family: Services, photos: PhotoServer, drain: Drain, write_rules: Callable[..., None]
) -> None:
    write_rules(deliverables=[{**SHARED, "colours": {"max_de2000": 1}}], naming=NAMED)
    red(family, photos)
    drain()
    approve(family, "RED", drain)
    take_in(family, photos, "NEON", "Neon", swatch="#00ff00")
    drain()
    (found,) = [i for i in newest(family, "NEON").report.issues if i.code == "variant.colour"]
    assert found.limit == "1" and "#00ff00" in found.message


def test_no_colour_is_approved_without_its_shape(family: Services, photos: PhotoServer, drain: Drain) -> None:
    red(family, photos)
    drain()
    shape = newest(family, "RED")
    review.decide(family, shape, APPROVED, source="page", delay_s=10)
    take_in(family, photos, "BLUE", "Blue", swatch="#2846a0")
    drain()
    review.undo(family, shape, by="ann")
    with pytest.raises(StateConflict, match="its shape, RED V1, is not approved"):
        review.decide(family, newest(family, "BLUE"), APPROVED, source="page")
    approve(family, "RED", drain)
    approve(family, "BLUE", drain)
    assert joined_colours(family) == ["Red", "Blue"]
    take_in(family, photos, "PINK", "Pink", swatch="#e08090")
    drain()
    publish.withdraw(family, newest(family, "RED"), by="ann", reason="wrong leg")
    with pytest.raises(StateConflict, match="its shape, RED V1, is not approved"):
        review.decide(family, newest(family, "PINK"), APPROVED, source="page")


def test_who_makes_the_shape_when_its_product_is_gone(
    family: Services, photos: PhotoServer, drain: Drain
) -> None:
    red(family, photos)
    drain()
    send(family, {"sku": "RED"}, kind="product.deleted", message="msg_gone")
    drain()
    take_in(family, photos, "RED2", "Red", model_url=photos.url("red.glb"))
    take_in(family, photos, "BLUE", "Blue", swatch="#2846a0", name="Other Chair")
    low = {**SIZE, "height": 30}
    take_in(family, photos, "LOW", "Red", model_url=photos.url("red.glb"), dimensions=low, name="Low Chair")
    drain()
    assert newest(family, "LOW").provenance["generator"] == "brought"
    assert states(family, "RED2", "BLUE") == [("RED2", "model", 1, "in_review")]
    assert family.shapes.owner("model", "main:CHAIR 500x600x500") == "RED2"


def test_the_product_with_the_model_makes_the_shape_whoever_comes_first(
    family: Services, photos: PhotoServer, drain: Drain
) -> None:
    take_in(family, photos, "BLUE", "Blue", swatch="#2846a0")
    drain()
    assert family.shapes.owner("model", f"main:CHAIR {KEY}") == ""
    (delivery,) = family.inbox.page()
    assert "its model waits for a product of the same shape that has photos or a model" in delivery.summary
    take_in(family, photos, "GREEN", "Green", images={"front": photos.url("green.jpg")})
    red(family, photos)
    drain()
    assert family.shapes.owner("model", f"main:CHAIR {KEY}") == "RED"
    assert states(family, "RED", "GREEN", "BLUE") == [("RED", "model", 1, "in_review")]
    approve(family, "RED", drain)
    assert {newest(family, sku).provenance["generator"] for sku in ("GREEN", "BLUE")} == {"recoloured"}


def test_a_product_with_its_own_model_keeps_it(family: Services, photos: PhotoServer, drain: Drain) -> None:
    red(family, photos)
    photos.files |= {"white.glb": seat((240, 240, 240)), "ivory.glb": seat((230, 230, 210))}
    take_in(family, photos, "WHITE", "White", model_url=photos.url("white.glb"))
    drain()
    approve(family, "RED", drain)
    assert states(family, "WHITE") == [("WHITE", "model", 1, "in_review")]
    take_in(family, photos, "WHITE", "White", model_url=photos.url("ivory.glb"))
    drain()
    assert [v.provenance["generator"] for v in family.assets.of_product("WHITE")] == ["brought"] * 2
    assert not any("waits" in d.summary for d in family.inbox.page())


def test_sizes_that_are_corrected_need_another_shape(
    family: Services, photos: PhotoServer, drain: Drain
) -> None:
    approved(family, photos, drain)
    take_in(family, photos, "BLUE", "Blue", swatch="#2846a0", dimensions=TALL)
    drain()
    assert newest(family, "RED", "colours").state is VersionState.WITHDRAWN
    red(family, photos, dimensions=TALL)
    drain()
    assert family.shapes.owner("model", "main:CHAIR 500x610x500") == "RED"
    assert states(family, "BLUE") == [("BLUE", "model", 1, "published")]
    assert newest(family, "RED").state is VersionState.IN_REVIEW
    approve(family, "RED", drain)
    assert newest(family, "BLUE").provenance["shape_version"] == newest(family, "RED").id
    approve(family, "BLUE", drain)
    assert joined_colours(family) == ["Red", "Blue"]


def test_a_product_that_leaves_is_taken_out_and_another_takes_over(
    family: Services, photos: PhotoServer, drain: Drain
) -> None:
    document: dict[str, Any] = read_json(photos.files["red.glb"])
    document["asset"]["extras"] = {"source_type": TRAINED_ALGORITHMIC_MEDIA}
    photos.files["red.glb"] = replace_json(photos.files["red.glb"], document)
    approved(family, photos, drain, green=True)
    before = newest(family, "RED", "colours")
    assert before.provenance["digital_source_type"] == COMPOSITE_WITH_TRAINED_MEDIA
    take_in(family, photos, "BLUE", "Blue", swatch="#2846a0", parent="STOOL")
    drain()
    after = newest(family, "RED", "colours")
    assert joined_colours(family) == ["Red", "Green"] and after.state is VersionState.PUBLISHED
    left = family.assets.get(before.id)
    assert left and left.state is VersionState.WITHDRAWN
    red(family, photos, parent="SOFA")
    drain()
    assert newest(family, "RED", "colours").state is VersionState.WITHDRAWN
    assert family.shapes.owner("model", f"main:CHAIR {KEY}") == "GREEN"
    assert states(family, "GREEN") == [("GREEN", "model", 1, "published")]
    take_in(family, photos, "BLUE", "Blue", swatch="#2846a0")
    drain()
    assert colour_names(read_json(glb_of(family, newest(family, "GREEN", "colours")))) == ["Green", "Blue"]


def test_a_shape_has_one_joined_model_when_its_product_is_back(
    family: Services, photos: PhotoServer, drain: Drain
) -> None:
    approved(family, photos, drain)
    family.clock.forward(1)  # type: ignore[attr-defined]
    send(family, {"sku": "RED"}, kind="product.deleted", message="msg_gone")
    drain()
    withdraw_deleted(family)
    drain()
    assert family.shapes.owner("model", f"main:CHAIR {KEY}") == "BLUE"
    red(family, photos)
    drain()
    found = {(sku, n): s for sku, d, n, s in states(family, "RED", "BLUE") if d == "colours"}
    assert found == {("RED", 1): "withdrawn", ("BLUE", 1): "published"}
    assert newest(family, "RED").state is VersionState.PUBLISHED


def test_products_of_another_pim_share_no_shape_by_the_same_number(
    family: Services, photos: PhotoServer, drain: Drain
) -> None:
    approved(family, photos, drain)
    other = replace(family.products.get("BLUE").product, sku="THEIRS")
    connection, at = "other", family.clock.now()
    ingest_product(family, other, connection=connection, ref="THEIRS", source_time=at)
    drain()
    assert family.assets.of_product("THEIRS") == []
    assert family.shapes.key_of("model", "THEIRS") != family.shapes.key_of("model", "BLUE")
    assert family.shapes.members("model", family.shapes.key_of("model", "BLUE")) == ["BLUE", "RED"]


def test_parents_that_differ_at_their_end_alone_are_not_the_same() -> None:
    one, two = (product("A", parent="x" * 450 + end) for end in "ab")
    assert shape_key(one, ColourRules()) != shape_key(two, ColourRules())


def test_recolourings_of_many_products_wait_behind_single_products(
    family: Services, photos: PhotoServer, drain: Drain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_planning, "MAX_AT_ONCE", 2)
    red(family, photos)
    for color in ("Green", "Blue"):
        take_in(family, photos, color.upper(), color, swatch="#2846a0")
    drain()
    planned: list[tuple[str, bool]] = []
    add = family.runs.add
    monkeypatch.setattr(
        type(family.runs),
        "add",
        lambda _, runs: [planned.extend((r.sku, r.bulk) for r in runs), add(runs)][1],
    )
    approve(family, "RED", drain)
    assert {sku for sku, bulk in planned if bulk} == {"BLUE", "GREEN"}


def test_the_page_of_a_product_shows_the_colours_of_its_shape(
    family: Services, photos: PhotoServer, drain: Drain
) -> None:
    def page_of(sku: str) -> str:
        found = family.products.get(sku)
        assert found
        return str(client.get(f"/products/{found.id}").text)

    client = create_app(family).test_client()
    token = family.users.add_token(family.users.add("ann", UserRole.VIEWER), "test")
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    red(family, photos)
    drain()
    assert "Colours of one shape" not in page_of("RED")
    take_in(family, photos, "BLUE", "Blue", swatch="#2846a0")
    drain()
    page = page_of("BLUE")
    assert "2 products of CHAIR" in page and "RED makes the shape" in page and "once it is approved" in page
    assert 'fill="#2846a0"' in page and "waits for the shape" in page
    take_in(family, photos, "GREEN", "Green", images={"front": photos.url("green.jpg")})
    drain()
    assert "3 products of CHAIR" in page_of("BLUE") and "Photo of Green" in page_of("BLUE")
    approve(family, "RED", drain)
    approve(family, "BLUE", drain)
    page = page_of("RED")
    assert "This product makes the shape" in page and "once it is approved" not in page
    blue = family.products.get("BLUE")
    assert blue and f'href="/products/{blue.id}"' in page and page.count("makes the shape</span>") == 1


def test_a_detail_recolours_nothing_again(family: Services, photos: PhotoServer, drain: Drain) -> None:
    red(family, photos)
    drain()
    approve(family, "RED", drain)
    photos.files["detail.jpg"] = photo_picture(RED)
    front = {"front": photos.url("green.jpg")}
    for images in (front, {**front, "detail": photos.url("detail.jpg")}):
        take_in(family, photos, "GREEN", "Green", images=images)
        drain()
    assert states(family, "GREEN") == [("GREEN", "model", 1, "in_review")]
