"""Shopify: pictures and 3D models as files, which are media of the product.

A file is put on a staged place, made by `fileCreate`, waited for (the run sleeps meanwhile), then referred to by the product. Ours are known by
their file names, which hold their version, and by a metafield of the product. Facts: docs/connections/shopify.md.
"""

import json
from collections.abc import Mapping
from typing import Any

from dam_connector.adapters.common.context import AdapterContext, check_options, choice_option
from dam_connector.adapters.common.graphql import nodes
from dam_connector.adapters.common.shop_media import ensure_media, formats_option, merge_media, select_media
from dam_connector.adapters.shopify.client import (
    METAFIELD_KEY,
    METAFIELD_NAMESPACE,
    ShopifyClient,
    open_client,
    parse_media_note,
)
from dam_connector.domain.listing import Listing, MediaFile
from dam_connector.domain.product import Dimensions
from dam_connector.errors import BadOutput, Busy, NotFound, Refused
from dam_connector.ports import Blobs

DEFAULT_FORMATS = ("jpeg", "png", "webp", "glb")
PROCESSING_WAIT_S = 8.0
MAX_PROPORTION_ERROR = 0.05  # of a model's proportions, as they are read back
_FILE = "id fileStatus ... on Model3d { boundingBox { size { x y z } } } ... on MediaImage { mimeType }"
_PLACE = f"""query Place($query: String!) {{ productVariants(first: 5, query: $query) {{ nodes {{ id sku product {{ id handle onlineStoreUrl
  metafield(namespace: "{METAFIELD_NAMESPACE}", key: "{METAFIELD_KEY}") {{ value }} media(first: 250) {{ nodes {{ id }} }} }} }} }} }}"""
_FIND = f"query Find($query: String!) {{ files(first: 5, query: $query) {{ nodes {{ {_FILE} }} }} }}"
_STAGE = """mutation Stage($input: [StagedUploadInput!]!) { stagedUploadsCreate(input: $input) {
  stagedTargets { url resourceUrl parameters { name value } } userErrors { field message } } }"""
_CREATE = "mutation Create($files: [FileCreateInput!]!) { fileCreate(files: $files) { files { id fileStatus } userErrors { field message } } }"
_REFER = "mutation Refer($files: [FileUpdateInput!]!) { fileUpdate(files: $files) { files { id } userErrors { field message } } }"
_ORDER = "mutation Order($id: ID!, $moves: [MoveInput!]!) { productReorderMedia(id: $id, moves: $moves) { mediaUserErrors { field message } } }"
_NOTE = "mutation Note($fields: [MetafieldsSetInput!]!) { metafieldsSet(metafields: $fields) { userErrors { field message } } }"
_DROP = "mutation Drop($ids: [ID!]!) { fileDelete(fileIds: $ids) { deletedFileIds userErrors { field message } } }"


_Noted = Mapping[str, Mapping[str, str]]


