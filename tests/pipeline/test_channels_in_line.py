"""Channels are brought in line with what people asked for, whatever they took or missed."""

import errno
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from dam_connector.adapters.folder import FolderChannel
from dam_connector.domain.listing import Listing
from dam_connector.domain.planning import planned_runs
from dam_connector.domain.row_request import RequestType, RowRequest
from dam_connector.domain.run import RunKind, RunState
from dam_connector.domain.version import Version
from dam_connector.errors import Unavailable
from dam_connector.usecases import maintenance, publish, review
from dam_connector.usecases.name_preview import naming_notes, preview_names
from dam_connector.usecases.reconciliation import reconcile, repair
from dam_connector.usecases.run_planning import plan_runs
from dam_connector.wiring import Services
from tests.pipeline.helpers import (
    APPROVED,
    PACKSHOT,
    Drain,
    Rules,
    approve,
    chair,
    in_channel,
    is_public,
    live,
    made,
    newest,
    send,
    states,
    with_two_channels,
    work,
)
from tests.support import PhotoServer


def lose_the_answer(shop: Services, name: str) -> None:
    """Let a channel take the next listing, and its answer be lost."""
    channel = shop.channel(name)
    sync = channel.sync

    def taken(listing: Listing, blobs: Any) -> str:
        channel.sync = sync  # type: ignore[method-assign]
        sync(listing, blobs)
        raise Unavailable(name, "publish", "the answer was lost")

    channel.sync = taken  # type: ignore[method-assign]


@pytest.mark.parametrize("action", ["undo", "withdraw"])
def test_what_a_channel_took_without_an_answer_is_taken_back(
    shop: Services, photos: PhotoServer, drain: Drain, action: str
) -> None:
    first = made(shop, photos, drain)
    lose_the_answer(shop, "shop")
    approve(shop, first)
    drain()
    assert live(shop) == ["packshotV1"] and states(shop) == ["V1 approved"]
    if action == "undo":
        review.undo(shop, first, by="ann")
    else:
        publish.withdraw(shop, first, by="ann")
    work(shop, drain)
    assert live(shop) == [] and not is_public(shop, first)
    assert shop.runs.page(state="failed") == []


def test_a_channel_that_may_not_have_the_last_listing_is_found_by_reconcile(
    shop: Services, photos: PhotoServer, drain: Drain
) -> None:
    approve(shop, made(shop, photos, drain))
    drain()
    shop.channel_listings.doubt("shop", "CH123")
    (found,) = [d for d in reconcile(shop) if d.port == "channel"]
    assert (found.where, found.detail) == ("shop", "it is not known to have the last listing")
    repair(shop, found)
    assert [d for d in reconcile(shop) if d.port == "channel"] == []


@pytest.mark.parametrize("change", ["deliverable removed", "no longer asked for"])
def test_a_withdrawal_counts_whatever_the_rules_and_sheets_ask_for_now(
    shop: Services, photos: PhotoServer, drain: Drain, write_rules: Rules, change: str
) -> None:
    first = made(shop, photos, drain)
    approve(shop, first)
    drain()
    if change == "deliverable removed":
        rules = json.loads(shop.settings.plugin_json.read_text())
        rules["deliverables"] = [{**PACKSHOT, "name": "another"}]
        write_rules(**rules)
    else:
        record = shop.products.get("CH123")
        assert record
        facts = replace(record.product, request=RowRequest(types=(RequestType.MODEL,)))
        shop.products.upsert(facts, connection="main", ref="CH123", source_time=shop.clock.now())
    publish.withdraw(shop, first, by="ann")
    work(shop, drain)
    assert live(shop) == [] and states(shop)[-1] == "V1 withdrawn"
    assert not [r for r in shop.runs.page() if r.kind is RunKind.WITHDRAW and r.state is not RunState.DONE]


def test_a_pending_rollback_that_is_withdrawn_or_undone_brings_nothing_back(
    shop: Services, photos: PhotoServer, drain: Drain
) -> None:
    first = made(shop, photos, drain)
    approve(shop, first)
    drain()
    second = made(shop, photos, drain, color="green")
    approve(shop, second)
    drain()
    publish.withdraw(shop, second, by="ann")
    drain()
    for take_back in (publish.withdraw, review.undo):
        shop.channel("shop").fail_with = Unavailable("shop", "publish", "away")  # type: ignore[attr-defined]
        publish.rollback(shop, second, by="ann")
        drain()
        take_back(shop, second, by="ann")
        work(shop, drain)
        assert live(shop) == [] and states(shop) == ["V2 withdrawn", "V1 superseded"]
        assert not is_public(shop, first) and not is_public(shop, second)
    publish.rollback(shop, second, by="ann")  # its approval still counts
    work(shop, drain, rounds=2)
    assert live(shop) == ["packshotV2"]


