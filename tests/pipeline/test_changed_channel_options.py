"""A channel whose locale, order or names changed in plugin.json: what was live before is sent again."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dam_connector.adapters import open_adapter
from dam_connector.ports import Channel
from dam_connector.usecases.reconciliation import reconcile, repair
from dam_connector.usecases.rules_change import apply_rules, continue_change, plan_change
from dam_connector.wiring import Services
from tests.contracts.channels.woocommerce import FakeWooCommerce
from tests.contracts.pim_servers import FakePim
from tests.pipeline.helpers import PACKSHOT, Drain, Rules, approve, chair, newest, send
from tests.support import SECRET, PhotoServer, http_to

TEXTS = {"de": {"name": "Stuhl Falun"}, "fr": {"name": "Chaise Falun"}}


@pytest.fixture
def hooks() -> Iterator[list[dict[str, Any]]]:
    """What a receiver of webhooks got; the server's address is the first entry."""
    got: list[dict[str, Any]] = []

    def take(method: str, path: str, *more: Any) -> tuple[int, bytes, dict[str, str]]:
        got.append(more[2])
        return 204, b"", {}

    server = FakePim(take)
    got.append({"host": server.host, "url": server.url})
    yield got
    server.stop()


@pytest.fixture
def woo() -> Iterator[FakeWooCommerce]:
    server = FakeWooCommerce()
    yield server
    server.stop()


@pytest.fixture
def live(
    shop: Services,
    photos: PhotoServer,
    drain: Drain,
    write_rules: Rules,
    hooks: list[dict[str, Any]],
    woo: FakeWooCommerce,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Services:
    """A chair with a packshot and a detail live in a folder, at a webhook and in a shop, all in French."""
    opened: Callable[..., Channel] = type(shop).channel

    def channel(self: Services, name: str) -> Channel:
        if name == "store":
            return woo.open(self.adapter_context)
        if name == "hook":
            http = http_to(hooks[0]["host"], self.adapter_context)
            context = replace(self.adapter_context, name=name, http=http, secret=lambda _: SECRET)
            found: Channel = open_adapter("channel", name, self.rules.current().channel[name], context)
            return found
        return opened(self, name)

    monkeypatch.setattr(type(shop), "channel", channel)
    rules = json.loads(shop.settings.plugin_json.read_text())
    rules["connections"]["channel"] |= {
        "export": {"adapter": "folder", "path": str(tmp_path / "tree"), "locale": "fr"},
        "hook": {"adapter": "webhook", "url": hooks[0]["url"], "secret": "env/HOOK", "locale": "fr"},
        "store": {"adapter": "woocommerce", **woo.connection_options(), **woo.options, "locale": "fr"},
    }
    channels = ["export", "hook", "store"]
    rules["deliverables"] = [{**PACKSHOT, "channels": channels}, {**PACKSHOT, "name": "detail"}]
    rules["deliverables"][1]["channels"] = channels
    rules["changes"] = {"apply": "automatic"}
    write_rules(**rules)
    continue_change(shop)
    send(shop, chair(photos, translations=TEXTS, attributes={"asin": "b000123456"}))
    drain()
    for name in ("packshot", "detail"):
        approve(shop, newest(shop, name))
        drain()
    assert list(reconcile(shop)) == [] and plan_change(shop).is_nothing
    return shop


def texts(hooks: list[dict[str, Any]], woo: FakeWooCommerce, tree: Path) -> tuple[str, str, list[str]]:
    """The product's name in the folder and at the webhook, and our alt texts in the shop."""
    (index,) = tree.rglob("*.index.json")
    alts = [text.split(",")[0] for text in woo.alt_texts() if "Falun" in text]
    return json.loads(index.read_text())["name"], hooks[-1]["data"]["name"], alts


def change(shop: Services, write_rules: Rules, naming: dict[str, Any] | None = None, **options: Any) -> None:
    rules = json.loads(shop.settings.plugin_json.read_text())
    for name in ("export", "hook", "store"):
        rules["connections"]["channel"][name] |= options
    rules["naming"] = {**rules.get("naming", {}), **(naming or {})}
    shop.clock.forward(5)  # type: ignore[attr-defined]
    write_rules(**rules)


def apply(shop: Services, drain: Drain) -> None:
    while continue_change(shop):
        pass
    drain()
    continue_change(shop)
    drain()


@pytest.mark.parametrize("by", ["apply", "reconcile", "itself"])
def test_a_changed_locale_and_order_arrive(
    live: Services,
    write_rules: Rules,
    drain: Drain,
    hooks: list[dict[str, Any]],
    woo: FakeWooCommerce,
    tmp_path: Path,
    by: str,
) -> None:
    tree = tmp_path / "tree"
    assert texts(hooks, woo, tree)[:2] == ("Chaise Falun", "Chaise Falun")
    change(live, write_rules, locale="de", order=["detail"])
    if by == "apply":
        assert plan_change(live).published == {"export": 2, "hook": 2, "store": 2}
        apply_rules(live, by="ann")
    if by == "reconcile":
        found = list(reconcile(live))
        assert [(d.where, d.kind.value) for d in found] == [(n, "stale") for n in ("export", "hook", "store")]
        for drift in found:
            repair(live, drift)
    else:
        continue_change(live)
        apply(live, drain)
    name, hooked, alts = texts(hooks, woo, tree)
    assert (name, hooked) == ("Stuhl Falun", "Stuhl Falun")
    assert len(alts) == 2 and all(text.startswith("Stuhl Falun") for text in alts)
    assert [asset["deliverable"] for asset in hooks[-1]["data"]["assets"]] == ["detail", "packshot"]
    assert list(reconcile(live)) == []


def test_changed_names_of_a_channel_and_folders_arrive(
    live: Services, write_rules: Rules, drain: Drain, tmp_path: Path
) -> None:
    change(live, write_rules, naming={"channels": {"export": "amazon"}, "folder": "all/{sku}"})
    assert plan_change(live).published == {"export": 2}
    apply_rules(live, by="ann")
    apply(live, drain)
    files = {p.relative_to(tmp_path / "tree").as_posix() for p in (tmp_path / "tree").rglob("*.jpg")}
    assert files == {"all/CH123/B000123456.MAIN.jpg", "all/CH123/B000123456.PT01.jpg"}
    assert plan_change(live).is_nothing and list(reconcile(live)) == []
