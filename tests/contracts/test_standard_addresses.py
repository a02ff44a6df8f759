"""`standard`: what is asked at `list_url` and `product_url`, and replies that cannot be right."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from dam_connector.adapters.common.context import AdapterContext
from dam_connector.adapters.standard import StandardPim
from dam_connector.errors import BadOutput, ConfigError
from tests.support import PhotoServer, http_to, inbound

MAPPING = {"list": "$.rows", "time": "$.at", "fields": {"sku": "$.code", "name": "$.title"}}
EARLY = datetime(2026, 1, 1, tzinfo=UTC)


def rows(*codes: str, total: int = 0) -> bytes:
    found = [{"code": code, "title": "Chair", "at": "2026-11-20T10:00:00Z"} for code in codes]
    return json.dumps({"total": total, "rows": found}).encode()


def source(context: AdapterContext, photos: PhotoServer, **options: Any) -> StandardPim:
    return StandardPim(replace(context, http=http_to(photos.host, context)), {"mapping": MAPPING, **options})


@pytest.mark.parametrize("second", [rows("A", "B"), rows("A", "B", total=1)])
def test_a_list_that_returns_the_same_page_again_is_asked_no_further(
    context: AdapterContext, photos: PhotoServer, second: bytes
) -> None:
    photos.files |= {"feed?offset=0": rows("A", "B"), "feed?offset=2": second, "feed?offset=4": second}
    pim = source(context, photos, list_url=photos.url("feed?offset={offset}"))
    with pytest.raises(BadOutput, match=r"the page at \{offset\} 2, \{page\} 2 is one that came before"):
        list(pim.changed_since(EARLY))
    assert "feed?offset=4" not in photos.asked


def test_pages_that_go_round_are_asked_once(context: AdapterContext, photos: PhotoServer) -> None:
    photos.files |= {f"feed?page={page}": rows("AB"[page % 2]) for page in range(1, 6)}
    pim = source(context, photos, list_url=photos.url("feed?page={page}"))
    with pytest.raises(BadOutput, match=r"\{page\} 3 is one that came before"):
        list(pim.changed_since(EARLY))


def test_pages_that_differ_are_all_read(context: AdapterContext, photos: PhotoServer) -> None:
    photos.files |= {"feed?page=1": rows("A"), "feed?page=2": rows("B"), "feed?page=3": rows()}
    pim = source(context, photos, list_url=photos.url("feed?page={page}"))
    assert [event.ref for event in pim.changed_since(EARLY)] == ["A", "B"]


def test_a_product_url_without_the_sku_is_refused(context: AdapterContext, photos: PhotoServer) -> None:
    with pytest.raises(ConfigError, match=r"product_url: write \{sku\}"):
        source(context, photos, product_url="https://pim.example/product")


@pytest.mark.parametrize("options", [{}, {"mapping": None}])
def test_a_reply_about_another_product_is_not_taken(
    context: AdapterContext, photos: PhotoServer, options: dict[str, Any]
) -> None:
    photos.files["p/A"] = json.dumps({"code": "B", "sku": "B", "title": "Chair", "name": "Chair"}).encode()
    opened = {"mapping": MAPPING, "product_url": photos.url("p/{sku}")}
    if options:
        del opened["mapping"]
    pim = StandardPim(replace(context, http=http_to(photos.host, context)), opened)
    with pytest.raises(BadOutput, match="A was asked for at product_url, and the reply is about B"):
        pim.fetch("A")


@pytest.mark.parametrize("body", [b"{", "Größe".encode("latin-1"), b"\x1f\x8b\x08\x00"])
def test_a_body_that_is_no_json_is_told_what_to_send(
    context: AdapterContext, photos: PhotoServer, body: bytes
) -> None:
    with pytest.raises(BadOutput, match="it must be UTF-8 JSON without Content-Encoding"):
        source(context, photos).normalize(inbound(body, {}, EARLY))


@pytest.mark.parametrize(
    ("kind", "message", "headers", "said"),
    [
        (
            "$.event",
            {"event": "order.paid"},
            {},
            "its type at $['event'] is 'order.paid'; known types: saved",
        ),
        ("$.event", {"data": []}, {}, "nothing is at $['event'], the place of its type"),
        ("header:x-event", {}, {}, "it has no header x-event"),
        ("header:x-event", {}, {"x-event": "other"}, "the header x-event is 'other'"),
    ],
)
def test_an_ignored_message_says_which_type_it_has(
    context: AdapterContext,
    photos: PhotoServer,
    kind: str,
    message: dict[str, Any],
    headers: dict[str, str],
    said: str,
) -> None:
    mapping = {**MAPPING, "type": kind, "types": {"saved": "updated"}}
    pim = source(context, photos, mapping=mapping)
    found = inbound(json.dumps(message).encode(), headers, EARLY)
    assert pim.normalize(found) == [] and said in pim.why_ignored(found)
