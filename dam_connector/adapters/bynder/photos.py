"""Media in Bynder, and those that are product photos: pictures that the connector did not put there."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from dam_connector.adapters.common.api_client import MAX_FILE_BYTES, ApiClient
from dam_connector.adapters.common.mixins import NoWebhooks
from dam_connector.adapters.common.photo_sources import row_key
from dam_connector.domain.outside_values import decode_json, parse_integer, parse_timestamp
from dam_connector.domain.photo_sources import PhotoFacts, PhotoSources
from dam_connector.errors import BadOutput, NotFound
from dam_connector.ports import DamPhoto, FinishedFile, InboundWebhook, PhotoChange

PAGE_SIZE = 100
MAX_PAGES = 20
CLOCK_STEP = timedelta(seconds=2)  # times are to the second; two changes may have the same


class BynderPhotos(ApiClient):
    """The part of the adapter that reads media; see `SuppliesPhotos`. References are ids of media."""

    vendor = "bynder"
    _property_names: Mapping[str, str]
    _sources = PhotoSources()

    def changed_photos(self, cursor: str) -> tuple[list[PhotoChange], str]:
        """List all pictures page by page in the order of their creation, then those that were modified.

        The cursor is `all PAGE TIME`, where TIME is that of the last change before the first page, then
        `since TIME KEY ...` with the keys of the media that were modified at that time or shortly before.
        Media that were deleted are in no list.
        """
        kind, _, rest = cursor.partition(" ")
        if kind == "since":
            return self._modified_photos(rest)
        number, _, moment = rest.partition(" ")
        page = parse_integer(number) or 1
        moment = moment or max((str(row["dateModified"]) for row in self._modified_since("")), default="")
        query = urlencode({"type": "image", "orderBy": "dateCreated asc", "limit": PAGE_SIZE, "page": page})
        rows = self._list(f"/api/v4/media/?{query}", "changed_photos")
        changes = [PhotoChange(ref=str(row["id"]), photo=self._photo(row)) for row in rows]
        return changes, f"since {moment}" if len(rows) < PAGE_SIZE else f"all {page + 1} {moment}"

    def _modified_photos(self, seen_so_far: str) -> tuple[list[PhotoChange], str]:
        moment, *seen = seen_so_far.split(" ")
        since = parse_timestamp(moment)
        overlap = (since - CLOCK_STEP).strftime("%Y-%m-%dT%H:%M:%SZ") if since else moment
        rows = [row for row in self._modified_since(overlap) if row.get("type", "image") == "image"]
        changes = [PhotoChange(ref=str(row["id"]), photo=self._photo(row)) for row in reversed(rows)]
        keys = [row_key(change) for change in changes]
        new = [change for change, key in zip(changes, keys, strict=True) if key not in seen]
        last = max([moment, *(str(row["dateModified"]) for row in rows)])
        return new, " ".join(["since", last, *keys])

    def photo(self, ref: str) -> DamPhoto | None:
        try:
            return self._photo(self._media(ref, "photo"))
        except NotFound:
            return None

    def photo_bytes(self, ref: str) -> bytes:
        return self._download(ref, "", "photo_bytes")

    def finished_files(self, cursor: str, fields: Sequence[str]) -> tuple[list[FinishedFile], str]:
        """List pictures and models in the order of their creation; archived media are left out."""
        page = parse_integer(cursor) or 1
        query = urlencode({"orderBy": "dateCreated asc", "limit": PAGE_SIZE, "page": page})
        rows = self._list(f"/api/v4/media/?{query}", "finished_files")
        files = [self._photo(row, fields, models=True) for row in rows]
        following = str(page + 1) if len(rows) == PAGE_SIZE else ""
        return [FinishedFile(file=file) for file in files if file], following

    def photo_refs(self, inbound: InboundWebhook) -> list[str]:
        return list(NoWebhooks().parse_webhook(inbound))

    def _photo(
        self, media: Mapping[str, Any], fields: Sequence[str] | None = None, *, models: bool = False
    ) -> DamPhoto | None:
        """Return a media as a photo; None if it is no picture, archived, or ours.

        A GLB is known by its extension: documents do not agree on the type that Bynder gives it.
        """
        extensions = media.get("extension") or ("",)
        extension = str(extensions[0] if isinstance(extensions, list | tuple) else extensions)
        is_wanted = media.get("type", "image") == "image" or (models and extension.lower() == "glb")
        if not is_wanted or media.get("archive") == 1 or self._value(media, "id"):
            return None
        wanted_fields = self._sources.fields if fields is None else fields
        name = str(media.get("name") or "")
        facts = PhotoFacts(
            name=name if not extension or name.endswith(f".{extension}") else f"{name}.{extension}",
            fields={field: _first(media.get(f"property_{field}")) for field in wanted_fields},
        )
        return DamPhoto(
            ref=str(media["id"]),
            facts=facts,
            fingerprint=f"{media.get('dateModified')} {media.get('fileSize')}",
        )

    def _modified_since(self, cursor: str) -> list[dict[str, Any]]:
        """Return the media modified after the cursor, newest first; without a cursor the newest page only."""
        found: list[dict[str, Any]] = []
        for page in range(1, MAX_PAGES + 1 if cursor else 2):
            query = urlencode({"orderBy": "dateModified desc", "limit": PAGE_SIZE, "page": page})
            media_page = self._list(f"/api/v4/media/?{query}", "changed_since")
            newer = [media for media in media_page if str(media.get("dateModified", "")) > cursor]
            found += newer
            if len(newer) < PAGE_SIZE:
                break
        return found

    def _media(self, media_id: str, operation: str) -> dict[str, Any]:
        return self.request_json("GET", f"/api/v4/media/{media_id}/?versions=1", operation)

    def _json(self, path: str, operation: str) -> Any:
        try:
            return decode_json(self.request("GET", path, operation).body)
        except ValueError as error:
            raise BadOutput(self.vendor, operation, "the answer is not JSON") from error

    def _list(self, path: str, operation: str) -> list[dict[str, Any]]:
        found = self._json(path, operation)
        return [media for media in found if isinstance(media, dict)] if isinstance(found, list) else []

    def _download(self, media_id: str, attachment_id: str, operation: str) -> bytes:
        """Download an additional file of a media, or with an empty `attachment_id` its main file."""
        below = f"{attachment_id}/" if attachment_id else ""
        answer = self.request_json("GET", f"/api/v4/media/{media_id}/download/{below}", operation)
        return self._http.get(str(answer.get("s3_file")), max_bytes=MAX_FILE_BYTES, vendor=self.vendor)

    def _value(self, media: Mapping[str, Any], name: str) -> str:
        """Return the value of a metaproperty by our name for it; Bynder may give it as a list."""
        return _first(media.get(f"property_{self._property_names[name]}"))


def _first(value: Any) -> str:
    """Return the value of a metaproperty as text; of a list the first one."""
    return str(value[0] if isinstance(value, list) and value else value or "")
