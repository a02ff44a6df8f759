"""Shopify as a channel: pictures and 3D models are media of the product, through the Admin GraphQL API.

Options: `base_url`; `token`, by default `env/SHOPIFY_TOKEN`; `api_version`; `formats`, by default
["jpeg", "png", "webp", "glb", "mp4"]; `place`, "after" (default) or "before" the shop's own media;
`languages`, further locales whose texts the listing has. Facts: docs/connections/shopify.md.

A file is uploaded to a staged target, created by `fileCreate`, processed by Shopify (the run sleeps
meanwhile) and then attached to the product. Our files are recognised by their names, which hold the
version, and by a metafield of the product.
"""

import json
from collections.abc import Mapping
from typing import Any

from dam_connector.adapters.common.api_client import MAX_FILE_BYTES
from dam_connector.adapters.common.context import AdapterContext, check_options, choice_option
from dam_connector.adapters.common.graphql import nodes
from dam_connector.adapters.common.shop_media import (
    ensure_media,
    formats_option,
    merge_media,
    select_media,
    shop_picture,
)
from dam_connector.adapters.shopify.client import (
    METAFIELD_KEY,
    METAFIELD_NAMESPACE,
    ShopifyClient,
    open_client,
    parse_media_note,
)
from dam_connector.adapters.shopify.translations import write_translations
from dam_connector.domain.listing import Listing, MediaFile
from dam_connector.domain.product import Dimensions
from dam_connector.errors import BadOutput, Busy, NotFound, Refused
from dam_connector.ports import Blobs, ShopPicture

DEFAULT_FORMATS = ("jpeg", "png", "webp", "glb", "mp4")
PROCESSING_WAIT_S = 8.0
MAX_PROPORTION_ERROR = 0.05  # between a model's bounding box in the shop and the product's dimensions
_FILE = "id fileStatus ... on Model3d { boundingBox { size { x y z } } } ... on MediaImage { mimeType }"
# Two queries: Shopify refuses one that may cost more than 1,000 points.
_SKU_QUERY = """query Variant($query: String!) {
  productVariants(first: 50, query: $query) { nodes { sku product { id } } } }"""
_PRODUCT_QUERY = f"""query Place($id: ID!) {{ product(id: $id) {{ id handle onlineStoreUrl
    metafield(namespace: "{METAFIELD_NAMESPACE}", key: "{METAFIELD_KEY}") {{ value }}
    media(first: 250) {{ nodes {{ id alt }} }} }} }}"""
_OWN_MEDIA_QUERY = """query Own($query: String!) { productVariants(first: 50, query: $query) {
  nodes { sku media(first: 5) { nodes { id } } product { id } } } }"""
_PICTURES_QUERY = f"""query Pictures($id: ID!) {{ product(id: $id) {{
    metafield(namespace: "{METAFIELD_NAMESPACE}", key: "{METAFIELD_KEY}") {{ value }}
    media(first: 250) {{ nodes {{ id ... on MediaImage {{ image {{ url }} }} }} }} }} }}"""
_PRODUCT_ID = "gid://shopify/Product/"  # a product's id begins so
_FILE_QUERY = f"query Find($query: String!) {{ files(first: 5, query: $query) {{ nodes {{ {_FILE} }} }} }}"
_STAGED_TARGET = """mutation Stage($input: [StagedUploadInput!]!) { stagedUploadsCreate(input: $input) {
  stagedTargets { url resourceUrl parameters { name value } } userErrors { field message } } }"""
_CREATE = """mutation Create($files: [FileCreateInput!]!) { fileCreate(files: $files) {
  files { id fileStatus } userErrors { field message } } }"""
_UPDATE = """mutation Refer($files: [FileUpdateInput!]!) { fileUpdate(files: $files) {
  files { id } userErrors { field message } } }"""
_ORDER = """mutation Order($id: ID!, $moves: [MoveInput!]!) { productReorderMedia(id: $id, moves: $moves) {
  mediaUserErrors { field message } } }"""
