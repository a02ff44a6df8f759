"""A fake Bynder: uploads in parts to a storage, slow imports, media with versions and metaproperties.

Sources: Bynder's own clients: Bynder/bynder-js-sdk, src/bynder-js-sdk.js (finaliseUpload: also of additional
files); bynder-sdk 2.0.2 on PyPI, upload_client.py and asset_bank_client.py; Bynder/bynder-c-sharp-sdk,
FileUploader.cs; Bynder/bynder-java-sdk, model/Media.java and query/.
"""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from dam_connector.fakes.server import API_KEY, FakeReply, FakeRequest
from tests.contracts.dams.harness import FakeDam

LABELS = ("In review", "Approved", "Rejected", "Published", "Superseded", "Withdrawn")
OPTIONS = {f"opt-{n}": label for n, label in enumerate(LABELS)}
NAMES = {
    "ConnectorId": "p-id",
    "ConnectorVersion": "p-version",
    "ConnectorState": "p-written",
    "ApprovalState": "p-state",
    "ConnectorReason": "p-reason",
}
PROPERTIES = {
    name: {
        "id": id,
        "options": [{"id": o, "label": label} for o, label in OPTIONS.items()] if id == "p-state" else [],
    }
    for name, id in NAMES.items()
}
# as `GET /api/v4/metaproperties/` of Bynder's API documentation: by name, with type and options
OWN_PROPERTIES = {
    "season": {"id": "p-season", "type": "select", "options": [{"id": "o-ss", "label": "SS26"}]},
    "seats": {"id": "p-seats", "type": "number", "options": []},
    "keywords": {"id": "p-keywords", "type": "text", "options": []},
}
MISSING = FakeReply(404, {"message": "not found"})


