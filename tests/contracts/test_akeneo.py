"""Akeneo as a PIM, by its documentation: events, facts, and values that are written back."""

import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dam_connector.adapters import open_adapter
from dam_connector.adapters.common.context import AdapterContext
from dam_connector.domain.event import EventKind
from dam_connector.domain.product import View
from dam_connector.domain.rules import Connection
from dam_connector.errors import (
    BadOutput,
    ConfigError,
    DeliveryError,
    NotFound,
    Refused,
)
from dam_connector.ports import InboundWebhook
from tests.contracts.documented_pims import AKENEO, SEARCHED, SECRETS, UUID, WRITTEN
from tests.support import TestClock, picture


def platform(
    clock: TestClock,
    kind: str,
    data: dict[str, Any],
    *,
    secret: str = "secret-1",
    age: timedelta = timedelta(),
    header: str = "primary",
) -> InboundWebhook:
    """An event as the Event Platform sends it."""
    at = clock.now() - age
    said = {
        "specversion": "1.0",
        "id": f"e-{kind}",
        "type": f"com.akeneo.pim.v1.{kind}",
        "source": "pim",
        "subject": "sub",
        "time": at.isoformat(),
    }
    body = json.dumps({**said, "datacontenttype": "application/json", "data": data}).encode()
    sign = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {
        "x-akeneo-signature-primary": "0" * 64,
        f"x-akeneo-signature-{header}": sign,
        "x-akeneo-signature-algorithm": "HmacSHA256",
    }
    return InboundWebhook(headers=headers, body=body, received_at=clock.now())


def old_api(
    clock: TestClock, *events: dict[str, Any], age_s: int = 0, secret: str = "secret-1"
) -> InboundWebhook:
    body = json.dumps({"events": list(events)}).encode()
    stamp = str(int(clock.now().timestamp()) - age_s)
    sign = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return InboundWebhook(
        headers={"x-akeneo-request-signature": sign, "x-akeneo-request-timestamp": stamp},
        body=body,
        received_at=clock.now(),
    )


def test_akeneo_s_events_are_proved_by_either_secret_and_mean_what_they_say(
    opened: Callable, clock: TestClock
) -> None:
    source, _ = opened("akeneo")
    by = {"author": {"identifier": "julia", "type": "ui"}}
    for kind, data, meant in (
        ("product.created", {"product": {"uuid": UUID}}, (EventKind.CREATED, UUID)),
        (
            "product.updated.delta",
            {"product": {"uuid": UUID, "changes": {"values": {}}}},
            (EventKind.UPDATED, UUID),
        ),
        ("product.became-complete", {"product": {"uuid": UUID}}, (EventKind.UPDATED, UUID)),
        ("product.deleted", {"product": {"uuid": UUID}}, (EventKind.DELETED, UUID)),
        ("product-model.updated", {"product_model": {"code": "chair"}}, (EventKind.UPDATED, "model:chair")),
    ):
        for secret, header in (("secret-1", "primary"), ("secret-2", "secondary")):
            inbound = platform(clock, kind, {**data, **by}, secret=secret, header=header)
            assert source.verify(inbound).key == f"e-{kind}"
        (event,) = source.normalize(inbound)
        assert (event.kind, event.ref) == meant and event.at == clock.now()
    ours = platform(
        clock, "product.updated", {"product": {"uuid": UUID}, "author": {"identifier": "dam_connector_api"}}
    )
    assert source.verify(ours).is_event and source.normalize(ours) == []
    for bad in (
        platform(clock, "product.updated", {}, secret="other"),
        platform(clock, "product.updated", {}, age=timedelta(days=2)),
        replace(ours, body=ours.body + b" "),
        replace(ours, headers={}),
        replace(ours, headers={**ours.headers, "x-akeneo-signature-algorithm": "none"}),
    ):
        with pytest.raises(DeliveryError):
            source.verify(bad)


def test_akeneo_s_old_events_come_in_batches(opened: Callable, clock: TestClock) -> None:
    source, _ = opened("akeneo")
    resource = {"resource": {"uuid": UUID, "identifier": "CH1"}}
    events = [
        {
            "action": "product.created",
            "event_id": "1",
            "event_datetime": "2026-11-20T10:00:00+00:00",
            "author": "julia",
            "data": resource,
        },
        {
            "action": "product.updated",
            "event_id": "2",
            "event_datetime": "2026-11-20T11:00:00+00:00",
            "author": "dam_connector_api",
            "data": resource,
        },
        {
            "action": "product.removed",
            "event_id": "3",
            "event_datetime": "2026-11-20T12:00:00+00:00",
            "author": "julia",
            "data": resource,
        },
    ]
    inbound = old_api(clock, *events)
    assert source.verify(inbound).is_event
    assert [(e.kind, e.ref, e.at.hour) for e in source.normalize(inbound)] == [
        (EventKind.CREATED, UUID, 10),
        (EventKind.DELETED, UUID, 12),
    ]
    for bad in (
        old_api(clock, *events, age_s=600),
        old_api(clock, *events, secret="x"),
        replace(inbound, body=b"{}"),
    ):
        with pytest.raises(DeliveryError):
            source.verify(bad)


