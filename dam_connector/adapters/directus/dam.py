"""Directus: a row for each version in a collection of ours, its files in the library, decisions by people in its app.

Every id is made from what it stands for, so that a repeat finds what is there. Facts and set-up: docs/connections/directus.md.
"""

import hashlib
import hmac
import json
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from dam_connector.adapters.common.api_client import MAX_FILE, UPLOAD_S, Caller
from dam_connector.adapters.common.context import AdapterContext, only, web_address
from dam_connector.adapters.common.dam_helpers import VERDICTS, read_state
from dam_connector.adapters.common.envelopes import read_json
from dam_connector.adapters.common.file_hashes import holds
from dam_connector.adapters.http import Reply
from dam_connector.domain.event import Decision
from dam_connector.domain.version import Version, VersionFile, VersionState
from dam_connector.domain.version_metadata import about, title
from dam_connector.errors import AdapterError, BadOutput, DeliveryError, NotFound, Refused
from dam_connector.ports import (
    Blobs,
    DamCapabilities,
    InboundWebhook,
    PushRequest,
    RemoteState,
    VerifiedWebhook,
)

SPACE = uuid.UUID("6c0c2a5e-3d0f-5b52-9c1a-2f6f8f0f7d11")  # our own, for ids made from names
PAGE = 200
FIELDS = "id,status,reject_reason,date_updated,user_updated.id,user_updated.first_name,user_updated.last_name,user_updated.email"


class Exists(Refused):
    """A row with this id, or another value that there may be only once, is there already."""


