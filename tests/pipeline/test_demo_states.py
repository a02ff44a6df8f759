"""The demo's queue has versions of every state."""

from collections.abc import Callable

import pytest

from dam_connector.domain.version import VersionState
from dam_connector.ops.demo_states import BLOCKED_PRODUCT, COLLEAGUE, show_states
from dam_connector.usecases import intake
from dam_connector.wiring import Services
from tests.support import SAMPLES, PhotoServer, picture, product, rules_json

SKUS = ("KEPT", "D1", "D2", "D3", "D4", "D5", "D6")


@pytest.mark.issue("cutout.uncertain")
def test_each_state_has_a_version_and_the_first_product_is_left_to_the_visitor(
    services: Services, photos: PhotoServer, drain: Callable[[], int], write_rules: Callable[..., None]
) -> None:
    write_rules(deliverables=rules_json()["deliverables"][:1], imaging={})
    photos.files["a.jpg"] = picture()
    photos.files["white.jpg"] = (SAMPLES / BLOCKED_PRODUCT["images"]["hero"]).read_bytes()
    for sku in SKUS:
        intake.add_product(services, product(sku, images={"front": photos.url("a.jpg")}), by="test")
    white = {**BLOCKED_PRODUCT, "images": {"hero": photos.url("white.jpg")}}
    intake.add_product(services, product(**white), by="test")
    drain()
    show_states(services, visitors_sku="KEPT")
    drain()
    states = {sku: [v.state.value for v in services.assets.of_product(sku)] for sku in SKUS}
    assert states == {
        "KEPT": ["in_review"],
        "D1": ["published"],
        "D2": ["approved"],
        "D3": ["rejected"],
        "D4": ["in_review", "superseded"],
        "D5": ["in_review"],
        "D6": ["in_review"],
    }
    (blocked,) = services.assets.of_product(BLOCKED_PRODUCT["sku"])
    assert blocked.state is VersionState.BLOCKED
    (comment,) = services.comments.of_version(services.assets.of_product("D5")[0])
    assert comment.by == COLLEAGUE and comment.anchor is not None


def test_a_demo_with_nothing_to_review_is_left_as_it_is(services: Services) -> None:
    show_states(services, visitors_sku="KEPT")
    assert services.assets.counts("in_review") in ({}, {"in_review": 0})
