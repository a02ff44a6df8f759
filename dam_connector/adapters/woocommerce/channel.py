"""WooCommerce as a channel: pictures are in the product's gallery; models are links in its meta data.

Options: `base_url`; `consumer_key` and `consumer_secret` of the shop (REST API wc/v3), by default
`env/WOOCOMMERCE_KEY` and `env/WOOCOMMERCE_SECRET`; `user` and `password`, an application password of
WordPress (REST API wp/v2), by default `env/WORDPRESS_PASSWORD`; `formats` of pictures, by default
["jpeg", "png", "webp"]; `place`, "after" (default) or "before" the shop's own
pictures, unless a merchant moved them. Facts:
docs/connections/woocommerce.md.

Most sites refuse to store models, so the product gets their public URLs. Pictures are uploaded through
WordPress; their slug is made from the SKU and the SHA-256, so that a repeat finds them. The product's
meta data lists them.
"""

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from dam_connector.adapters.common.api_client import MAX_FILE_BYTES, TRANSFER_TIMEOUT_S, basic_auth
from dam_connector.adapters.common.context import AdapterContext, check_options, choice_option, url_option
from dam_connector.adapters.common.envelopes import parse_json
from dam_connector.adapters.common.shop_media import (
    arrange_media,
    ensure_media,
    formats_option,
    replaced_media,
    select_media,
    shop_picture,
)
from dam_connector.adapters.woocommerce.client import (
    MAX_JSON_BYTES,
    MEDIA_IDS_KEY,
    WooCommerceClient,
    meta_value,
)
from dam_connector.domain.listing import Listing, MediaFile
from dam_connector.errors import BadOutput, NotFound, Refused
from dam_connector.ports import Blobs, ShopPicture

