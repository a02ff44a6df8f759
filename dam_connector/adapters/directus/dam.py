"""The DAM adapter for Directus. Each version is a row of a collection; people decide in the Directus app.

The files lie in the Directus file library. Every id is derived from a name, so that a repeated request finds
what the first one created. Facts and setup: docs/connections/directus.md.
"""

import hashlib
import hmac
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from dam_connector.adapters.common.api_client import TRANSFER_TIMEOUT_S
from dam_connector.adapters.common.context import AdapterContext, check_options, url_option
from dam_connector.adapters.common.dam_helpers import DECIDED_STATES, is_same_file, parse_state
from dam_connector.adapters.common.dam_metadata import DamField, MetadataOption
from dam_connector.adapters.common.photo_sources import photo_sources_option
from dam_connector.adapters.directus.photos import FILES, DirectusLibrary, keys_of
from dam_connector.adapters.http import HttpResponse
from dam_connector.domain.asset_texts import version_metadata, version_title
from dam_connector.domain.event import Decision
from dam_connector.domain.photo_sources import PhotoSources
from dam_connector.domain.product import Product
from dam_connector.domain.version import Version, VersionFile, VersionState
from dam_connector.errors import AdapterError, DeliveryError, NotFound, Refused
from dam_connector.ports import (
    Blobs,
    DamCapabilities,
    InboundWebhook,
    PushRequest,
    RemoteState,
    VerifiedWebhook,
)

ID_NAMESPACE = uuid.UUID("6c0c2a5e-3d0f-5b52-9c1a-2f6f8f0f7d11")  # our own, for ids derived from names
PAGE_SIZE = 200
TYPES = {  # our kinds of metadata, by the types of Directus; others are texts
    "integer": ("integer", "bigInteger"),
    "number": ("float", "decimal"),
    "boolean": ("boolean",),
    "date": ("date", "dateTime", "timestamp"),
    "list": ("json", "csv"),
}
ROW_FIELDS = (
    "id,status,reject_reason,date_updated,"
    "user_updated.id,user_updated.first_name,user_updated.last_name,user_updated.email"
)


class RecordExists(Refused):
    """Directus has a record with this id, or with this value of another unique field, already."""


