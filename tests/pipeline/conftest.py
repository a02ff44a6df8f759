"""Fixtures of the pipeline's tests."""

import json
from collections.abc import Callable

import pytest

from dam_connector.domain.version import Version
from dam_connector.errors import Unavailable
from dam_connector.wiring import Services
from tests.pipeline.helpers import PACKSHOT, Drain, Rules, approve, in_channel, made, with_two_channels, work
from tests.processes import start  # noqa: F401
from tests.support import PhotoServer


@pytest.fixture
def shop(services: Services, write_rules: Callable[..., None]) -> Services:
    """The services with a DAM that decides itself and two channels."""
    connections = json.loads(services.settings.plugin_json.read_text())["connections"]
    channels = {**connections["channel"], "shop": {"adapter": "memory"}}
    write_rules(
        connections={**connections, "dam": {"shelf": {"adapter": "memory"}}, "channel": channels},
        review={"dam": "shelf"},
        deliverables=[PACKSHOT, {**PACKSHOT, "name": "detail", "size_px": 300}],
        naming={"default": "{sku}_{name:pascal}_{deliverable}_V{version}_{format:upper}"},
    )
    return services


@pytest.fixture(autouse=True)
def no_large_previews(small_previews: None) -> None:
    """No test of the pipeline looks at previews of models."""


@pytest.fixture
def half_published(shop: Services, photos: PhotoServer, drain: Drain, write_rules: Rules) -> Version:
    """A second version, approved, which is live in `shop` while `feed` is away and has the first one."""
    with_two_channels(shop, write_rules)
    approve(shop, made(shop, photos, drain))
    work(shop, drain, rounds=1)
    second = made(shop, photos, drain, color="green")
    approve(shop, second)
    shop.channel("feed").fail_with = Unavailable("feed", "publish", "away")  # type: ignore[attr-defined]
    drain()
    assert in_channel(shop, "shop") == ["V2"] and in_channel(shop, "feed") == ["V1"]
    return second
