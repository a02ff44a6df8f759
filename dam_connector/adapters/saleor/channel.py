"""Saleor: pictures as media of the product, shown at its variant; models by link in the product's metadata, since it refuses to store them.

Ours carry metadata: of which SKU they are, and the hash of their bytes. Facts: docs/connections/saleor.md.
"""

from collections.abc import Mapping
from typing import Any

from dam_connector.adapters.common.context import AdapterContext, check_options, choice_option
from dam_connector.adapters.common.shop_media import ensure_media, formats_option, merge_media, select_media
from dam_connector.adapters.saleor.client import METADATA_KEY, SaleorClient, api_url_option, is_ours
from dam_connector.domain.listing import Listing, MediaFile
from dam_connector.errors import BadOutput, NotFound
from dam_connector.ports import Blobs

DEFAULT_FORMATS = ("jpeg", "png", "webp")
LINKED_FORMATS = ("glb", "usdz")
_MEDIA = "id url alt type sortOrder metadata { key value }"
_PLACE = f"""query Place($sku: String!) {{ productVariant(sku: $sku) {{ id media {{ id }}
  product {{ id metadata {{ key value }} variants {{ id }} media {{ {_MEDIA} }} }} }} }}"""
_ADD = f"""mutation Add($product: ID!, $alt: String!, $file: Upload!) {{
  productMediaCreate(input: {{product: $product, alt: $alt, image: $file}}) {{ media {{ {_MEDIA} }} errors {{ field message }} }} }}"""
_MARK = "mutation Mark($id: ID!, $said: [MetadataInput!]!) { updateMetadata(id: $id, input: $said) { errors { field message } } }"
_UNMARK = "mutation Unmark($id: ID!, $keys: [String!]!) { deleteMetadata(id: $id, keys: $keys) { errors { field message } } }"
_ORDER = "mutation Order($product: ID!, $ids: [ID!]!) { productMediaReorder(productId: $product, mediaIds: $ids) { errors { field message } } }"
_SHOW = "mutation Show($variant: ID!, $id: ID!) { variantMediaAssign(variantId: $variant, mediaId: $id) { errors { field message } } }"
_DROP = "mutation Drop($ids: [ID!]!) { productMediaBulkDelete(ids: $ids) { errors { field message } } }"
Media = Mapping[str, Any]


