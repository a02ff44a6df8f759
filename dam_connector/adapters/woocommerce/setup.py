"""Setup of a WooCommerce shop for the connector: its webhooks, and those switched on again that it gave up.

`dam-connector connect pim woocommerce` lists them before it creates any. Its keys must be Read/Write; the
connection of the PIM itself needs Read only.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from dam_connector.adapters.common.api_client import basic_auth
from dam_connector.adapters.common.context import AdapterContext
from dam_connector.adapters.common.envelopes import parse_json
from dam_connector.adapters.common.preparation import Preparation
from dam_connector.adapters.woocommerce.client import MAX_JSON_BYTES, WooCommerceClient
from dam_connector.errors import BadOutput

TOPICS = ("product.created", "product.updated", "product.deleted", "product.restored")
SECRET = "env/WOOCOMMERCE_WEBHOOK_SECRET"
PAGE_SIZE = 100
BY_HAND = (
    "Make a REST key with Read for the connection of the PIM (WooCommerce, Settings, Advanced, REST API); "
    "one with Read/Write is needed for this command, and for the channel.",
    "As a channel: a WordPress user with the role Author or Shop manager, and an application password of it "
    "in WORDPRESS_PASSWORD.",
    "Let a real cron call wp-cron.php each minute: WordPress delivers webhooks by it.",
)


def prepare(options: Mapping[str, Any], context: AdapterContext, webhook_url: str) -> Iterator[Preparation]:
    """Yield the webhooks that the connector needs in the shop, and whether they exist and are active.

    Args:
        options: the options of the connection in plugin.json; its keys must be Read/Write.
        webhook_url: the address to which they deliver.

    Raises:
        AdapterError: the shop cannot be reached, or its keys may not write webhooks.
    """
    key, secret = (
        context.secret(str(options.get(name, f"env/WOOCOMMERCE_{short}")))
        for name, short in (("consumer_key", "KEY"), ("consumer_secret", "SECRET"))
    )
    address = f"{str(options['base_url']).rstrip('/')}/wp-json/wc/v3"
    client = WooCommerceClient(context.http, address, {"Authorization": basic_auth(key, secret)})
    signed_with = context.secret(next(iter(options.get("secrets") or ()), SECRET))
    known = list(_webhooks(client))
    for topic in TOPICS:
        found = next(
            (each for each in known if (each.get("topic"), each.get("delivery_url")) == (topic, webhook_url)),
            None,
        )
        body = {"name": f"dam-connector {topic}", "topic": topic, "status": "active"}
        path = f"/webhooks/{int(found['id'])}" if found else "/webhooks"
        changes = {"status": "active"} if found else {**body, "delivery_url": webhook_url}
        is_off = found is not None and found.get("status") != "active"
        yield Preparation(
            description=f"webhook `{topic}` to {webhook_url}{', which was switched off' if is_off else ''}",
            exists=found is not None and not is_off,
            create=partial(_write, client, "PUT" if found else "POST", path, changes, signed_with),
        )


def _webhooks(client: WooCommerceClient) -> Iterator[Mapping[str, Any]]:
    """Yield all webhooks of the shop, page by page."""
    page = 1
    while True:
        path = f"/webhooks?per_page={PAGE_SIZE}&page={page}"
        rows = parse_json(client.request("GET", path, "setup", max_bytes=MAX_JSON_BYTES).body, "woocommerce")
        if not isinstance(rows, list):
            raise BadOutput("woocommerce", "setup", "/: the response is not a list")
        yield from (row for row in rows if isinstance(row, dict) and "id" in row)
        if len(rows) < PAGE_SIZE:
            return
        page += 1


def _write(
    client: WooCommerceClient, method: str, path: str, body: Mapping[str, Any], signed_with: str
) -> None:
    client.request(method, path, "setup", json={**body, "secret": signed_with}, max_bytes=MAX_JSON_BYTES)


def entry(options: Mapping[str, Any], context: AdapterContext) -> dict[str, Any]:
    """Return the connection as plugin.json has it."""
    return {"adapter": "woocommerce", "base_url": options["base_url"], "secrets": [SECRET]}
