"""Setups of Saleor and Vendure: missing parts are listed, made once, and found the second time."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from dam_connector.adapters import load_setup, open_adapter
from dam_connector.adapters.common.context import AdapterContext
from dam_connector.adapters.common.preparation import Preparation
from dam_connector.adapters.saleor.pim import KIND_BY_EVENT
from dam_connector.adapters.saleor.webhooks import EVENTS, SUBSCRIPTION
from dam_connector.domain.rules import Connection
from dam_connector.errors import ConfigError, Refused
from tests.contracts.pim_servers import FakePim
from tests.contracts.shop_setups import FakeSaleorApps, FakeVendureRoles
from tests.support import ROOT, http_to

HOOK = "https://dam.example/webhooks/shop"
SECRETS = {
    "env/STAFF": "admin@example.com:word",
    "env/WRONG": "admin@example.com:wrong",
    "env/APP": "app-token",
    "env/OTHER": "other-token",
    "env/ADMIN": "superadmin:word",
    "env/VENDURE_PASSWORD": "own-word",
}
Serve = Callable[..., FakePim]


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[FakePim] = []

    def start(answer: Any) -> FakePim:
        servers.append(FakePim(answer))
        return servers[-1]

    yield start
    for each in servers:
        each.stop()


def prepare(
    context: AdapterContext, server: FakePim, adapter: str, token: str, **more: Any
) -> list[Preparation]:
    own = replace(context, http=http_to(server.host, context), secret=SECRETS.__getitem__)
    options = {"base_url": server.url, "token": token, **more}
    return list(load_setup("pim", adapter).prepare(options, own, HOOK))


def test_a_member_of_the_staff_gets_the_app_of_saleor_and_its_webhook(
    context: AdapterContext, serve: Serve
) -> None:
    apps = FakeSaleorApps("another app", "dam-connector of somebody")
    server = serve(apps)
    found = prepare(context, server, "saleor", "env/STAFF")
    assert [each.exists for each in found] == [False, False] and len(apps.apps) == 2
    assert [each.description for each in found] == [
        "app `dam-connector`",
        f"webhook for 10 events to {HOOK}",
    ]
    for each in found:
        each.create()
    (hook,) = apps.apps[2]["webhooks"]
    assert hook["targetUrl"] == HOOK and hook["isActive"]
    assert all(each.exists for each in prepare(context, server, "saleor", "env/STAFF"))
    own = replace(context, http=http_to(server.host, context), secret=SECRETS.__getitem__)
    entry = load_setup("pim", "saleor").entry({"base_url": server.url, "token": "env/STAFF"}, own)
    assert entry == {"adapter": "saleor", "api_url": f"{server.url}/graphql/", "app_id": "app-3"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"isActive": False}, "which is switched off"),
        ({"asyncEvents": [{"eventType": "PRODUCT_CREATED"}]}, "which misses events"),
        ({"subscriptionQuery": "subscription { event { issuedAt } }"}, "whose subscription is another one"),
    ],
)
def test_an_app_of_saleor_mends_its_own_webhook(
    context: AdapterContext, serve: Serve, change: dict[str, Any], words: str
) -> None:
    apps = FakeSaleorApps("dam-connector")
    server = serve(apps)
    for each in prepare(context, server, "saleor", "env/APP")[1:]:
        each.create()
    (hook,) = apps.apps[0]["webhooks"]
    hook |= change
    _, webhook = prepare(context, server, "saleor", "env/APP")
    assert not webhook.exists and webhook.description.endswith(words)
    webhook.create()
    assert prepare(context, server, "saleor", "env/APP")[1].exists and len(apps.apps[0]["webhooks"]) == 1


def test_a_wrong_secret_of_saleor_is_named(context: AdapterContext, serve: Serve) -> None:
    server = serve(FakeSaleorApps("dam-connector"))
    with pytest.raises(Refused, match="valid credentials"):
        prepare(context, server, "saleor", "env/WRONG")
    with pytest.raises(Refused, match="not that of an active app"):
        prepare(context, server, "saleor", "env/OTHER")


def test_the_subscription_of_saleor_tells_of_each_event_and_is_that_of_its_page() -> None:
    assert {event.lower() for event in EVENTS} == set(KIND_BY_EVENT)
    for name, place in EVENTS.values():
        assert f"... on {name} {{ {place} }}" in SUBSCRIPTION
    page = (ROOT / "docs/connections/saleor.md").read_text()
    block = re.search(r"```graphql\n(.*?)```", page, re.S)
    assert block and block[1].split() == SUBSCRIPTION.split()


@pytest.mark.parametrize(
    ("hooks", "words"),
    [
        ("good", ""),
        ("none", "no active webhook for PRODUCT_CREATED"),
        ("off", "no active webhook for PRODUCT_CREATED"),
        ("few", "no active webhook for PRODUCT_UPDATED"),
    ],
)
def test_the_webhook_of_saleor_is_checked(
    context: AdapterContext, serve: Serve, hooks: str, words: str
) -> None:
    apps = FakeSaleorApps("dam-connector")
    server = serve(apps)
    if hooks != "none":
        prepare(context, server, "saleor", "env/APP")[1].create()
        (hook,) = apps.apps[0]["webhooks"]
        hook |= {"isActive": hooks != "off"}
        if hooks == "few":
            hook["asyncEvents"] = [{"eventType": "PRODUCT_CREATED"}]
    own = replace(context, http=http_to(server.host, context), secret=SECRETS.__getitem__, name="shop")
    options = {"api_url": f"{server.url}/graphql/", "token": "env/APP"}
    pim = open_adapter("pim", "shop", Connection(adapter="saleor", options=options), own)
    if words:
        with pytest.raises(Refused, match=words):
            list(pim.check_rights())
    else:
        assert list(pim.check_rights()) == ["its webhook comes here, with all events"]


def test_an_administrator_of_vendure_gets_a_role_and_a_user(context: AdapterContext, serve: Serve) -> None:
    shop = FakeVendureRoles()
    server = serve(shop)
    found = prepare(context, server, "vendure", "env/ADMIN")
    assert [each.exists for each in found] == [False, False]
    for each in found:
        each.create()
    assert all(each.exists for each in prepare(context, server, "vendure", "env/ADMIN"))
    shop.roles[0]["permissions"].remove("DeleteAsset")
    role, user = prepare(context, server, "vendure", "env/ADMIN")
    assert role.description.endswith("which lacks DeleteAsset") and user.exists and not role.exists
    role.create()
    assert shop.roles[0]["permissions"].count("DeleteAsset") == 1 and len(shop.roles) == 1
    assert "Authenticated" in shop.roles[0]["permissions"]


def test_a_secret_for_vendure_without_a_name_is_refused(context: AdapterContext, serve: Serve) -> None:
    with pytest.raises(ConfigError, match="name:password"):
        prepare(context, serve(FakeVendureRoles()), "vendure", "env/APP")
