"""A fake Directus 11: ids that the client chooses, status 403 for missing records, RECORD_NOT_UNIQUE."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from dam_connector.adapters.common.context import AdapterContext
from dam_connector.fakes.server import FakeReply, FakeRequest
from dam_connector.ports import InboundWebhook
from tests.contracts.dams.harness import FakeDam

FORBIDDEN = FakeReply(
    403,
    {
        "errors": [
            {"message": "You don't have permission to access this.", "extensions": {"code": "FORBIDDEN"}}
        ]
    },
)
NOT_UNIQUE = FakeReply(
    400, {"errors": [{"message": "Value has to be unique.", "extensions": {"code": "RECORD_NOT_UNIQUE"}}]}
)
NO_SUCH_TOKEN = FakeReply(
    401,
    {"errors": [{"message": "Invalid user credentials.", "extensions": {"code": "INVALID_CREDENTIALS"}}]},
)
REVIEWER = {"id": "u-rita", "first_name": "Rita", "last_name": None, "email": "rita@example.com"}
CONNECTOR_USER = {"id": "u-us"}
FILE_COLUMNS = (
    "id",
    "filename_download",
    "folder",
    "type",
    "uploaded_on",
    "modified_on",
    "uploaded_by",
    "filesize",
    "sku",
)


class FakeDirectus(FakeDam):
    vendor = "directus"
    options = {"token": "env/TOKEN", "webhook_secret": "env/HOOK"}
    signs_bodies = False
    errors = {**FakeDam.errors, "401": NO_SUCH_TOKEN}

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.files: dict[str, tuple[str, bytes]] = {}
        self.folders: dict[str, dict[str, Any]] = {
            "fo-1": {"id": "fo-1", "name": "Photos", "parent": None},
            "fo-2": {"id": "fo-2", "name": "CH123", "parent": "fo-1"},
        }
        self.photos: dict[str, dict[str, Any]] = {}  # of people, by id
        self._now = datetime(2026, 11, 20, tzinfo=UTC)
        super().__init__()

    def answer(self, request: FakeRequest, operation: str) -> FakeReply:
        _, kind, *rest = request.path.split("/")
        if request.path == "/users/me":
            return FakeReply(200, {"data": CONNECTOR_USER})
        if kind == "assets":
            stored = {id: data for id, (_, data) in self.files.items()}
            stored |= {id: row["data"] for id, row in self.photos.items()}
            found = stored.get(rest[0])
            return FORBIDDEN if found is None else FakeReply(200, found, mime="application/octet-stream")
        return getattr(self, f"_{kind}")(request, rest)

    def _folders(self, request: FakeRequest, rest: list[str]) -> FakeReply:
        if request.method == "GET":
            return FakeReply(200, {"data": list(self.folders.values())})
        return self._create(self.folders, request.json["id"], request.json)

    def _files(self, request: FakeRequest, rest: list[str]) -> FakeReply:
        if request.method == "DELETE":
            return FakeReply(204, b"") if self.files.pop(rest[0], None) else FORBIDDEN
        if request.method == "GET":
            if "filter[filename_download][_eq]" not in request.query:
                return self._library(request.query)
            name = request.query["filter[filename_download][_eq]"]
            return FakeReply(
                200, {"data": [{"id": id} for id, (known, _) in self.files.items() if known == name][:1]}
            )
        form = request.form
        if request.method == "PATCH":
            self.files[rest[0]] = (self.files[rest[0]][0], form["file"])
            return FakeReply(200, {"data": {"id": rest[0]}})
        assert list(form)[-1] == "file"  # fields come before the file
        return self._create(self.files, form["id"].decode(), (form["title"].decode(), form["file"]))

    def _library(self, query: dict[str, str]) -> FakeReply:
        """Answer as `GET /files` of Directus 11: ours and those of people, by the time of their change."""
        names = query["fields"].split(",")
        if unknown := set(names) - set(FILE_COLUMNS):
            return FakeReply(403, {"errors": [{"message": f"no permission for {unknown}"}]})
        ours = [
            {"id": id, "filename_download": name, "folder": self._own_folder(), "uploaded_by": "u-us"}
            | {"type": "image/webp", "modified_on": "2026-11-20T00:00:00", "sku": "CH123"}
            for id, (name, _) in self.files.items()
        ]
        rows = sorted([*ours, *self.photos.values()], key=lambda row: (row["modified_on"], row["id"]))
        wanted, since = query.get("filter[id][_eq]"), query.get("filter[modified_on][_gte]", "")
        rows = [r for r in rows if wanted in (None, r["id"]) and r["modified_on"] >= since]
        data = [{name: row.get(name) for name in names} for row in rows]
        size = int(query["limit"])
        return FakeReply(200, {"data": data[(int(query.get("page", "1")) - 1) * size :][:size]})

    def _own_folder(self) -> str:
        return next(id for id, folder in self.folders.items() if folder["name"] == "Product assets")

    def put_photo(
        self, name: str, data: bytes, *, folder: str = "Photos", sku: str = "", ref: str = ""
    ) -> str:
        id = ref or f"00000000-0000-4000-8000-{len(self.photos):012d}"
        self._now += timedelta(seconds=0 if self.in_one_second else 1)
        now = self._now.strftime("%Y-%m-%dT%H:%M:%S")  # as on SQLite: to the second, without a zone
        self.photos[id] = {
            "id": id,
            "filename_download": name,
            "folder": "fo-2" if folder.endswith("CH123") else "fo-1",
            "type": "image/jpeg",
            "uploaded_on": now,
            "modified_on": now,
            "uploaded_by": "u-rita",
            "sku": sku,
            "filesize": str(len(data)),
            "data": data,
        }
        return id

    def remove_photo(self, ref: str) -> None:
        del self.photos[ref]

    def file_refs(self) -> list[str]:
        return [*self.files, *self.photos]

    def photo_webhook(self, ref: str, context: AdapterContext) -> InboundWebhook:
        body = json.dumps({"event": "files.upload", "collection": "directus_files", "key": ref}).encode()
        return InboundWebhook(
            headers={"x-webhook-secret": "hook-secret"}, body=body, received_at=context.clock.now()
        )

    def _fields(self, request: FakeRequest, rest: list[str]) -> FakeReply:
        """Answer as `GET /fields/{collection}` of the API reference of Directus 11."""
        assert rest == ["asset_versions"]
        choices = {"options": {"choices": [{"text": "Summer", "value": "SS26"}]}}
        fields = [
            {"field": "season", "type": "string", "meta": choices},
            {"field": "seats", "type": "integer", "meta": {}},
            {"field": "keywords", "type": "csv", "meta": None},
        ]
        return FakeReply(200, {"data": fields})

    def metadata_of(self, ref: str) -> dict[str, Any]:
        return self.rows[ref]

    def _items(self, request: FakeRequest, rest: list[str]) -> FakeReply:
        assert rest[0] == "asset_versions"
        if request.method == "POST":
            return self._create(
                self.rows, request.json["id"], {**request.json, "date_updated": None, "user_updated": None}
            )
        if request.method == "PATCH":
            return (
                self.change_row(rest[1], request.json, CONNECTOR_USER) if rest[1] in self.rows else FORBIDDEN
            )
        if request.method == "DELETE":
            return FakeReply(204, b"") if self.rows.pop(rest[1], None) else FORBIDDEN
        found = sorted(self.rows.values(), key=lambda row: row["date_updated"] or "")
        if wanted_id := request.query.get("filter[id][_eq]"):
            return self._rows([row for row in found if row["id"] == wanted_id], request)
        since, other = (
            request.query["filter[date_updated][_gte]"],
            request.query["filter[user_updated][_neq]"],
        )
        changed = [
            r
            for r in found
            if r["date_updated"] and r["date_updated"] >= since and r["user_updated"]["id"] != other
        ]
        return self._rows(changed, request)

    def _rows(self, rows: list[dict[str, Any]], request: FakeRequest) -> FakeReply:
        """Answer with the fields that are asked for, as the real one does."""
        names = request.query["fields"].split(",")
        return FakeReply(200, {"data": [_project(row, names) for row in rows]})

    def _create(self, table: dict[str, Any], id: str, value: Any) -> FakeReply:
        if id in table:
            return NOT_UNIQUE
        table[id] = value
        return FakeReply(200, {"data": {"id": id}})

    def change_row(self, id: str, values: dict[str, Any], by: dict[str, Any]) -> FakeReply:
        self._now += timedelta(seconds=1)
        self.rows[id] |= {
            **values,
            "date_updated": self._now.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "user_updated": by,
        }
        numbers = list(range(1, 1 + len(self.rows[id].get("files") or ())))  # of the rows that join them
        return FakeReply(200, {"data": {**self.rows[id], "user_updated": by["id"], "files": numbers}})

    def asset_count(self) -> int:
        return len(self.rows)

    def stored_bytes(self, name: str) -> bytes:
        return next(data for known, data in self.files.values() if known == name)

    def decide(self, ref: str, verdict: str, by: str, note: str) -> None:
        self.change_row(ref, {"status": verdict, "reject_reason": note}, {**REVIEWER, "first_name": by})

    def replace_file(self, name: str) -> None:
        id = next(id for id, (known, _) in self.files.items() if known == name)
        self.files[id] = (name, b"by hand")

    def webhook(self, ref: str, context: AdapterContext) -> InboundWebhook:
        body = json.dumps({"collection": "asset_versions", "keys": [ref]}).encode()
        return InboundWebhook(
            headers={"x-webhook-secret": "hook-secret"}, body=body, received_at=context.clock.now()
        )


def _project(row: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """Return the named fields of a row; a name may have a part below a dot."""
    found: dict[str, Any] = {}
    for name in names:
        outer, _, inner = name.partition(".")
        value = row.get(outer)
        if inner and isinstance(value, list):
            value = [{inner: each[inner]} for each in value]
        elif inner and isinstance(value, dict):
            value = {**found.get(outer, {}), inner: value.get(inner)}
        found[outer] = value
    return found
