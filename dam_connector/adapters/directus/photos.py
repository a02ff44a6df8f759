"""Product photos in the file library of Directus: all pictures that are not in the connector's own folder."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from dam_connector.adapters.common.api_client import MAX_FILE_BYTES, TRANSFER_TIMEOUT_S, ApiClient
from dam_connector.adapters.common.envelopes import parse_json
from dam_connector.adapters.common.photo_sources import row_key
from dam_connector.domain.photo_sources import PhotoFacts, PhotoSources
from dam_connector.errors import BadOutput
from dam_connector.ports import DamPhoto, FinishedFile, InboundWebhook, PhotoChange

FILES = "directus_files"
PHOTO_PAGE_SIZE = 100
FILE_FIELDS = (
    "id",
    "filename_download",
    "folder",
    "type",
    "modified_on",
    "uploaded_on",
    "uploaded_by",
    "filesize",
)


class DirectusLibrary(ApiClient):
    """The part of the adapter that reads files; see `SuppliesPhotos`. References are ids of files."""

    vendor = "directus"
    _root_folder = ""
    _sources = PhotoSources()
    _cached_user_id = ""

    def changed_photos(self, cursor: str) -> tuple[list[PhotoChange], str]:
        """List files by the time of their last change.

        The cursor is that time and the keys of the rows that have it; Directus knows it to the second on some
        databases. Files that were deleted are in no list; the flow tells of them.
        """
        moment, *seen = cursor.split(" ")
        query = f"sort=modified_on,id&limit={PHOTO_PAGE_SIZE + len(seen)}" + (
            f"&filter[modified_on][_gte]={quote(moment)}" if moment else "&filter[modified_on][_nnull]=true"
        )
        rows = self._file_rows(query, "changed_photos")
        new = [row for row in rows if row_key(row) not in seen]
        if not new:
            return [], cursor
        folders = self._folder_paths()
        changes = [PhotoChange(ref=str(row["id"]), photo=self._photo(row, folders)) for row in new]
        last = str(rows[-1]["modified_on"])
        return changes, " ".join([last, *(row_key(row) for row in rows if row["modified_on"] == last)])

    def photo(self, ref: str) -> DamPhoto | None:
        rows = self._file_rows(f"limit=1&filter[id][_eq]={quote(ref, safe='')}", "photo")
        return self._photo(rows[0], self._folder_paths()) if rows else None

    def photo_bytes(self, ref: str) -> bytes:
        return self._download(ref, "photo_bytes")

    def finished_files(self, cursor: str, fields: Sequence[str]) -> tuple[list[FinishedFile], str]:
        """List pictures and models page by page; the library of Directus knows no approval of its own."""
        page = int(cursor or 1)
        query = f"sort=id&limit={PHOTO_PAGE_SIZE}&page={page}"
        rows = self._file_rows(query, "finished_files", fields)
        folders = self._folder_paths() if rows else {}
        files = [self._photo(row, folders, fields, models=True) for row in rows]
        following = str(page + 1) if len(rows) == PHOTO_PAGE_SIZE else ""
        return [FinishedFile(file=file) for file in files if file], following

    def photo_refs(self, inbound: InboundWebhook) -> list[str]:
        message = self._message(inbound)
        return keys_of(message) if message.get("collection") == FILES else []

    def _message(self, inbound: InboundWebhook) -> dict[str, Any]:
        """Return the body of a webhook.

        Raises:
            BadOutput: the flow sends something else.
        """
        message = parse_json(inbound.body, self.vendor)
        keys = (message.get("keys") or message.get("key")) if isinstance(message, dict) else None
        if not isinstance(keys, list | str):
            reason = "/keys: it is missing; the request of the flow must send {{$trigger}}"
            raise BadOutput(self.vendor, "parse_webhook", reason)
        return dict(message)

    def _photo(
        self,
        row: Mapping[str, Any],
        folders: Mapping[str, str],
        fields: Sequence[str] | None = None,
        *,
        models: bool = False,
    ) -> DamPhoto | None:
        """Return a file as a photo; None if it is no picture, or ours: in our folder, or uploaded by us."""
        folder = folders.get(str(row.get("folder") or ""), "")
        own_root = self._root_folder.strip("/")
        is_ours = folder == own_root or folder.startswith(f"{own_root}/")
        if is_ours or row.get("uploaded_by") == self._own_user_id():
            return None
        is_model = models and str(row.get("filename_download") or "").lower().endswith(".glb")
        if not is_model and not str(row.get("type") or "").startswith("image/"):
            return None
        facts = PhotoFacts(
            name=str(row.get("filename_download") or ""),
            folder=folder,
            fields={name: _text(row.get(name)) for name in self._wanted(fields)},
        )
        return DamPhoto(
            ref=str(row["id"]), facts=facts, fingerprint=f"{row.get('uploaded_on')} {row.get('filesize')}"
        )

    def _wanted(self, fields: Sequence[str] | None) -> Sequence[str]:
        return self._sources.fields if fields is None else fields

    def _file_rows(
        self, query: str, operation: str, fields: Sequence[str] | None = None
    ) -> list[dict[str, Any]]:
        names = ",".join((*FILE_FIELDS, *self._wanted(fields)))
        return self._list(f"/files?fields={quote(names, safe=',')}&{query}", operation)

    def _folder_paths(self) -> dict[str, str]:
        """Return the path of each folder by its id, e.g. `Photos/Chairs`."""
        rows = {
            str(row["id"]): row for row in self._list("/folders?limit=-1&fields=id,name,parent", "folders")
        }

        def path(folder_id: str, depth: int = 0) -> str:
            row = rows.get(folder_id)
            if row is None or depth > len(rows):
                return ""
            return f"{path(str(row.get('parent') or ''), depth + 1)}/{row.get('name')}".strip("/")

        return {folder_id: path(folder_id) for folder_id in rows}

    def _list(self, path: str, operation: str) -> list[dict[str, Any]]:
        found = self.request_json("GET", path, operation).get("data")
        if not isinstance(found, list):
            raise BadOutput(self.vendor, operation, "/data: it is not a list")
        return found

    def _own_user_id(self) -> str:
        if not self._cached_user_id:
            user = self.request_json("GET", "/users/me?fields=id", "whoami").get("data") or {}
            self._cached_user_id = str(user.get("id"))
        return self._cached_user_id

    def _download(self, file_id: str, operation: str) -> bytes:
        return self.request(
            "GET",
            f"/assets/{file_id}",
            operation,
            max_bytes=MAX_FILE_BYTES,
            timeout_s=TRANSFER_TIMEOUT_S,
        ).body


def keys_of(message: Mapping[str, Any]) -> list[str]:
    """Return the ids that a webhook names; an upload has one `key`, other events have `keys`."""
    keys = message.get("keys") or message.get("key")
    return [str(key) for key in (keys if isinstance(keys, list) else [keys])]


def _text(value: Any) -> str:
    """Return the value of a field as text; of a list its first element."""
    if isinstance(value, list):
        value = value[0] if value else ""
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)
