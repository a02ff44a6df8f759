"""Saleor as a channel: pictures are media of the product; models are links in its metadata (GraphQL API).

Options: `api_url`; `token`, by default `env/SALEOR_TOKEN`; `formats` of pictures, by default
["jpeg", "png", "webp"]; `place`, "after" (default) or "before" the shop's own media; `languages`,
further locales whose texts the listing has. Facts: docs/connections/saleor.md.

Saleor refuses to store models, so it gets their public URLs. Our media have metadata: their SKU and
SHA-256. They belong to the product and are assigned to the variant if the product has several. The product's
metadata has a mark of each SKU, by which its media are found when the variant is gone.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from dam_connector.adapters.common.api_client import MAX_FILE_BYTES
from dam_connector.adapters.common.context import AdapterContext, check_options, choice_option
from dam_connector.adapters.common.graphql import nodes
from dam_connector.adapters.common.shop_media import (
    arrange_media,
    ensure_media,
    formats_option,
    replaced_media,
    select_media,
    shop_picture,
)
from dam_connector.adapters.saleor.client import (
    METADATA_KEY,
    SaleorClient,
    api_url_option,
    is_ours,
    metadata_value,
)
from dam_connector.adapters.saleor.translations import MAX_ALT_CHARACTERS, write_translations
from dam_connector.domain.listing import Listing, MediaFile
from dam_connector.errors import BadOutput, NotFound
from dam_connector.ports import Blobs, ShopPicture

DEFAULT_FORMATS = ("jpeg", "png", "webp")
LINKED_FORMATS = ("glb", "usdz")
ORDER_KEY = f"{METADATA_KEY}.order"  # in a product's metadata: its media in the order of the option `place`
_MEDIA = "id url(size: 0) alt type sortOrder metadata { key value }"  # with no size: of a thumbnail
_ERRORS = "errors { field message }"
_VARIANT_QUERY = f"""query Place($sku: String!) {{ productVariant(sku: $sku) {{ id media {{ id }}
  product {{ id metadata {{ key value }} variants {{ id }} media {{ {_MEDIA} }} }} }} }}"""
_LEFT_QUERY = f"""query Left($key: String!) {{ products(first: 20, where: {{metadata: [{{key: $key}}]}}) {{
  edges {{ node {{ id metadata {{ key value }} media {{ {_MEDIA} }} }} }} }} }}"""
_ADD = f"""mutation Add($product: ID!, $alt: String!, $file: Upload!) {{
  productMediaCreate(input: {{product: $product, alt: $alt, image: $file}}) {{
    media {{ {_MEDIA} }} {_ERRORS} }} }}"""
_UPDATE = f"""mutation Describe($id: ID!, $alt: String!) {{
  productMediaUpdate(id: $id, input: {{alt: $alt}}) {{ {_ERRORS} }} }}"""
_UNMARK = f"""mutation Unmark($id: ID!, $keys: [String!]!) {{
  deleteMetadata(id: $id, keys: $keys) {{ {_ERRORS} }} }}"""
_ORDER = f"""mutation Order($product: ID!, $ids: [ID!]!) {{
  productMediaReorder(productId: $product, mediaIds: $ids) {{ {_ERRORS} }} }}"""
_ASSIGN = f"""mutation Show($variant: ID!, $id: ID!) {{
  variantMediaAssign(variantId: $variant, mediaId: $id) {{ {_ERRORS} }} }}"""
_DELETE = f"mutation Drop($ids: [ID!]!) {{ productMediaBulkDelete(ids: $ids) {{ {_ERRORS} }} }}"

Media = Mapping[str, Any]


class SaleorChannel:
    """A `Channel` for one shop; a product is found by the SKU of a variant."""

    def __init__(
        self, context: AdapterContext, client: SaleorClient, formats: tuple[str, ...], *, first: bool
    ) -> None:
        self._context, self._client, self._formats, self._first = context, client, formats, first

    def sync(self, listing: Listing, blobs: Blobs) -> str:
        files, sku = select_media(listing, self._formats), listing.product.sku
        links = {_link_key(m.file.format, sku): m.link for m in select_media(listing, LINKED_FORMATS)}
        variant = self._find_variant(sku)
        if variant is None:
            self._client.require_app("publish")
            if files or links:
                raise NotFound("saleor", "publish", f"the shop has no variant with the SKU {sku}")
            self._remove_what_is_left(sku)
            return self._client.origin
        with self._context.lock_resource(
            f"product {variant['product']['id']}"
        ):  # other variants share its media
            return self._sync_media(self._find_variant(sku) or variant, listing, files, links, blobs)

    def _sync_media(
        self,
        variant: Mapping[str, Any],
        listing: Listing,
        files: list[MediaFile],
        links: Mapping[str, str],
        blobs: Blobs,
    ) -> str:
        product, sku = variant["product"], listing.product.sku
        existing = {metadata_value(m, f"{METADATA_KEY}.sha256"): m for m in _media_of(product, sku)}
        if files and not metadata_value(product, _mark_key(sku)):
            self._client.write_metadata(str(product["id"]), {_mark_key(sku): "published"})
        ours = ensure_media(files, existing, lambda file: self._add(file, sku, product, blobs))
        our_ids = {m["id"] for m in ours}
        for file, media in zip(files, ours, strict=True):
            if (alt := _alt_text(file)) != media.get("alt"):
                self._client.mutate(_UPDATE, {"id": media["id"], "alt": alt}, "productMediaUpdate")
        self._order(product, sku, ours)
        if len(product["variants"]) > 1:
            assigned = {m["id"] for m in variant["media"]}
            for media in ours:
                if media["id"] not in assigned:
                    self._client.mutate(
                        _ASSIGN, {"variant": variant["id"], "id": media["id"]}, "variantMediaAssign"
                    )
        if obsolete := [m["id"] for m in existing.values() if m["id"] not in our_ids]:
            self._client.mutate(_DELETE, {"ids": obsolete}, "productMediaBulkDelete")
        self._write_links(product, links, sku, has_media=bool(files))
        if ours and listing.translated:
            write_translations(self._client, product, listing, files, ours)
        return str(ours[0].get("url")) if ours else self._client.origin

    def expected_files(self, listing: Listing) -> tuple[str, ...]:
        stored, linked = select_media(listing, self._formats), select_media(listing, LINKED_FORMATS)
        return tuple(media.name for media in (*stored, *linked))

    def live_files(self, listing: Listing) -> tuple[str, ...]:
        sku = listing.product.sku
        variant = self._find_variant(sku)
        if variant is None:
            return tuple(_name(m) for product in self._products_left(sku) for m in _media_of(product, sku))
        product = variant["product"]
        stored = [_name(m) for m in _media_of(product, sku)]
        linked = [
            m.name
            for m in select_media(listing, LINKED_FORMATS)
            if metadata_value(product, _link_key(m.file.format, sku)) == m.link
        ]
        return (*stored, *linked)

    def check_rights(self) -> Iterator[str]:
        """Prove that the token is an app's, which may change products."""
        self._client.require_app("publish")
        yield "its app may change products and their media"

    def _products_left(self, sku: str) -> list[Mapping[str, Any]]:
        """Return the products that have media of a SKU which the shop has no more."""
        return list(
            nodes(self._client.query(_LEFT_QUERY, {"key": _mark_key(sku)}, "publish").get("products"))
        )

    def _remove_what_is_left(self, sku: str) -> None:
        """Remove all that was published for a SKU that the shop has no more, e.g. of a deleted variant."""
        for product in self._products_left(sku):
            with self._context.lock_resource(f"product {product['id']}"):
                if left := [m["id"] for m in _media_of(product, sku)]:
                    self._client.mutate(_DELETE, {"ids": left}, "productMediaBulkDelete")
                self._write_links(product, {}, sku, has_media=False)

    def own_pictures(self, sku: str) -> list[ShopPicture]:
        variant = self._find_variant(sku)
        if variant is None:
            raise NotFound("saleor", "own_pictures", f"the shop has no variant with the SKU {sku}")
        of_sku = {media["id"] for media in variant["media"]}
        theirs = [m for m in variant["product"]["media"] if m.get("type") == "IMAGE" and not is_ours(m)]
        theirs.sort(key=lambda media: media["id"] not in of_sku)  # its own before the product's
        return [shop_picture(str(media["url"])) for media in theirs]

    def picture_bytes(self, url: str) -> bytes:
        return self._context.http.get(url, max_bytes=MAX_FILE_BYTES, vendor="saleor")

    def _find_variant(self, sku: str) -> dict[str, Any] | None:
        data = self._client.query(_VARIANT_QUERY, {"sku": sku}, "publish")
        found: dict[str, Any] | None = data.get("productVariant")
        return found

    def _add(self, file: MediaFile, sku: str, product: Mapping[str, Any], blobs: Blobs) -> Media:
        """Upload a picture and mark it as ours.

        An earlier attempt may have uploaded it without the mark; it is then found by the name of its file.
        """
        stem = file.name.rpartition(".")[0]
        unmarked = (
            m
            for m in product["media"]
            if not is_ours(m) and str(m.get("url", "")).rpartition("/")[2].startswith(stem)
        )
        media: Media | None = next(unmarked, None)
        if media is None:
            upload = (file.name, blobs.get(file.sha256), file.file.mime)
            variables = {"product": product["id"], "alt": _alt_text(file), "file": None}
            data = self._client.query(_ADD, variables, "publish", file=upload)
            media = self._client.mutation_result(data, "productMediaCreate", "publish").get("media")
        if not media:
            raise BadOutput("saleor", "publish", "/data/productMediaCreate/media: it is missing")
        self._client.write_metadata(
            str(media["id"]),
            {METADATA_KEY: sku, f"{METADATA_KEY}.sha256": file.sha256, f"{METADATA_KEY}.name": file.name},
        )
        return media

    def _order(self, product: Mapping[str, Any], sku: str, ours: list[Media]) -> None:
        """Put our media after or before the others, in the listing's order, unless a merchant moved them.

        Those that are not listed any more are deleted afterwards; until then Saleor wants their ids, too.
        """
        gallery = [str(m["id"]) for m in product["media"]]
        previous, our_ids = [str(m["id"]) for m in _media_of(product, sku)], [str(m["id"]) for m in ours]
        written = metadata_value(product, ORDER_KEY).split()
        replaced = replaced_media(previous, our_ids)
        by_rule, wanted = arrange_media(gallery, previous, our_ids, written, replaced, first=self._first)
        obsolete = [id for id in previous if id not in our_ids]
        if [*wanted, *obsolete] != gallery:
            ids = [*wanted, *obsolete]
            self._client.mutate(_ORDER, {"product": product["id"], "ids": ids}, "productMediaReorder")
        if our_ids and by_rule != written:
            self._client.write_metadata(str(product["id"]), {ORDER_KEY: " ".join(by_rule)})

    def _write_links(
        self, product: Mapping[str, Any], links: Mapping[str, str], sku: str, *, has_media: bool
    ) -> None:
        """Write the models' URLs into the product's metadata; delete what is no longer listed."""
        changed = {key: link for key, link in links.items() if metadata_value(product, key) != link}
        if changed:
            self._client.write_metadata(str(product["id"]), changed)
        keys = [_link_key(format, sku) for format in LINKED_FORMATS]
        obsolete = [key for key in keys if key not in links and metadata_value(product, key)]
        if not has_media and metadata_value(product, _mark_key(sku)):
            obsolete.append(_mark_key(sku))
        if obsolete:
            self._client.mutate(_UNMARK, {"id": product["id"], "keys": obsolete}, "deleteMetadata")


def _alt_text(file: MediaFile) -> str:
    return file.alt_text[:MAX_ALT_CHARACTERS]


def _media_of(product: Mapping[str, Any], sku: str) -> list[Media]:
    """Return the media of a product that were published for a SKU."""
    return [m for m in product.get("media") or () if metadata_value(m, METADATA_KEY) == sku]


def _name(media: Media) -> str:
    return metadata_value(media, f"{METADATA_KEY}.name")


def _link_key(format: str, sku: str) -> str:
    return f"{METADATA_KEY}.{format}.{sku}"


def _mark_key(sku: str) -> str:
    return f"{METADATA_KEY}.media.{sku}"


def connect(options: Mapping[str, Any], context: AdapterContext) -> SaleorChannel:
    """Open the adapter.

    Raises:
        ConfigError: an option is wrong.
    """
    check_options(options, "api_url", "token", "formats", "place", "languages")
    token = context.secret(str(options.get("token", "env/SALEOR_TOKEN")))
    client = SaleorClient(context.http, api_url_option(options), token)
    first = choice_option(options, "place", "after", ("after", "before")) == "before"
    return SaleorChannel(context, client, formats_option(options, DEFAULT_FORMATS), first=first)