_NOTE = """mutation Note($fields: [MetafieldsSetInput!]!) { metafieldsSet(metafields: $fields) {
  userErrors { field message } } }"""
_DELETE = """mutation Drop($ids: [ID!]!) { fileDelete(fileIds: $ids) {
  deletedFileIds userErrors { field message } } }"""

MediaIds = Mapping[str, Mapping[str, str]]  # SKU -> SHA-256 of the file -> id of the medium


class ShopifyChannel:
    """A `Channel` for one shop; a product is found by the SKU of a variant."""

    def __init__(
        self, context: AdapterContext, client: ShopifyClient, formats: tuple[str, ...], *, first: bool
    ) -> None:
        self._context, self._client, self._formats, self._first = context, client, formats, first

    def sync(self, listing: Listing, blobs: Blobs) -> str:
        files, sku = select_media(listing, self._formats), str(listing.product.sku)
        product = self._find_product(sku)
        if product is None:
            if files:
                raise NotFound("shopify", "publish", f"the shop has no variant with the SKU {sku}")
            product = self._find_parent(listing)
            if product is None:
                return ""
        with self._context.lock_resource(f"product {product['id']}"):  # other variants share its media
            return self._sync_product(self._product(product["id"]) or product, listing, files, blobs)

    def _sync_product(
        self, product: dict[str, Any], listing: Listing, files: list[MediaFile], blobs: Blobs
    ) -> str:
        noted, sku = parse_media_note(product.get("metafield")), str(listing.product.sku)
        existing = {sha256: str(id) for sha256, id in noted.get(sku, {}).items()}
        ids = ensure_media(
            files, existing, lambda file: self._ready_file(file, listing.product.dimensions, blobs)
        )
        new = {str(file.sha256): id for file, id in zip(files, ids, strict=True)}
        both: dict[str, Mapping[str, str]] = {**noted, sku: {**existing, **new}}
        self._write_note(
            product, both
        )  # before the media are attached, so that they are always known as ours
        self._attach(product, {**noted, sku: new}, both)
        attached = {node["id"]: node.get("alt") or "" for node in nodes(product.get("media"))}
        texts = {id: file.alt_text for file, id in zip(files, ids, strict=True)}
        changed = [{"id": id, "alt": t} for id, t in texts.items() if attached.get(id, t) != t]
        if changed:
            self._mutate(_UPDATE, {"files": changed}, "fileUpdate")
        if obsolete := [id for id in existing.values() if id not in ids and id in attached]:
            self._mutate(_DELETE, {"ids": obsolete}, "fileDelete")
        if both[sku] != new:
            self._write_note(product, {**noted, sku: new}, current=both)
        if files and listing.translated:  # last, so that a wrong language leaves the media right
            write_translations(self._client, product["id"], listing, files, ids)
        return str(
            product.get("onlineStoreUrl") or f"{self._client.base_url}/products/{product.get('handle')}"
        )

    def expected_files(self, listing: Listing) -> tuple[str, ...]:
        return tuple(media.name for media in select_media(listing, self._formats))

    def live_files(self, listing: Listing) -> tuple[str, ...]:
        product = self._find_product(listing.product.sku) or self._find_parent(listing)
        if product is None:
            return ()
        attached = {node["id"] for node in nodes(product.get("media"))}
        names: dict[str, str] = {m.sha256: m.name for m in select_media(listing, self._formats)}
        noted = parse_media_note(product.get("metafield")).get(listing.product.sku, {})
        return tuple(names.get(sha256, sha256) for sha256, id in noted.items() if id in attached)

    def own_pictures(self, sku: str) -> list[ShopPicture]:
        data = self._client.query(_OWN_MEDIA_QUERY, {"query": f"sku:{json.dumps(sku)}"}, "own_pictures")
        found = next((node for node in nodes(data.get("productVariants")) if node.get("sku") == sku), None)
        if found is None:
            raise NotFound("shopify", "own_pictures", f"the shop has no variant with the SKU {sku}")
        data = self._client.query(_PICTURES_QUERY, {"id": found["product"]["id"]}, "own_pictures")
        product = data.get("product") or {}
        ours = {id for ids in parse_media_note(product.get("metafield")).values() for id in ids.values()}
        theirs = [m for m in nodes(product.get("media")) if m.get("image") and m["id"] not in ours]
        of_sku = {medium["id"] for medium in nodes(found.get("media"))}
        theirs.sort(key=lambda medium: medium["id"] not in of_sku)  # its own before the product's
        return [shop_picture(str(medium["image"]["url"])) for medium in theirs]

    def picture_bytes(self, url: str) -> bytes:
        return self._context.http.get(url, max_bytes=MAX_FILE_BYTES, vendor="shopify")

    def _find_product(self, sku: str) -> dict[str, Any] | None:
        data = self._client.query(_SKU_QUERY, {"query": f"sku:{json.dumps(sku)}"}, "publish")
        variants = nodes(data.get("productVariants"))
        id = next((node["product"]["id"] for node in variants if node.get("sku") == sku), None)
        return self._product(str(id)) if id else None

    def _product(self, id: str) -> dict[str, Any] | None:
        product: dict[str, Any] | None = self._client.query(_PRODUCT_QUERY, {"id": id}, "publish").get(
            "product"
        )
        return product

    def _find_parent(self, listing: Listing) -> dict[str, Any] | None:
        """Return the product of a variant that is gone, where the shop is the listing's PIM too.

        It has what was published for the variant.
        """
        parent = str(listing.product.parent or "")
        return self._product(parent) if parent.startswith(_PRODUCT_ID) else None

    def _ready_file(self, file: MediaFile, dimensions: Dimensions, blobs: Blobs) -> str:
        """Return the id of a processed file; upload it unless an earlier attempt did.

        Raises:
            Busy: Shopify is still processing it.
            Refused: Shopify could not process it, or changed a model's proportions.
        """
        data = self._client.query(_FILE_QUERY, {"query": f"filename:{json.dumps(file.name)}"}, "publish")
        found = next(nodes(data.get("files")), None) or self._create_file(file, blobs.get(file.sha256))
        status = found.get("fileStatus")
        if status == "FAILED":
            self._mutate(_DELETE, {"ids": [found["id"]]}, "fileDelete")
            raise Refused("shopify", "publish", f"it could not process {file.name}")
        if status != "READY":
            raise Busy(
                "shopify", "publish", f"{file.name} is being processed there", retry_after_s=PROCESSING_WAIT_S
            )
        if file.is_model:
            _check_proportions(file.name, found, dimensions)
        return str(found["id"])

    def _create_file(self, file: MediaFile, data: bytes) -> dict[str, Any]:
        source = self._upload_staged(file, data)
        entry = {
            "originalSource": source,
            "alt": file.alt_text,
            "contentType": _kind(file),
            "filename": file.name,
        }
        created = self._mutate(_CREATE, {"files": [entry]}, "fileCreate").get("files") or []
        if not created:
            raise BadOutput("shopify", "publish", "/data/fileCreate/files: it is empty")
        return dict(created[0])

    def _upload_staged(self, file: MediaFile, data: bytes) -> str:
        """Upload the bytes to a staged target, which is another server, and return its URL."""
        entry = {
            "filename": file.name,
            "mimeType": file.file.mime,
            "httpMethod": "POST",
            "resource": _kind(file),
            "fileSize": str(len(data)),
        }
        result = self._mutate(_STAGED_TARGET, {"input": [entry]}, "stagedUploadsCreate")
        (target, *_) = result.get("stagedTargets") or [{}]
        fields = {p["name"]: p["value"] for p in target.get("parameters") or ()}
        parts = [("file", (file.name, data, file.file.mime))]
        self._client.upload_to_storage("POST", str(target.get("url")), "publish", fields=fields, files=parts)
        return str(target["resourceUrl"])

    def _write_note(
        self, product: Mapping[str, Any], noted: MediaIds, *, current: MediaIds | None = None
    ) -> None:
        """Write which media are ours into the metafield, unless it says so already.

        Args:
            product: the product.
            noted: the media to write.
            current: the metafield's content, if it was written since the product was fetched.
        """
        noted = {sku: ids for sku, ids in noted.items() if ids}
        if noted == (parse_media_note(product.get("metafield")) if current is None else current):
            return
        field = {
            "ownerId": product["id"],
            "namespace": METAFIELD_NAMESPACE,
            "key": METAFIELD_KEY,
            "type": "json",
            "value": json.dumps(noted),
        }
        self._mutate(_NOTE, {"fields": [field]}, "metafieldsSet")

    def _attach(self, product: Mapping[str, Any], wanted: MediaIds, ours: MediaIds) -> None:
        """Attach the media that are new to the product, and put all media in order.

        Args:
            product: the product.
            wanted: our media that must be attached.
            ours: these, and our media that are about to be deleted.
        """
        attached = [str(node["id"]) for node in nodes(product.get("media"))]
        wanted_ids = [id for ids in wanted.values() for id in ids.values()]
        if new := [id for id in wanted_ids if id not in attached]:
            entries = [{"id": id, "referencesToAdd": [product["id"]]} for id in new]
            self._mutate(_UPDATE, {"files": entries}, "fileUpdate")
        our_ids = {id for ids in ours.values() for id in ids.values()}
        their_ids = [id for id in attached if id not in our_ids]
        order = merge_media(their_ids, wanted_ids, first=self._first)
        if order != [id for id in attached if id in order] + new:
            moves = [{"id": id, "newPosition": str(position)} for position, id in enumerate(order)]
            variables = {"id": product["id"], "moves": moves}
            self._mutate(_ORDER, variables, "productReorderMedia", errors="mediaUserErrors")

    def _mutate(
        self, mutation: str, variables: Mapping[str, Any], name: str, *, errors: str = "userErrors"
    ) -> dict[str, Any]:
        data = self._client.query(mutation, variables, "publish")
        return self._client.mutation_result(data, name, "publish", errors=errors)