class FakeBynder(FakeDam):
    vendor = "bynder"
    options = {"token": "env/TOKEN", "brand": "B1"}
    has_own_versions = True

    def __init__(self) -> None:
        self.media: dict[str, dict[str, Any]] = {}
        self.parts: dict[str, bytes] = {}
        self.poll_count, self.pending_polls = 0, 0  # polls that an import takes
        self.imports: dict[str, tuple[str, bytes]] = {}
        self._now = datetime(2026, 11, 20, tzinfo=UTC)
        super().__init__()

    def is_authorized(self, request: FakeRequest) -> bool:
        if request.path.startswith(("/storage", "/file/")):
            return "authorization" not in request.headers  # our token does not go there
        return request.headers.get("authorization") == f"Bearer {API_KEY}"

    def answer(self, request: FakeRequest, operation: str) -> FakeReply:
        path = request.path.strip("/").split("/")
        if path[0] == "storage":
            form = request.form
            assert set(form) >= {"policy", "key", "chunk", "chunks", "name", "Filename"}
            self.parts[form["key"].decode()] = form["file"]
            return FakeReply(201, b"", mime="text/xml")
        if path[0] == "file":
            media, item = self.media[path[1]], path[2:]
            return FakeReply(
                200,
                next(i["data"] for i in media["items"] if i["id"] == item[0]) if item else media["data"],
                mime="application/octet-stream",
            )
        form = dict(parse_qsl(request.body.decode()))
        if path[:2] == ["api", "upload"]:
            if path[2] == "endpoint":
                return FakeReply(200, f"{self.base_url}/storage")
            id = f"up{len(self.imports)}-{len(self.parts)}"
            s3 = {"uploadid": id, "targetid": "t"}
            return FakeReply(
                200,
                {
                    "s3file": s3,
                    "s3_filename": f"place/{id}/{form['filename']}",
                    "multipart_params": {"policy": "p"},
                },
            )
        return getattr(self, f"_{path[2]}")(request, path[3:], form)

    def _metaproperties(self, request: FakeRequest, rest: list[str], form: dict[str, str]) -> FakeReply:
        return FakeReply(200, {**PROPERTIES, **OWN_PROPERTIES})

    def _upload(self, request: FakeRequest, rest: list[str], form: dict[str, str]) -> FakeReply:
        if rest == ["poll"]:
            self.poll_count += 1
            done = [request.query["items"]] if self.poll_count > self.pending_polls else []
            return FakeReply(200, {"itemsDone": done, "itemsFailed": [], "itemsRejected": []})
        if not rest:
            assert form["filename"] in self.parts
            return FakeReply(200, {})
        name, data = self._joined(form)
        assert form["original_filename"] == name
        import_id = f"imp{len(self.imports)}"
        self.imports[import_id] = (name, data)
        return FakeReply(200, {"importId": import_id})

    def _joined(self, form: dict[str, str]) -> tuple[str, bytes]:
        """Return name and bytes of a finished upload; `s3_filename` is the key of its last part."""
        count = int(form["chunks"])
        place, slash, last = form["s3_filename"].rpartition("/p")
        assert slash and int(last) == count and form["targetid"] == "t"
        return place.rpartition("/")[2], b"".join(self.parts[f"{place}/p{n}"] for n in range(1, count + 1))

    def _media(self, request: FakeRequest, rest: list[str], form: dict[str, str]) -> FakeReply:
        if not rest:
            return FakeReply(200, self._list(request.query))
        if rest[0] == "save":
            id = f"m{len(self.media)}"
            self.media[id] = {"id": id, "items": [], "name": form["name"], "values": {}}
            self._save_file(id, rest[1], form)
            return FakeReply(200, {"mediaid": id, "success": True})
        media = self.media.get(rest[0])
        if media is None:
            return MISSING
        if request.method == "DELETE":
            del self.media[rest[0]]
            return FakeReply(204, b"")
        if rest[1:] and rest[1] == "download":
            return FakeReply(200, {"s3_file": f"{self.base_url}/file/{'/'.join([rest[0], *rest[2:]])}"})
        if rest[1:2] == ["save"] and rest[2] == "additional":
            assert rest[3].startswith("up")  # the upload's id: no import of it is waited for
            name, data = self._joined(form)
            media["items"].append({"id": f"i{len(media['items'])}", "fileName": name, "data": data})
        elif rest[1:2] == ["save"]:
            self._save_file(rest[0], rest[2], {})
        elif request.method == "POST":
            self._change(rest[0], form)
        return FakeReply(200, self._media_json(media))

    def metadata_of(self, ref: str) -> dict[str, Any]:
        values = self.media[ref.partition("@")[0]]["values"]
        return {name: values.get(own["id"]) for name, own in OWN_PROPERTIES.items()}

    def _save_file(self, id: str, import_id: str, form: dict[str, str]) -> None:
        self.media[id]["fileName"], self.media[id]["data"] = self.imports[import_id]
        self._change(id, form)

    def _change(self, id: str, form: dict[str, str]) -> None:
        self._now += timedelta(seconds=0 if self.in_one_second else 1)
        values = {
            name.removeprefix("metaproperty."): value
            for name, value in form.items()
            if name.startswith("metaproperty.")
        }
        self.media[id]["values"] |= values
        self.media[id]["dateModified"] = self._now.strftime("%Y-%m-%dT%H:%M:%SZ")

    def _media_json(self, media: dict[str, Any]) -> dict[str, Any]:
        items = [{"id": i["id"], "fileName": i["fileName"], "type": "additional"} for i in media["items"]]
        stored_name = {f"property_{name}": media["values"].get(id, "") for name, id in NAMES.items()}
        if "p-state" in media["values"]:
            stored_name["property_ApprovalState"] = [OPTIONS[media["values"]["p-state"]]]
        return {
            "id": media["id"],
            "name": media["name"],
            "dateModified": media["dateModified"],
            "type": media.get("type", "3d"),
            "fileSize": len(media["data"]),
            "extension": [media["fileName"].rpartition(".")[2]],
            "property_sku": media.get("sku", ""),
            "mediaItems": items,
            **stored_name,
        }

    def _list(self, query: dict[str, str]) -> list[dict[str, Any]]:
        external_id = query.get("property_ConnectorId")
        rows = [
            self._media_json(m) for m in self.media.values() if external_id in (None, m["values"].get("p-id"))
        ]
        rows = [row for row in rows if query.get("type", row["type"]) == row["type"]]
        if query.get("orderBy") != "dateCreated asc":
            rows = sorted(rows, key=lambda row: row["dateModified"], reverse=True)
        size = int(query.get("limit", "50"))
        start = (int(query.get("page", "1")) - 1) * size
        return rows[start : start + size]

    def put_photo(
        self, name: str, data: bytes, *, folder: str = "Photos", sku: str = "", ref: str = ""
    ) -> str:
        id = ref or f"m{len(self.media)}"
        facts = {"id": id, "items": [], "name": name.rpartition(".")[0], "values": {}, "type": "image"}
        self.media[id] = {**facts, "fileName": name, "data": data, "sku": sku}
        self._change(id, {})
        return id

    def remove_photo(self, ref: str) -> None:
        del self.media[ref]

    def file_refs(self) -> list[str]:
        return list(self.media)

    def asset_count(self) -> int:
        return len(self.media)

    def stored_bytes(self, name: str) -> bytes:
        files = [(m["fileName"], m["data"]) for m in self.media.values()] + [
            (i["fileName"], i["data"]) for m in self.media.values() for i in m["items"]
        ]
        return next(data for stored_name, data in files if stored_name == name)

    def decide(self, ref: str, verdict: str, by: str, note: str) -> None:
        option = next(id for id, label in OPTIONS.items() if label == verdict.capitalize())
        self._change(ref.partition("@")[0], {"metaproperty.p-state": option, "metaproperty.p-reason": note})

    def replace_file(self, name: str) -> None:
        next(m for m in self.media.values() if m["fileName"] == name)["data"] = b"by hand"
