"""WooCommerce: pictures in the product's gallery; models by link in its meta data, since most sites refuse to store them.

Media are put there by an application password of WordPress, products changed by WooCommerce's keys. Ours are known by their slug, which is made
from what they are, and by the product's meta data. Facts: docs/connections/woocommerce.md.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from dam_connector.adapters.common.api_client import TRANSFER_TIMEOUT_S, ApiClient, basic_auth
from dam_connector.adapters.common.context import AdapterContext, check_options, choice_option, url_option
from dam_connector.adapters.common.envelopes import parse_json
from dam_connector.adapters.common.shop_media import ensure_media, formats_option, merge_media, select_media
from dam_connector.domain.listing import Listing, MediaFile
from dam_connector.errors import BadOutput, NotFound
from dam_connector.ports import Blobs

DEFAULT_FORMATS = ("jpeg", "png", "webp")
MEDIA = "_dam_connector_media"  # of a product's meta data: the ids of all pictures of ours, which the source leaves aside
FILES = "_dam_connector_files"  # by SKU, our pictures' ids by the hash of their bytes
LINKS = {
    "glb": "_dam_connector_glb",
    "usdz": "_dam_connector_usdz",
}  # our public addresses of a model's files
MAX_ANSWER = 16_000_000


class WooCommerceChannel:
    """Products by SKU; the media of a variation go to its product."""

    def __init__(self, context: AdapterContext, shop: ApiClient, site: ApiClient, wanted: tuple[str, ...], *, first: bool) -> None:
        self._context, self._shop, self._site, self._formats, self._first = context, shop, site, wanted, first

    def sync(self, listing: Listing, blobs: Blobs) -> str:
        wanted, sku = select_media(listing, self._formats), listing.product.sku
        product = self._product(sku)
        links = {m.file.format: m.link for m in select_media(listing, ("glb", "usdz"))}
        if product is None:
            if wanted or links:
                raise NotFound("woocommerce", "publish", f"the shop has no product with the SKU {sku}")
            return ""
        with self._context.lock_resource(f"product {product['id']}"):  # other variations share its gallery
            return self._changed(self._product(sku) or product, sku, wanted, links, blobs)

    def _changed(
        self,
        product: Mapping[str, Any],
        sku: str,
        wanted: list[MediaFile],
        links: Mapping[str, str],
        blobs: Blobs,
    ) -> str:
        files = {
            name: dict(ids) for name, ids in (_meta(product, FILES) or {}).items() if isinstance(ids, dict)
        }
        before = files.get(sku, {})
        ids = ensure_media(
            wanted,
            {sha256: int(id) for sha256, id in before.items()},
            lambda file: self._added(file, sku, blobs),
        )
        files[sku] = {file.sha256: id for file, id in zip(wanted, ids, strict=True)}
        self._put(product, {name: of for name, of in files.items() if of}, links, sku)
        for gone in {int(id) for id in before.values()} - set(ids):
            self._drop(gone)
        return str(product.get("permalink") or "")

    def expected_files(self, listing: Listing) -> tuple[str, ...]:
        return tuple(
            media.name for media in (*select_media(listing, self._formats), *select_media(listing, ("glb", "usdz")))
        )

    def live_files(self, listing: Listing) -> tuple[str, ...]:
        product = self._product(listing.product.sku)
        if product is None:
            return ()
        known = {
            int(id): sha256
            for sha256, id in (_meta(product, FILES) or {}).get(listing.product.sku, {}).items()
        }
        shown = [known[image["id"]] for image in product.get("images") or () if image.get("id") in known]
        names = {m.sha256: m.name for m in select_media(listing, (*self._formats, "glb", "usdz"))}
        linked = [
            m.name
            for m in select_media(listing, ("glb", "usdz"))
            if _meta(product, _link_of(LINKS[m.file.format], listing.product.sku)) == m.link
        ]
        return (*(names.get(sha256, sha256) for sha256 in shown), *linked)

    def _product(self, sku: str) -> dict[str, Any] | None:
        rows = _rows(self._shop, f"/products?{urlencode({'sku': sku, 'status': 'any'})}")
        found = next((row for row in rows if row.get("sku") == sku), None)
        if found and found.get("parent_id"):
            return self._shop.request_json(
                "GET", f"/products/{int(found['parent_id'])}", "publish", max_bytes=MAX_ANSWER
            )
        return found

    def _added(self, file: MediaFile, sku: str, blobs: Blobs) -> int:
        """The id of a picture in the site's library: one that an earlier try left there, else a new one."""
        slug = f"dc-{hashlib.sha256(f'{sku}:{file.sha256}'.encode()).hexdigest()[:32]}"
        if there := next(_rows(self._site, f"/media?{urlencode({'slug': slug})}"), None):
            return int(there["id"])
        fields = {"slug": slug, "title": file.name, "alt_text": file.alt_text}
        upload = [("file", (file.name, blobs.get(file.sha256), file.file.mime))]
        made = self._site.request_json("POST", "/media", "publish", fields=fields, files=upload, timeout_s=TRANSFER_TIMEOUT_S)
        if not isinstance(made.get("id"), int):
            raise BadOutput("woocommerce", "publish", "/id: the picture has none")
        return int(made["id"])

    def _put(
        self,
        product: Mapping[str, Any],
        files: Mapping[str, Mapping[str, int]],
        links: Mapping[str, str],
        sku: str,
    ) -> None:
        """Give the product these of ours beside its own; the first picture is the one that the shop shows."""
        was = {int(id) for id in _meta(product, MEDIA) or ()}
        ours = [int(id) for of in files.values() for id in of.values()]
        theirs = [int(image["id"]) for image in product.get("images") or () if int(image["id"]) not in was]
        wanted = merge_media(theirs, ours, first=self._first)
        meta = {
            MEDIA: ours,
            FILES: files,
            **{_link_of(name, sku): links.get(format, "") for format, name in LINKS.items()},
        }
        if wanted == [int(image["id"]) for image in product.get("images") or ()] and all(
            (_meta(product, k) or "") == (v or "") for k, v in meta.items()
        ):
            return
        body = {
            "images": [{"id": id} for id in wanted],
            "meta_data": [{"key": key, "value": value} for key, value in meta.items()],
        }
        self._shop.request("PUT", f"/products/{int(product['id'])}", "publish", json=body, max_bytes=MAX_ANSWER)

    def _drop(self, media: int) -> None:
        try:
            self._site.request("DELETE", f"/media/{media}?force=true", "publish")
        except NotFound:
            pass


