"""Vendure: pictures and models as assets of the product, or of the variant where it has several.

Ours carry tags: which SKU they are of, and the hash of their bytes; by these a repeat finds them. Facts: docs/connections/vendure.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dam_connector.adapters.common.context import AdapterContext, check_options, choice_option, url_option
from dam_connector.adapters.common.shop_media import ensure_media, formats_option, merge_media, select_media
from dam_connector.adapters.vendure.client import TAG, VendureClient, is_ours
from dam_connector.domain.listing import Listing, MediaFile
from dam_connector.errors import BadOutput, NotFound, Refused
from dam_connector.ports import Blobs

DEFAULT_FORMATS = ("jpeg", "png", "webp", "glb")
HASH_TAG_PREFIX = "sha256:"
_ASSET = "id name source type tags { value }"
_PLACE = f"""query Place($sku: String!) {{ productVariants(options: {{filter: {{sku: {{eq: $sku}}}}}}) {{ items {{
  id sku featuredAsset {{ id }} assets {{ {_ASSET} }}
  product {{ id variants {{ id }} featuredAsset {{ id }} assets {{ {_ASSET} }} }} }} }} }}"""
_OURS = f"query Ours($tags: [String!]!) {{ assets(options: {{tags: $tags, tagsOperator: AND, take: 200}}) {{ items {{ {_ASSET} }} }} }}"
_ADD = f"""mutation Add($input: [CreateAssetInput!]!) {{ createAssets(input: $input) {{
  __typename ... on Asset {{ {_ASSET} }} ... on ErrorResult {{ message }} }} }}"""
_DROP = "mutation Drop($ids: [ID!]!) { deleteAssets(input: {assetIds: $ids, force: true}) { result } }"
_PUT = {
    "product": "mutation Put($id: ID!, $ids: [ID!]!, $first: ID) { updateProduct(input: {id: $id, assetIds: $ids, featuredAssetId: $first}) { id } }",
    "variant": """mutation Put($id: ID!, $ids: [ID!]!, $first: ID) {
      updateProductVariants(input: [{id: $id, assetIds: $ids, featuredAssetId: $first}]) { id } }""",
}
Asset = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a SKU's media lie: at the product, or at the variant where the product has several."""

    kind: str
    id: str
    assets: list[Asset]
    featured: str


class VendureChannel:
    """A shop's catalog, by SKU."""

    def __init__(self, shop: VendureClient, base_url: str, wanted: tuple[str, ...], *, first: bool) -> None:
        self._shop, self._base_url, self._formats, self._first = shop, base_url, wanted, first

    def sync(self, listing: Listing, blobs: Blobs) -> str:
        wanted, sku = select_media(listing, self._formats), listing.product.sku
        place, known = self._place(sku), self._known(sku)
        if place is None and wanted:
            raise NotFound("vendure", "publish", f"the shop has no variant with the SKU {sku}")
        ours = ensure_media(wanted, known, lambda file: self._added(file, sku, blobs))
        if place:  # what Vendure keeps for itself of a product or variant is only ours to change: no other SKU stands there
            self._put(place, ours)
        if gone := [
            str(asset["id"]) for key, asset in known.items() if key not in {f.sha256 for f in wanted}
        ]:
            self._shop.query(_DROP, {"ids": gone}, "publish")
        return str(ours[0]["source"]) if ours else self._base_url

    def expected_files(self, listing: Listing) -> tuple[str, ...]:
        return tuple(media.name for media in select_media(listing, self._formats))

    def live_files(self, listing: Listing) -> tuple[str, ...]:
        place = self._place(listing.product.sku)
        return tuple(str(asset["name"]) for asset in place.assets if is_ours(asset)) if place else ()

    def _place(self, sku: str) -> _Place | None:
        items = (self._shop.query(_PLACE, {"sku": sku}, "publish").get("productVariants") or {}).get(
            "items"
        ) or ()
        for found in items:
            single = len(found["product"]["variants"]) == 1
            kind, holder = ("product", found["product"]) if single else ("variant", found)
            return _Place(
                kind,
                str(holder["id"]),
                holder.get("assets") or [],
                str((holder.get("featuredAsset") or {}).get("id") or ""),
            )
        return None

    def _known(self, sku: str) -> dict[str, Asset]:
        """Our assets of a SKU, by the hash of their bytes, wherever an earlier try left them."""
        found = (self._shop.query(_OURS, {"tags": [TAG, f"sku:{sku}"]}, "publish").get("assets") or {}).get(
            "items"
        ) or ()
        return {
            tag["value"].removeprefix(HASH_TAG_PREFIX): asset
            for asset in found
            for tag in asset["tags"]
            if tag["value"].startswith(HASH_TAG_PREFIX)
        }

    def _added(self, file: MediaFile, sku: str, blobs: Blobs) -> Asset:
        tags = [TAG, f"sku:{sku}", f"{HASH_TAG_PREFIX}{file.sha256}"]
        upload = (file.name, blobs.get(file.sha256), file.file.mime)
        made = self._shop.query(_ADD, {"input": [{"file": None, "tags": tags}]}, "publish", file=upload).get(
            "createAssets"
        )
        if not isinstance(made, list) or not made or not isinstance(made[0], dict):
            raise BadOutput("vendure", "publish", "/data/createAssets: no asset")
        if made[0].get("__typename") != "Asset":
            raise Refused(
                "vendure",
                "publish",
                f"{file.name}: {made[0].get('message')} See permittedFileTypes in docs/connections/vendure.md.",
            )
        found: Asset = made[0]
        return found

    def _put(self, place: _Place, ours: list[Asset]) -> None:
        """Give the product these of ours beside what it has of its own; its featured picture stays, unless it was an old one of ours or there was none."""
        theirs = [asset for asset in place.assets if not is_ours(asset)]
        assets = merge_media(theirs, ours, first=self._first)
        kept = place.featured if place.featured in {str(a["id"]) for a in assets} else ""
        picture = next((str(a["id"]) for a in assets if a.get("type") == "IMAGE"), None)
        ids = [str(a["id"]) for a in assets]
        if ids != [str(a["id"]) for a in place.assets] or kept != place.featured:
            self._shop.query(
                _PUT[place.kind], {"id": place.id, "ids": ids, "first": kept or picture}, "publish"
            )


def connect(options: Mapping[str, Any], context: AdapterContext) -> VendureChannel:
    check_options(options, "base_url", "user", "password", "formats", "place")
    base_url = url_option(options)
    shop = VendureClient(
        context.http,
        base_url,
        str(options.get("user", "")),
        context.secret(str(options.get("password", "env/VENDURE_PASSWORD"))),
    )
    return VendureChannel(
        shop,
        base_url,
        formats_option(options, DEFAULT_FORMATS),
        first=choice_option(options, "place", "after", ("after", "before")) == "before",
    )
