"""A fake ResourceSpace: signed queries, `false` for refusals, a log; as trunk answered in August 2026."""

import hashlib
import json
from typing import Any
from urllib.parse import parse_qsl

from dam_connector.fakes.server import FakeReply, FakeRequest
from tests.contracts.dams.harness import FakeDam

KEY = "key_fake"
USERS = {1: "admin", 2: "connector", 3: "rita"}
RIGHTS = ("s", "c", "v", "e-1", "e0", "e2", "e4", "f*")  # of the group of our user
METADATA_FIELDS = {"92": ("season", "3"), "93": ("seats", "0"), "94": ("keywords", "9")}  # name and type
FIELD_NAMES = {"51": "originalfilename", "88": "externalid", "95": "sku"}
LONG_AGO, TODAY = "2020-01-01 10:00:00", "2026-08-22 10:00:00"
AGE_DAYS = {LONG_AGO: 2000, TODAY: 0}


class FakeResourceSpace(FakeDam):
    vendor = "resourcespace"
    options = {"user": "connector", "private_key": "env/TOKEN", "fields": {"external_id": 88, "sku": 89}}

    def __init__(self) -> None:
        self.resources: dict[str, dict[str, Any]] = {}
        self.files: dict[tuple[str, str], tuple[str, bytes]] = {}  # by resource and alternative
        self.previews: dict[str, bytes] = {}
        self.log: list[dict[str, Any]] = []
        self.rights = set(RIGHTS)
        self.field_titles = {number: name.title() for number, (name, _) in METADATA_FIELDS.items()}
        for _ in range(600):  # a site with a past: more rows than are read at once
            self._add_to_log("77", "s", "admin", "", LONG_AGO)
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
        if isinstance(found, FakeReply):
            return found
        return FakeReply(204, b"") if found is None else FakeReply(200, found)

    def _create_resource(self, params: dict[str, str], request: FakeRequest) -> Any:
        if not {"c", "e-1"} <= self.rights:
            return False
        ref = str(len(self.resources) + 1)
        self.resources[ref] = {
            "ref": ref,
            "archive": params["archive"],
            "metadata": json.loads(params["metadata"]),
        }
        return int(ref)

    def _do_search(self, params: dict[str, str], request: FakeRequest) -> Any:
        if not params["search"]:
            return self._all_active(params)
        field, _, wanted = params["search"].partition(":")
        found = [
            r
            for r in self.resources.values()
            if {"s", "f*"} <= self.rights
            and r["archive"] in params["archive"].split(",")
            and wanted in (r["metadata"].get("88"), f'"{self.files.get((r["ref"], ""), ("",))[0]}"')
        ]
        assert field in ("externalid", "originalfilename")
        offset, _, count = params["fetchrows"].rpartition(",")
        rows = [self._row(r) for r in found[int(offset or 0) :][: int(count)]]
        return {"total": len(found), "data": rows} if offset else rows  # the form depends on the numbers

    def _row(self, resource: dict[str, Any]) -> dict[str, Any]:
        name, data = self.files.get((resource["ref"], ""), ("", b""))
        return {
            "ref": int(resource["ref"]),
            "archive": int(resource["archive"]),
            "resource_type": 1,
            "created_by": resource.get("created_by", 2),
            "file_extension": name.rpartition(".")[2],
            "file_modified": resource.get("file_modified", TODAY),
            "file_checksum": hashlib.md5(data).hexdigest(),
            "file_size": len(data),
        }

    def _all_active(self, params: dict[str, str]) -> Any:
        assert (params["order_by"], params["sort"], params["archive"]) == ("resourceid", "asc", "0")
        rows = [self._row(r) for r in self.resources.values() if r["archive"] == "0"]
        offset, _, count = params["fetchrows"].partition(",")
        return {"total": len(rows), "data": rows[int(offset) :][: int(count)]}

    def _get_resource_field_data(self, params: dict[str, str], request: FakeRequest) -> Any:
        resource = self.resources[params["resource"]]
        values = {"51": self.files.get((resource["ref"], ""), ("",))[0], **resource["metadata"]}
        return [
            {"ref": int(number), "name": FIELD_NAMES.get(number, f"field{number}"), "value": value}
            for number, value in values.items()
        ]

    def _create_resource_type_field(self, params: dict[str, str], request: FakeRequest) -> Any:
        if "a" not in self.rights:
            return FakeReply(403, [])
        assert params["resource_types"] == "0" and params["type"] in ("0", "1")
        number = 1 + max(map(int, self.field_titles))
        self.field_titles[str(number)] = params["name"]
        return {"status": "success", "data": {"ref": number}}

    def put_photo(
        self, name: str, data: bytes, *, folder: str = "Photos", sku: str = "", ref: str = ""
    ) -> str:
        is_new = not ref
        ref = ref or str(len(self.resources) + 1)
        facts = {"ref": ref, "archive": "0", "metadata": {"95": sku}, "created_by": 3}
        self.resources[ref] = facts if is_new else self.resources[ref]
        self.files[ref, ""] = (name, data)
        self._add_to_log(ref, "c" if is_new else "u", "rita", "")
        return ref

    def remove_photo(self, ref: str) -> None:
        self.delete(ref, "rita")

    def file_refs(self) -> list[str]:
        return list(self.resources)

    def _upload_multipart(self, params: dict[str, str], request: FakeRequest) -> Any:
        data = request.form["file"]
        if params.get("previewonly"):
            assert data.startswith(b"\xff\xd8")
            self.previews[params["ref"]] = data
        else:
            self.files[params["ref"], params.get("alternative", "")] = (request.file_names["file"], data)
            self._add_to_log(params["ref"], "u", "connector", "")
        return None

    def _add_alternative_file(self, params: dict[str, str], request: FakeRequest) -> Any:
        ref = str(1000 + len(self.files))
        self.resources[params["resource"]].setdefault("alternatives", []).append(
            {"ref": int(ref), "name": params["name"]}
        )
        return int(ref)

    def _get_alternative_files(self, params: dict[str, str], request: FakeRequest) -> Any:
        return self.resources[params["resource"]].get("alternatives", [])

    def _get_resource_data(self, params: dict[str, str], request: FakeRequest) -> Any:
        found = self.resources.get(params["resource"])
        return self._row(found) if found else False

    def _update_field(self, params: dict[str, str], request: FakeRequest) -> Any:
        if not self._may_edit(params["resource"]):
            return False
        names = [name for name, _ in METADATA_FIELDS.values()]
        if not params["field"].isdigit() and params["field"] not in names:
            return False
        self.resources[params["resource"]]["metadata"][params["field"]] = params["value"]
        return True

    def _may_edit(self, ref: str) -> bool:
        return f"e{self.resources[ref]['archive']}" in self.rights

    def _put_resource_data(self, params: dict[str, str], request: FakeRequest) -> Any:
        found, wanted = self.resources[params["resource"]], str(json.loads(params["data"])["archive"])
        if found["archive"] == wanted or not self._may_edit(found["ref"]):
            return False  # like the real one, which takes a state that the group may not edit
        self._change_state(found["ref"], wanted, "connector", "archive")
        return True

    def _get_resource_path(self, params: dict[str, str], request: FakeRequest) -> Any:
        if "v" not in self.rights:
            return ""
        known = (params["ref"], params.get("alternative", "")) in self.files
        return (
            f"{self.base_url}/download/{params['ref']}/-{params.get('alternative', '')}" if known else False
        )

    def _resource_log_last_rows(self, params: dict[str, str], request: FakeRequest) -> Any:
        """Answer with the FIRST rows: from `minref` on, or without it of the last days."""
        if "v" not in self.rights:
            return []
        first, days, count = (int(params[name]) for name in ("minref", "days", "maxrecords"))
        found = [
            row
            for row in self.log
            if row["type"] in params["log_code"].split(",")
            and (row["ref"] >= first if first else AGE_DAYS[row["date"]] < days)
        ]
        return found[:count] if count else found

    def _get_resource_log(self, params: dict[str, str], request: FakeRequest) -> Any:
        if "v" not in self.rights:
            return []
        rows = [row for row in reversed(self.log) if str(row["resource"]) == params["resource"]]
        return [
            {"username": USERS[row["user"]], "fullname": USERS[row["user"]].title()}
            | {name: value for name, value in row.items() if name != "user"}
            for row in rows
        ]

    def _get_resource_type_fields(self, params: dict[str, str], request: FakeRequest) -> Any:
        """Answer as the real one of August 2026: 403 without the permission a."""
        if "a" not in self.rights:
            return FakeReply(403, [])
        return [
            {
                "ref": number,
                "name": METADATA_FIELDS.get(number, (f"field{number}", ""))[0],
                "title": title,
                "type": METADATA_FIELDS.get(number, ("", "0"))[1],
            }
            for number, title in self.field_titles.items()
        ]

    def metadata_of(self, ref: str) -> dict[str, Any]:
        found: dict[str, Any] = self.resources[ref]["metadata"]
        return found

    def _get_users(self, params: dict[str, str], request: FakeRequest) -> Any:
        return [
            {"ref": ref, "username": name, "email": "", "fullname": name.title(), "usergroup": 3}
            for ref, name in USERS.items()
            if params.get("find", "") in name
        ]

    def _delete_resource(self, params: dict[str, str], request: FakeRequest) -> Any:
        if not self._may_edit(params["resource"]):
            return False
        self.delete(params["resource"], "connector")
        return True

    def _add_to_log(self, ref: str, kind: str, by: str, notes: str, date: str = TODAY) -> None:
        self.log.append(
            {
                "date": date,
                "ref": len(self.log) + 1,
                "resource": int(ref),
                "type": kind,
                "field": 0,
                "user": next(number for number, name in USERS.items() if name == by),
                "notes": notes,
                "diff": "Pending review -> Active" if kind == "s" else "",
                "usageoption": -1,
            }
        )

    def _change_state(self, ref: str, archive: str, by: str, note: str) -> None:
        self.resources[ref]["archive"] = archive
        self._add_to_log(ref, "s", by, note)

    def delete(self, ref: str, by: str) -> None:
        """Delete a resource as its page does: it moves to state 3 and stays readable."""
        self.resources[ref]["archive"] = "3"
        self._add_to_log(ref, "x", by, "")

    def asset_count(self) -> int:
        return sum(r["archive"] != "3" for r in self.resources.values())

    def stored_bytes(self, name: str) -> bytes:
        return next(data for known, data in self.files.values() if known == name)

    def decide(self, ref: str, verdict: str, by: str, note: str) -> None:
        self._change_state(ref, {"approved": "0", "rejected": "4"}[verdict], by, note)
        self._add_to_log(ref, "e", "admin", "a later edit is no decision")

    def replace_file(self, name: str) -> None:
        key = next(key for key, (known, _) in self.files.items() if known == name)
        self.files[key] = (name, b"by hand")
