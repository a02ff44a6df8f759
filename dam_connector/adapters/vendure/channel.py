"""Vendure as a channel: pictures and models are assets of the product or variant, through the Admin API.

Options: `base_url`; `user`; `password`, by default `env/VENDURE_PASSWORD`; `formats`, by default
["jpeg", "png", "webp", "glb"]; `place`, "after" (default) or "before" the shop's own assets. Facts:
docs/connections/vendure.md.

Assets belong to the product, or to the variant if the product has several; when that changes, ours move at
the next sync. Our assets have tags with their SKU and SHA-256, by which a repeat finds them.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from dam_connector.adapters.common.api_client import MAX_FILE_BYTES
from dam_connector.adapters.common.context import AdapterContext, check_options, choice_option, url_option
from dam_connector.adapters.common.shop_media import (
    ensure_media,
    formats_option,
    merge_media,
    replaced_media,
    select_media,
)
from dam_connector.adapters.http import HttpClient
from dam_connector.adapters.vendure.client import TAG, VendureClient, is_ours, missing_permissions
from dam_connector.domain.listing import Listing, MediaFile
from dam_connector.errors import BadOutput, NotFound, Refused
from dam_connector.ports import Blobs, ShopPicture

DEFAULT_FORMATS = ("jpeg", "png", "webp", "glb")
HASH_TAG_PREFIX = "sha256:"
TEST_PICTURE = base64.b64decode(  # a white pixel as PNG
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4//8/AAX+Av4N70a4AAAAAElFTkSuQmCC"
)
_EMPTY_SCENE = json.dumps({"asset": {"version": "2.0"}}).ljust(28).encode()
TEST_MODEL = (  # a GLB with a header, one chunk of JSON, and nothing to see
    b"glTF"
    + b"".join(n.to_bytes(4, "little") for n in (2, 20 + len(_EMPTY_SCENE), len(_EMPTY_SCENE)))
    + b"JSON"
    + _EMPTY_SCENE
)
_ASSET = "id name source type tags { value }"
_VARIANT_QUERY = f"""query Place($sku: String!) {{
  productVariants(options: {{filter: {{sku: {{eq: $sku}}}}}}) {{ items {{
    id sku featuredAsset {{ id }} assets {{ {_ASSET} }}
    product {{ id variants {{ id }} featuredAsset {{ id }} assets {{ {_ASSET} }} }} }} }} }}"""
_OUR_ASSETS_QUERY = f"""query Ours($tags: [String!]!) {{
  assets(options: {{tags: $tags, tagsOperator: AND, take: 200}}) {{ items {{ {_ASSET} }} }} }}"""
_ADD = f"""mutation Add($input: [CreateAssetInput!]!) {{ createAssets(input: $input) {{
  __typename ... on Asset {{ {_ASSET} }} ... on ErrorResult {{ message }} }} }}"""
_DELETE = """mutation Drop($ids: [ID!]!) {
  deleteAssets(input: {assetIds: $ids, force: true}) { result } }"""
_ASSIGN = {
    "product": """mutation Put($id: ID!, $ids: [ID!]!, $first: ID) {
      updateProduct(input: {id: $id, assetIds: $ids, featuredAssetId: $first}) { id } }""",
    "variant": """mutation Put($id: ID!, $ids: [ID!]!, $first: ID) {
      updateProductVariants(input: [{id: $id, assetIds: $ids, featuredAssetId: $first}]) { id } }""",
}
Asset = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _AssetHolder:
    """The product, or the variant if the product has several, that holds a SKU's assets."""

    kind: str  # "product" or "variant"
    id: str
    assets: list[Asset]
    featured_id: str  # of the asset that the shop shows first; empty if there is none
    other: "_AssetHolder | None" = None  # the variant of a product, or the product of a variant

    def ours(self, sku: str) -> list[Asset]:
        """Return the assets that we published for a SKU."""
        return [asset for asset in self.assets if f"sku:{sku}" in _tags(asset) and is_ours(asset)]


