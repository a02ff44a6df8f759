"""Bynder: a media for each asset, with our versions as its versions; USDZ and previews are its additional files, approval is a select metaproperty.

Its webhooks are not signed in any documented way: it is asked for what was modified. Facts and set-up: docs/connections/bynder.md.
"""

import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from dam_connector.adapters.common.api_client import MAX_FILE, Caller
from dam_connector.adapters.common.context import AdapterContext, only, web_address
from dam_connector.adapters.common.dam_helpers import VERDICTS, labels_of, state_of
from dam_connector.adapters.common.file_hashes import holds
from dam_connector.adapters.common.mixins import Deaf
from dam_connector.domain.event import Decision
from dam_connector.domain.version import Version, VersionFile, VersionState
from dam_connector.domain.version_metadata import about, title
from dam_connector.errors import BadOutput, ConfigError, NotFound, Refused, Unavailable
from dam_connector.ports import Blobs, DamCapabilities, PushRequest, RemoteState

S = VersionState
USUAL = {
    state: state.value.replace("_", " ").capitalize()
    for state in (S.IN_REVIEW, S.APPROVED, S.REJECTED, S.PUBLISHED, S.SUPERSEDED, S.WITHDRAWN)
}
PROPERTIES = {
    "id": "ConnectorId",
    "version": "ConnectorVersion",
    "written": "ConnectorState",
    "state": "ApprovalState",
    "reason": "ConnectorReason",
}
CHUNK = 5_242_880  # the largest part it takes
PAUSES_S = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 4.0)  # an import that is given up has to be uploaded again
POLL_S = 30.0
PAGE = 100
PAGES = 20


