"""The fakes of the systems that can be run answer as the real ones did; no recording has a secret."""

import re
from typing import Any

import pytest

from dam_connector.adapters.common.context import AdapterContext
from dam_connector.errors import Refused
from dam_connector.ports import Blobs
from dam_connector.store.blobs import open_blobs
from tests.contracts import scenarios
from tests.contracts.channels.saleor import FakeSaleor
from tests.contracts.channels.vendure import FakeVendure
from tests.contracts.channels.woocommerce import FakeWooCommerce
from tests.contracts.dams.directus import FakeDirectus
from tests.contracts.dams.resourcespace import KEY, FakeResourceSpace
from tests.contracts.pim_servers import FakePim, FakePimReply
from tests.contracts.shop_pims import SALEOR_PRODUCT, saleor, vendure, woo
from tests.contracts.shop_setups import ADMIN, STAFF, FakeSaleorApps, FakeVendureRoles
from tests.contracts.traffic import DATA, Recorder, differences, load

RECORDINGS = (
    "directus",
    "saleor_channel",
    "saleor_pim",
    "saleor_setup",
    "vendure_channel",
    "vendure_pim",
    "vendure_setup",
    "woocommerce_channel",
    "woocommerce_pim",
    "woocommerce_setup",
    "resourcespace",
    "resourcespace_photos",
    "resourcespace_setup",
)


WEBHOOK_OPTIONS = {
    "consumer_key": "key",
    "consumer_secret": "secret",
    "secrets": ["hook"],
    "secret_values": {"key": "ck", "secret": "cs", "hook": "hook"},
}