class VendureChannel:
    """A `Channel` for one shop; a product is found by the SKU of a variant."""

    def __init__(
        self,
        client: VendureClient,
        http: HttpClient,
        base_url: str,
        formats: tuple[str, ...],
        *,
        first: bool,
    ) -> None:
        self._http = http
        self._client, self._base_url, self._formats, self._first = client, base_url, formats, first

    def sync(self, listing: Listing, blobs: Blobs) -> str:
        files, sku = select_media(listing, self._formats), listing.product.sku
        holder, existing = self._find_holder(sku), self._find_our_assets(sku)
        if holder is None and files:
            raise NotFound("vendure", "publish", f"the shop has no variant with the SKU {sku}")
        ours = ensure_media(files, existing, lambda file: self._add(file, sku, blobs))
        if holder:  # no lock is needed: a holder has one SKU, so no other run changes its assets
            self._assign(holder, ours)
            if holder.other and holder.other.ours(sku):
                self._take_off(holder.other, sku)
        wanted = {file.sha256 for file in files}
        if obsolete := [str(asset["id"]) for sha256, asset in existing.items() if sha256 not in wanted]:
            self._client.query(_DELETE, {"ids": obsolete}, "publish")
        return str(ours[0]["source"]) if ours else self._base_url

    def expected_files(self, listing: Listing) -> tuple[str, ...]:
        return tuple(media.name for media in select_media(listing, self._formats))

    def live_files(self, listing: Listing) -> tuple[str, ...]:
        sku = listing.product.sku
        holder = self._find_holder(sku)
        if holder is None:
            return ()
        found = [*holder.ours(sku), *(holder.other.ours(sku) if holder.other else ())]
        return tuple({str(asset["id"]): str(asset["name"]) for asset in found}.values())

    def own_pictures(self, sku: str) -> list[ShopPicture]:
        holder = self._find_holder(sku)
        if holder is None:
            raise NotFound("vendure", "own_pictures", f"the shop has no variant with the SKU {sku}")
        pictures = [a for a in holder.assets if not is_ours(a) and a.get("type") == "IMAGE"]
        return [ShopPicture(name=str(a.get("name")), url=str(a.get("source"))) for a in pictures]

    def picture_bytes(self, url: str) -> bytes:
        return self._http.get(url, max_bytes=MAX_FILE_BYTES, vendor="vendure")

    def check_rights(self) -> Iterator[str]:
        """Prove that the catalog may be changed, and that pictures and models may be stored and deleted."""
        missing = missing_permissions(self._client)
        if missing:
            reason = f"its user lacks the permission {', '.join(missing)}"
            raise Refused("vendure", "publish", f"{reason}; docs/connections/vendure.md lists all")
        yield "its user may change the catalog"
        samples = [("picture", "png", TEST_PICTURE, "image/png")]
        if "glb" in self._formats:
            samples.append(("model", "glb", TEST_MODEL, "model/gltf-binary"))
        for kind, extension, data, mime in samples:
            upload = (f"dam-connector-connection-test.{extension}", data, mime)
            asset = self._upload(upload, [TAG, "connection-test"])
            self._client.query(_DELETE, {"ids": [str(asset["id"])]}, "publish")
            yield f"a {kind} was stored among its assets, and removed again"

    def _find_holder(self, sku: str) -> _AssetHolder | None:
        data = self._client.query(_VARIANT_QUERY, {"sku": sku}, "publish")
        for variant in (data.get("productVariants") or {}).get("items") or ():
            product, is_single = variant["product"], len(variant["product"]["variants"]) == 1
            one, other = _holder("product", product), _holder("variant", variant)
            return replace(one, other=other) if is_single else replace(other, other=one)
        return None

    def _find_our_assets(self, sku: str) -> dict[str, Asset]:
        """Return our assets of a SKU by SHA-256, also those that an interrupted attempt did not assign."""
        data = self._client.query(_OUR_ASSETS_QUERY, {"tags": [TAG, f"sku:{sku}"]}, "publish")
        return {
            tag.removeprefix(HASH_TAG_PREFIX): asset
            for asset in (data.get("assets") or {}).get("items") or ()
            for tag in _tags(asset)
            if tag.startswith(HASH_TAG_PREFIX)
        }

    def _add(self, file: MediaFile, sku: str, blobs: Blobs) -> Asset:
        tags = [TAG, f"sku:{sku}", f"{HASH_TAG_PREFIX}{file.sha256}"]
        return self._upload((file.name, blobs.get(file.sha256), file.file.mime), tags)

    def _upload(self, upload: tuple[str, bytes, str], tags: list[str]) -> Asset:
        data = self._client.query(_ADD, {"input": [{"file": None, "tags": tags}]}, "publish", file=upload)
        created = data.get("createAssets")
        if not isinstance(created, list) or not created or not isinstance(created[0], dict):
            raise BadOutput("vendure", "publish", "/data/createAssets: it holds no asset")
        asset: Asset = created[0]
        if asset.get("__typename") != "Asset":
            raise Refused(
                "vendure",
                "publish",
                f"{upload[0]}: {asset.get('message')} See permittedFileTypes in docs/connections/vendure.md.",
            )
        return asset

    def _take_off(self, holder: _AssetHolder, sku: str) -> None:
        """Take the assets of a SKU off a holder that has them no longer."""
        left = [asset for asset in holder.assets if asset not in holder.ours(sku)]
        ids = [str(asset["id"]) for asset in left]
        first = next((str(a["id"]) for a in left if a.get("type") == "IMAGE"), None)
        featured_id = holder.featured_id if holder.featured_id in ids else first
        variables = {"id": holder.id, "ids": ids, "first": featured_id}
        self._client.query(_ASSIGN[holder.kind], variables, "publish")

    def _assign(self, holder: _AssetHolder, ours: list[Asset]) -> None:
        """Give a product or variant our assets beside its own.

        Its featured asset stays. If that was one of our obsolete assets, ours that takes its place follows;
        if there was none, the first picture becomes the featured asset.
        """
        theirs = [asset for asset in holder.assets if not is_ours(asset)]
        assets = merge_media(theirs, ours, first=self._first)
        ids = [str(asset["id"]) for asset in assets]
        before = [str(asset["id"]) for asset in holder.assets if is_ours(asset)]
        follows = replaced_media(before, [str(asset["id"]) for asset in ours])
        featured_id = follows.get(holder.featured_id, holder.featured_id)
        featured_id = featured_id if featured_id in ids else ""
        if ids == [str(asset["id"]) for asset in holder.assets] and featured_id == holder.featured_id:
            return
        first_picture = next((str(a["id"]) for a in assets if a.get("type") == "IMAGE"), None)
        variables = {"id": holder.id, "ids": ids, "first": featured_id or first_picture}
        self._client.query(_ASSIGN[holder.kind], variables, "publish")


def _holder(kind: str, found: Mapping[str, Any]) -> _AssetHolder:
    featured_id = str((found.get("featuredAsset") or {}).get("id") or "")
    return _AssetHolder(kind, str(found["id"]), found.get("assets") or [], featured_id)


def _tags(asset: Asset) -> list[str]:
    return [str(tag.get("value")) for tag in asset.get("tags") or ()]


def connect(options: Mapping[str, Any], context: AdapterContext) -> VendureChannel:
    """Open the adapter.

    Raises:
        ConfigError: an option is wrong.
    """
    check_options(options, "base_url", "user", "password", "formats", "place")
    base_url = url_option(options)
    password = context.secret(str(options.get("password", "env/VENDURE_PASSWORD")))
    client = VendureClient(context.http, base_url, str(options.get("user", "")), password)
    first = choice_option(options, "place", "after", ("after", "before")) == "before"
    return VendureChannel(
        client, context.http, base_url, formats_option(options, DEFAULT_FORMATS), first=first
    )
