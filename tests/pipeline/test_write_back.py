"""The write-back into a PIM: the address of our AR page is recognised by its channel."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from dam_connector.store.decisions import Publications
from dam_connector.wiring import Services
from tests.support import product
from worker.steps.write_back_to_pim import write_back_to_pim
from worker.work import Work

SHOP_PAGE, AR_PAGE = "https://shop.example/ar/products/chair", "https://dam.example/view/CH123"


@pytest.mark.parametrize(("channels", "page"), [(("shop", "viewer"), AR_PAGE), (("shop",), "")])
def test_an_arabic_shop_page_is_no_ar_page(
    services: Services, monkeypatch: pytest.MonkeyPatch, channels: tuple[str, ...], page: str
) -> None:
    written: dict[str, Any] = {}
    source = SimpleNamespace(
        capabilities=SimpleNamespace(can_write_back=True),
        write_back=lambda ref, values: written.update(values),
    )
    urls = {"shop": SHOP_PAGE, "viewer": AR_PAGE}
    live = [SimpleNamespace(channel=channel, url=urls[channel]) for channel in channels]
    monkeypatch.setattr(Services, "pim", lambda self, name: source)
    monkeypatch.setattr(Publications, "of_product", lambda self, sku: live)
    services.products.upsert(product("CH123"), connection="main", ref="42", source_time=services.clock.now())
    assert services.rules.current().channel["viewer"].adapter == "viewer"
    write_back_to_pim(cast(Work, SimpleNamespace(product=product("CH123"))), services)
    assert written == {"ar_url": page, "status": "published"}