class Directus(Caller):
    """Versions as rows; a row's id is our reference."""

    vendor = "directus"
    capabilities = DamCapabilities(webhooks=True)

    def __init__(
        self, kit: AdapterContext, base_url: str, token: str, collection: str, root: str, hook_secret: str
    ) -> None:
        super().__init__(kit.http, base_url, {"Authorization": f"Bearer {token}"})
        self._collection, self._root, self._hook_secret = collection, root, hook_secret
        self._folders: dict[str, str] = {}
        self._me = ""

    def refusal(self, reply: Reply, operation: str) -> AdapterError:
        if reply.status == 400 and b"RECORD_NOT_UNIQUE" in reply.body:
            return Exists(self.vendor, operation, "it is there already")
        return super().refusal(reply, operation)

    def push(self, request: PushRequest, blobs: Blobs) -> str:
        version, ref = request.version, _id(request.external_id)
        folder = self._folder(request.folder)
        files = {f.name: self._upload(request, f, blobs.get(f.sha256), folder) for f in version.shipped}
        shown = files.get(version.picture.name) if version.picture else None
        row = {
            **about(version, request.product),
            "id": ref,
            "external_id": request.external_id,
            "title": title(version, request.product),
            "status": VersionState.IN_REVIEW.value,
            "preview": shown,
            "review_url": request.review_url,
            "files": [{"directus_files_id": each} for each in files.values()],
        }
        try:
            self.ask("POST", f"/items/{self._collection}", "push", json=row)
        except Exists:
            pass  # an earlier try arrived
        return ref

    def write_state(self, ref: str, state: VersionState, decision: Decision | None = None) -> None:
        self._row(ref, "write_state")
        said: dict[str, Any] = {"status": state.value}
        if decision or state is VersionState.IN_REVIEW:
            why = "; ".join(filter(None, [", ".join(decision.reasons), decision.note])) if decision else ""
            said |= {"decided_by": decision.by if decision else "", "reject_reason": why}
        self.ask("PATCH", f"/items/{self._collection}/{ref}", "write_state", json=said)

    def standing(self, ref: str, version: Version) -> RemoteState:
        row = self._row(ref, "standing")
        state = read_state(row.get("status"), self.vendor)
        by = row.get("user_updated") or {}
        if state not in VERDICTS or by.get("id") == self._own_id():
            return RemoteState(state=state)
        name = (
            " ".join(filter(None, [by.get("first_name"), by.get("last_name")]))
            or by.get("email")
            or "somebody"
        )
        decision = Decision(verdict=VERDICTS[state], by=str(name), note=str(row.get("reject_reason") or ""))
        return RemoteState(state=state, decision=decision)

    def changed(self, ref: str, version: Version) -> tuple[str, ...]:
        self._row(ref, "changed")
        return tuple(f.name for f in version.shipped if not self._holds(f, version))

    def touched_since(self, cursor: str) -> tuple[list[str], str]:
        moment, _, seen = cursor.partition(" ")
        query = f"fields=id,date_updated&sort=date_updated&limit={PAGE}&filter[date_updated][_gte]={moment or '2000-01-01T00:00:00Z'}"
        rows = self._listed(
            f"/items/{self._collection}?{query}&filter[user_updated][_neq]={self._own_id()}", "poll"
        )
        found = [
            str(row["id"])
            for row in rows
            if str(row["id"]) not in seen.split(",") or row["date_updated"] != moment
        ]
        if not rows:
            return [], cursor
        last = str(rows[-1]["date_updated"])
        return found, f"{last} {','.join(str(row['id']) for row in rows if row['date_updated'] == last)}"

    def verify(self, inbound: InboundWebhook) -> VerifiedWebhook:
        given = inbound.headers.get("x-webhook-secret", "")
        if not self._hook_secret or not hmac.compare_digest(given.encode(), self._hook_secret.encode()):
            raise DeliveryError(401, "X-Webhook-Secret is not this connection's")
        return VerifiedWebhook(
            key=f"{hashlib.sha256(inbound.body).hexdigest()}:{inbound.received_at.isoformat()}"
        )  # its flows number nothing

    def parse_webhook(self, inbound: InboundWebhook) -> list[str]:
        said = read_json(inbound.body, self.vendor)
        keys = said.get("keys") if isinstance(said, dict) else None
        if not isinstance(keys, list):
            raise BadOutput(
                self.vendor, "parse_webhook", "/keys: there are none; the flow's request sends {{$trigger}}"
            )
        return [str(key) for key in keys]

    def picture(self, name: str, blobs: Blobs) -> bytes:
        query = f"fields=id&limit=1&sort=-uploaded_on&filter[filename_download][_eq]={quote(name, safe='')}"
        rows = self._listed(f"/files?{query}", "picture")
        if not rows:
            raise NotFound(self.vendor, "picture", name)
        return self._bytes(str(rows[0]["id"]), "picture")

    def remove(self, ref: str) -> None:
        rows = self._listed(
            f"/items/{self._collection}?fields=id,files.directus_files_id&filter[id][_eq]={quote(ref, safe='')}",
            "remove",
        )
        for row in rows:
            self.ask("DELETE", f"/items/{self._collection}/{row['id']}", "remove")
            for file in row.get("files") or ():
                self.ask("DELETE", f"/files/{file['directus_files_id']}", "remove")

    def _row(self, ref: str, operation: str) -> dict[str, Any]:
        rows = self._listed(
            f"/items/{self._collection}?fields={FIELDS}&filter[id][_eq]={quote(ref, safe='')}", operation
        )
        if not rows:
            raise NotFound(self.vendor, operation, ref)
        return rows[0]

    def _listed(self, path: str, operation: str) -> list[dict[str, Any]]:
        found = self.asked("GET", path, operation).get("data")
        if not isinstance(found, list):
            raise BadOutput(self.vendor, operation, "/data: no list")
        return found

    def _own_id(self) -> str:
        if not self._me:
            self._me = str((self.asked("GET", "/users/me?fields=id", "whoami").get("data") or {}).get("id"))
        return self._me

    def _folder(self, path: str) -> str:
        """The id of a folder, which is made with those above it where they are not there."""
        parent, so_far = None, ""
        for name in filter(None, [*self._root.split("/"), *path.split("/")]):
            so_far = f"{so_far}/{name}"
            if so_far not in self._folders:
                try:
                    self.ask(
                        "POST",
                        "/folders",
                        "push",
                        json={"id": _id(f"folder:{so_far}"), "name": name, "parent": parent},
                    )
                except Exists:
                    pass
                self._folders[so_far] = _id(f"folder:{so_far}")
            parent = self._folders[so_far]
        return parent or ""

    def _upload(self, request: PushRequest, file: VersionFile, data: bytes, folder: str) -> str:
        """The id of a file whose bytes lie there."""
        file_id = _file_id(request.version, file)
        fields = {
            "id": file_id,
            "folder": folder,
            "title": file.name,
            "tags": json.dumps(
                [request.product.sku, request.version.asset.deliverable, f"V{request.version.number}"]
            ),
            "metadata": json.dumps({**about(request.version, request.product), "sha256": file.sha256}),
        }
        part = [("file", (file.name, data, file.mime))]
        try:
            self.ask("POST", "/files", "push", fields=fields, files=part, timeout_s=UPLOAD_S)
        except Exists:  # an earlier try arrived, or half of it
            if not self._holds(file, request.version):
                self.ask("PATCH", f"/files/{file_id}", "push", files=part, timeout_s=UPLOAD_S)
        return file_id

    def _holds(self, file: VersionFile, version: Version) -> bool:
        """Whether the bytes that lie there are ours."""
        return holds(file, lambda: self._bytes(_file_id(version, file), "changed"))

    def _bytes(self, file_id: str, operation: str) -> bytes:
        return self.ask("GET", f"/assets/{file_id}", operation, max_bytes=MAX_FILE, timeout_s=UPLOAD_S).body


def _id(text: str) -> str:
    return str(uuid.uuid5(SPACE, text))


def _file_id(version: Version, file: VersionFile) -> str:
    return _id(
        f"file:{version.asset.sku}:{version.asset.deliverable}:{version.asset.slot}:{version.number}:{file.name}:{file.sha256}"
    )


def connect(options: Mapping[str, Any], kit: AdapterContext) -> Directus:
    only(options, "base_url", "token", "collection", "folder", "webhook_secret")
    return Directus(
        kit,
        base_url=web_address(options, example="https://dam.example"),
        token=kit.secret(str(options.get("token", "env/DIRECTUS_TOKEN"))),
        collection=str(options.get("collection", "asset_versions")),
        root=str(options.get("folder", "Product assets")),
        hook_secret=kit.secret(str(options["webhook_secret"])) if "webhook_secret" in options else "",
    )