class SaleorChannel:
    """A shop's catalog, by SKU."""

    def __init__(self, context: AdapterContext, shop: SaleorClient, wanted: tuple[str, ...], *, first: bool) -> None:
        self._context, self._shop, self._formats, self._first = context, shop, wanted, first

    def sync(self, listing: Listing, blobs: Blobs) -> str:
        wanted, sku = select_media(listing, self._formats), listing.product.sku
        links = {f"{METADATA_KEY}.{m.file.format}.{sku}": m.link for m in select_media(listing, LINKED_FORMATS)}
        variant = self._variant(sku)
        if variant is None:
            if wanted or links:
                raise NotFound("saleor", "publish", f"the shop has no variant with the SKU {sku}")
            return self._shop.origin
        with self._context.lock_resource(f"product {variant['product']['id']}"):  # other variants share its media
            return self._changed(self._variant(sku) or variant, sku, wanted, links, blobs)

    def _changed(
        self,
        variant: Mapping[str, Any],
        sku: str,
        wanted: list[MediaFile],
        links: Mapping[str, str],
        blobs: Blobs,
    ) -> str:
        product = variant["product"]
        known = {_value(m, f"{METADATA_KEY}.sha256"): m for m in product["media"] if _value(m, METADATA_KEY) == sku}
        ours = ensure_media(wanted, known, lambda file: self._added(file, sku, product, blobs))
        self._order(product, sku, ours)
        if len(product["variants"]) > 1:
            shown = {m["id"] for m in variant["media"]}
            for media in ours:
                if media["id"] not in shown:
                    self._do(_SHOW, {"variant": variant["id"], "id": media["id"]}, "variantMediaAssign")
        if gone := [m["id"] for m in known.values() if m["id"] not in {o["id"] for o in ours}]:
            self._do(_DROP, {"ids": gone}, "productMediaBulkDelete")
        self._link(product, links, sku)
        return str(ours[0].get("url")) if ours else self._shop.origin

    def expected_files(self, listing: Listing) -> tuple[str, ...]:
        return tuple(media.name for media in (*select_media(listing, self._formats), *select_media(listing, LINKED_FORMATS)))

    def live_files(self, listing: Listing) -> tuple[str, ...]:
        sku = listing.product.sku
        variant = self._variant(sku)
        if variant is None:
            return ()
        media, links = variant["product"]["media"], select_media(listing, LINKED_FORMATS)
        linked = [
            m.name for m in links if _value(variant["product"], f"{METADATA_KEY}.{m.file.format}.{sku}") == m.link
        ]
        return (*(_value(m, f"{METADATA_KEY}.name") for m in media if _value(m, METADATA_KEY) == sku), *linked)

    def _variant(self, sku: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self._shop.query(_PLACE, {"sku": sku}, "publish").get("productVariant")
        return found

    def _added(self, file: MediaFile, sku: str, product: Mapping[str, Any], blobs: Blobs) -> Media:
        """A picture with our mark: one that an earlier try left without it, known by its file's name, else a new one."""
        stem = file.name.rpartition(".")[0]
        left = (
            m
            for m in product["media"]
            if not is_ours(m) and str(m.get("url", "")).rpartition("/")[2].startswith(stem)
        )
        media: Media | None = next(left, None)
        if media is None:
            upload = (file.name, blobs.get(file.sha256), file.file.mime)
            said = self._shop.query(
                _ADD,
                {"product": product["id"], "alt": file.alt_text[:250], "file": None},
                "publish",
                file=upload,
            )
            media = self._shop.mutation_result(said, "productMediaCreate", "publish").get("media")
        if not media:
            raise BadOutput("saleor", "publish", "/data/productMediaCreate/media: there is none")
        mark = {METADATA_KEY: sku, f"{METADATA_KEY}.sha256": file.sha256, f"{METADATA_KEY}.name": file.name}
        self._do(
            _MARK,
            {"id": media["id"], "said": [{"key": k, "value": v} for k, v in mark.items()]},
            "updateMetadata",
        )
        return media

    def _order(self, product: Mapping[str, Any], sku: str, ours: list[Media]) -> None:
        """Ours stand together, in the listing's order, behind or before the rest, which keeps its own."""
        new = {o["id"] for o in ours}
        theirs = [m for m in product["media"] if _value(m, METADATA_KEY) != sku and m["id"] not in new]
        dropped = [m for m in product["media"] if _value(m, METADATA_KEY) == sku and m["id"] not in new]
        ids = [m["id"] for m in (*merge_media(theirs, ours, first=self._first), *dropped)]
        if ids != [m["id"] for m in product["media"]]:
            self._do(_ORDER, {"product": product["id"], "ids": ids}, "productMediaReorder")

    def _link(self, product: Mapping[str, Any], links: Mapping[str, str], sku: str) -> None:
        there = {format: f"{METADATA_KEY}.{format}.{sku}" for format in LINKED_FORMATS}
        said = [{"key": key, "value": link} for key, link in links.items() if _value(product, key) != link]
        if said:
            self._do(_MARK, {"id": product["id"], "said": said}, "updateMetadata")
        if gone := [key for key in there.values() if key not in links and _value(product, key)]:
            self._do(_UNMARK, {"id": product["id"], "keys": gone}, "deleteMetadata")

    def _do(self, mutation: str, variables: Mapping[str, Any], name: str) -> None:
        self._shop.mutation_result(self._shop.query(mutation, variables, "publish"), name, "publish")


def _value(data: Mapping[str, Any], key: str) -> str:
    return next((str(m.get("value")) for m in data.get("metadata") or () if m.get("key") == key), "")


def connect(options: Mapping[str, Any], context: AdapterContext) -> SaleorChannel:
    check_options(options, "api_url", "token", "formats", "place")
    shop = SaleorClient(context.http, api_url_option(options), context.secret(str(options.get("token", "env/SALEOR_TOKEN"))))
    return SaleorChannel(
        context,
        shop,
        formats_option(options, DEFAULT_FORMATS),
        first=choice_option(options, "place", "after", ("after", "before")) == "before",
    )
