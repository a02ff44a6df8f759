"""The DAM adapter for ResourceSpace. Each version is a resource; its archive state carries the review.

USDZ files and pictures are alternative files of the resource. The user's private key signs each request.
ResourceSpace sends no webhooks: the adapter polls its log of state changes.
Facts and setup: docs/connections/resourcespace.md.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dam_connector.adapters.common.context import AdapterContext, check_options, url_option
from dam_connector.adapters.common.dam_helpers import (
    DECIDED_STATES,
    is_same_file,
    labels_option,
    state_for_label,
)
from dam_connector.adapters.common.dam_metadata import DamField, MetadataOption
from dam_connector.adapters.common.mixins import NoWebhooks
from dam_connector.adapters.common.photo_sources import photo_sources_option
from dam_connector.adapters.resourcespace.client import (
    FIRST_POLL_DAYS,
    FIRST_ROWS,
    LOG_ROWS,
    NEEDED_RIGHTS,
    row_number,
)
from dam_connector.adapters.resourcespace.photos import ResourceSpacePhotos
from dam_connector.domain.asset_texts import version_metadata, version_title
from dam_connector.domain.event import Decision
from dam_connector.domain.outside_values import parse_integer
from dam_connector.domain.product import Product
from dam_connector.domain.version import Version, VersionFile, VersionState
from dam_connector.errors import BadOutput, ConfigError, NotFound, Refused
from dam_connector.ports import Blobs, DamCapabilities, PushRequest, RemoteState

DEFAULT_LABELS = {  # archive states: -1 pending review, 0 active, 2 archived; 4 is one that the admin adds
    VersionState.IN_REVIEW: "-1",
    VersionState.APPROVED: "0",
    VersionState.REJECTED: "4",
    VersionState.PUBLISHED: "0",
    VersionState.SUPERSEDED: "2",
    VersionState.WITHDRAWN: "2",
}
TITLE_FIELD = "8"
FIELD_KINDS = {  # types of metadata fields that take no free text
    "2": "list",  # check boxes
    "3": "text",  # a drop-down list; its options are not told
    "4": "date",
    "6": "date",  # of expiry
    "7": "list",  # a category tree
    "9": "list",  # dynamic keywords
    "10": "date",
}
LOG_CODES = "s,x"  # changes of state, deletions
API_NOTE = "archive"  # the note of a state change through the API: the field's name, nobody's words


class ResourceSpaceDam(NoWebhooks, ResourceSpacePhotos):
    """A `Dam` on ResourceSpace. The reference of a version is the number of its resource, e.g. `1234`."""

    capabilities = DamCapabilities()

    def __init__(
        self,
        context: AdapterContext,
        *,
        base_url: str,
        user: str,
        private_key: str,
        options: Mapping[str, Any],
    ) -> None:
        super().__init__(context.http, base_url, user, private_key)
        self._labels = labels_option(DEFAULT_LABELS, options)
        self._fields = {str(name): str(field) for name, field in options.get("fields", {}).items()}
        self._resource_type = str(options.get("resource_type", 1))
        self._sources = photo_sources_option(options, has_folders=False)
        self._metadata = MetadataOption(options)

    def push(self, request: PushRequest, blobs: Blobs) -> str:
        version = request.version
        search_id = _search_id(request.external_id)
        ref = self._find_resource(search_id) or self._create_resource(request, search_id)
        self._write_named_fields(ref, request)
        main, *others = version.ordered_files
        self._upload(ref, main, blobs)
        if request.preview:
            part = ("file", ("preview.jpg", request.preview, "image/jpeg"))
            self._call("upload_multipart", "push", file=part, ref=ref, no_exif=1, revert=0, previewonly=1)
        existing = {
            str(row.get("name")): str(row.get("ref"))
            for row in self._call_for_rows("get_alternative_files", "push", resource=ref)
        }
        for file in others:
            self._upload(ref, file, blobs, existing.get(file.name) or self._add_alternative_file(ref, file))
        return ref

    def write_state(self, ref: str, state: VersionState, decision: Decision | None = None) -> None:
        resource = self._get_resource(ref, "write_state")
        if decision and (field := self._fields.get("decision")):
            summary = f"{decision.verdict.value} by {decision.by}"
            text = "; ".join(filter(None, [summary, ", ".join(decision.reasons), decision.note]))
            self._call("update_field", "write_state", resource=ref, field=field, value=text)
        if str(resource.get("archive")) != self._labels[state]:
            data = json.dumps({"archive": int(self._labels[state])})
            self._call("put_resource_data", "write_state", resource=ref, data=data)

    def remote_state(self, ref: str, version: Version) -> RemoteState:
        archive = str(self._get_resource(ref, "remote_state").get("archive"))
        state = state_for_label(archive, self._labels, version, self.vendor)
        if state not in DECIDED_STATES:
            return RemoteState(state=state)
        log = self._call_for_rows("get_resource_log", "remote_state", resource=ref)
        changes = [row for row in log if row.get("type") == "s"]
        last_change = max(changes, key=row_number, default={})
        user = _user_of(last_change)
        if user == self._user:
            return RemoteState(state=state)
        note = str(last_change.get("notes") or "")
        note = "" if note == API_NOTE else note
        return RemoteState(state=state, decision=Decision(verdict=DECIDED_STATES[state], by=user, note=note))

    def changed_files(self, ref: str, version: Version) -> tuple[str, ...]:
        self._get_resource(ref, "changed_files")
        return tuple(f.name for f in version.channel_files if not self._is_unchanged(ref, f, version))

    def changed_since(self, cursor: str) -> tuple[list[str], str]:
        """List the changed versions; the first call goes back FIRST_POLL_DAYS, to set out at the newest row.

        From a row on, ResourceSpace ignores `days` and answers with the first rows of the rest.
        """
        params: dict[str, Any] = FIRST_ROWS
        if cursor:  # `minref` is inclusive
            params = {"minref": int(cursor) + 1, "days": FIRST_POLL_DAYS, "maxrecords": LOG_ROWS}
        rows = self._call_for_rows(
            "resource_log_last_rows", "changed_since", **params, field="", log_code=LOG_CODES
        )
        if not rows:
            return [], cursor
        own = self._find_own_number()
        rows.sort(key=row_number)
        refs = [str(row["resource"]) for row in rows if str(row.get("user")) != own]
        return list(dict.fromkeys(refs)), str(row_number(rows[-1]))

    def fetch_picture(self, name: str, blobs: Blobs) -> bytes:
        search = f'originalfilename:"{name}"'
        rows = self._call_for_rows(
            "do_search", "fetch_picture", search=search, archive="0,-1", fetchrows="0,1"
        )
        if not rows:
            raise NotFound(self.vendor, "fetch_picture", name)
        return self._download(str(rows[0]["ref"]), name.rpartition(".")[2], "", "fetch_picture")

    def remove(self, ref: str) -> None:
        try:
            self._get_resource(ref, "remove")
        except NotFound:
            return
        self._call("delete_resource", "remove", resource=ref)

    def check_decisions(self, ref: str) -> str:
        """Prove that the log of changes, from which decisions are read, may be read."""
        rows = self._call_for_rows(
            "resource_log_last_rows", "changed_since", **FIRST_ROWS, field="", log_code=LOG_CODES
        )
        if not any(str(row.get("resource")) == ref for row in rows):
            reason = (
                f"its log shows no change to the user {self._user}, so no decision would be heard; "
                f"give its group the permission v (it needs {NEEDED_RIGHTS})"
            )
            raise Refused(self.vendor, "changed_since", reason)
        return "its log shows changes of state, so decisions are heard"

    def discard(self, external_id: str) -> None:
        if ref := self._find_resource(_search_id(external_id)):
            self._call("delete_resource", "remove", resource=ref)

    def check_metadata(self, products: Sequence[Product]) -> Iterator[str]:
        if not self._metadata.templates:
            return
        try:
            rows = self._call_for_rows("get_resource_type_fields", "metadata")
        except Refused:  # only users with the permission a may list fields
            rows = []
        fields = {
            str(row.get(key)): DamField(FIELD_KINDS.get(str(row.get("type")), "text"))
            for row in rows
            for key in ("ref", "name")
        }
        yield from self._metadata.check(self.vendor, fields if rows else None, products)

    def _write_named_fields(self, ref: str, request: PushRequest) -> None:
        """Write the metadata of fields that are given by their short names.

        Raises:
            Refused: there is no such field, or our user may not edit it.
        """
        for name, text in self._metadata.texts(request).items():
            if not name.isdigit():
                found = self._call(
                    "update_field", "push", resource=ref, field=name, value=text, false_means=None
                )
                if found is False:
                    reason = f"metadata/{name}: no field of this short name may be edited by {self._user}"
                    raise Refused(self.vendor, "push", reason)

    def _find_resource(self, search_id: str) -> str:
        """Return the resource with this external id in any of our states, or an empty text."""
        search = f"externalid:{search_id}"
        states = ",".join(sorted(set(self._labels.values())))
        rows = self._call_for_rows("do_search", "push", search=search, archive=states, fetchrows="0,5")
        return str(rows[0]["ref"]) if rows else ""

    def _create_resource(self, request: PushRequest, search_id: str) -> str:
        facts = {
            **version_metadata(request.version, request.product),
            "review_url": request.review_url,
            "folder": request.folder,
            "external_id": search_id,
        }
        values = {TITLE_FIELD: version_title(request.version, request.product)}
        values |= {field: facts[name] for name, field in self._fields.items() if name in facts}
        values |= {name: text for name, text in self._metadata.texts(request).items() if name.isdigit()}
        ref = self._call(
            "create_resource",
            "push",
            resource_type=self._resource_type,
            archive=self._labels[VersionState.IN_REVIEW],
            metadata=json.dumps(values),
        )
        if parse_integer(ref) is None:
            raise BadOutput(self.vendor, "push", f"create_resource gave {str(ref)[:80]!r}, no resource")
        return str(ref)

    def _add_alternative_file(self, ref: str, file: VersionFile) -> str:
        """Announce an alternative file of a resource; return the reference to upload it with."""
        description: dict[str, Any] = {
            "name": file.name,
            "description": file.role.value,
            "file_name": file.name,
            "file_extension": file.name.rpartition(".")[2],
            "file_size": file.bytes,
        }
        return str(self._call("add_alternative_file", "push", resource=ref, **description, alt_type=""))

    def _upload(self, ref: str, file: VersionFile, blobs: Blobs, alternative: str = "") -> None:
        part = ("file", (file.name, blobs.get(file.sha256), file.mime))
        params: dict[str, Any] = {"ref": ref, "no_exif": 1, "revert": 0}
        if alternative:
            params["alternative"] = alternative
        self._call("upload_multipart", "push", file=part, **params)

    def _is_unchanged(self, ref: str, file: VersionFile, version: Version) -> bool:
        extension, alternative = file.name.rpartition(".")[2], ""
        if file != version.ordered_files[0]:
            rows = self._call_for_rows("get_alternative_files", "changed_files", resource=ref)
            alternative = next((str(row["ref"]) for row in rows if row.get("name") == file.name), "none")
        return is_same_file(file, lambda: self._download(ref, extension, alternative, "changed_files"))


def _search_id(external_id: str) -> str:
    """Return a hash of an external id that ResourceSpace's search takes as one word."""
    return f"dc{hashlib.sha256(external_id.encode()).hexdigest()[:30]}"


def _user_of(row: Mapping[str, Any]) -> str:
    """Return the user of a row of a resource's log; without a row, which needs a right, a placeholder."""
    return str(row.get("username") or row.get("fullname") or "somebody in resourcespace")


def connect(options: Mapping[str, Any], context: AdapterContext) -> ResourceSpaceDam:
    """Open the adapter with the options of plugin.json."""
    check_options(
        options, "base_url", "user", "private_key", "resource_type", "fields", "states", "metadata", "sources"
    )
    if not options.get("user"):
        raise ConfigError('user: the user that the API key belongs to, such as "dam-connector"')
    fields = options.get("fields", {})
    if not isinstance(fields, dict) or not fields.get("external_id"):
        raise ConfigError(
            "fields: the number of each metadata field, external_id at least: "
            '{"external_id": 88}; docs/connections/resourcespace.md'
        )
    return ResourceSpaceDam(
        context,
        base_url=url_option(options, example="https://dam.example"),
        user=str(options["user"]),
        private_key=context.secret(str(options.get("private_key", "env/RESOURCESPACE_KEY"))),
        options=options,
    )
