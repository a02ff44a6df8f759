"""WooCommerce as a channel: pictures are in the product's gallery; models are links in its meta data.

Options: `base_url`; `consumer_key` and `consumer_secret` of the shop (REST API wc/v3), by default
`env/WOOCOMMERCE_KEY` and `env/WOOCOMMERCE_SECRET`; `user` and `password`, an application password of
WordPress (REST API wp/v2), by default `env/WORDPRESS_PASSWORD`; `formats` of pictures, by default
["jpeg", "png", "webp"]; `place`, "after" (default) or "before" the shop's own pictures. Facts:
docs/connections/woocommerce.md.

Most sites refuse to store models, so the product gets their public URLs. Pictures are uploaded through
WordPress; their slug is made from the SKU and the SHA-256, so that a repeat finds them. The product's
meta data lists them.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from dam_connector.adapters.common.api_client import TRANSFER_TIMEOUT_S, basic_auth
from dam_connector.adapters.common.context import AdapterContext, check_options, choice_option, url_option
from dam_connector.adapters.common.envelopes import parse_json
from dam_connector.adapters.common.shop_media import ensure_media, formats_option, merge_media, select_media
from dam_connector.adapters.woocommerce.client import (
    MAX_JSON_BYTES,
    MEDIA_IDS_KEY,
    WooCommerceClient,
    meta_value,
)
from dam_connector.domain.listing import Listing, MediaFile
from dam_connector.errors import BadOutput, NotFound
from dam_connector.ports import Blobs

DEFAULT_FORMATS = ("jpeg", "png", "webp")
LINK_KEYS = {  # format -> beginning of the meta data key that holds the public URL; `_SKU` follows
    "glb": "_dam_connector_glb",
    "usdz": "_dam_connector_usdz",
}
FILES_KEY = "_dam_connector_files"  # in a product's meta data: {SKU: {SHA-256: id of the picture}}


class WooCommerceChannel:
    """A `Channel` for one shop; a product is found by SKU, and a variation's media go to its product."""

    def __init__(
        self,
        context: AdapterContext,
        shop: WooCommerceClient,
        site: WooCommerceClient,
        formats: tuple[str, ...],
        *,
        first: bool,
    ) -> None:
        self._context, self._shop, self._site, self._formats, self._first = (
            context,
            shop,
            site,
            formats,
            first,
        )

    def sync(self, listing: Listing, blobs: Blobs) -> str:
        files, sku = select_media(listing, self._formats), listing.product.sku
        links = {m.file.format: m.link for m in select_media(listing, tuple(LINK_KEYS))}
        product = self._find_product(sku)
        if product is None:
            if files or links:
                raise NotFound("woocommerce", "publish", f"the shop has no product with the SKU {sku}")
            return ""
        with self._context.lock_resource(f"product {product['id']}"):  # other variations share its gallery
            return self._sync_product(self._find_product(sku) or product, sku, files, links, blobs)

    def _sync_product(
        self,
        product: Mapping[str, Any],
        sku: str,
        files: list[MediaFile],
        links: Mapping[str, str],
        blobs: Blobs,
    ) -> str:
        recorded = {
            name: dict(ids)
            for name, ids in (meta_value(product, FILES_KEY) or {}).items()
            if isinstance(ids, dict)
        }
        existing = {sha256: int(id) for sha256, id in recorded.get(sku, {}).items()}
        ids = ensure_media(files, existing, lambda file: self._add(file, sku, blobs))
        recorded[sku] = {file.sha256: id for file, id in zip(files, ids, strict=True)}
        self._update(product, {name: ids for name, ids in recorded.items() if ids}, links, sku)
        for obsolete in set(existing.values()) - set(ids):
            self._delete(obsolete)
        return str(product.get("permalink") or "")

    def expected_files(self, listing: Listing) -> tuple[str, ...]:
        stored, linked = select_media(listing, self._formats), select_media(listing, tuple(LINK_KEYS))
        return tuple(media.name for media in (*stored, *linked))

    def live_files(self, listing: Listing) -> tuple[str, ...]:
        product, sku = self._find_product(listing.product.sku), listing.product.sku
        if product is None:
            return ()
        recorded = (meta_value(product, FILES_KEY) or {}).get(sku, {})
        sha256_by_id = {int(id): sha256 for sha256, id in recorded.items()}
        shown = [
            sha256_by_id[image["id"]]
            for image in product.get("images") or ()
            if image.get("id") in sha256_by_id
        ]
        names = {m.sha256: m.name for m in select_media(listing, (*self._formats, *LINK_KEYS))}
        linked = [
            m.name
            for m in select_media(listing, tuple(LINK_KEYS))
            if meta_value(product, _link_key(m.file.format, sku)) == m.link
        ]
        return (*(names.get(sha256, sha256) for sha256 in shown), *linked)

    def _find_product(self, sku: str) -> dict[str, Any] | None:
        rows = _list(self._shop, f"/products?{urlencode({'sku': sku, 'status': 'any'})}")
        found = next((row for row in rows if row.get("sku") == sku), None)
        if found and found.get("parent_id"):
            path = f"/products/{int(found['parent_id'])}"
            return self._shop.request_json("GET", path, "publish", max_bytes=MAX_JSON_BYTES)
        return found

    def _add(self, file: MediaFile, sku: str, blobs: Blobs) -> int:
        """Upload a picture unless an earlier attempt did; return its id in the site's media library."""
        slug = f"dc-{hashlib.sha256(f'{sku}:{file.sha256}'.encode()).hexdigest()[:32]}"
        if uploaded := next(_list(self._site, f"/media?{urlencode({'slug': slug})}"), None):
            return int(uploaded["id"])
        media = self._site.request_json(
            "POST",
            "/media",
            "publish",
            fields={"slug": slug, "title": file.name, "alt_text": file.alt_text},
            files=[("file", (file.name, blobs.get(file.sha256), file.file.mime))],
            timeout_s=TRANSFER_TIMEOUT_S,
        )
        if not isinstance(media.get("id"), int):
            raise BadOutput("woocommerce", "publish", "/id: the picture has no number")
        return int(media["id"])

    def _update(
        self,
        product: Mapping[str, Any],
        recorded: Mapping[str, Mapping[str, int]],
        links: Mapping[str, str],
        sku: str,
    ) -> None:
        """Write the product's gallery and meta data, unless they are right already.

        The shop shows the first picture of the gallery.

        Args:
            product: the product as it is now.
            recorded: SKU -> SHA-256 -> id, of our pictures that it must have.
            links: format -> public URL, of this SKU's model.
            sku: the SKU that is published.
        """
        previous_ids = {int(id) for id in meta_value(product, MEDIA_IDS_KEY) or ()}
        our_ids = [int(id) for ids in recorded.values() for id in ids.values()]
        gallery = [int(image["id"]) for image in product.get("images") or ()]
        their_ids = [id for id in gallery if id not in previous_ids]
        wanted = merge_media(their_ids, our_ids, first=self._first)
        meta = {
            MEDIA_IDS_KEY: our_ids,
            FILES_KEY: recorded,
            **{_link_key(format, sku): links.get(format, "") for format in LINK_KEYS},
        }
        is_written = all((meta_value(product, key) or "") == (value or "") for key, value in meta.items())
        if wanted == gallery and is_written:
            return
        body = {
            "images": [{"id": id} for id in wanted],
            "meta_data": [{"key": key, "value": value} for key, value in meta.items()],
        }
        path = f"/products/{int(product['id'])}"
        self._shop.request("PUT", path, "publish", json=body, max_bytes=MAX_JSON_BYTES)

    def _delete(self, media_id: int) -> None:
        try:
            self._site.request("DELETE", f"/media/{media_id}?force=true", "publish")
        except NotFound:
            pass


