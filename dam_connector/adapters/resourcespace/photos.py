"""Product photos in ResourceSpace: all active resources with a picture that the connector did not make."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from dam_connector.adapters.common.mixins import NoWebhooks
from dam_connector.adapters.resourcespace.client import (
    FIRST_POLL_DAYS,
    FIRST_ROWS,
    LOG_ROWS,
    ResourceSpaceClient,
    row_number,
)
from dam_connector.domain.outside_values import parse_integer
from dam_connector.domain.photo_sources import PhotoFacts, PhotoSources
from dam_connector.domain.picture_names import is_picture_name
from dam_connector.errors import NotFound
from dam_connector.ports import DamPhoto, FinishedFile, InboundWebhook, PhotoChange

# Created, copied, uploaded, replaced, reverted, edited, transformed, changes of state, deleted.
PHOTO_LOG_CODES = "c,C,u,f,r,e,m,N,t,s,x,xx"
PHOTO_PAGE_SIZE = 50
ACTIVE = "0"
ORIGINAL_NAME = "51"  # the field with the name that a file was uploaded with
OUR_ID = re.compile(r"dc[0-9a-f]{30}")  # in the field external_id of our versions


class ResourceSpacePhotos(ResourceSpaceClient):
    """The part of the adapter that reads photos; see `SuppliesPhotos`. References are resources."""

    _sources = PhotoSources()
    _fields: dict[str, str]

    def changed_photos(self, cursor: str) -> tuple[list[PhotoChange], str]:
        """List the active resources page by page, then the changed ones by the log.

        The cursor is `all OFFSET ROW`, then `log ROW`, where ROW is the last row of the log that was seen.
        """
        kind, _, rest = cursor.partition(" ")
        if kind == "log":
            return self._logged_photos(parse_integer(rest) or 0)
        offset, _, row = rest.partition(" ")
        first = parse_integer(offset) or 0
        last_row = parse_integer(row) if row else self._newest_row()
        rows = self._active_resources(first, "changed_photos")
        changes = list(self._changes([str(row.get("ref")) for row in rows]))
        if len(rows) < PHOTO_PAGE_SIZE:
            return changes, f"log {last_row}"
        return changes, f"all {first + len(rows)} {last_row}"

    def photo(self, ref: str) -> DamPhoto | None:
        return self._file(ref, self._sources.fields)

    def finished_files(self, cursor: str, fields: Sequence[str]) -> tuple[list[FinishedFile], str]:
        """List the active resources with a picture or a GLB; who made one active is in its log."""
        first = parse_integer(cursor) or 0
        rows = self._active_resources(first, "finished_files")
        files = [self._file(str(row.get("ref")), fields, models=True) for row in rows]
        found = [FinishedFile(file=file, approved_by=self._approver(file.ref)) for file in files if file]
        return found, str(first + len(rows)) if len(rows) == PHOTO_PAGE_SIZE else ""

    def _approver(self, ref: str) -> str:
        log = self._call_for_rows("get_resource_log", "finished_files", resource=ref)
        changes = [row for row in log if row.get("type") in ("s", "c")]
        last = max(changes, key=row_number, default={})
        return str(last.get("username") or last.get("fullname") or "")

    def _active_resources(self, first: int, operation: str) -> list[dict[str, Any]]:
        return self._call_for_rows(
            "do_search",
            operation,
            search="",
            order_by="resourceid",
            archive=ACTIVE,
            fetchrows=f"{first},{PHOTO_PAGE_SIZE}",
            sort="asc",
        )

    def _file(self, ref: str, wanted_fields: Sequence[str], *, models: bool = False) -> DamPhoto | None:
        """Return an active resource as a photo; None if it is no picture, or ours."""
        try:
            resource = self._get_resource(ref, "photo")
        except NotFound:
            return None
        extension = str(resource.get("file_extension") or "").lower()
        is_wanted = is_picture_name(f"x.{extension}") or (models and extension == "glb")
        if str(resource.get("archive")) != ACTIVE or not is_wanted:
            return None
        fields = {}
        for row in self._call_for_rows("get_resource_field_data", "photo", resource=ref):
            fields[str(row.get("ref"))] = fields[str(row.get("name"))] = str(row.get("value") or "")
        by_us = str(resource.get("created_by")) == (self._find_own_number() or "nobody")
        if by_us or OUR_ID.fullmatch(fields.get(self._fields.get("external_id", ""), "")):
            return None
        wanted = {name: fields.get(name, "").strip().removeprefix(",") for name in wanted_fields}
        name = fields.get(ORIGINAL_NAME) or fields.get("originalfilename") or f"{ref}.{extension}"
        facts = (resource.get(name) or "" for name in ("file_modified", "file_size", "file_checksum"))
        fingerprint = " ".join(map(str, facts))
        return DamPhoto(ref=ref, facts=PhotoFacts(name=name, fields=wanted), fingerprint=fingerprint)

    def photo_bytes(self, ref: str) -> bytes:
        extension = str(self._get_resource(ref, "photo_bytes").get("file_extension") or "")
        return self._download(ref, extension, "", "photo_bytes")

    def photo_refs(self, inbound: InboundWebhook) -> list[str]:
        return list(NoWebhooks().parse_webhook(inbound))

    def _logged_photos(self, last_row: int) -> tuple[list[PhotoChange], str]:
        params: dict[str, Any] = FIRST_ROWS
        if last_row:  # `minref` is inclusive
            params = {"minref": last_row + 1, "days": FIRST_POLL_DAYS, "maxrecords": LOG_ROWS}
        rows = self._call_for_rows(
            "resource_log_last_rows", "changed_photos", **params, field="", log_code=PHOTO_LOG_CODES
        )
        if not rows:
            return [], f"log {last_row}"
        own = self._find_own_number() or "nobody"
        refs = [str(row["resource"]) for row in sorted(rows, key=row_number) if str(row.get("user")) != own]
        return list(self._changes(refs)), f"log {max(map(row_number, rows))}"

    def _changes(self, refs: list[str]) -> Iterator[PhotoChange]:
        for ref in dict.fromkeys(refs):
            yield PhotoChange(ref=ref, photo=self.photo(ref))

    def _newest_row(self) -> int:
        """Return the number of the newest row of the log of the last days; 0: there is none."""
        rows = self._call_for_rows(
            "resource_log_last_rows", "changed_photos", **FIRST_ROWS, field="", log_code=PHOTO_LOG_CODES
        )
        return max(map(row_number, rows), default=0)