class ShopifyChannel:
    """A shop's products, by the SKU of a variant."""

    def __init__(self, context: AdapterContext, shop: ShopifyClient, wanted: tuple[str, ...], *, first: bool) -> None:
        self._context, self._shop, self._formats, self._first = context, shop, wanted, first

    def sync(self, listing: Listing, blobs: Blobs) -> str:
        wanted, sku = select_media(listing, self._formats), str(listing.product.sku)
        product = self._product(sku)
        if product is None:
            if wanted:
                raise NotFound("shopify", "publish", f"the shop has no variant with the SKU {sku}")
            return ""
        with self._context.lock_resource(f"product {product['id']}"):  # other variants share its media
            return self._changed(self._product(sku) or product, listing, wanted, blobs)

    def _changed(
        self, product: dict[str, Any], listing: Listing, wanted: list[MediaFile], blobs: Blobs
    ) -> str:
        noted, sku = parse_media_note(product.get("metafield")), str(listing.product.sku)
        known = {sha256: str(id) for sha256, id in noted.get(sku, {}).items()}
        ours = ensure_media(wanted, known, lambda file: self._ready(file, listing.product.dimensions, blobs))
        new = {str(file.sha256): id for file, id in zip(wanted, ours, strict=True)}
        both: dict[str, Mapping[str, str]] = {**noted, sku: {**known, **new}}
        self._note(product, both)  # first: what is attached is always known as ours
        self._refer(product, {**noted, sku: new}, both)
        there = {node["id"] for node in nodes(product.get("media"))}
        if gone := [id for id in known.values() if id not in ours and id in there]:
            self._do(_DROP, {"ids": gone}, "fileDelete")
        if both[sku] != new:
            self._note(product, {**noted, sku: new}, was=both)
        return str(product.get("onlineStoreUrl") or f"{self._shop.base_url}/products/{product.get('handle')}")

    def expected_files(self, listing: Listing) -> tuple[str, ...]:
        return tuple(media.name for media in select_media(listing, self._formats))

    def live_files(self, listing: Listing) -> tuple[str, ...]:
        product = self._product(listing.product.sku)
        if product is None:
            return ()
        attached = {node["id"] for node in nodes(product.get("media"))}
        names: dict[str, str] = {m.sha256: m.name for m in select_media(listing, self._formats)}
        return tuple(
            names.get(sha256, sha256)
            for sha256, id in parse_media_note(product.get("metafield")).get(listing.product.sku, {}).items()
            if id in attached
        )

    def _product(self, sku: str) -> dict[str, Any] | None:
        found = nodes(
            self._shop.query(_PLACE, {"query": f"sku:{json.dumps(sku)}"}, "publish").get("productVariants")
        )
        return next((node["product"] for node in found if node.get("sku") == sku), None)

    def _ready(self, file: MediaFile, size: Dimensions, blobs: Blobs) -> str:
        """The id of a file that can be shown: one of this name that an earlier try made, else a new one. Raises: Busy while it is processed."""
        found = next(
            nodes(
                self._shop.query(_FIND, {"query": f"filename:{json.dumps(file.name)}"}, "publish").get(
                    "files"
                )
            ),
            None,
        )
        if found is None:
            place = self._staged(file, blobs.get(file.sha256))
            kind = "MODEL_3D" if file.is_model else "IMAGE"
            made = {"originalSource": place, "alt": file.alt_text, "contentType": kind, "filename": file.name}
            files = self._do(_CREATE, {"files": [made]}, "fileCreate").get("files") or []
            if not files:
                raise BadOutput("shopify", "publish", "/data/fileCreate/files: there is none")
            found = files[0]
        status = found.get("fileStatus")
        if status == "FAILED":
            self._do(_DROP, {"ids": [found["id"]]}, "fileDelete")
            raise Refused("shopify", "publish", f"it could not process {file.name}")
        if status != "READY":
            raise Busy(
                "shopify", "publish", f"{file.name} is being processed there", retry_after_s=PROCESSING_WAIT_S
            )
        self._check_size(file, found, size)
        return str(found["id"])

    def _staged(self, file: MediaFile, data: bytes) -> str:
        """Where the bytes lie, on a storage where our token does not go."""
        kind = "MODEL_3D" if file.is_model else "IMAGE"
        wanted = {
            "filename": file.name,
            "mimeType": file.file.mime,
            "httpMethod": "POST",
            "resource": kind,
            "fileSize": str(len(data)),
        }
        (target, *_) = self._do(_STAGE, {"input": [wanted]}, "stagedUploadsCreate").get("stagedTargets") or [
            {}
        ]
        fields = {p["name"]: p["value"] for p in target.get("parameters") or ()}
        self._shop.upload_to_storage(
            "POST",
            str(target.get("url")),
            "publish",
            fields=fields,
            files=[("file", (file.name, data, file.file.mime))],
        )
        return str(target["resourceUrl"])

    def _check_size(self, file: MediaFile, found: Mapping[str, Any], size: Dimensions) -> None:
        """Read back what the shop made of a model: its proportions must still be the product's."""
        box = ((found.get("boundingBox") or {}).get("size")) or {}
        read, true = [box.get(axis) for axis in "xyz"], [size.width_m, size.height_m, size.depth_m]
        if not file.is_model or not all(read) or not all(true):
            return
        scales = [float(r) / float(t) for r, t in zip(read, true, strict=True) if r and t]
        if max(scales) / min(scales) > 1 + MAX_PROPORTION_ERROR:
            raise Refused(
                "shopify",
                "publish",
                f"{file.name} came out as {read[0]:g} x {read[1]:g} x {read[2]:g}, which are not the product's proportions",
            )

    def _note(self, product: Mapping[str, Any], noted: _Noted, *, was: _Noted | None = None) -> None:
        """Note which media are ours, unless it stands there already."""
        if {sku: of for sku, of in noted.items() if of} != (
            parse_media_note(product.get("metafield")) if was is None else was
        ):
            value = json.dumps({sku: of for sku, of in noted.items() if of})
            field = {
                "ownerId": product["id"],
                "namespace": METAFIELD_NAMESPACE,
                "key": METAFIELD_KEY,
                "type": "json",
                "value": value,
            }
            self._do(_NOTE, {"fields": [field]}, "metafieldsSet")

    def _refer(self, product: Mapping[str, Any], wanted: _Noted, ours: _Noted) -> None:
        """Attach what is new, and put all in order. ours: with those that are about to go."""
        media = [str(node["id"]) for node in nodes(product.get("media"))]
        every = [id for of in wanted.values() for id in of.values()]
        if new := [id for id in every if id not in media]:
            self._do(
                _REFER,
                {"files": [{"id": id, "referencesToAdd": [product["id"]]} for id in new]},
                "fileUpdate",
            )
        mine = {id for of in ours.values() for id in of.values()}
        theirs = [id for id in media if id not in mine]
        order = merge_media(theirs, every, first=self._first)
        if order != [id for id in media if id in order] + new:
            moves = [{"id": id, "newPosition": str(place)} for place, id in enumerate(order)]
            self._do(
                _ORDER, {"id": product["id"], "moves": moves}, "productReorderMedia", errors="mediaUserErrors"
            )

    def _do(
        self, mutation: str, variables: Mapping[str, Any], name: str, *, errors: str = "userErrors"
    ) -> dict[str, Any]:
        return self._shop.mutation_result(
            self._shop.query(mutation, variables, "publish"), name, "publish", errors=errors
        )


def connect(options: Mapping[str, Any], context: AdapterContext) -> ShopifyChannel:
    check_options(options, "base_url", "token", "api_version", "formats", "place")
    return ShopifyChannel(
        context,
        open_client(options, context),
        formats_option(options, DEFAULT_FORMATS),
        first=choice_option(options, "place", "after", ("after", "before")) == "before",
    )
