"""ResourceSpace: a resource for each version; its USDZ and pictures are alternative files, its state is the archive state.

Requests are signed by the user's private key. It tells nothing unasked: its log of state changes is read on. Facts: docs/connections/resourcespace.md.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_plus, urlencode

from dam_connector.adapters.common.api_client import MAX_FILE, UPLOAD_S, Caller
from dam_connector.adapters.common.context import AdapterContext, only, web_address
from dam_connector.adapters.common.dam_helpers import VERDICTS, labels_of, state_of
from dam_connector.adapters.common.file_hashes import holds
from dam_connector.adapters.common.mixins import Deaf
from dam_connector.adapters.http import Part
from dam_connector.domain.event import Decision
from dam_connector.domain.version import Version, VersionFile, VersionState
from dam_connector.domain.version_metadata import about, title
from dam_connector.errors import BadOutput, ConfigError, NotFound, Refused
from dam_connector.ports import Blobs, DamCapabilities, PushRequest, RemoteState

S = VersionState
USUAL = {
    S.IN_REVIEW: "-1",
    S.APPROVED: "0",
    S.REJECTED: "4",
    S.PUBLISHED: "0",
    S.SUPERSEDED: "2",
    S.WITHDRAWN: "2",
}  # archive states
TITLE_FIELD = "8"
LOG_DAYS = 30
LOG_ROWS = 500


class ResourceSpace(Deaf, Caller):
    """Resources by their ref."""

    vendor = "resourcespace"
    capabilities = DamCapabilities()

    def __init__(self, kit: AdapterContext, base_url: str, user: str, key: str, options: Mapping[str, Any]) -> None:
        super().__init__(kit.http, base_url, {})
        self._user, self._key = user, key
        self._labels = labels_of(USUAL, options)
        self._fields = {str(name): str(field) for name, field in options.get("fields", {}).items()}
        self._kind = str(options.get("resource_type", 1))

    def push(self, request: PushRequest, blobs: Blobs) -> str:
        version = request.version
        mark = _mark(request.external_id)
        ref = self._found(mark) or self._created(request, mark)
        main, *others = version.ordered
        self._upload(ref, main, blobs)
        if request.preview:
            part = ("file", ("preview.jpg", request.preview, "image/jpeg"))
            self._call("upload_multipart", "push", file=part, ref=ref, no_exif=1, revert=0, previewonly=1)
        there = {
            str(each.get("name")): str(each.get("ref"))
            for each in self._rows("get_alternative_files", "push", resource=ref)
        }
        for file in others:
            self._upload(ref, file, blobs, there.get(file.name) or self._alternative(ref, file))
        return ref

    def write_state(self, ref: str, state: VersionState, decision: Decision | None = None) -> None:
        row = self._resource(ref, "write_state")
        if decision and (field := self._fields.get("decision")):
            words = "; ".join(
                filter(
                    None,
                    [
                        f"{decision.verdict.value} by {decision.by}",
                        ", ".join(decision.reasons),
                        decision.note,
                    ],
                )
            )
            self._call("update_field", "write_state", resource=ref, field=field, value=words)
        if str(row.get("archive")) != self._labels[state]:
            self._call(
                "put_resource_data",
                "write_state",
                resource=ref,
                data=json.dumps({"archive": int(self._labels[state])}),
            )

    def standing(self, ref: str, version: Version) -> RemoteState:
        state = state_of(
            str(self._resource(ref, "standing").get("archive")), self._labels, version, self.vendor
        )
        last: dict[str, Any] = next(
            (row for row in reversed(self._log(1)) if str(row.get("resource")) == ref), {}
        )
        if state not in VERDICTS or _who(last) == self._user:
            return RemoteState(state=state)
        decision = Decision(verdict=VERDICTS[state], by=_who(last), note=str(last.get("notes") or ""))
        return RemoteState(state=state, decision=decision)

    def changed(self, ref: str, version: Version) -> tuple[str, ...]:
        self._resource(ref, "changed")
        return tuple(f.name for f in version.shipped if not self._holds(ref, f, version))

    def touched_since(self, cursor: str) -> tuple[list[str], str]:
        rows = self._log(int(cursor or 0) + 1)  # its minref is inclusive
        if not rows:
            return [], cursor
        found = [str(row["resource"]) for row in rows if _who(row) != self._user]
        return list(dict.fromkeys(found)), str(max(int(row["ref"]) for row in rows))

    def picture(self, name: str, blobs: Blobs) -> bytes:
        rows = self._rows(
            "do_search", "picture", search=f'originalfilename:"{name}"', archive="0,-1", fetchrows="0,1"
        )
        if not rows:
            raise NotFound(self.vendor, "picture", name)
        return self._bytes(str(rows[0]["ref"]), name.rpartition(".")[2], "", "picture")

    def remove(self, ref: str) -> None:
        try:
            self._resource(ref, "remove")
        except NotFound:
            return
        self._call("delete_resource", "remove", resource=ref)

    def _found(self, mark: str) -> str:
        states = ",".join(sorted(set(self._labels.values())))
        rows = self._rows("do_search", "push", search=f"externalid:{mark}", archive=states, fetchrows="0,5")
        return str(rows[0]["ref"]) if rows else ""

    def _created(self, request: PushRequest, mark: str) -> str:
        facts = {
            **about(request.version, request.product),
            "review_url": request.review_url,
            "folder": request.folder,
            "external_id": mark,
        }
        values = {TITLE_FIELD: title(request.version, request.product)}
        values |= {field: facts[name] for name, field in self._fields.items() if name in facts}
        made = self._call(
            "create_resource",
            "push",
            resource_type=self._kind,
            archive=self._labels[S.IN_REVIEW],
            metadata=json.dumps(values),
        )
        if not str(made).isdigit():
            raise BadOutput(self.vendor, "push", f"create_resource gave {str(made)[:80]!r}, no resource")
        return str(made)

    def _alternative(self, ref: str, file: VersionFile) -> str:
        extension = file.name.rpartition(".")[2]
        about_it: dict[str, Any] = {
            "name": file.name,
            "description": file.role.value,
            "file_name": file.name,
            "file_extension": extension,
            "file_size": file.bytes,
        }
        return str(self._call("add_alternative_file", "push", resource=ref, **about_it, alt_type=""))

    def _upload(self, ref: str, file: VersionFile, blobs: Blobs, alternative: str = "") -> None:
        part = ("file", (file.name, blobs.get(file.sha256), file.mime))
        more: dict[str, Any] = {"alternative": alternative} if alternative else {}
        self._call("upload_multipart", "push", file=part, ref=ref, no_exif=1, revert=0, **more)

    def _resource(self, ref: str, operation: str) -> dict[str, Any]:
        found = (
            self._call("get_resource_data", operation, resource=ref, refusal=NotFound)
            if ref.isdigit()
            else None
        )
        if not isinstance(found, dict) or not found:
            raise NotFound(self.vendor, operation, ref)
        return found

    def _log(self, first: int) -> list[dict[str, Any]]:
        """Changes of state from this row of the log on, oldest first."""
        more: dict[str, Any] = {
            "minref": first,
            "days": LOG_DAYS,
            "maxrecords": LOG_ROWS,
            "field": "",
            "log_code": "s",
        }
        return sorted(self._rows("resource_log_last_rows", "poll", **more), key=lambda row: int(row["ref"]))

    def _holds(self, ref: str, file: VersionFile, version: Version) -> bool:
        extension, alternative = file.name.rpartition(".")[2], ""
        if file != version.ordered[0]:
            rows = self._rows("get_alternative_files", "standing", resource=ref)
            alternative = next((str(row["ref"]) for row in rows if row.get("name") == file.name), "none")
        return holds(file, lambda: self._bytes(ref, extension, alternative, "changed"))

    def _bytes(self, ref: str, extension: str, alternative: str, operation: str) -> bytes:
        more: dict[str, Any] = {"alternative": alternative} if alternative else {}
        url = self._call(
            "get_resource_path", operation, ref=ref, getfilepath=0, size="", extension=extension, **more
        )
        if not isinstance(url, str) or not url.startswith(("http://", "https://")):
            raise NotFound(self.vendor, operation, f"resource {ref} has no such file")
        return self._http.get(url, max_bytes=MAX_FILE, vendor=self.vendor).body

    def _rows(self, function: str, operation: str, **params: Any) -> list[dict[str, Any]]:
        found = self._call(function, operation, refusal=None, **params)
        return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []

    def _call(
        self,
        function: str,
        operation: str,
        *,
        file: Part | None = None,
        refusal: type[Refused | NotFound] | None = Refused,
        **params: Any,
    ) -> Any:
        """What a function gives. refusal: what its `false` means; None: nothing. Raises: BadOutput for PHP's own errors, which come as 200."""
        query = urlencode({"user": self._user, "function": function, **params}, quote_via=quote_plus)
        sign = hashlib.sha256(f"{self._key}{query}".encode()).hexdigest()
        fields = {"query": query, "sign": sign, "user": self._user}
        reply = self.ask(
            "POST",
            "/api/",
            operation,
            fields=fields,
            files=[file] if file else [],
            timeout_s=UPLOAD_S if file else 0,
        )
        if reply.status == 204:
            return True
        if not reply.body.strip():
            raise BadOutput(
                self.vendor, operation, f"it knows no function {function}, or its API is switched off"
            )
        try:
            found = json.loads(reply.body)
        except ValueError as error:
            raise BadOutput(
                self.vendor, operation, " ".join(reply.body[:200].decode("utf-8", "replace").split())
            ) from error
        if found is False and refusal:
            raise refusal(
                self.vendor,
                operation,
                f"{function} was refused: the user {self._user} may not, or there is no such resource",
            )
        return found


def _mark(external_id: str) -> str:
    """An external id that a search takes as one word."""
    return f"dc{hashlib.sha256(external_id.encode()).hexdigest()[:30]}"


def _who(row: Mapping[str, Any]) -> str:
    return str(
        row.get("username") or row.get("user") or row.get("fullname") or "somebody in resourcespace"
    )  # a busy log forgets


def connect(options: Mapping[str, Any], kit: AdapterContext) -> ResourceSpace:
    only(options, "base_url", "user", "private_key", "resource_type", "fields", "states")
    if not options.get("user"):
        raise ConfigError('user: whose API key it is, such as "dam-connector"')
    fields = options.get("fields", {})
    if not isinstance(fields, dict) or not fields.get("external_id"):
        raise ConfigError(
            'fields: the number of each metadata field, external_id at least: {"external_id": 88}; docs/connections/resourcespace.md'
        )
    key = kit.secret(str(options.get("private_key", "env/RESOURCESPACE_KEY")))
    return ResourceSpace(
        kit, web_address(options, example="https://dam.example"), str(options["user"]), key, options
    )
