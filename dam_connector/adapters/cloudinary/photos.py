"""Assets in Cloudinary, and those that are product photos: pictures that the connector did not put there.

Facts: docs/connections/cloudinary.md.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from dam_connector.adapters.common.api_client import MAX_FILE_BYTES, ApiClient
from dam_connector.adapters.common.dam_metadata import as_text
from dam_connector.adapters.common.envelopes import parse_json
from dam_connector.adapters.common.photo_sources import row_key
from dam_connector.domain.outside_values import parse_timestamp
from dam_connector.domain.photo_sources import PhotoFacts, PhotoSources
from dam_connector.errors import BadOutput, NotFound
from dam_connector.ports import DamPhoto, FinishedFile, InboundWebhook, PhotoChange

PAGE_SIZE = 100
SEARCH_LAG = timedelta(seconds=60)  # until a search knows an upload
OUR_TAG = "dam-connector"
STATE_KEY = "connector_state"  # in an asset's context: the state that the connector wrote last
MODEL_FORMATS = ("glb", "gltf", "usdz", "obj", "fbx")
ADOPTED_MODELS = ("glb",)
APPROVED = "approved"  # `moderation_status` of a row; one without a moderation counts as approved


class CloudinaryPhotos(ApiClient):
    """The part of the adapter that reads assets; see `SuppliesPhotos`. References are public ids."""

    vendor = "cloudinary"
    _sources = PhotoSources()

    def changed_photos(self, cursor: str) -> tuple[list[PhotoChange], str]:
        """Search for pictures by the time of their upload, as `SuppliesPhotos` has it.

        The cursor is a JSON array: that time, Cloudinary's own cursor of the next page, and the keys of the
        rows of the last call. What was uploaded within `SEARCH_LAG` is searched for again, since the search
        knows it late. Deletions and changed fields are in no list; webhooks tell of them.
        """
        moment, page, seen = json.loads(cursor) if cursor else ("", "", [])
        since = f'uploaded_at>="{moment}"' if moment else ""
        rows, following = self._search(since, page, "changed_photos")
        changes = [PhotoChange(ref=str(row.get("public_id")), photo=self._photo(row)) for row in rows]
        keys = [row_key(change) for change in changes]
        new = [change for change, key in zip(changes, keys, strict=True) if key not in seen]
        if following:
            return new, json.dumps([moment, following, keys])
        times = [at for row in rows if (at := parse_timestamp(row.get("uploaded_at")))]
        since = (max(times) - SEARCH_LAG).strftime("%Y-%m-%dT%H:%M:%SZ") if times else moment
        return new, json.dumps([max(since, moment), "", keys or seen])

    def photo(self, ref: str) -> DamPhoto | None:
        """Return a picture as `SuppliesPhotos` has it; references are public ids."""
        try:
            return self._photo(self._get_asset(ref, "photo"))
        except NotFound:
            return None

    def photo_bytes(self, ref: str) -> bytes:
        return self._download("image", ref, "photo_bytes")

    def finished_files(self, cursor: str, fields: Sequence[str]) -> tuple[list[FinishedFile], str]:
        """List pictures and models; those that wait for a moderation, or were rejected by one, are left out.

        Cloudinary takes a GLB for a picture. It names nobody who approved one.
        """
        rows, following = self._search("", cursor, "finished_files")
        good = [row for row in rows if str(row.get("moderation_status") or APPROVED) == APPROVED]
        files = [self._photo(row, fields, models=True) for row in good]
        return [FinishedFile(file=file) for file in files if file], following

    def photo_refs(self, inbound: InboundWebhook) -> list[str]:
        message = parse_json(inbound.body, self.vendor)
        if not isinstance(message, dict):
            raise BadOutput(self.vendor, "parse_webhook", "/: the body is not a JSON object")
        return list(dict.fromkeys(_public_ids(message)))

    def _search(self, more: str, page: str, operation: str) -> tuple[list[dict[str, Any]], str]:
        """Return a page of the uploaded images, the oldest first, and Cloudinary's cursor of the next one."""
        search: dict[str, Any] = {
            "expression": " AND ".join(filter(None, ["resource_type:image AND type:upload", more])),
            "sort_by": [{"uploaded_at": "asc"}],
            "max_results": PAGE_SIZE,
            "with_field": ["context", "tags", "metadata"],
            **({"next_cursor": page} if page else {}),
        }
        reply = self.request_json("POST", "/resources/search", operation, json=search)
        rows = [row for row in reply.get("resources") or () if isinstance(row, dict)]
        return rows, str(reply.get("next_cursor") or "")

    def _photo(
        self, asset: Mapping[str, Any], fields: Sequence[str] | None = None, *, models: bool = False
    ) -> DamPhoto | None:
        """Return an asset as a photo; None if it is none, or ours: with our tag or our state."""
        context = context_of(asset)
        is_ours = OUR_TAG in (asset.get("tags") or ()) or STATE_KEY in context
        wanted_models = ADOPTED_MODELS if models else ()
        if is_ours or asset.get("format") in (set(MODEL_FORMATS) - set(wanted_models)):
            return None
        public_id = str(asset.get("public_id"))
        folder, _, stem = public_id.rpartition("/")
        metadata = asset.get("metadata")
        own: Mapping[str, Any] = {**context, **(metadata if isinstance(metadata, dict) else {})}
        wanted = self._sources.fields if fields is None else fields
        facts = PhotoFacts(
            name=f"{asset.get('display_name') or stem}.{asset.get('format') or 'jpg'}",
            folder=str(asset.get("asset_folder") or folder),
            fields={name: as_text(own[name]) if name in own else "" for name in wanted},
        )
        fingerprint = str(asset.get("version") or asset.get("uploaded_at") or "")
        return DamPhoto(ref=public_id, facts=facts, fingerprint=fingerprint)

    def _get_asset(self, ref: str, operation: str) -> dict[str, Any]:
        return self.request_json("GET", f"/resources/image/upload/{quote(ref, safe='')}", operation)

    def _download(self, resource_type: str, public_id: str, operation: str) -> bytes:
        path = f"/resources/{resource_type}/upload/{quote(public_id, safe='')}"
        url = str(self.request_json("GET", path, operation).get("secure_url") or "")
        if not url:
            raise BadOutput(self.vendor, operation, "/secure_url: the asset has none")
        return self._http.get(url, max_bytes=MAX_FILE_BYTES, vendor=self.vendor)


def context_of(asset: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the key and value pairs that were stored with an asset; a search gives them without `custom`."""
    context = asset.get("context") or {}
    pairs: Mapping[str, Any] = context.get("custom") or context
    return pairs


def _public_ids(value: Any) -> Iterator[str]:
    """Yield the public ids that a notification names, at any depth; of a renamed asset both."""
    if isinstance(value, dict):
        for name, child in value.items():
            if name in ("public_id", "from_public_id", "to_public_id") and isinstance(child, str):
                yield child
            else:
                yield from _public_ids(child)
    elif isinstance(value, list):
        for child in value:
            yield from _public_ids(child)