def test_a_product_of_akeneo_with_pictures_that_only_we_can_fetch(opened: Callable, clock: TestClock) -> None:
    source, server = opened("akeneo")
    (chair,) = source.fetch(UUID)
    assert (chair.sku, chair.name, chair.color, chair.category) == ("CH1", "Chair", "teal", "seating")
    assert (chair.dimensions.width_m, chair.dimensions.height_m) == (0.46, 0.815)
    assert {i.view: i.url for i in chair.images} == {
        View.FRONT: "pim:main/0/e/f/9/chair.jpg",
        View.BACK: "pim:main/asset:packshots/chair_back/file",
    }
    for image in chair.images:
        assert source.fetch_picture(image.url.removeprefix("pim:main/")) == picture()
    assert [p.sku for p in source.fetch("model:chair")] == ["CH1", "CH2"]
    for nothing in ("model:none", "no-such-uuid"):
        with pytest.raises(NotFound):
            source.fetch(nothing)
    for outside in ("../../users", "asset:a/b", "", "a//b", "asset:x/../y"):
        with pytest.raises(NotFound):
            source.fetch_picture(outside)
    assert [p for _, p in server.requests].count("/api/oauth/v1/token") == 1  # logged in once
    clock.forward(4000)
    source.fetch(UUID)
    assert [p for _, p in server.requests].count("/api/oauth/v1/token") == 2  # and again when the token ended


def test_akeneo_lists_changes_and_receives_what_is_live(opened: Callable) -> None:
    source, _ = opened("akeneo")
    found = list(source.changed_since(datetime(2026, 11, 20, 9, tzinfo=UTC)))
    assert [e.ref for e in found] == ["a", "b"] and SEARCHED[-1] == "2026-11-20 09:00:00"
    source.write_back(UUID, {"ar_url": "https://dam.example/ar/CH1", "status": "published", "other": "x"})
    path, said = WRITTEN[-1]
    assert path.endswith(UUID) and said == {
        "values": {
            "ar_url": [{"locale": None, "scope": None, "data": "https://dam.example/ar/CH1"}],
            "dam_status": [{"locale": None, "scope": None, "data": "published"}],
        }
    }


def test_akeneo_is_asked_in_the_time_of_its_server(opened: Callable) -> None:
    """By its documentation of filters: dates are interpreted in the time zone of the server."""
    source, _ = opened("akeneo", time_zone="America/New_York")
    assert [e.ref for e in source.changed_since(datetime(2026, 11, 20, 9, tzinfo=UTC))] == ["a", "b"]
    assert SEARCHED[-1] == "2026-11-20 04:00:00"
    with pytest.raises(ConfigError, match="time_zone: 'Mars/North'"):
        opened("akeneo", time_zone="Mars/North")


def test_akeneo_s_sku_is_the_value_of_its_identifier_attribute(opened: Callable) -> None:
    """A product that is asked for by its uuid has no `identifier` at its root."""
    source, _ = opened("akeneo")
    (made,) = source.fetch(UUID)
    assert made.sku == "CH1"
    ean = {"ean": [{"data": "4006381333931", "attribute_type": "pim_catalog_identifier"}]}
    assert source._product({"uuid": UUID, "values": ean}).sku == "4006381333931"
    source, _ = opened("akeneo", identifier="main_color")
    assert source.fetch(UUID)[0].sku == "teal"
    source, _ = opened("akeneo", identifier="gtin")
    with pytest.raises(BadOutput, match=r"/values/gtin: .* name the attribute that holds the SKU"):
        source.fetch(UUID)


def test_what_was_written_back_to_akeneo_is_no_fact_of_the_product(opened: Callable) -> None:
    """Else each publication would be a changed product, and each changed product a new version."""
    source, _ = opened("akeneo")
    (made,) = source.fetch(UUID)
    assert "main_color" in made.attributes and not {"ar_url", "dam_status"} & set(made.attributes)


@pytest.mark.parametrize("name", ["dam_connector_api", "id", "b238e9f7-fcec-45bd-9431-d43cd624b244"])
def test_our_own_changes_in_akeneo_are_known_by_user_client_or_id(
    opened: Callable, clock: TestClock, name: str
) -> None:
    """Akeneo's best practices name the client, its filters the id of a user, the old events the user."""
    source, _ = opened("akeneo", author="b238e9f7-fcec-45bd-9431-d43cd624b244")
    author = {"identifier": name, "type": "api"}
    assert (
        source.normalize(platform(clock, "product.updated", {"product": {"uuid": UUID}, "author": author}))
        == []
    )


def test_a_token_that_was_ended_early_is_renewed_once(opened: Callable) -> None:
    source, server = opened("akeneo")
    source.fetch(UUID)
    server.next_replies = [(401, {"message": "expired"}, {})]
    assert source.fetch(UUID)[0].sku == "CH1"
    with pytest.raises(Refused):
        opened("akeneo", password="env/T")[0].fetch(UUID)


@pytest.mark.parametrize(
    "options",
    [{"attributes": {"front": "asset:x"}}, {"write_back": {"price": "x"}}, {"base_url": "x"}, {"colour": 1}],
)
def test_wrong_options_of_akeneo_are_refused(context: AdapterContext, options: dict[str, Any]) -> None:
    own = replace(context, secret=SECRETS.__getitem__)
    with pytest.raises(ConfigError):
        open_adapter(
            "pim",
            "x",
            Connection(adapter="akeneo", options={"base_url": "https://pim.example", **AKENEO, **options}),
            own,
        )


def test_akeneo_s_texts_in_further_locales(opened: Callable, clock: TestClock) -> None:
    source, _ = opened("akeneo", locales=["de_DE", "fr_FR"])
    label = [{"locale": locale, "scope": None, "data": data} for locale, data in LABELS.items()]
    made = source._product({"values": {"sku": [{"data": "CH1"}], "label": label}})
    assert made.name == "Chair" and made.translations == {"de-DE": {"name": "Stuhl"}}


LABELS = {"en_US": "Chair", "de_DE": "Stuhl", "es_ES": "Silla"}