def _kind(file: MediaFile) -> str:
    """Return Shopify's name of a kind of file, the same for an upload and for a file."""
    return "MODEL_3D" if file.is_model else "VIDEO" if file.is_video else "IMAGE"


def _check_proportions(name: str, found: Mapping[str, Any], dimensions: Dimensions) -> None:
    """Check that a model, as the shop processed it, has the product's proportions.

    Raises:
        Refused: it has not.
    """
    size = ((found.get("boundingBox") or {}).get("size")) or {}
    measured = [size.get(axis) for axis in "xyz"]
    expected = [dimensions.width_m, dimensions.height_m, dimensions.depth_m]
    if not all(measured) or not all(expected):
        return
    scales = [float(m) / float(e) for m, e in zip(measured, expected, strict=True) if m and e]
    if max(scales) / min(scales) > 1 + MAX_PROPORTION_ERROR:
        raise Refused(
            "shopify",
            "publish",
            f"{name} came out as {measured[0]:g} x {measured[1]:g} x {measured[2]:g}, which are not the "
            "product's proportions",
        )


def connect(options: Mapping[str, Any], context: AdapterContext) -> ShopifyChannel:
    """Open the adapter.

    Raises:
        ConfigError: an option is wrong.
    """
    check_options(options, "base_url", "token", "api_version", "formats", "place", "languages")
    first = choice_option(options, "place", "after", ("after", "before")) == "before"
    formats = formats_option(options, DEFAULT_FORMATS)
    return ShopifyChannel(context, open_client(options, context), formats, first=first)
