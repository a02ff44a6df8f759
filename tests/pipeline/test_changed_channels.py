"""Channels of a deliverable that change in plugin.json: nothing is made again, and what is live follows."""

import json

import pytest

from dam_connector.usecases import review, rules_change
from dam_connector.wiring import Services
from tests.pipeline.helpers import (
    APPROVED,
    PACKSHOT,
    Drain,
    Rules,
    approve,
    chair,
    in_channel,
    made,
    newest,
    send,
    states,
)
from tests.support import PhotoServer


def change_channels(shop: Services, write_rules: Rules, channels: list[str], **changes: object) -> None:
    rules = json.loads(shop.settings.plugin_json.read_text())
    rules["connections"]["channel"] |= {"feed": {"adapter": "memory"}}
    rules["deliverables"] = [{**PACKSHOT, "channels": channels, **changes}]
    write_rules(**rules)


def hear_again(shop: Services, photos: PhotoServer, drain: Drain, message: str) -> None:
    """Let the product's PIM send the same facts once more."""
    shop.clock.forward(5)  # type: ignore[attr-defined]
    send(shop, chair(photos, color="red"), message=message, kind="product.updated")
    drain()


def test_a_channel_that_is_added_gets_the_live_version_at_the_next_news_of_the_product(
    shop: Services, photos: PhotoServer, drain: Drain, write_rules: Rules
) -> None:
    approve(shop, made(shop, photos, drain))
    drain()
    for number, channels in enumerate((["shop", "feed"], ["feed"], ["shop"])):
        change_channels(shop, write_rules, channels)
        hear_again(shop, photos, drain, f"again {number}")
        assert states(shop) == ["V1 published"]
        assert {name for name in ("shop", "feed") if in_channel(shop, name)} == set(channels)


@pytest.mark.parametrize("changes", [{"size_px": 200}, {"background": "#eeeeee"}])
def test_what_changes_the_files_is_made_again_by_the_application_alone(
    shop: Services, photos: PhotoServer, drain: Drain, write_rules: Rules, changes: dict
) -> None:
    made(shop, photos, drain)
    rules_change.continue_change(shop)
    change_channels(shop, write_rules, ["shop", "feed"], **changes)
    hear_again(shop, photos, drain, "again")
    assert states(shop) == ["V1 in_review"]
    rules_change.apply_rules(shop, by="ann")
    while rules_change.continue_change(shop):
        drain()
    assert states(shop) == ["V2 in_review", "V1 superseded"]


def test_a_version_that_was_made_again_on_request_is_not_made_once_more(
    shop: Services, photos: PhotoServer, drain: Drain, write_rules: Rules
) -> None:
    review.regenerate(shop, made(shop, photos, drain), note="paler", by="ann")
    drain()
    review.decide(shop, newest(shop), APPROVED, source="page")
    drain()
    change_channels(shop, write_rules, ["feed"])
    hear_again(shop, photos, drain, "again")
    assert states(shop)[0] == "V2 published" and in_channel(shop, "feed") == ["V2"]
