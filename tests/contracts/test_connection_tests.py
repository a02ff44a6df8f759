"""`connection test`: missing rights are named, and nothing is left behind."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from dam_connector.adapters import open_adapter
from dam_connector.adapters.common.context import AdapterContext
from dam_connector.domain.rules import Connection
from dam_connector.errors import AdapterError, Refused, Unavailable
from dam_connector.usecases.connections import check_connection
from dam_connector.wiring import Services
from tests.contracts.channels.harness import MERCHANT_MEDIA, FakeChannel
from tests.contracts.channels.saleor import FakeSaleor
from tests.contracts.channels.vendure import FakeVendure
from tests.contracts.channels.woocommerce import FakeWooCommerce
from tests.contracts.dams.directus import FakeDirectus
from tests.contracts.dams.harness import FakeDam
from tests.contracts.dams.resourcespace import FakeResourceSpace
from tests.contracts.pim_servers import FakePim, FakePimReply
from tests.contracts.shop_pims import woo
from tests.support import http_to

Patch = pytest.MonkeyPatch


def use_dam(
    services: Services, context: AdapterContext, patch: Patch, server: FakeDam, **options: object
) -> None:
    rules, dam = services.rules.current(), server.open(context, **options)
    patch.setattr(type(services), "dam", lambda self, name: dam)
    named = {**rules.dam, "rs": Connection(adapter=server.vendor, options={})}
    changed = replace(rules, dam=named)
    patch.setattr(type(services.rules), "current", lambda self: changed)


def use_shop(services: Services, context: AdapterContext, patch: Patch, server: FakeChannel) -> None:
    rules, channel = services.rules.current(), server.open(context)
    patch.setattr(type(services), "channel", lambda self, name: channel)
    named = {**rules.channel, "store": Connection(adapter=server.vendor, options={})}
    changed = replace(rules, channel=named)
    patch.setattr(type(services.rules), "current", lambda self: changed)


@pytest.fixture
def rs(services: Services, context: AdapterContext, monkeypatch: Patch) -> Iterator[FakeResourceSpace]:
    server = FakeResourceSpace()
    use_dam(services, context, monkeypatch, server, fields={"external_id": 88, "decision": 101})
    yield server
    server.stop()


@pytest.fixture
def directus(services: Services, context: AdapterContext, monkeypatch: Patch) -> Iterator[FakeDirectus]:
    server = FakeDirectus()
    use_dam(services, context, monkeypatch, server)
    yield server
    server.stop()


@pytest.fixture
def shop(services: Services, context: AdapterContext, monkeypatch: Patch) -> Iterator[FakeWooCommerce]:
    server = FakeWooCommerce()
    use_shop(services, context, monkeypatch, server)
    yield server
    server.stop()


@pytest.fixture
def vendure(services: Services, context: AdapterContext, monkeypatch: Patch) -> Iterator[FakeVendure]:
    server = FakeVendure()
    use_shop(services, context, monkeypatch, server)
    yield server
    server.stop()


@pytest.fixture
def saleor_shop(services: Services, context: AdapterContext, monkeypatch: Patch) -> Iterator[FakeSaleor]:
    server = FakeSaleor()
    use_shop(services, context, monkeypatch, server)
    yield server
    server.stop()


def run(services: Services, name: str) -> list[str]:
    return list(check_connection(services, name))


def test_a_good_resourcespace_hears_decisions_and_is_left_empty(
    services: Services, rs: FakeResourceSpace
) -> None:
    lines = run(services, "rs")
    assert "its state is approved" in lines and "its state is rejected" in lines
    assert "its log shows changes of state, so decisions are heard" in lines
    assert rs.asset_count() == 0


@pytest.mark.parametrize(
    ("right", "words"),
    [
        ("v", "give its group the permission v"),
        ("c", "needs the permissions s,c,v"),
        ("e-1", "needs the permissions s,c,v"),
        ("s", "stored twice"),
        ("f*", "stored twice"),
    ],
)
def test_a_missing_right_of_resourcespace_is_named_and_nothing_stays(
    services: Services, rs: FakeResourceSpace, right: str, words: str
) -> None:
    rs.rights.remove(right)
    with pytest.raises(AdapterError) as raised:
        run(services, "rs")
    assert words in str(raised.value) and rs.asset_count() == 0


@pytest.mark.parametrize("right", ["e4", "e0"])
def test_a_resource_that_may_not_be_deleted_is_named(
    services: Services, rs: FakeResourceSpace, right: str
) -> None:
    rs.rights.remove(right)
    with pytest.raises(Refused, match=r"the test has left 1 .*delete it by hand") as raised:
        run(services, "rs")
    assert "s,c,v,e-1,e0,e2,e4,f*" in str(raised.value)


def test_a_wrong_key_of_resourcespace_is_named_and_nothing_else_is(
    services: Services, rs: FakeResourceSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services.dam("rs"), "_private_key", "wrong")
    with pytest.raises(Refused, match="private key is not the one of the user connector") as raised:
        run(services, "rs")
    assert "left" not in str(raised.value)


def test_a_push_that_fails_halfway_leaves_nothing(services: Services, rs: FakeResourceSpace) -> None:
    rs.faults["push"] = ["", "500"]  # the resource is made, its file is refused
    with pytest.raises(Unavailable):
        run(services, "rs")
    assert rs.resources and rs.asset_count() == 0


def test_a_good_directus_hears_decisions_and_is_left_empty(
    services: Services, directus: FakeDirectus
) -> None:
    assert "its rows say who changed them and when, so decisions are heard" in run(services, "rs")
    assert directus.asset_count() == 0 and not directus.files


def test_a_directus_whose_rows_do_not_say_who_changed_them_is_named(
    services: Services, directus: FakeDirectus, monkeypatch: Patch
) -> None:
    change = FakeDirectus.change_row

    def unsigned(self: FakeDirectus, id: str, values: dict[str, object], by: dict[str, object]) -> object:
        reply = change(self, id, values, by)
        self.rows[id] |= {"date_updated": None, "user_updated": None}
        return reply

    monkeypatch.setattr(FakeDirectus, "change_row", unsigned)
    with pytest.raises(Refused, match="no decision would be heard"):
        run(services, "rs")
    assert directus.asset_count() == 0 and not directus.files


def test_a_push_to_directus_that_fails_halfway_leaves_no_file(
    services: Services, directus: FakeDirectus
) -> None:
    directus.faults["push"] = ["", "", "", "403"]  # two folders and the file are made, the row is refused
    with pytest.raises(Refused):
        run(services, "rs")
    assert directus.folders and directus.asset_count() == 0 and not directus.files


def test_a_directus_that_lets_us_store_nothing_is_named_without_anything_to_delete(
    services: Services, directus: FakeDirectus
) -> None:
    directus.faults["push"], directus.faults["read"] = ["403"], ["403"]
    with pytest.raises(Refused) as raised:
        run(services, "rs")
    assert "by hand" not in str(raised.value) and "you may not" in str(raised.value)


def test_a_good_vendure_may_write_and_keeps_nothing(services: Services, vendure: FakeVendure) -> None:
    lines = run(services, "store")
    assert "its user may change the catalog" in lines
    assert [line for line in lines if "stored among its assets, and removed again" in line] == [
        "a picture was stored among its assets, and removed again",
        "a model was stored among its assets, and removed again",
    ]
    assert [each["name"] for each in vendure.assets.values()] == MERCHANT_MEDIA


@pytest.mark.parametrize("right", ["UpdateCatalog", "CreateAsset", "DeleteAsset"])
def test_a_missing_right_of_vendure_is_named(services: Services, vendure: FakeVendure, right: str) -> None:
    vendure.permissions.remove(right)
    with pytest.raises(Refused, match=f"lacks the permission {right}"):
        run(services, "store")
    assert [each["name"] for each in vendure.assets.values()] == MERCHANT_MEDIA


def test_a_vendure_that_takes_no_models_is_named(services: Services, vendure: FakeVendure) -> None:
    vendure.permitted = ("png", "jpg")
    with pytest.raises(Refused, match="permittedFileTypes"):
        run(services, "store")


def test_an_app_of_saleor_that_may_not_change_products_is_named(
    services: Services, saleor_shop: FakeSaleor
) -> None:
    assert "its app may change products and their media" in run(services, "store")
    saleor_shop.permissions = ["MANAGE_ORDERS"]
    with pytest.raises(Refused, match="give it \\*Manage products\\*"):
        run(services, "store")


def test_a_good_woocommerce_may_write_and_keeps_nothing(services: Services, shop: FakeWooCommerce) -> None:
    lines = run(services, "store")
    assert "its key may write products" in lines
    assert "a picture was stored in its media library, and removed again" in lines
    assert set(shop.media) == {1, 2}


@pytest.mark.parametrize(
    ("fault", "words"),
    [("reader", "make one with Read/Write"), ("password", "password is wrong"), ("role", "role Author")],
)
def test_a_missing_right_of_woocommerce_is_named(
    services: Services, shop: FakeWooCommerce, fault: str, words: str
) -> None:
    shop.missing = fault
    with pytest.raises(Refused, match=words):
        run(services, "store")
    assert set(shop.media) == {1, 2}


HOOK = {"status": "active", "delivery_url": "https://dam.example/webhooks/shop"}
HOOKS = [{"id": n, **HOOK, "topic": f"product.{w}"} for n, w in enumerate(("created", "updated", "deleted"))]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([*HOOKS, {"id": 3, **HOOK, "topic": "product.restored"}], ""),
        (HOOKS, "no active webhook for product.restored at https://dam.example/webhooks/shop"),
        (
            [*HOOKS, {"id": 3, **HOOK, "topic": "product.restored", "status": "disabled"}],
            "after five failures",
        ),
        ([{**each, "delivery_url": "https://other.example/x"} for each in HOOKS], "product.created"),
    ],
)
def test_the_webhooks_of_woocommerce_are_checked(
    context: AdapterContext, rows: list[dict[str, object]], words: str
) -> None:
    def answer(method: str, path: str, *rest: object) -> FakePimReply:
        if path.endswith("/webhooks"):
            return 200, rows, {}
        return woo(method, path, *rest)  # type: ignore[arg-type]

    shop = FakePim(answer)
    try:
        secrets = {"env/PROBE": "x", "env/CK": "ck", "env/CS": "cs"}
        own = replace(context, http=http_to(shop.host, context), secret=secrets.__getitem__, name="shop")
        options = {"secrets": ["env/PROBE"], "consumer_key": "env/CK", "consumer_secret": "env/CS"}
        connection = Connection(adapter="woocommerce", options={**options, "base_url": shop.url})
        pim = open_adapter("pim", "shop", connection, own)
        if words:
            with pytest.raises(Refused, match=words):
                list(pim.check_rights())
        else:
            assert "its webhooks come here" in next(iter(pim.check_rights()))
    finally:
        shop.stop()
