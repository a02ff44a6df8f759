"""A fake ResourceSpace: signed queries, the real one's answers, `false` for refusals, a log."""

import hashlib
import json
from typing import Any
from urllib.parse import parse_qsl

from dam_connector.fakes.server import FakeReply, FakeRequest
from tests.contracts.dams.harness import FakeDam

KEY = "key_fake"


class FakeResourceSpace(FakeDam):
    vendor = "resourcespace"
    options = {"user": "connector", "private_key": "env/TOKEN", "fields": {"external_id": 88, "sku": 89}}

    def __init__(self) -> None:
        self.resources: dict[str, dict[str, Any]] = {}
        self.files: dict[tuple[str, str], tuple[str, bytes]] = {}  # by resource and alternative
        self.previews: dict[str, bytes] = {}
        self.log: list[dict[str, Any]] = []
        super().__init__()

    def is_authorized(self, request: FakeRequest) -> bool:
        return True  # `answer` checks the signature

    def operation(self, request: FakeRequest) -> str:
        query = (
            request.form.get("query", b"").decode()
            if request.method == "POST" and b"multipart" in request.headers["content-type"].encode()
            else ""
        )
        function = dict(parse_qsl(query or self._fields(request).get("query", ""))).get("function", "")
        return (
            "push" if function.startswith(("create", "add", "upload", "update", "put", "delete")) else "read"
        )

    def _fields(self, request: FakeRequest) -> dict[str, str]:
        if "multipart" in request.headers.get("content-type", ""):
            return {name: data.decode() for name, data in request.parts if name != "file"}
        return dict(parse_qsl(request.body.decode()))

    def answer(self, request: FakeRequest, operation: str) -> FakeReply:
        if request.path.startswith("/download/"):
            _, _, resource, alternative = request.path.split("/")
            return FakeReply(
                200, self.files[resource, alternative.strip("-")][1], mime="application/octet-stream"
            )
        fields = self._fields(request)
        query = fields["query"]
        if fields["sign"] != hashlib.sha256(f"{KEY}{query}".encode()).hexdigest():
            return FakeReply(401, b"Invalid signature", mime="text/plain")
        params = dict(parse_qsl(query, keep_blank_values=True))
        function = getattr(self, f"_{params.pop('function')}", None)
        if function is None:
            return FakeReply(200, b"")  # like the real one
        found = function(params, request)
        return FakeReply(204, b"") if found is None else FakeReply(200, found)

    def _create_resource(self, params: dict[str, str], request: FakeRequest) -> Any:
        ref = str(len(self.resources) + 1)
        self.resources[ref] = {
            "ref": ref,
            "archive": params["archive"],
            "metadata": json.loads(params["metadata"]),
        }
        return int(ref)

    def _do_search(self, params: dict[str, str], request: FakeRequest) -> Any:
        assert params["search"].startswith("externalid:") and set(params["archive"].split(",")) >= {
            "-1",
            "0",
            "4",
        }
        return [
            r
            for r in self.resources.values()
            if r["metadata"].get("88") == params["search"].partition(":")[2]
        ]

    def _upload_multipart(self, params: dict[str, str], request: FakeRequest) -> Any:
        data = request.form["file"]
        if params.get("previewonly"):
            assert data.startswith(b"\xff\xd8")
            self.previews[params["ref"]] = data
        else:
            self.files[params["ref"], params.get("alternative", "")] = (request.file_names["file"], data)
        return None

    def _add_alternative_file(self, params: dict[str, str], request: FakeRequest) -> Any:
        ref = str(1000 + len(self.files))
        self.resources[params["resource"]].setdefault("alternatives", []).append(
            {"ref": ref, "name": params["name"]}
        )
        return int(ref)

    def _get_alternative_files(self, params: dict[str, str], request: FakeRequest) -> Any:
        return self.resources[params["resource"]].get("alternatives", [])

    def _get_resource_data(self, params: dict[str, str], request: FakeRequest) -> Any:
        found = self.resources.get(params["resource"])
        return {"ref": found["ref"], "archive": int(found["archive"])} if found else False

    def _put_resource_data(self, params: dict[str, str], request: FakeRequest) -> Any:
        found, wanted = self.resources[params["resource"]], str(json.loads(params["data"])["archive"])
        if found["archive"] == wanted:
            return False  # like the real one
        self._change_state(found["ref"], wanted, "connector", "")
        return True

    def _get_resource_path(self, params: dict[str, str], request: FakeRequest) -> Any:
        known = (params["ref"], params.get("alternative", "")) in self.files
        return (
            f"{self.base_url}/download/{params['ref']}/-{params.get('alternative', '')}" if known else False
        )

    def _resource_log_last_rows(self, params: dict[str, str], request: FakeRequest) -> Any:
        assert params["log_code"] == "s"
        return [row for row in self.log if row["ref"] >= int(params["minref"])]

    def _delete_resource(self, params: dict[str, str], request: FakeRequest) -> Any:
        return bool(self.resources.pop(params["resource"]))

    def _change_state(self, ref: str, archive: str, by: str, note: str) -> None:
        self.resources[ref]["archive"] = archive
        self.log.append(
            {
                "ref": len(self.log) + 1,
                "resource": int(ref),
                "username": by,
                "notes": note,
                "type": "s",
                "diff": "Pending review -> Active",
            }
        )

    def asset_count(self) -> int:
        return len(self.resources)

    def stored_bytes(self, name: str) -> bytes:
        return next(data for known, data in self.files.values() if known == name)

    def decide(self, ref: str, verdict: str, by: str, note: str) -> None:
        self._change_state(ref, {"approved": "0", "rejected": "4"}[verdict], by, note)

    def replace_file(self, name: str) -> None:
        key = next(key for key, (known, _) in self.files.items() if known == name)
        self.files[key] = (name, b"by hand")