class DirectusDam(DirectusLibrary):
    """A `Dam` on Directus. The reference of a version is the id of its row, a UUID."""

    capabilities = DamCapabilities()

    def __init__(
        self,
        context: AdapterContext,
        *,
        base_url: str,
        token: str,
        collection: str,
        root_folder: str,
        webhook_secret: str,
        metadata: MetadataOption,
        sources: PhotoSources,
    ) -> None:
        super().__init__(context.http, base_url, {"Authorization": f"Bearer {token}"})
        self._collection = collection
        self._root_folder = root_folder
        self._webhook_secret = webhook_secret
        self._metadata = metadata
        self._sources = sources
        self._folder_ids: dict[str, str] = {}  # by path; cached
        self._last_push: tuple[str, list[str]] = ("", [])  # its external id, and the ids of its stored files

    def push(self, request: PushRequest, blobs: Blobs) -> str:
        version, ref = request.version, _derived_id(request.external_id)
        self._last_push = (request.external_id, [])
        folder_id = self._create_folders(request.folder)
        file_ids = {
            file.name: self._upload(request, file, blobs.get(file.sha256), folder_id)
            for file in version.channel_files
        }
        row = {
            **version_metadata(version, request.product),
            **self._metadata.values(request),
            "id": ref,
            "external_id": request.external_id,
            "title": version_title(version, request.product),
            "status": VersionState.IN_REVIEW.value,
            "preview": file_ids.get(version.list_picture.name) if version.list_picture else None,
            "review_url": request.review_url,
            "files": [{"directus_files_id": file_id} for file_id in file_ids.values()],
        }
        try:
            self.request("POST", f"/items/{self._collection}", "push", json=row)
        except RecordExists:
            pass  # an earlier try succeeded
        return ref

    def write_state(self, ref: str, state: VersionState, decision: Decision | None = None) -> None:
        self._row(ref, "write_state")
        values: dict[str, Any] = {"status": state.value}
        if decision:
            reason = "; ".join(filter(None, [", ".join(decision.reasons), decision.note]))
            values |= {"decided_by": decision.by, "reject_reason": reason}
        elif state is VersionState.IN_REVIEW:
            values |= {"decided_by": "", "reject_reason": ""}
        self.request("PATCH", f"/items/{self._collection}/{ref}", "write_state", json=values)

    def remote_state(self, ref: str, version: Version) -> RemoteState:
        row = self._row(ref, "remote_state")
        state = parse_state(row.get("status"), self.vendor)
        user = row.get("user_updated") or {}
        if state not in DECIDED_STATES or user.get("id") == self._own_user_id():
            return RemoteState(state=state)
        full_name = " ".join(filter(None, [user.get("first_name"), user.get("last_name")]))
        decision = Decision(
            verdict=DECIDED_STATES[state],
            by=str(full_name or user.get("email") or "somebody"),
            note=str(row.get("reject_reason") or ""),
        )
        return RemoteState(state=state, decision=decision)

    def changed_files(self, ref: str, version: Version) -> tuple[str, ...]:
        self._row(ref, "changed_files")
        return tuple(f.name for f in version.channel_files if not self._is_unchanged(f, version))

    def changed_since(self, cursor: str) -> tuple[list[str], str]:
        """List the rows that others changed.

        The cursor is the latest `date_updated` and the ids of the rows that have it, e.g.
        `2026-11-20T12:00:00.000Z id1,id2`: several rows may share a time, and one of them may come later.
        """
        moment, _, seen_ids = cursor.partition(" ")
        query = (
            f"fields=id,date_updated&sort=date_updated&limit={PAGE_SIZE}"
            f"&filter[date_updated][_gte]={moment or '2000-01-01T00:00:00Z'}"
            f"&filter[user_updated][_neq]={self._own_user_id()}"
        )
        rows = self._list(f"/items/{self._collection}?{query}", "changed_since")
        if not rows:
            return [], cursor
        refs = [
            str(row["id"])
            for row in rows
            if str(row["id"]) not in seen_ids.split(",") or row["date_updated"] != moment
        ]
        last = str(rows[-1]["date_updated"])
        return refs, f"{last} {','.join(str(row['id']) for row in rows if row['date_updated'] == last)}"

    def verify(self, inbound: InboundWebhook) -> VerifiedWebhook:
        secret = inbound.headers.get("x-webhook-secret", "")
        if not self._webhook_secret or not hmac.compare_digest(
            secret.encode(), self._webhook_secret.encode()
        ):
            raise DeliveryError(401, "X-Webhook-Secret is not this connection's")
        digest = hashlib.sha256(inbound.body).hexdigest()  # Directus flows give their deliveries no id
        return VerifiedWebhook(key=f"{digest}:{inbound.received_at.isoformat()}")

    def parse_webhook(self, inbound: InboundWebhook) -> list[str]:
        message = self._message(inbound)
        return [] if message.get("collection") == FILES else keys_of(message)

    def fetch_picture(self, name: str, blobs: Blobs) -> bytes:
        query = f"fields=id&limit=1&sort=-uploaded_on&filter[filename_download][_eq]={quote(name, safe='')}"
        files = self._list(f"/files?{query}", "fetch_picture")
        if not files:
            raise NotFound(self.vendor, "fetch_picture", name)
        return self._download(str(files[0]["id"]), "fetch_picture")

    def remove(self, ref: str) -> None:
        query = f"fields=id,files.directus_files_id&filter[id][_eq]={quote(ref, safe='')}"
        for row in self._list(f"/items/{self._collection}?{query}", "remove"):
            self.request("DELETE", f"/items/{self._collection}/{row['id']}", "remove")
            for file in row.get("files") or ():
                self.request("DELETE", f"/files/{file['directus_files_id']}", "remove")

    def check_decisions(self, ref: str) -> str:
        """Prove that a row says when and by whom it was changed, by which decisions are found."""
        row = self._row(ref, "changed_since")
        user = row.get("user_updated") or {}
        if not row.get("date_updated") or user.get("id") != self._own_user_id():
            reason = "its rows do not say when and by whom they were changed, so no decision would be heard"
            remedy = "run `dam-connector connect dam directus` again"
            raise Refused(self.vendor, "changed_since", f"{reason}; {remedy}")
        return "its rows say who changed them and when, so decisions are heard"

    def discard(self, external_id: str) -> None:
        pushed, file_ids = self._last_push
        if pushed != external_id or not file_ids:
            return  # its row comes after its files
        self.remove(_derived_id(external_id))
        for file_id in file_ids:
            if self._list(f"/files?fields=id&limit=1&filter[id][_eq]={file_id}", "remove"):
                self.request("DELETE", f"/files/{file_id}", "remove")

    def check_metadata(self, products: Sequence[Product]) -> Iterator[str]:
        if not self._metadata.templates:
            return
        rows = self._list(f"/fields/{self._collection}", "metadata")
        yield from self._metadata.check(
            self.vendor, {str(row.get("field")): _field_of(row) for row in rows}, products
        )

    def error_for(self, reply: HttpResponse, operation: str) -> AdapterError:
        if reply.status == 400 and b"RECORD_NOT_UNIQUE" in reply.body:
            return RecordExists(self.vendor, operation, "the record exists already")
        return super().error_for(reply, operation)

    def _row(self, ref: str, operation: str) -> dict[str, Any]:
        query = f"fields={ROW_FIELDS}&filter[id][_eq]={quote(ref, safe='')}"
        rows = self._list(f"/items/{self._collection}?{query}", operation)
        if not rows:
            raise NotFound(self.vendor, operation, ref)
        return rows[0]

    def _create_folders(self, path: str) -> str:
        """Create a folder and those above it where they are missing; return its id."""
        parent, current_path = None, ""
        for name in filter(None, [*self._root_folder.split("/"), *path.split("/")]):
            current_path = f"{current_path}/{name}"
            if current_path not in self._folder_ids:
                folder_id = _derived_id(f"folder:{current_path}")
                folder = {"id": folder_id, "name": name, "parent": parent}
                try:
                    self.request("POST", "/folders", "push", json=folder)
                except RecordExists:
                    pass
                self._folder_ids[current_path] = folder_id
            parent = self._folder_ids[current_path]
        return parent or ""

    def _upload(self, request: PushRequest, file: VersionFile, data: bytes, folder_id: str) -> str:
        """Upload a file unless Directus has its bytes already; return its id."""
        version = request.version
        file_id = _file_id(version, file)
        tags = [request.product.sku, version.asset.deliverable, f"V{version.number}"]
        fields = {
            "id": file_id,
            "folder": folder_id,
            "title": file.name,
            "tags": json.dumps(tags),
            "metadata": json.dumps({**version_metadata(version, request.product), "sha256": file.sha256}),
        }
        part = [("file", (file.name, data, file.mime))]
        try:
            self.request("POST", "/files", "push", fields=fields, files=part, timeout_s=TRANSFER_TIMEOUT_S)
        except RecordExists:  # an earlier try succeeded, or stored a part of the bytes
            if not self._is_unchanged(file, version):
                self.request("PATCH", f"/files/{file_id}", "push", files=part, timeout_s=TRANSFER_TIMEOUT_S)
        self._last_push[1].append(file_id)
        return file_id

    def _is_unchanged(self, file: VersionFile, version: Version) -> bool:
        return is_same_file(file, lambda: self._download(_file_id(version, file), "changed_files"))


