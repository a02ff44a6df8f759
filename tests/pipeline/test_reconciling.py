"""Drift: what webhooks and polls lost, and what people changed by hand, is found and mended."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from dam_connector.cli import connections as connection_commands
from dam_connector.domain.event import Decision, Verdict
from dam_connector.domain.version import VersionState
from dam_connector.errors import BadOutput, ConfigError, Unavailable
from dam_connector.ports import RemoteState
from dam_connector.usecases import publish, review
from dam_connector.usecases.reconciliation import (
    last_result,
    note_start,
    note_stop,
    reconcile,
    reconcile_when_due,
    repair,
)
from dam_connector.wiring import Services
from tests.pipeline.helpers import Drain, chair, send
from tests.support import PhotoServer, TestClock, product

APPROVED = Decision(verdict=Verdict.APPROVED, by="ann")


@pytest.fixture
def wired(
    services: Services, write_rules: Callable[..., None], photos: PhotoServer, drain: Drain
) -> Services:
    """A product of a PIM that can be asked, live in a shop, with its version in a DAM."""
    connections = json.loads(services.settings.plugin_json.read_text())["connections"]
    write_rules(
        connections={
            **connections,
            "dam": {"shelf": {"adapter": "memory"}},
            "channel": {"shop": {"adapter": "memory"}},
        },
        review={"dam": "shelf"},
        deliverables=[
            {
                "name": "packshot",
                "kind": "rendition",
                "size_px": 320,
                "formats": ["jpeg"],
                "channels": ["shop"],
            }
        ],
        reconcile={"every_hours": 2, "mend": True},
    )
    send(services, chair(photos))
    drain()
    review.decide(services, services.assets.of_product("CH123")[0], APPROVED, source="page")
    drain()
    assert list(reconcile(services)) == []
    return services


def differences(services: Services) -> list[tuple[str, str, str]]:
    return [(d.where, d.kind.value, d.sku or d.ref) for d in reconcile(services)]


def test_a_file_that_somebody_took_off_a_shop_is_put_back(wired: Services) -> None:
    shop = wired.channel("shop")
    before = dict(shop.files_by_sku["CH123"])
    shop.files_by_sku["CH123"] = {"stranger.jpg": b"x"}
    assert differences(wired) == [("shop", "missing", "CH123"), ("shop", "orphaned", "CH123")]
    repair(wired, next(reconcile(wired)))
    assert shop.files_by_sku["CH123"] == before and differences(wired) == []


def test_what_was_deleted_in_the_dam_is_pushed_again(wired: Services, drain: Drain) -> None:
    dam, ref = wired.dam("shelf"), "mem:CH123:packshot:1:1"
    dam.remove(ref)
    (found,) = reconcile(wired)
    assert (found.where, found.kind.value, found.remedy) == ("shelf", "missing", "push it again")
    repair(wired, found)
    drain()
    assert (
        dam.stored[ref]
        and dam.remote_states[ref].state is VersionState.PUBLISHED
        and differences(wired) == []
    )
    assert wired.assets.of_product("CH123")[0].state is VersionState.PUBLISHED


def test_a_state_that_the_dam_did_not_receive_is_written(wired: Services, drain: Drain) -> None:
    dam, ref = wired.dam("shelf"), "mem:CH123:packshot:1:1"
    dam.remote_states[ref] = RemoteState(state=VersionState.IN_REVIEW)
    assert differences(wired) == [("shelf", "stale", "CH123")]
    repair(wired, next(reconcile(wired)))
    drain()
    assert dam.remote_states[ref].state is VersionState.PUBLISHED and differences(wired) == []


def test_a_state_that_somebody_made_up_is_written_over(
    wired: Services, drain: Drain, monkeypatch: pytest.MonkeyPatch
) -> None:
    dam, ref = wired.dam("shelf"), "mem:CH123:packshot:1:1"
    remote_state = dam.remote_state

    def made_up(asked: str, version: object = None) -> RemoteState:
        if (
            dam.remote_states[asked].state is VersionState.BLOCKED
        ):  # what stands for a word that is none of ours
            raise BadOutput("shelf", "remote_state", "its state is 'nearly'")
        return remote_state(asked, version)

    monkeypatch.setattr(dam, "remote_state", made_up)
    monkeypatch.setattr(
        dam,
        "write_state",
        lambda r, state, decision=None: dam.remote_states.update(
            {r: RemoteState(state=state, decision=decision)}
        ),
    )
    dam.remote_states[ref] = RemoteState(state=VersionState.BLOCKED)
    (found,) = reconcile(wired)
    assert (found.kind.value, "nearly" in found.detail) == ("stale", True)
    assert "written there again" in repair(wired, found)
    drain()
    assert dam.remote_states[ref].state is VersionState.PUBLISHED and differences(wired) == []


def test_files_that_were_changed_by_hand_are_replaced_by_ours(wired: Services, drain: Drain) -> None:
    dam, ref = wired.dam("shelf"), "mem:CH123:packshot:1:1"
    dam.files_changed_by_hand, before = ("a.jpg",), dict(dam.stored[ref])
    assert differences(wired) == [("shelf", "changed", "CH123")]
    dam.stored[ref] = {"other": b""}
    repair(wired, next(reconcile(wired)))
    dam.files_changed_by_hand = ()
    drain()
    assert dam.stored[ref] == before and differences(wired) == []


def test_what_a_source_has_and_we_do_not_and_the_other_way_round(
    wired: Services, photos: PhotoServer, drain: Drain, clock: TestClock
) -> None:
    source = wired.pim("mem")
    picture = {"images": {"front": photos.url("front.jpg")}}
    for sku in ("N1", "N2"):
        source.put(product(sku, **picture), clock.now())
    assert differences(wired) == [("mem", "missing", "N1"), ("mem", "missing", "N2")]
    for found in list(reconcile(wired, connection="mem")):
        repair(wired, found)
    assert differences(wired) == []
    source.put(product("N1", color="green", **picture), clock.now() + timedelta(minutes=1))
    del source.products["N2"]
    assert differences(wired) == [("mem", "stale", "N1"), ("mem", "orphaned", "N2")]
    clock.forward(120)
    for found in list(reconcile(wired)):
        repair(wired, found)
    assert (
        wired.products.get("N1").product.color == "green"
        and wired.products.get("N2").deleted
        and differences(wired) == []
    )


def test_a_channel_that_is_added_later_is_filled(
    wired: Services, write_rules: Callable[..., None], drain: Drain
) -> None:
    rules = json.loads(wired.settings.plugin_json.read_text())
    rules["connections"]["channel"]["feed"] = {"adapter": "memory"}
    rules["deliverables"][0]["channels"] = ["shop", "feed"]
    write_rules(**rules)
    (found,) = reconcile(wired)
    assert found.port == "connector" and "feed" in found.detail
    repair(wired, found)
    drain()
    assert (
        wired.channel("feed").files_by_sku["CH123"] == wired.channel("shop").files_by_sku["CH123"]
        and wired.channel("feed").files_by_sku["CH123"]
        and differences(wired) == []
    )


def test_a_channel_that_a_deliverable_no_longer_has_is_emptied(
    wired: Services, write_rules: Callable[..., None], drain: Drain
) -> None:
    rules = json.loads(wired.settings.plugin_json.read_text())
    rules["connections"]["channel"]["feed"] = {"adapter": "memory"}
    rules["deliverables"][0]["channels"] = ["feed"]
    write_rules(**rules)
    for drift in list(reconcile(wired)):
        repair(wired, drift)
    drain()
    assert wired.channel("feed").files_by_sku["CH123"] and not wired.channel("shop").files_by_sku.get("CH123")
    assert differences(wired) == []


def test_one_connection_that_is_away_leaves_the_others(wired: Services) -> None:
    wired.dam("shelf").fail_with = Unavailable("shelf", "standing", "down")
    wired.channel("shop").files_by_sku.clear()
    assert [(d.where, d.kind.value, d.port) for d in reconcile(wired)] == [
        ("shelf", "failed", "dam"),
        ("shop", "missing", "channel"),
    ]
    with pytest.raises(ConfigError, match="nothing-of-this-name"):
        list(reconcile(wired, connection="nothing-of-this-name"))


def test_it_is_done_by_the_hour_and_mended_where_the_rules_say_so(wired: Services, clock: TestClock) -> None:
    wired.channel("shop").files_by_sku.clear()
    assert reconcile_when_due(wired, "me") and wired.channel("shop").files_by_sku["CH123"]
    assert last_result(wired)[1] == 1 and not reconcile_when_due(wired, "me")
    clock.forward(3 * 3600)
    assert reconcile_when_due(wired, "me") and last_result(wired)[1:] == (0, [])


def test_the_command_prints_a_table_or_json(wired: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_commands, "open_services", lambda folder: wired)
    wired.channel("shop").files_by_sku.clear()
    shown = CliRunner().invoke(connection_commands.reconcile, [])
    assert shown.exit_code == 0 and "missing   shop" in shown.output and "--mend" in shown.output
    mended = CliRunner().invoke(connection_commands.reconcile, ["--mend", "--json"])
    assert json.loads(mended.output)["said"] == "CH123: 1 assets are live"
    assert "No differences" in CliRunner().invoke(connection_commands.reconcile, []).output
    tested = CliRunner().invoke(connection_commands.connection, ["test", "shelf"])
    assert (
        tested.exit_code == 0
        and "byte for byte" in tested.output
        and tested.output.rstrip().endswith("shelf: good")
    )
    assert "connection-test" not in str(wired.dam("shelf").stored)
    assert "no connection 'x'" in CliRunner().invoke(connection_commands.connection, ["test", "x"]).output


def without(services: Services, table: str) -> None:
    with services.db.write() as c:
        c.execute(sa.text(f"DELETE FROM {table}"))


def test_a_version_whose_publication_was_lost_from_our_records_is_published_again(
    wired: Services, drain: Drain
) -> None:
    without(wired, "publications")
    (found,) = [d for d in reconcile(wired) if d.port == "connector"]
    assert "V1 is to be live, but these channels differ: shop" in found.detail
    repair(wired, found)
    drain()
    assert differences(wired) == [] and wired.publications.of_product("CH123")


def test_an_approval_that_nothing_publishes_is_published(wired: Services, drain: Drain) -> None:
    wired.clock.forward(5)  # type: ignore[attr-defined]
    send(wired, {**wired_chair(wired), "color": "blue"}, message="msg_2", kind="product.updated")
    drain()
    second = wired.assets.of_product("CH123")[0]
    review.decide(wired, second, APPROVED, source="page")
    with wired.db.write() as c:  # as a release before, or a restored backup, may have left it
        c.execute(sa.text("DELETE FROM runs WHERE kind = 'publish' AND state = 'queued'"))
    (found,) = [d for d in reconcile(wired) if d.port == "connector"]
    assert found.kind.value == "stale" and "V2 is to be live" in found.detail
    repair(wired, found)
    drain()
    assert wired.assets.of_product("CH123")[0].state is VersionState.PUBLISHED
    assert [d for d in reconcile(wired) if d.port == "connector"] == []


def wired_chair(services: Services) -> dict:
    """The chair of `wired` as its PIM sends it."""
    record = services.products.get("CH123")
    assert record
    return {
        "sku": "CH123",
        "name": "Modern Dining Chair",
        "images": {i.view.value: i.url for i in record.product.images},
    }


def test_a_product_without_any_run_gets_its_runs(wired: Services, drain: Drain) -> None:
    with wired.db.write() as c:
        c.execute(sa.text("DELETE FROM runs"))
    missing = [d for d in reconcile(wired) if d.kind.value == "missing" and d.port == "connector"]
    assert [d.sku for d in missing] == ["CH123"] and missing[0].remedy == "plan its runs"
    assert repair(wired, missing[0]) == "CH123: 1 runs planned"


def test_after_an_unclean_start_our_own_records_are_mended_whatever_the_rules_say(
    wired: Services, drain: Drain, write_rules: Callable[..., None]
) -> None:
    rules = json.loads(wired.settings.plugin_json.read_text())
    write_rules(**{name: value for name, value in rules.items() if name != "reconcile"})
    without(wired, "publications")
    note_start(wired)
    note_stop(wired)
    note_start(wired)
    assert not reconcile_when_due(wired, "me")  # it stopped cleanly
    note_start(wired)  # it did not
    assert reconcile_when_due(wired, "me") and not reconcile_when_due(wired, "me")
    drain()
    assert wired.publications.of_product("CH123") and differences(wired) == []


def test_files_of_a_product_that_has_nothing_live_any_more_are_found(wired: Services, drain: Drain) -> None:
    before = dict(wired.channel("shop").files_by_sku["CH123"])
    publish.withdraw(wired, wired.assets.of_product("CH123")[0], by="ann")
    drain()
    wired.channel("shop").files_by_sku["CH123"] = before  # a late worker of the release before
    assert differences(wired) == [("shop", "orphaned", "CH123")]
    repair(wired, next(reconcile(wired)))
    assert wired.channel("shop").files_by_sku["CH123"] == {} and differences(wired) == []