def test_an_embargo_takes_back_what_is_live_in_some_channels_only(
    shop: Services, half_published: Version, drain: Drain
) -> None:
    record = shop.products.get("CH123")
    assert record
    embargoed = replace(record.product, live_from=shop.clock.now() + timedelta(days=3))
    shop.products.upsert(embargoed, connection="main", ref="CH123", source_time=shop.clock.now())
    work(shop, drain)
    assert in_channel(shop, "shop") == in_channel(shop, "feed") == ["V1"]
    assert not is_public(shop, half_published) and states(shop) == ["V2 approved", "V1 published"]
    shop.clock.forward(3 * 86_400)  # type: ignore[attr-defined]
    work(shop, drain)
    assert in_channel(shop, "shop") == in_channel(shop, "feed") == ["V2"]


def test_a_publication_follows_the_channels_of_the_rules_in_force(
    shop: Services, photos: PhotoServer, drain: Drain, write_rules: Rules
) -> None:
    with_two_channels(shop, write_rules)
    first = made(shop, photos, drain)
    day = shop.clock.now() + timedelta(hours=1)
    review.decide(shop, first, APPROVED, source="page", go_live_at=day)
    rules = json.loads(shop.settings.plugin_json.read_text())
    del rules["connections"]["channel"]["feed"]
    rules["deliverables"] = [{**PACKSHOT, "channels": ["shop"]}]
    write_rules(**rules)
    shop.clock.forward(3700)  # type: ignore[attr-defined]
    work(shop, drain)
    assert states(shop) == ["V1 published"] and in_channel(shop, "shop") == ["V1"]
    assert [p.channel for p in shop.publications.of_product("CH123")] == ["shop"]


def test_files_of_an_interrupted_export_are_removed_when_something_else_is_wanted(
    shop: Services,
    photos: PhotoServer,
    drain: Drain,
    write_rules: Rules,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tree = tmp_path / "tree"
    rules = json.loads(shop.settings.plugin_json.read_text())
    rules["connections"]["channel"]["export"] = {"adapter": "folder", "path": str(tree)}
    rules["deliverables"] = [{**PACKSHOT, "formats": ["jpeg", "webp"], "channels": ["export"]}]
    write_rules(**rules)
    first = made(shop, photos, drain)
    write, written = FolderChannel._write, 0

    def full_disk(self: FolderChannel, path: str, data: bytes, mime: str) -> None:
        nonlocal written
        written += 1
        if written > 2:  # the index, one file, and then
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, path, data, mime)

    with monkeypatch.context() as patch:
        patch.setattr(FolderChannel, "_write", full_disk)
        approve(shop, first)
        drain()
    assert len([p for p in tree.rglob("*") if p.suffix in (".jpg", ".webp")]) == 1
    review.undo(shop, first, by="ann")
    work(shop, drain)
    assert [p for p in tree.rglob("*") if p.is_file()] == []


def test_a_receiver_that_drops_ids_it_has_seen_ends_with_the_last_listing(
    shop: Services, photos: PhotoServer, drain: Drain
) -> None:
    sent: list[Listing] = []
    channel = shop.channel("shop")
    sync = channel.sync

    def recorded(listing: Listing, blobs: Any) -> str:
        sent.append(listing)
        return sync(listing, blobs)

    channel.sync = recorded  # type: ignore[method-assign]
    first = made(shop, photos, drain)
    approve(shop, first)
    drain()
    approve(shop, made(shop, photos, drain, color="green"))
    drain()
    publish.rollback(shop, shop.assets.get(first.id), by="ann")  # type: ignore[arg-type]
    drain()
    assert [listing.sequence for listing in sent] == [1, 2, 3]
    assert sent[0].placements[0].approved.version.id == sent[2].placements[0].approved.version.id == first.id


def test_a_channel_that_has_the_listing_is_not_sent_it_again_while_another_is_tried(
    shop: Services, photos: PhotoServer, drain: Drain, write_rules: Rules
) -> None:
    with_two_channels(shop, write_rules)
    calls = 0
    channel = shop.channel("shop")
    sync = channel.sync

    def counted(listing: Listing, blobs: Any) -> str:
        nonlocal calls
        calls += 1
        return sync(listing, blobs)

    channel.sync = counted  # type: ignore[method-assign]
    first = made(shop, photos, drain)
    approve(shop, first)
    assert shop.locks.lease(_lock_name(shop, "feed CH123"), "a process that was killed", 20)
    drain()
    for _ in range(19):
        shop.clock.forward(1)  # type: ignore[attr-defined]
        maintenance.sweep(shop, "me")
        drain()
    assert calls == 1 and states(shop) == ["V1 approved"]
    work(shop, drain, rounds=2)
    assert calls == 1 and states(shop) == ["V1 published"] and in_channel(shop, "feed") == ["V1"]


def _lock_name(services: Services, resource: str) -> str:
    """The name under which the table of leases has a lock."""
    with services.locks.lock(resource), services.db.read() as c:
        return str(c.execute(sa.text("SELECT name FROM leases WHERE name LIKE 'turn:%'")).scalar_one())