class Bynder(Deaf, Caller):
    """Versions by the media that holds them and their number: `MEDIA@3`."""

    vendor = "bynder"
    capabilities = DamCapabilities(poll_s=POLL_S)

    def __init__(self, kit: AdapterContext, base_url: str, token: str, brand: str, options: Mapping[str, Any]) -> None:
        super().__init__(kit.http, base_url, {"Authorization": f"Bearer {token}"})
        self._brand = brand
        self._labels = labels_of(USUAL, options)
        self._names = {
            **PROPERTIES,
            **{str(name): str(value) for name, value in options.get("properties", {}).items()},
        }
        self._known: dict[str, dict[str, Any]] = {}

    def push(self, request: PushRequest, blobs: Blobs) -> str:
        version = request.version
        key, number = request.external_id.rpartition(":")[0], str(version.number)
        main, *others = version.ordered
        media = self._found(key)
        if media is None or _one(media, self._names["version"]) != number:
            media_id = self._saved(request, main, blobs, media, key)
            media = self._media(media_id, "push")
        there = {str(item.get("fileName")) for item in media.get("mediaItems") or ()}
        for file in others:
            if file.name not in there:
                imported = self._imported(file, blobs.get(file.sha256))
                self.ask("POST", f"/api/v4/media/{media['id']}/save/additional/{imported}/", "push")
        return f"{media['id']}@{number}"

    def write_state(self, ref: str, state: VersionState, decision: Decision | None = None) -> None:
        media, on_top = self._on_top(ref, "write_state")
        if not on_top:
            return  # the media shows a later version by now
        why = (
            "; ".join(filter(None, [decision.by, ", ".join(decision.reasons), decision.note]))
            if decision
            else ""
        )
        self._write(
            str(media["id"]),
            {"state": self._option(self._labels[state]), "written": state.value, "reason": why},
        )

    def standing(self, ref: str, version: Version) -> RemoteState:
        media, on_top = self._on_top(ref, "standing")
        if not on_top:
            return RemoteState(state=version.state)
        state = state_of(_one(media, self._names["state"]), self._labels, version, self.vendor)
        if state not in VERDICTS or _one(media, self._names["written"]) == state.value:
            return RemoteState(state=state)
        by = str(media.get("userModified") or "a reviewer in bynder")
        decision = Decision(verdict=VERDICTS[state], by=by, note=_one(media, self._names["reason"]))
        return RemoteState(state=state, decision=decision)

    def changed(self, ref: str, version: Version) -> tuple[str, ...]:
        media, on_top = self._on_top(ref, "changed")
        if not on_top:
            return ()
        return tuple(f.name for f in version.shipped if not self._holds(media, f, version))

    def touched_since(self, cursor: str) -> tuple[list[str], str]:
        rows = self._modified_since(cursor)
        theirs = [row for row in rows if _one(row, self._names["id"]) and not self._is_as_written(row)]
        refs = [f"{row['id']}@{_one(row, self._names['version'])}" for row in reversed(theirs)]
        return refs, max((str(row["dateModified"]) for row in rows), default=cursor)

    def _is_as_written(self, media: Mapping[str, Any]) -> bool:
        written = _one(media, self._names["written"])
        return any(
            state.value == written and label == _one(media, self._names["state"])
            for state, label in self._labels.items()
        )

    def _modified_since(self, cursor: str) -> list[dict[str, Any]]:
        """All media that were modified after the cursor, newest first; at the first time only the newest."""
        found: list[dict[str, Any]] = []
        for page in range(1, PAGES + 1 if cursor else 2):
            query = urlencode({"orderBy": "dateModified desc", "limit": PAGE, "page": page})
            rows = self._listed(f"/api/v4/media/?{query}", "poll")
            newer = [row for row in rows if str(row.get("dateModified", "")) > cursor]
            found += newer
            if len(newer) < PAGE:
                break
        return found

    def picture(self, name: str, blobs: Blobs) -> bytes:
        rows = self._listed(
            f"/api/v4/media/?{urlencode({'keyword': name, 'type': 'image', 'limit': 1})}", "picture"
        )
        if not rows:
            raise NotFound(self.vendor, "picture", name)
        return self._bytes(str(rows[0]["id"]), "", "picture")

    def remove(self, ref: str) -> None:
        try:
            self.ask("DELETE", f"/api/v4/media/{ref.partition('@')[0]}/", "remove")
        except NotFound:
            pass

    def _on_top(self, ref: str, operation: str) -> tuple[dict[str, Any], bool]:
        """The media, and whether this version is the one that it shows."""
        media_id, _, number = ref.partition("@")
        media = self._media(media_id, operation)
        return media, _one(media, self._names["version"]) == number

    def _media(self, media_id: str, operation: str) -> dict[str, Any]:
        return self.asked("GET", f"/api/v4/media/{media_id}/?versions=1", operation)

    def _found(self, key: str) -> dict[str, Any] | None:
        rows = self._listed(
            f"/api/v4/media/?{urlencode({'property_' + self._names['id']: key, 'limit': 1})}", "push"
        )
        return self._media(str(rows[0]["id"]), "push") if rows else None

    def _saved(
        self, request: PushRequest, file: VersionFile, blobs: Blobs, media: Mapping[str, Any] | None, key: str
    ) -> str:
        """The media that shows this version now: a new one, or that of the asset with a new version on top."""
        imported = self._imported(file, blobs.get(file.sha256))
        version = {
            "id": key,
            "version": str(request.version.number),
            "written": S.IN_REVIEW.value,
            "state": self._option(self._labels[S.IN_REVIEW]),
        }
        words = {
            "description": json.dumps(
                {**about(request.version, request.product), "review_url": request.review_url},
                ensure_ascii=False,
            )
        }
        if media is None:
            fields = {
                "brandId": self._brand,
                "name": title(request.version, request.product),
                **words,
                **self._fields(version),
            }
            return str(
                self.asked("POST", f"/api/v4/media/save/{imported}/", "push", fields=fields).get("mediaid")
            )
        self.ask("POST", f"/api/v4/media/{media['id']}/save/{imported}/", "push")
        self._write(str(media["id"]), version, {"name": title(request.version, request.product), **words})
        return str(media["id"])

    def _imported(self, file: VersionFile, data: bytes) -> str:
        """The import of uploaded bytes: in parts, to the storage that it names, where our token does not go."""
        storage = json.loads(self.ask("GET", "/api/upload/endpoint", "push").body)
        begun = self.asked("POST", "/api/upload/init", "push", fields={"filename": file.name})
        upload, place = begun["s3file"], str(begun["s3_filename"])
        parts = [data[start : start + CHUNK] for start in range(0, len(data), CHUNK)] or [b""]
        for number, part in enumerate(parts, 1):
            key = f"{place}/p{number}"
            form = {
                **begun["multipart_params"],
                "Filename": key,
                "name": file.name,
                "chunk": str(number),
                "chunks": str(len(parts)),
                "key": key,
            }
            self.store(
                "POST", str(storage), "push", fields=form, files=[("file", (file.name, part, file.mime))]
            )
            about_it = {
                "id": upload["uploadid"],
                "targetid": upload["targetid"],
                "filename": key,
                "chunkNumber": str(number),
            }
            self.ask("POST", "/api/v4/upload/", "push", fields=about_it)
        fields = {"targetid": upload["targetid"], "s3_filename": place, "chunks": str(len(parts))}
        imported = str(
            self.asked("POST", f"/api/v4/upload/{upload['uploadid']}/", "push", fields=fields).get("importId")
        )
        self._wait(imported, file)
        return imported

    def _wait(self, imported: str, file: VersionFile) -> None:
        for pause in PAUSES_S:
            time.sleep(pause)
            found = self.asked("GET", f"/api/v4/upload/poll/?items={imported}", "push")
            if imported in (found.get("itemsFailed") or []) + (found.get("itemsRejected") or []):
                raise Refused(self.vendor, "push", f"it took {file.name} for unusable")
            if imported in (found.get("itemsDone") or []):
                return
        raise Unavailable(self.vendor, "push", f"{file.name} is still being taken in")

    def _write(self, media_id: str, values: Mapping[str, str], more: Mapping[str, str] | None = None) -> None:
        self.ask(
            "POST", f"/api/v4/media/{media_id}/", "push", fields={**self._fields(values), **(more or {})}
        )

    def _fields(self, values: Mapping[str, str]) -> dict[str, str]:
        return {f"metaproperty.{self._property(name)['id']}": value for name, value in values.items()}

    def _option(self, label: str) -> str:
        for option in self._property("state").get("options") or ():
            if option.get("label") == label or option.get("name") == label:
                return str(option["id"])
        raise Refused(
            self.vendor,
            "push",
            f"the metaproperty {self._names['state']} has no option {label!r}; docs/connections/bynder.md lists them",
        )

    def _property(self, name: str) -> dict[str, Any]:
        if not self._known:
            self._known = self.asked("GET", "/api/v4/metaproperties/", "push")
        try:
            found: dict[str, Any] = self._known[self._names[name]]
        except KeyError as error:
            raise Refused(
                self.vendor,
                "push",
                f"there is no metaproperty {self._names[name]}; docs/connections/bynder.md says how to make it",
            ) from error
        return found

    def _listed(self, path: str, operation: str) -> list[dict[str, Any]]:
        try:
            found = json.loads(self.ask("GET", path, operation).body)
        except ValueError as error:
            raise BadOutput(self.vendor, operation, "the answer is no JSON") from error
        return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []

    def _holds(self, media: Mapping[str, Any], file: VersionFile, version: Version) -> bool:
        item = ""
        if file != version.ordered[0]:
            item = next(
                (str(i["id"]) for i in media.get("mediaItems") or () if i.get("fileName") == file.name),
                "none",
            )
        return holds(file, lambda: self._bytes(str(media["id"]), item, "changed"))

    def _bytes(self, media_id: str, item: str, operation: str) -> bytes:
        url = str(
            self.asked(
                "GET", f"/api/v4/media/{media_id}/download/{item + '/' if item else ''}", operation
            ).get("s3_file")
        )
        return self._http.get(url, max_bytes=MAX_FILE, vendor=self.vendor).body


def _one(media: Mapping[str, Any], name: str) -> str:
    """The value of a metaproperty, which may come as a list."""
    value = media.get(f"property_{name}", "")
    return str(value[0] if isinstance(value, list) and value else value or "")


def connect(options: Mapping[str, Any], kit: AdapterContext) -> Bynder:
    only(options, "base_url", "token", "brand", "properties", "states")
    if wrong := [name for name in options.get("properties", {}) if name not in PROPERTIES]:
        raise ConfigError(f"properties: {wrong[0]!r} is none of {', '.join(PROPERTIES)}")
    if not options.get("brand"):
        raise ConfigError("brand: the id of the brand that media belong to (GET /api/v4/brands/ lists them)")
    token = kit.secret(str(options.get("token", "env/BYNDER_TOKEN")))
    return Bynder(
        kit, web_address(options, example="https://brand.bynder.com"), token, str(options["brand"]), options
    )