class FakeWebhooks:
    """The webhooks of a fake WooCommerce, as the recording of the real one has them."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def __call__(
        self, method: str, path: str, query: dict[str, str], headers: dict[str, str], body: Any
    ) -> FakePimReply:
        if method == "GET":
            return 200, self.rows[: int(query["per_page"])], {}
        if method == "POST":
            self.rows.append({"id": len(self.rows) + 1, **_without_secret(body)})
            return 201, self.rows[-1], {}
        row = self.rows[int(path.rpartition("/")[2]) - 1]
        row |= _without_secret(body)
        return 200, row, {}


def _without_secret(body: dict[str, Any]) -> dict[str, Any]:
    assert body.get("secret") == "hook"
    return {name: value for name, value in body.items() if name != "secret"}


@pytest.fixture
def blobs(tmp_path: object) -> Blobs:
    return open_blobs(f"{tmp_path}/blobs")


def test_the_fake_woocommerce_channel_answers_as_the_real_one(context: AdapterContext, blobs: Blobs) -> None:
    shop = FakeWooCommerce()
    try:
        recorder = Recorder(shop.host)
        options = {
            "base_url": shop.base_url,
            "consumer_key": "key",
            "consumer_secret": "secret",
            "user": "dam",
            "password": "password",
            "secret_values": {"key": "other", "secret": "key_fake", "password": "key_fake"},
            "wrong_values": {"read_key": {"key": "reader"}, "no_password": {"password": "wrong"}},
        }
        scenarios.woocommerce_channel(recorder, context, options, blobs)
    finally:
        shop.stop()
    assert list(differences(recorder.exchanges, load("woocommerce_channel"))) == []


def test_the_fake_woocommerce_pim_answers_as_the_real_one(context: AdapterContext) -> None:
    shop = FakePim(woo)
    try:
        recorder = Recorder(shop.host)
        options = {
            "base_url": shop.url,
            "consumer_key": "key",
            "consumer_secret": "secret",
            "secrets": ["hook"],
            "secret_values": {"key": "ck", "secret": "cs", "hook": "hook"},
            "wrong_values": {"no_key": {"key": "wrong"}},
        }
        numbers = {"simple": 13, "variable": 14, "variation": 15, "trashed": 20, "draft": 21, "unknown": 99}
        scenarios.woocommerce_pim(recorder, context, options, numbers)
    finally:
        shop.stop()
    assert list(differences(recorder.exchanges, load("woocommerce_pim"))) == []


def test_the_fake_resourcespace_answers_as_the_real_one(context: AdapterContext, blobs: Blobs) -> None:
    dam = FakeResourceSpace()
    try:
        recorder = Recorder(dam.host)
        options = {
            "base_url": dam.base_url,
            "user": "connector",
            "private_key": "key",
            "fields": {"external_id": 88, "sku": 89, "decision": 101},
            "secret_values": {"key": KEY},
            "wrong_values": {"no_key": {"key": "wrong"}},
        }

        def decide(ref: str) -> None:
            dam.decide(ref, "rejected", "rita", "archive")

        scenarios.resourcespace(recorder, context, options, blobs, decide, "CH123:1")
    finally:
        dam.stop()
    assert list(differences(recorder.exchanges, load("resourcespace"))) == []


def test_the_fake_resourcespace_answers_about_photos_as_the_real_one(context: AdapterContext) -> None:
    dam = FakeResourceSpace()
    try:
        recorder = Recorder(dam.host)
        options = {
            "base_url": dam.base_url,
            "user": "connector",
            "private_key": "key",
            "fields": {"external_id": 88},
            "sources": {"sku_field": "95"},
            "secret_values": {"key": KEY},
        }
        scenarios.resourcespace_photos(recorder, context, options, dam)
    finally:
        dam.stop()
    assert list(differences(recorder.exchanges, load("resourcespace_photos"))) == []


def test_the_fake_directus_answers_as_the_real_one(context: AdapterContext, blobs: Blobs) -> None:
    dam = FakeDirectus()
    try:
        recorder = Recorder(dam.host)
        options = {
            "base_url": dam.base_url,
            "token": "token",
            "webhook_secret": "hook",
            "secret_values": {"token": "key_fake", "hook": "hook"},
            "wrong_values": {"no_key": {"token": "wrong"}},
        }

        def decide(ref: str) -> None:
            dam.decide(ref, "rejected", "rita", "legs")

        unknown = "00000000-0000-4000-8000-00000000dead"
        scenarios.resourcespace(
            recorder, context, options, blobs, decide, "CH123:1", adapter="directus", unknown=unknown
        )
    finally:
        dam.stop()
    assert list(differences(recorder.exchanges, load("directus"))) == []


def test_the_fake_vendure_answers_as_the_real_one(context: AdapterContext, blobs: Blobs) -> None:
    shop = FakeVendure()
    try:
        recorder = Recorder(shop.host)
        options = {
            "base_url": shop.base_url,
            "user": "superadmin",
            "password": "password",
            "secret_values": {"password": "key_fake"},
            "wrong_values": {"no_password": {"password": "wrong"}},
        }
        scenarios.vendure_channel(recorder, context, options, blobs)
    finally:
        shop.stop()
    assert list(differences(recorder.exchanges, load("vendure_channel"))) == []


def test_the_fake_vendure_pim_answers_as_the_real_one(context: AdapterContext) -> None:
    shop = FakePim(vendure)
    try:
        recorder = Recorder(shop.host)
        options = {
            "base_url": shop.url,
            "user": "superadmin",
            "password": "password",
            "secrets": ["hook"],
            "secret_values": {"password": "word", "hook": "hook"},
            "wrong_values": {"no_password": {"password": "wrong"}},
        }
        scenarios.vendure_pim(recorder, context, options, {"product": "1", "unknown": "99"})
    finally:
        shop.stop()
    assert list(differences(recorder.exchanges, load("vendure_pim"))) == []


def test_the_fake_saleor_channel_answers_as_the_real_one(context: AdapterContext, blobs: Blobs) -> None:
    shop = FakeSaleor()
    shop.add_second_variant()
    try:
        recorder = Recorder(shop.host)
        options = {"api_url": f"{shop.base_url}/graphql/", **saleor_options("key_fake")}
        scenarios.saleor_channel(recorder, context, options, blobs)
        shop.remove_variant("CH124")
        channel = scenarios.opened("channel", "saleor", options, context, recorder)
        gone = scenarios.listing(sku="CH124")
        recorder.run("read what a deleted variant shows", lambda: channel.live_files(gone))
        recorder.run("remove what a deleted variant shows", lambda: channel.sync(gone, blobs))
    finally:
        shop.stop()
    assert list(differences(recorder.exchanges, load("saleor_channel"))) == []


def saleor_options(token: str) -> dict[str, Any]:
    return {
        "token": "token",
        "secret_values": {"token": token},
        "wrong_values": {"no_token": {"token": "of an app that was removed"}},
    }


def test_the_fake_saleor_pim_answers_as_the_real_one(context: AdapterContext) -> None:
    shop = FakePim(saleor)
    try:
        recorder = Recorder(shop.host)
        options = {"api_url": f"{shop.url}/graphql/", **saleor_options("token")}
        refs = {"product": SALEOR_PRODUCT["id"], "unknown": "UHJvZHVjdDo5ODc2NTQ="}
        scenarios.saleor_pim(recorder, context, options, refs)
    finally:
        shop.stop()
    assert list(differences(recorder.exchanges, load("saleor_pim"))) == []


def test_the_fake_apps_of_saleor_are_set_up_as_the_real_ones(context: AdapterContext) -> None:
    shop = FakePim(FakeSaleorApps())
    try:
        recorder = Recorder(shop.host)
        options = {"base_url": shop.url, "token": "staff"}
        options["secret_values"] = {"staff": ":".join(STAFF.values())}
        scenarios.set_up(recorder, context, options, "pim", "saleor")
    finally:
        shop.stop()
    assert list(differences(recorder.exchanges, load("saleor_setup"))) == []


def test_the_fake_roles_of_vendure_are_set_up_as_the_real_ones(context: AdapterContext) -> None:
    shop = FakePim(FakeVendureRoles())
    try:
        recorder = Recorder(shop.host)
        options = {"base_url": shop.url, "token": "admin"}
        secrets = {"admin": ":".join(ADMIN.values()), "env/VENDURE_PASSWORD": "own-word"}
        scenarios.set_up(recorder, context, {**options, "secret_values": secrets}, "pim", "vendure")
    finally:
        shop.stop()
    assert list(differences(recorder.exchanges, load("vendure_setup"))) == []


def test_the_fake_resourcespace_is_set_up_as_the_real_one(context: AdapterContext) -> None:
    dam = FakeResourceSpace()
    try:
        recorder = Recorder(dam.host)
        options = {"base_url": dam.base_url, "token": "key", "secret_values": {"key": KEY}}
        with pytest.raises(Refused, match="not an admin's"):
            scenarios.set_up(Recorder(dam.host), context, options, "dam", "resourcespace")
        dam.rights |= {"a"}
        there = [
            "External id",
            "Sku",
            "Deliverable",
            "Slot",
            "Generator",
            "Made with",
            "Prompt",
            "Report",
            "Review url",
            "Decision",
        ]
        dam.field_titles |= {str(192 + n): title for n, title in enumerate(there)}
        found = scenarios.set_up(recorder, context, options, "dam", "resourcespace")
        assert sum(not each.exists for each in found) == len(found) - len(there) == 4
    finally:
        dam.stop()
    assert list(differences(recorder.exchanges, load("resourcespace_setup"))) == []


def test_the_fake_webhooks_of_woocommerce_are_set_up_as_the_real_ones(context: AdapterContext) -> None:
    hooks = FakeWebhooks()
    shop = FakePim(hooks)
    try:
        recorder = Recorder(shop.host)
        options = {"base_url": shop.url, **WEBHOOK_OPTIONS}
        found = scenarios.set_up(recorder, context, options, "pim", "woocommerce")
        assert len(found) == 4 and not any(each.exists for each in found)
        assert {each["status"] for each in hooks.rows} == {"active"}
        assert list(differences(recorder.exchanges, load("woocommerce_setup"))) == []
        hooks.rows[2]["status"] = "disabled"  # as WooCommerce does after five failures
        (off,) = [
            e for e in scenarios.set_up(recorder, context, options, "pim", "woocommerce") if not e.exists
        ]
        assert "which was switched off" in off.description and hooks.rows[2]["status"] == "active"
        assert len(hooks.rows) == 4
    finally:
        shop.stop()


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_recording_has_no_secret_and_no_address(name: str) -> None:
    text = (DATA / f"{name}_calls.jsonl").read_text(encoding="utf-8")
    assert not re.search(r"ck_[0-9a-f]{40}|cs_[0-9a-f]{40}|127\.0\.0\.1|localhost|[0-9a-f]{64}", text)
    assert not re.search(r"https?://(?!vendor\.example)", text)


def test_a_fake_that_answers_otherwise_is_found() -> None:
    real = load("woocommerce_pim")
    other = [{**real[0], "status": 500}, *real[1:]]
    assert any("500" in line for line in differences(other, real))
    answer = {**real[0]["answer"], "id": "13", "invented": 1}
    found = list(differences([{**real[0], "answer": answer}, *real[1:]], real))
    assert len(found) == 2 and all("/id" in line or "/invented" in line for line in found)
    assert list(differences(real[:-1], real))