def _link_key(format: str, sku: str) -> str:
    return f"{LINK_KEYS[format]}_{sku}"


def _list(client: WooCommerceClient, path: str) -> Iterator[dict[str, Any]]:
    rows = parse_json(client.request("GET", path, "publish", max_bytes=MAX_JSON_BYTES).body, "woocommerce")
    if not isinstance(rows, list):
        raise BadOutput("woocommerce", "publish", "/: the response is not a list")
    return (row for row in rows if isinstance(row, dict) and "id" in row)


def connect(options: Mapping[str, Any], context: AdapterContext) -> WooCommerceChannel:
    """Open the adapter.

    Raises:
        ConfigError: an option is wrong.
    """
    check_options(
        options, "base_url", "consumer_key", "consumer_secret", "user", "password", "formats", "place"
    )
    base_url = url_option(options).rstrip("/")
    shop_auth = basic_auth(
        context.secret(str(options.get("consumer_key", "env/WOOCOMMERCE_KEY"))),
        context.secret(str(options.get("consumer_secret", "env/WOOCOMMERCE_SECRET"))),
    )
    site_auth = basic_auth(
        str(options.get("user", "")),
        context.secret(str(options.get("password", "env/WORDPRESS_PASSWORD"))),
    )
    return WooCommerceChannel(
        context,
        WooCommerceClient(context.http, f"{base_url}/wp-json/wc/v3", {"Authorization": shop_auth}),
        WooCommerceClient(context.http, f"{base_url}/wp-json/wp/v2", {"Authorization": site_auth}),
        formats_option(options, DEFAULT_FORMATS),
        first=choice_option(options, "place", "after", ("after", "before")) == "before",
    )
