"""A fake Cloudinary: signed uploads that keep existing assets, manual moderation, an Admin API.

Sources: cloudinary/pycloudinary, cloudinary/utils.py (signatures), api.py, uploader.py (addresses, fields);
cloudinary/asset-management-js, src/models/components/info.ts (assets, moderations), docs/models/components/
searchresponse.md; cloudinary/cloudinary_npm, docs/moderate-upload.md.
"""

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, unquote

from dam_connector.adapters.common.context import AdapterContext
from dam_connector.fakes.server import FakeReply, FakeRequest
from dam_connector.ports import InboundWebhook
from tests.contracts.dams.harness import FakeDam

MISSING = FakeReply(404, {"error": {"message": "Resource not found"}})
BASE = "/v1_1/demo"


class FakeCloudinary(FakeDam):
    vendor = "cloudinary"
    options = {"cloud_name": "demo", "api_key": "env/OTHER", "api_secret": "env/TOKEN"}

    def __init__(self) -> None:
        self.stored: dict[tuple[str, str], dict[str, Any]] = {}
        self._now = datetime(2026, 11, 20, 13, tzinfo=UTC)
        super().__init__()

    def is_authorized(self, request: FakeRequest) -> bool:
        basic = (
            request.headers.get("authorization") == "Basic " + base64.b64encode(b"other:key_fake").decode()
        )
        return basic or request.path.startswith("/demo/")

    def operation(self, request: FakeRequest) -> str:
        return (
            "push" if request.path.endswith(("/upload", "/explicit")) and request.method == "POST" else "read"
        )

    def answer(self, request: FakeRequest, operation: str) -> FakeReply:
        if request.path.startswith("/demo/"):
            _, _, kind, public_id = unquote(request.path).split("/", 3)
            found = self.stored.get((kind, public_id))
            return FakeReply(200, found["data"], mime="application/octet-stream") if found else MISSING
        rest = request.path.removeprefix(BASE).strip("/")
        if rest == "resources/search":
            return self._search(request.json)
        if operation == "push":
            kind, action = rest.split("/")
            fields = {name: data.decode() for name, data in request.parts if name != "file"} or dict(
                parse_qsl(request.body.decode())
            )
            signed = {name: value for name, value in fields.items() if name not in ("signature", "api_key")}
            text = "&".join(f"{name}={value}".replace("&", "%26") for name, value in sorted(signed.items()))
            if fields["signature"] != hashlib.sha1(f"{text}key_fake".encode()).hexdigest():
                return FakeReply(401, {"error": {"message": "Invalid Signature"}})
            return (
                self._explicit(kind, fields)
                if action == "explicit"
                else self._upload(kind, fields, request.form["file"])
            )
        if rest == "metadata_fields":
            values = {"values": [{"external_id": "SS26", "value": "Summer"}]}
            fields = [
                {"external_id": "season", "type": "enum", "datasource": values},
                {"external_id": "seats", "type": "integer"},
                {"external_id": "keywords", "type": "set", "datasource": {"values": []}},
            ]
            return FakeReply(200, {"metadata_fields": fields})
        if rest.startswith("resources/image/moderations/manual/"):
            status = rest.rpartition("/")[2]
            found = [
                self._asset_json(a)
                for a in self.stored.values()
                if a["moderation"] and a["moderation"][0]["status"] == status
            ]
            return FakeReply(200, {"resources": found})
        _, kind, _, *path = rest.split("/", 3)
        if request.method == "DELETE":
            self.stored = {
                k: v
                for k, v in self.stored.items()
                if not (k[0] == kind and k[1].startswith(request.query["prefix"]))
            }
            return FakeReply(200, {"deleted": {}})
        asset = self.stored.get((kind, unquote(path[0])))
        if asset is None:
            return MISSING
        if request.method == "POST":
            fields = dict(parse_qsl(request.body.decode()))
            asset["context"] = self._parse_context(fields["context"])
            self._moderate(asset, fields["moderation_status"], "us")
        return FakeReply(200, self._asset_json(asset))

    def _upload(self, kind: str, fields: dict[str, str], data: bytes) -> FakeReply:
        key = (kind, fields["public_id"])
        exists = key in self.stored
        if not exists or fields["overwrite"] != "false":
            moderation = (
                [{"kind": "manual", "status": "pending"}] if fields.get("moderation") == "manual" else []
            )
            self.stored[key] = {
                "public_id": key[1],
                "kind": kind,
                "data": data,
                "moderation": moderation,
                "metadata": self._parse_context(fields.get("metadata", "none=none")),
                "tags": fields.get("tags", "").split(","),
                "at": self._next_time(),
                "version": 1,
                "context": self._parse_context(fields["context"]),
            }
        return FakeReply(200, {**self._asset_json(self.stored[key]), "existing": exists})

    def metadata_of(self, ref: str) -> dict[str, Any]:
        found: dict[str, Any] = self.stored["image", ref]["metadata"]
        return found

    def _explicit(self, kind: str, fields: dict[str, str]) -> FakeReply:
        asset = self.stored[kind, fields["public_id"]]
        asset |= {
            "moderation": [{"kind": "manual", "status": "pending"}],
            "context": self._parse_context(fields["context"]),
        }
        return FakeReply(200, self._asset_json(asset))

    def _parse_context(self, text: str) -> dict[str, str]:
        return dict(pair.split("=", 1) for pair in text.replace("\\|", "\0").replace("\\=", "\1").split("|"))

    def _asset_json(self, asset: dict[str, Any]) -> dict[str, Any]:
        url = f"{self.base_url}/demo/{asset['kind']}/{asset['public_id']}"
        return {
            "public_id": asset["public_id"],
            "secure_url": url,
            "moderation": asset["moderation"],
            "context": {"custom": asset["context"]},
            "tags": asset["tags"],
            "metadata": asset["metadata"],
            "format": asset.get("format", "jpg"),
            "resource_type": asset["kind"],
            "version": asset["version"],
            "uploaded_at": asset["at"],
        }

    def _search(self, body: dict[str, Any]) -> FakeReply:
        """Answer as the documented `POST /resources/search`: context without `custom`, pages by a cursor."""
        assert body["sort_by"] == [{"uploaded_at": "asc"}] and "resource_type:image" in body["expression"]
        since = body["expression"].partition('uploaded_at>="')[2].strip('"')
        found = sorted(
            (a for (kind, _), a in self.stored.items() if kind == "image" and a["at"] >= since),
            key=lambda asset: (asset["at"], asset["public_id"]),
        )
        first = int(body.get("next_cursor", "0"))
        rows = found[first : first + body["max_results"]]
        answer: dict[str, Any] = {
            "resources": [self._row_json(a) for a in rows],
            "total_count": len(found),
        }
        if first + len(rows) < len(found):
            answer["next_cursor"] = str(first + len(rows))
        return FakeReply(200, answer)

    def _row_json(self, asset: dict[str, Any]) -> dict[str, Any]:
        """Return an asset as a search gives it: the state of its moderation is `moderation_status`."""
        row = {**self._asset_json(asset), "context": asset["context"]}
        moderation = row.pop("moderation")
        return row | ({"moderation_status": moderation[0]["status"]} if moderation else {})

    def _next_time(self) -> str:
        self._now += timedelta(minutes=0 if self.in_one_second else 5)
        return self._now.strftime("%Y-%m-%dT%H:%M:%SZ")

    def put_photo(
        self, name: str, data: bytes, *, folder: str = "Photos", sku: str = "", ref: str = ""
    ) -> str:
        public_id = ref or f"{folder}/{name.rpartition('.')[0]}"
        old = self.stored.get(("image", public_id), {"version": 0})
        self.stored["image", public_id] = {
            "public_id": public_id,
            "kind": "image",
            "data": data,
            "moderation": [],
            "format": name.rpartition(".")[2],
            "metadata": {"sku": sku},
            "context": {},
            "tags": [],
            "at": self._next_time(),
            "version": old["version"] + 1,
        }
        return public_id

    def remove_photo(self, ref: str) -> None:
        del self.stored["image", ref]

    def approve_file(self, ref: str) -> None:
        self._moderate(self.stored["image", ref], "approved", "rita")

    def file_refs(self) -> list[str]:
        return [public_id for kind, public_id in self.stored if kind == "image"]

    def photo_webhook(self, ref: str, context: AdapterContext) -> InboundWebhook:
        facts = {"notification_type": "upload", "public_id": ref, "resource_type": "image", "type": "upload"}
        return self._signed(json.dumps(facts).encode(), context)

    def _moderate(self, asset: dict[str, Any], status: str, by: str) -> None:
        self._now += timedelta(minutes=1)
        at = asset["context"]["connector_at"] if by == "us" else self._now.isoformat()
        asset["moderation"] = [{"kind": "manual", "status": status, "updated_at": at}]

    def asset_count(self) -> int:
        return sum(bool(asset["moderation"]) for asset in self.stored.values())

    def stored_bytes(self, name: str) -> bytes:
        stem, _, extension = name.rpartition(".")
        return next(
            a["data"]
            for a in self.stored.values()
            if a["public_id"].rpartition("/")[2] in (name, f"{stem}-{extension}")
        )

    def decide(self, ref: str, verdict: str, by: str, note: str) -> None:
        asset = self.stored["image", ref]
        asset["context"]["note"] = note
        self._moderate(asset, verdict, by)

    def replace_file(self, name: str) -> None:
        stem, _, extension = name.rpartition(".")
        next(a for a in self.stored.values() if a["public_id"].endswith(f"{stem}-{extension}"))["data"] = (
            b"by hand"
        )

    def webhook(self, ref: str, context: AdapterContext) -> InboundWebhook:
        body = json.dumps(
            {
                "notification_type": "moderation",
                "moderation_status": "approved",
                "public_id": ref,
                "asset_id": "a1",
            }
        ).encode()
        return self._signed(body, context)

    def _signed(self, body: bytes, context: AdapterContext) -> InboundWebhook:
        timestamp = str(int(context.clock.now().timestamp()))
        signature = hashlib.sha1(body + timestamp.encode() + b"key_fake").hexdigest()
        return InboundWebhook(
            headers={"x-cld-signature": signature, "x-cld-timestamp": timestamp},
            body=body,
            received_at=context.clock.now(),
        )