def _field_of(row: Mapping[str, Any]) -> DamField:
    """Return a field of a collection; texts with a list of choices are a choice."""
    kind = next((kind for kind, types in TYPES.items() if row.get("type") in types), "text")
    options = (row.get("meta") or {}).get("options") or {}
    choices = tuple(str(each.get("value")) for each in options.get("choices") or ())
    is_free = options.get("allowOther") or options.get("allowNone")
    return DamField("choice" if choices and kind == "text" else kind, () if is_free else choices)


def _derived_id(name: str) -> str:
    return str(uuid.uuid5(ID_NAMESPACE, name))


def _file_id(version: Version, file: VersionFile) -> str:
    asset = version.asset
    return _derived_id(
        f"file:{asset.sku}:{asset.deliverable}:{asset.slot}:{version.number}:{file.name}:{file.sha256}"
    )


def connect(options: Mapping[str, Any], context: AdapterContext) -> DirectusDam:
    """Open the adapter with the options of plugin.json."""
    check_options(
        options, "base_url", "token", "collection", "folder", "webhook_secret", "metadata", "sources"
    )
    return DirectusDam(
        context,
        base_url=url_option(options, example="https://dam.example"),
        token=context.secret(str(options.get("token", "env/DIRECTUS_TOKEN"))),
        collection=str(options.get("collection", "asset_versions")),
        root_folder=str(options.get("folder", "Product assets")),
        webhook_secret=context.secret(str(options["webhook_secret"])) if "webhook_secret" in options else "",
        metadata=MetadataOption(options),
        sources=photo_sources_option(options),
    )