def _link_of(name: str, sku: str) -> str:
    return f"{name}_{sku}"


def _rows(caller: ApiClient, path: str) -> Iterator[dict[str, Any]]:
    rows = parse_json(caller.request("GET", path, "publish", max_bytes=MAX_ANSWER).body, "woocommerce")
    if not isinstance(rows, list):
        raise BadOutput("woocommerce", "publish", "the answer is no list")
    return (row for row in rows if isinstance(row, dict) and "id" in row)


def _meta(data: Mapping[str, Any], name: str) -> Any:
    return next(
        (m.get("value") for m in data.get("meta_data") or () if isinstance(m, dict) and m.get("key") == name),
        None,
    )


class _Site(ApiClient):
    vendor = "woocommerce"


def connect(options: Mapping[str, Any], context: AdapterContext) -> WooCommerceChannel:
    check_options(options, "base_url", "consumer_key", "consumer_secret", "user", "password", "formats", "place")
    base = url_option(options).rstrip("/")
    keys = [context.secret(str(options.get(name, usual))) for name, usual in _KEYS.items()]
    word = context.secret(str(options.get("password", "env/WORDPRESS_PASSWORD")))
    shop = _Site(context.http, f"{base}/wp-json/wc/v3", {"Authorization": basic_auth(keys[0], keys[1])})
    site = _Site(
        context.http, f"{base}/wp-json/wp/v2", {"Authorization": basic_auth(str(options.get("user", "")), word)}
    )
    return WooCommerceChannel(
        context,
        shop,
        site,
        formats_option(options, DEFAULT_FORMATS),
        first=choice_option(options, "place", "after", ("after", "before")) == "before",
    )


_KEYS = {"consumer_key": "env/WOOCOMMERCE_KEY", "consumer_secret": "env/WOOCOMMERCE_SECRET"}
