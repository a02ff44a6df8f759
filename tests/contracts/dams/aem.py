"""A fake AEM Assets: uploads in three requests, folders, metadata by Sling, events with signatures.

Sources: adobe/aem-upload, src/filesystem-upload.js (folders); adobe/node-httptransfer,
lib/functions/aeminitiateupload.js and aemcompleteupload.js (uploads, sizes of parts).
"""

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, unquote

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from dam_connector.adapters.common.context import AdapterContext
from dam_connector.fakes.server import API_KEY, FakeReply, FakeRequest
from dam_connector.ports import InboundWebhook
from tests.contracts.dams.harness import FakeDam

MISSING = FakeReply(404, {"message": "no such thing"})
KEY_PATH = "/prod/keys/pub-key-x.pem"
CONNECTOR_USER = "connector@techacct.adobe.com"


@cache
def private_key() -> RSAPrivateKey:
    return generate_private_key(65537, 2048)


class FakeAem(FakeDam):
    vendor = "aem"
    options = {"token": "env/TOKEN", "user": CONNECTOR_USER, "client_id": "client-1"}

    def __init__(self) -> None:
        self.stored: dict[str, dict[str, Any]] = {}
        self.folders: set[str] = set()
        self.parts: dict[str, bytes] = {}
        self.min_part_size = 1
        self._now = datetime(2026, 11, 20, tzinfo=UTC)
        super().__init__()

    def connection_options(self) -> dict[str, Any]:
        return {"base_url": self.base_url, "keys_url": self.base_url}

    def is_authorized(self, request: FakeRequest) -> bool:
        if request.path.startswith(("/storage/", KEY_PATH)):
            return "authorization" not in request.headers
        return request.headers.get("authorization") == f"Bearer {API_KEY}"

    def operation(self, request: FakeRequest) -> str:
        return "push" if request.method == "POST" else super().operation(request)

    def answer(self, request: FakeRequest, operation: str) -> FakeReply:
        path, form = (
            unquote(request.path),
            dict(parse_qsl(request.body.decode("latin-1"))) if request.method == "POST" else {},
        )
        if path == KEY_PATH:
            return FakeReply(
                200,
                private_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
                mime="text/plain",
            )
        if path.startswith("/storage/"):
            self.parts[path] = request.body
            return FakeReply(201, b"")
        if path.startswith("/api/assets/"):
            if request.method == "POST":
                assert request.json["class"] == "assetFolder" and request.json["properties"]["jcr:title"]
            return self._assets_api(request.method, path.removeprefix("/api/assets/"))
        if path == "/bin/querybuilder.json":
            return FakeReply(200, {"hits": self._modified_since(request.query)})
        if path.endswith(".initiateUpload.json"):
            folder = path.removesuffix(".initiateUpload.json")
            assert folder.removeprefix("/content/dam/") in self.folders
            # Forget the parts of an earlier upload that was not completed.
            self.parts = {p: d for p, d in self.parts.items() if f"-{form['fileName']}/" not in p}
            uris = [f"{self.base_url}/storage/{len(self.parts)}-{form['fileName']}/{n}" for n in range(2)]
            target = {
                "fileName": form["fileName"],
                "uploadToken": "t",
                "uploadURIs": uris,
                "minPartSize": self.min_part_size,
                "maxPartSize": max(self.min_part_size, int(form["fileSize"])),
            }
            return FakeReply(200, {"completeURI": f"{folder}.completeUpload.json", "files": [target]})
        if path.endswith(".completeUpload.json"):
            return self._complete_upload(path.removesuffix(".completeUpload.json"), form)
        return self._asset_node(request.method, path, form)

    def _assets_api(self, method: str, path: str) -> FakeReply:
        if method == "DELETE":
            deleted = {p for p in self.stored if p.startswith(f"/content/dam/{path}/")}
            self.stored = {p: a for p, a in self.stored.items() if p not in deleted}
            self.folders.discard(path)
            return FakeReply(200, {}) if deleted else MISSING
        if path in self.folders:
            return FakeReply(409, {"message": "it exists"})
        self.folders.add(path)
        return FakeReply(201, {})

    def _complete_upload(self, folder: str, form: dict[str, str]) -> FakeReply:
        name = form["fileName"]
        parts = [data for path, data in sorted(self.parts.items()) if f"-{name}/" in path]
        assert all(len(part) >= self.min_part_size for part in parts[:-1])
        assert int(form["fileSize"]) == sum(map(len, parts)) and form["uploadToken"] == "t"
        self.parts = {p: d for p, d in self.parts.items() if f"-{name}/" not in p}
        old_metadata = self.stored.get(f"{folder}/{name}", {"metadata": {}})["metadata"]
        self.stored[f"{folder}/{name}"] = {
            "data": b"".join(parts),
            "metadata": {"dc:format": "image/webp", "sku": "CH123", **old_metadata},
            "by": CONNECTOR_USER,
            "at": self._next_time(),
        }
        return FakeReply(200, {})

    def _asset_node(self, method: str, path: str, form: dict[str, str]) -> FakeReply:
        asset, _, node = path.partition("/_jcr_content")
        found = self.stored.get(asset)
        if found is None:
            return MISSING
        if node == "/renditions/original":
            return FakeReply(200, found["data"], mime="application/octet-stream")
        if method == "POST":
            self._change(asset, form, CONNECTOR_USER)
        about = {"jcr:lastModifiedBy": found["by"], "jcr:lastModified": found["at"]}
        return FakeReply(200, {"metadata": found["metadata"], **about})

    def _change(self, path: str, form: dict[str, str], by: str) -> None:
        metadata = self.stored[path]["metadata"]
        for name, value in form.items():
            key = name.removeprefix("./")
            if key.endswith("@Delete"):
                metadata.pop(key.removesuffix("@Delete"), None)
            else:
                metadata[key] = value
        self.stored[path] |= {"by": by, "at": self._next_time()}

    def metadata_of(self, ref: str) -> dict[str, Any]:
        found: dict[str, Any] = self.stored[ref]["metadata"]
        return found

    def _next_time(self) -> str:
        self._now += timedelta(seconds=0 if self.in_one_second else 1)
        return self._now.strftime("%Y-%m-%dT%H:%M:%SZ")

    def put_photo(
        self, name: str, data: bytes, *, folder: str = "Photos", sku: str = "", ref: str = ""
    ) -> str:
        path = ref or f"/content/dam/{folder}/{name}"
        facts = {"dc:format": "image/jpeg", "dam:sha1": hashlib.sha1(data).hexdigest(), "sku": sku}
        self.stored[path] = {"data": data, "metadata": facts, "by": "rita", "at": self._next_time()}
        return path

    def approve_file(self, ref: str) -> None:
        self._change(ref, {"./dam:status": "approved"}, "rita")

    def remove_photo(self, ref: str) -> None:
        del self.stored[ref]

    def file_refs(self) -> list[str]:
        return list(self.stored)

    def photo_webhook(self, ref: str, context: AdapterContext) -> InboundWebhook:
        return self.webhook(ref, context)

    def _all_since(self, query: dict[str, str]) -> list[dict[str, Any]]:
        """Answer as Query Builder does with `p.hits=selective`: only the properties that are asked for."""
        names = [name.rpartition("/")[2] for name in query["p.properties"].split(" ")]
        found = sorted(
            (a["at"], path)
            for path, a in self.stored.items()
            if a["at"] >= query["daterange.lowerBound"] and path.startswith(f"{query['path']}/")
        )
        return [
            {
                "jcr:path": path,
                "jcr:content": {
                    "jcr:lastModified": at,
                    "metadata": {k: v for k, v in self.stored[path]["metadata"].items() if k in names},
                },
            }
            for at, path in found[: int(query["p.limit"])]
        ]

    def _modified_since(self, query: dict[str, str]) -> list[dict[str, Any]]:
        if "property" not in query:
            return self._all_since(query)
        if query["property"] == "jcr:content/metadata/dam:status":
            asked = {**query, "daterange.lowerBound": "", "p.limit": "10000"}
            hits = [
                {**hit, "jcr:content": {**hit["jcr:content"], "jcr:lastModifiedBy": self.stored[path]["by"]}}
                for hit in self._all_since(asked)
                if self.stored[path := hit["jcr:path"]]["metadata"].get("dam:status") == "approved"
            ]
            return hits[int(query["p.offset"]) :][: int(query["p.limit"])]
        found = [
            (a["at"], p, a["by"])
            for p, a in self.stored.items()
            if "connector:id" in a["metadata"] and a["at"] > query["daterange.lowerBound"]
        ]
        return [
            {"jcr:path": p, "jcr:content": {"jcr:lastModified": at, "jcr:lastModifiedBy": by}}
            for at, p, by in sorted(found)
        ]

    def asset_count(self) -> int:
        return sum("connector:id" in asset["metadata"] for asset in self.stored.values())

    def stored_bytes(self, name: str) -> bytes:
        return next(bytes(a["data"]) for p, a in self.stored.items() if p.endswith(f"/{name}"))

    def decide(self, ref: str, verdict: str, by: str, note: str) -> None:
        self._change(ref, {"./dam:status": verdict, "./connector:note": note}, by)

    def replace_file(self, name: str) -> None:
        next(a for p, a in self.stored.items() if p.endswith(f"/{name}"))["data"] = b"by hand"

    def webhook(self, ref: str, context: AdapterContext) -> InboundWebhook:
        event = {
            "event_id": "e1",
            "recipient_client_id": "client-1",
            "event": {"data": {"repositoryMetadata": {"repo:path": ref}}},
        }
        body = json.dumps(event).encode()
        signature = base64.b64encode(private_key().sign(body, padding.PKCS1v15(), hashes.SHA256())).decode()
        headers = {"x-adobe-digital-signature-1": "AAAA", "x-adobe-public-key1-path": "/../x.pem"}
        headers |= {"x-adobe-digital-signature-2": signature, "x-adobe-public-key2-path": KEY_PATH}
        return InboundWebhook(headers=headers, body=body, received_at=context.clock.now())
