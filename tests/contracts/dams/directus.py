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
REVIEWER = {"id": "u-rita", "first_name": "Rita", "last_name": None, "email": "rita@example.com"}
CONNECTOR_USER = {"id": "u-us"}


class FakeDirectus(FakeDam):
    vendor = "directus"
    options = {"token": "env/TOKEN", "webhook_secret": "env/HOOK"}
    signs_bodies = False

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.files: dict[str, tuple[str, bytes]] = {}
        self.folders: dict[str, dict[str, Any]] = {}
        self._now = datetime(2026, 11, 20, tzinfo=UTC)
        super().__init__()

    def answer(self, request: FakeRequest, operation: str) -> FakeReply:
        _, kind, *rest = request.path.split("/")
        if request.path == "/users/me":
            return FakeReply(200, {"data": CONNECTOR_USER})
        if kind == "assets":
            return (
                FakeReply(200, self.files[rest[0]][1], mime="application/octet-stream")
                if rest[0] in self.files
                else FORBIDDEN
            )
        return getattr(self, f"_{kind}")(request, rest)

    def _folders(self, request: FakeRequest, rest: list[str]) -> FakeReply:
        return self._create(self.folders, request.json["id"], request.json)

    def _files(self, request: FakeRequest, rest: list[str]) -> FakeReply:
        if request.method == "DELETE":
            return FakeReply(204, b"") if self.files.pop(rest[0], None) else FORBIDDEN
        if request.method == "GET":
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
            return FakeReply(200, {"data": [row for row in found if row["id"] == wanted_id]})
        since, other = (
            request.query["filter[date_updated][_gte]"],
            request.query["filter[user_updated][_neq]"],
        )
        changed = [
            r
            for r in found
            if r["date_updated"] and r["date_updated"] >= since and r["user_updated"]["id"] != other
        ]
        return FakeReply(200, {"data": changed})

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
        return FakeReply(200, {"data": self.rows[id]})

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