def test_files_leave_the_folder_of_the_former_category(
    shop: Services, photos: PhotoServer, drain: Drain, write_rules: Rules, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    rules = json.loads(shop.settings.plugin_json.read_text())
    rules["connections"]["channel"]["export"] = {"adapter": "folder", "path": str(tree)}
    rules["deliverables"] = [{**PACKSHOT, "channels": ["export"]}]
    rules["naming"]["folder"] = "{category}/{sku}"
    write_rules(**rules)
    for category in ("kitchen", "Tableware"):
        shop.clock.forward(5)  # type: ignore[attr-defined]
        send(shop, chair(photos, category=category), message=category, kind="product.updated")
        drain()
        approve(shop, newest(shop))
        drain()
        files = [p for p in tree.rglob("*") if p.is_file() and "CH123" in p.parts]
        assert files and all(category in p.parts for p in files), files
    assert states(shop)[0] == "V2 published"
    publish.withdraw(shop, newest(shop), by="ann")
    drain()
    assert not [p for p in tree.rglob("*") if p.is_file() and "CH123" in p.parts]


def test_a_channel_s_names_are_its_own_and_a_new_version_takes_the_place_of_the_old(
    shop: Services, photos: PhotoServer, drain: Drain, write_rules: Rules, tmp_path: Path
) -> None:
    rules = json.loads(shop.settings.plugin_json.read_text())
    rules["connections"]["channel"]["export"] = {"adapter": "folder", "path": str(tmp_path / "tree")}
    rules["connections"]["channel"]["plain"] = {"adapter": "folder", "path": str(tmp_path / "plain")}
    rules["deliverables"] = [{**PACKSHOT, "sizes": [64], "channels": ["export", "shop", "plain"]}]
    rules["naming"]["channels"] = {"export": "amazon", "plain": "{sku}_{deliverable}"}
    write_rules(**rules)
    ids = {"attributes": {"asin": "b000123456"}}
    bytes_of_both = set()
    for color in ("red", "green"):
        shop.clock.forward(5)  # type: ignore[attr-defined]
        send(shop, chair(photos, color=color, **ids), message=color, kind="product.updated")
        drain()
        approve(shop, newest(shop))
        drain()
        (picture,) = (p for p in (tmp_path / "tree").rglob("*.*") if p.suffix != ".json")
        assert picture.name == "B000123456.MAIN.jpg"
        bytes_of_both.add(picture.read_bytes())
    assert len(bytes_of_both) == 2 and "V2" in in_channel(shop, "shop")
    assert [(each.channel, each.name) for each in preview_names(shop, "CH123")] == [
        ("", "CH123_ModernDiningChair_packshot_V3_JPEG.jpg"),
        ("", "CH123_ModernDiningChair_packshot_V3_JPEG_64.jpg"),
        ("", "CH123_ModernDiningChair_packshot_V3_WEBP_preview_front.webp"),
        ("export", "B000123456.MAIN.jpg"),
        ("plain", "CH123_packshot.jpg"),
        ("plain", "CH123_packshot_64.jpg"),
    ]
    written = {p.name for p in (tmp_path / "plain").rglob("*.*") if p.suffix != ".json"}
    assert written == {"CH123_packshot.jpg", "CH123_packshot_64.jpg"}
    assert not [d for d in reconcile(shop) if d.port in ("channel", "connector")]
    assert list(naming_notes(shop, "CH123")) == []
    shop.clock.forward(5)  # type: ignore[attr-defined]
    send(shop, chair(photos, attributes={"ean": "4006381333930"}), message="e", kind="product.updated")
    drain()
    (note,) = naming_notes(shop, "CH123")
    assert note == "export: ean is no GTIN: 4006381333930; its pictures keep their own names there"


def test_a_changed_pattern_makes_nothing_anew_and_names_the_next_version(
    shop: Services, photos: PhotoServer, drain: Drain, write_rules: Rules
) -> None:
    """The run was planned by an earlier release, whose hash had the patterns of names in it."""
    first = made(shop, photos, drain)
    record = shop.products.get("CH123")
    before = shop.rules.current()
    (former,) = next(
        p.former_hashes
        for p in planned_runs(record.product, record.sources, {}, before, [before.naming])
        if p.deliverable.name == "packshot"
    )
    with shop.db.write() as c:
        c.execute(
            sa.text("UPDATE runs SET input_hash = :h WHERE id = :id"), {"h": former, "id": first.run_id}
        )
    rules = json.loads(shop.settings.plugin_json.read_text())
    rules["naming"] = {"default": "{sku}_{deliverable}_{view_code}_V{version:02}"}
    write_rules(**rules)
    assert plan_runs(shop, record.product, record.sources) == 0
    second = made(shop, photos, drain, color="green")
    assert [v.file("jpeg").name for v in (first, second)] == [
        "CH123_ModernDiningChair_packshot_V1_JPEG.jpg",
        "CH123_packshot_A1C0_V02.jpg",
    ]