DEFAULT_FORMATS = ("jpeg", "png", "webp")
LINK_KEYS = {  # format -> beginning of the meta data key that holds the public URL; `_SKU` follows
    "glb": "_dam_connector_glb",
    "usdz": "_dam_connector_usdz",
}
FILES_KEY = "_dam_connector_files"  # in a product's meta data: {SKU: {SHA-256: id of the picture}}
ORDER_KEY = "_dam_connector_order"  # in a product's meta data: its gallery in the order of the option `place`
TEST_PICTURE = base64.b64decode(  # a PNG of one white pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4//8/AAX+Av4N70a4AAAAAElFTkSuQmCC"
)
MAX_FOUND = 100  # pictures of ours for one SKU that are read at once


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
            self._remove_all(sku)
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
        gallery, recorded = _gallery(product), _recorded(product)
        before = {sha256: int(id) for sha256, id in recorded.get(sku, {}).items()}
        existing = {sha256: id for sha256, id in before.items() if id in gallery}
        number = int(product["id"])
        ids = ensure_media(files, existing, lambda file: self._add(file, sku, number, blobs))
        recorded[sku] = {file.sha256: id for file, id in zip(files, ids, strict=True)}
        self._update(product, recorded, replaced_media(list(before.values()), ids), links, sku)
        self._describe(product, {id: file.alt_text for file, id in zip(files, ids, strict=True)})
        # an attempt that failed may have left pictures that the product never had
        found = set() if files else {int(media["id"]) for media in self._find_all(sku)}
        for obsolete in sorted({*before.values(), *found} - set(ids)):
            self._delete(obsolete)
        return str(product.get("permalink") or "")

    def _remove_all(self, sku: str) -> None:
        """Remove all that was published for a SKU that the shop has no more, e.g. of a deleted variation."""
        found = self._find_all(sku)
        numbers = {number for media in found if (number := _product_of(media, sku))}
        for number in sorted(numbers):
            with self._context.lock_resource(f"product {number}"):
                self._forget(number, sku)
        for media in found:
            self._delete(int(media["id"]))

    def _find_all(self, sku: str) -> list[dict[str, Any]]:
        """Return all pictures in the site's media library that were published for a SKU."""
        query = urlencode({"search": _sku_mark(sku), "search_columns": "post_content", "per_page": MAX_FOUND})
        return list(_list(self._site, f"/media?{query}"))

    def _forget(self, number: int, sku: str) -> None:
        """Take a SKU's pictures and models off a product that the shop still has."""
        try:
            path = f"/products/{number}"
            product = self._shop.request_json("GET", path, "publish", max_bytes=MAX_JSON_BYTES)
        except NotFound:
            return
        if product.get("status") != "trash":
            self._update(product, {**_recorded(product), sku: {}}, {}, {}, sku)

    def check_rights(self) -> Iterator[str]:
        """Prove that products may be written, and that pictures may be stored and deleted."""
        try:  # of no product
            self._shop.request("POST", "/products/batch", "publish", json={}, max_bytes=MAX_JSON_BYTES)
        except Refused as error:
            reason = "its REST key may not write products; make one with Read/Write"
            raise Refused("woocommerce", "publish", f"{reason} ({error})") from error
        yield "its key may write products"
        try:
            user = self._site.request_json("GET", "/users/me?context=edit", "publish")
        except Refused as error:
            reason = "the user or the application password is wrong"
            raise Refused("woocommerce", "publish", f"{reason} ({error})") from error
        if not (user.get("capabilities") or {}).get("upload_files"):
            reason = f"the user {user.get('username')} may not upload files; give the role Author"
            raise Refused("woocommerce", "publish", reason)
        media = self._site.request_json(
            "POST",
            "/media",
            "publish",
            fields={"title": "connection test", "description": _sku_mark("connection-test")},
            files=[("file", ("dam-connector-connection-test.png", TEST_PICTURE, "image/png"))],
            timeout_s=TRANSFER_TIMEOUT_S,
        )
        self._delete(int(media["id"]))
        yield "a picture was stored in its media library, and removed again"

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

    def own_pictures(self, sku: str) -> list[ShopPicture]:
        row = self._find_row(sku)
        if row is None:
            raise NotFound("woocommerce", "own_pictures", f"the shop has no product with the SKU {sku}")
        product = self._product_of_row(row)
        images = [*(row.get("images") or ()), *(product.get("images") or ())]  # a variation's own before all
        ours = _ids(product, MEDIA_IDS_KEY)
        theirs = {str(i["src"]): None for i in images if i.get("src") and i.get("id") not in ours}
        return [shop_picture(url) for url in theirs]

    def picture_bytes(self, url: str) -> bytes:
        return self._context.http.get(url, max_bytes=MAX_FILE_BYTES, vendor="woocommerce")

    def _find_product(self, sku: str) -> dict[str, Any] | None:
        row = self._find_row(sku)
        return self._product_of_row(row) if row else None

    def _find_row(self, sku: str) -> dict[str, Any] | None:
        """Return the product or variation of a SKU."""
        rows = _list(self._shop, f"/products?{urlencode({'sku': sku, 'status': 'any'})}")
        return next((row for row in rows if row.get("sku") == sku), None)

    def _product_of_row(self, row: dict[str, Any]) -> dict[str, Any]:
        if not row.get("parent_id"):
            return row
        path = f"/products/{int(row['parent_id'])}"
        return self._shop.request_json("GET", path, "publish", max_bytes=MAX_JSON_BYTES)

    def _add(self, file: MediaFile, sku: str, product: int, blobs: Blobs) -> int:
        """Upload a picture unless an earlier attempt did; return its id in the site's media library.

        Its description has a mark of the SKU and the product's number: they find it when the SKU is gone.
        """
        slug = f"dc-{hashlib.sha256(f'{sku}:{file.sha256}'.encode()).hexdigest()[:32]}"
        if uploaded := next(_list(self._site, f"/media?{urlencode({'slug': slug})}"), None):
            return int(uploaded["id"])
        media = self._site.request_json(
            "POST",
            "/media",
            "publish",
            fields={
                "slug": slug,
                "title": file.name,
                "alt_text": file.alt_text,
                "description": f"{_sku_mark(sku)} product {product}",
            },
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
        replaced: Mapping[int, int],
        links: Mapping[str, str],
        sku: str,
    ) -> None:
        """Write the product's gallery and meta data, unless they are right already.

        The shop shows the first picture of the gallery.

        Args:
            product: the product as it is now.
            recorded: SKU -> SHA-256 -> id, of our pictures that it must have.
            replaced: the id of a picture of ours -> the one that takes its place.
            links: format -> public URL, of this SKU's model.
            sku: the SKU that is published.
        """
        gallery = _gallery(product)
        there = {*gallery, *recorded.get(sku, {}).values()}  # the shop refuses pictures that were deleted
        recorded = {
            name: there_now
            for name, ids in recorded.items()
            if (there_now := {sha256: int(id) for sha256, id in ids.items() if int(id) in there})
        }
        our_ids = [id for ids in recorded.values() for id in ids.values()]
        by_rule, wanted = self._arrange(product, our_ids, replaced)
        meta = {
            MEDIA_IDS_KEY: our_ids,
            FILES_KEY: recorded,
            ORDER_KEY: by_rule,
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

    def _describe(self, product: Mapping[str, Any], alt_texts: Mapping[int, str]) -> None:
        """Write the alt texts that changed of pictures that the product has; WordPress joins white space."""
        known = {image.get("id"): image.get("alt") for image in product.get("images") or ()}
        for id, text in alt_texts.items():
            if id in known and " ".join(str(known[id] or "").split()) != " ".join(text.split()):
                self._site.request("POST", f"/media/{id}", "publish", json={"alt_text": text})

    def _arrange(
        self, product: Mapping[str, Any], our_ids: list[int], replaced: Mapping[int, int]
    ) -> tuple[list[int], list[int]]:
        """Return the gallery in the order of the option `place`, and in the order to write.

        They differ where a merchant moved pictures since we wrote the gallery: that order stays. A new
        version takes the place of the one before.
        """
        gallery, previous_ids = _gallery(product), _ids(product, MEDIA_IDS_KEY)
        written, first = _ids(product, ORDER_KEY), self._first
        return arrange_media(gallery, previous_ids, our_ids, written, replaced, first=first)

    def _delete(self, media_id: int) -> None:
        try:
            self._site.request("DELETE", f"/media/{media_id}?force=true", "publish")
        except NotFound:
            pass


def _gallery(product: Mapping[str, Any]) -> list[int]:
    return [int(image["id"]) for image in product.get("images") or ()]


def _ids(product: Mapping[str, Any], key: str) -> list[int]:
    """Return a list of pictures' ids in a product's meta data."""
    ids = meta_value(product, key)
    return [int(id) for id in ids] if isinstance(ids, list) else []


def _recorded(product: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the pictures that we published for each SKU of a product."""
    files = meta_value(product, FILES_KEY)
    rows = files.items() if isinstance(files, dict) else ()
    return {name: dict(ids) for name, ids in rows if isinstance(ids, dict)}


def _sku_mark(sku: str) -> str:
    """Return a word by which the site's search finds all pictures that we published for a SKU."""
    return f"dc-sku-{hashlib.sha256(sku.encode()).hexdigest()[:32]}"


def _product_of(media: Mapping[str, Any], sku: str) -> int:
    """Return the number of the product that a picture of ours was published for; 0 if it has none."""
    description = media.get("description")
    text = str(description.get("rendered") or "") if isinstance(description, dict) else ""
    found = re.search(rf"{_sku_mark(sku)} product (\d+)", text)
    return int(found[1]) if found else 0


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
