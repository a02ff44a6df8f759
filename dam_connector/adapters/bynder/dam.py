"""The DAM adapter for Bynder. Each asset is one media; our versions are the versions of that media.

USDZ files and previews are additional files of the media. A select metaproperty holds the approval. Bynder's
documentation describes no signature for webhooks, so that the adapter polls for modified media.
Facts and setup: docs/connections/bynder.md.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from dam_connector.adapters.bynder.photos import BynderPhotos
from dam_connector.adapters.common.context import AdapterContext, check_options, url_option
from dam_connector.adapters.common.dam_helpers import (
    DECIDED_STATES,
    is_same_file,
    labels_option,
    state_for_label,
)
from dam_connector.adapters.common.dam_metadata import DamField, MetadataOption, as_text
from dam_connector.adapters.common.mixins import NoWebhooks
from dam_connector.adapters.common.photo_sources import photo_sources_option
from dam_connector.domain.asset_texts import version_metadata, version_title
from dam_connector.domain.event import Decision
from dam_connector.domain.metadata_templates import MetadataValue
from dam_connector.domain.product import Product
from dam_connector.domain.version import Version, VersionFile, VersionState
from dam_connector.errors import ConfigError, NotFound, Refused, Unavailable
from dam_connector.ports import Blobs, DamCapabilities, PushRequest, RemoteState

DEFAULT_LABELS = {
    state: state.value.replace("_", " ").capitalize()
    for state in (
        VersionState.IN_REVIEW,
        VersionState.APPROVED,
        VersionState.REJECTED,
        VersionState.PUBLISHED,
        VersionState.SUPERSEDED,
        VersionState.WITHDRAWN,
    )
}
DEFAULT_PROPERTIES = {  # Bynder's metaproperties, by our name for them
    "id": "ConnectorId",  # the external id of the asset
    "version": "ConnectorVersion",  # the number of the version that the media shows
    "written": "ConnectorState",  # the state that the connector wrote last
    "state": "ApprovalState",  # the state that reviewers set
    "reason": "ConnectorReason",
}
CHUNK_BYTES = 5_242_880  # the largest part that an upload may have
IMPORT_PAUSES_S = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 4.0)  # an import that times out must be uploaded again

POLL_INTERVAL_S = 30.0


class BynderDam(NoWebhooks, BynderPhotos):
    """A `Dam` on Bynder. The reference of a version is the id of its media and its number, e.g. `MEDIA@3`."""

    capabilities = DamCapabilities(poll_interval_s=POLL_INTERVAL_S)

    def __init__(
        self, context: AdapterContext, *, base_url: str, token: str, brand: str, options: Mapping[str, Any]
    ) -> None:
        super().__init__(context.http, base_url, {"Authorization": f"Bearer {token}"})
        self._brand = brand
        self._labels = labels_option(DEFAULT_LABELS, options)
        own_names = {str(name): str(value) for name, value in options.get("properties", {}).items()}
        self._property_names = {**DEFAULT_PROPERTIES, **own_names}
        self._metadata = MetadataOption(options)
        self._sources = photo_sources_option(options, has_folders=False)
        self._metaproperties: dict[str, dict[str, Any]] = {}  # by Bynder's name; cached after the first use

    def push(self, request: PushRequest, blobs: Blobs) -> str:
        version = request.version
        asset_id, number = request.external_id.rpartition(":")[0], str(version.number)
        main, *others = version.ordered_files
        media = self._find_media(asset_id)
        if media is None or self._value(media, "version") != number:
            media_id = self._save_main_file(request, main, blobs, media, asset_id)
            media = self._media(media_id, "push")
        existing = {str(attached.get("fileName")) for attached in media.get("mediaItems") or ()}
        for file in others:
            if file.name not in existing:
                upload_id, fields = self._upload_parts(file, blobs.get(file.sha256))
                path = f"/api/v4/media/{media['id']}/save/additional/{upload_id}/"
                self.request("POST", path, "push", fields=fields)
        return f"{media['id']}@{number}"

    def write_state(self, ref: str, state: VersionState, decision: Decision | None = None) -> None:
        media, is_current = self._find_version(ref, "write_state")
        if not is_current:
            return  # the media shows a later version
        reason = ""
        if decision:
            reason = "; ".join(filter(None, [decision.by, ", ".join(decision.reasons), decision.note]))
        values = {"state": self._option_id(self._labels[state]), "written": state.value, "reason": reason}
        self._write_properties(str(media["id"]), values)

    def remote_state(self, ref: str, version: Version) -> RemoteState:
        media, is_current = self._find_version(ref, "remote_state")
        if not is_current:
            return RemoteState(state=version.state)
        state = state_for_label(self._value(media, "state"), self._labels, version, self.vendor)
        if state not in DECIDED_STATES or self._value(media, "written") == state.value:
            return RemoteState(state=state)
        decision = Decision(
            verdict=DECIDED_STATES[state],
            by=str(media.get("userModified") or "a reviewer in bynder"),
            note=self._value(media, "reason"),
        )
        return RemoteState(state=state, decision=decision)

    def changed_files(self, ref: str, version: Version) -> tuple[str, ...]:
        media, is_current = self._find_version(ref, "changed_files")
        if not is_current:
            return ()
        return tuple(f.name for f in version.channel_files if not self._is_unchanged(media, f, version))

    def changed_since(self, cursor: str) -> tuple[list[str], str]:
        modified = self._modified_since(cursor)
        changed = [
            media for media in modified if self._value(media, "id") and not self._was_written_by_us(media)
        ]
        refs = [f"{media['id']}@{self._value(media, 'version')}" for media in reversed(changed)]
        return refs, max((str(media["dateModified"]) for media in modified), default=cursor)

    def fetch_picture(self, name: str, blobs: Blobs) -> bytes:
        query = urlencode({"keyword": name, "type": "image", "limit": 1})
        found = self._list(f"/api/v4/media/?{query}", "fetch_picture")
        if not found:
            raise NotFound(self.vendor, "fetch_picture", name)
        return self._download(str(found[0]["id"]), "", "fetch_picture")

    def remove(self, ref: str) -> None:
        try:
            self.request("DELETE", f"/api/v4/media/{ref.partition('@')[0]}/", "remove")
        except NotFound:
            pass

    def _was_written_by_us(self, media: Mapping[str, Any]) -> bool:
        """Return whether the media has the state that the connector wrote last."""
        written, label = self._value(media, "written"), self._value(media, "state")
        return any(state.value == written and own_label == label for state, own_label in self._labels.items())

    def _find_version(self, ref: str, operation: str) -> tuple[dict[str, Any], bool]:
        """Return the media of a reference, and whether it shows that version now."""
        media_id, _, number = ref.partition("@")
        media = self._media(media_id, operation)
        return media, self._value(media, "version") == number

    def _find_media(self, asset_id: str) -> dict[str, Any] | None:
        query = urlencode({f"property_{self._property_names['id']}": asset_id, "limit": 1})
        found = self._list(f"/api/v4/media/?{query}", "push")
        return self._media(str(found[0]["id"]), "push") if found else None

    def _save_main_file(
        self,
        request: PushRequest,
        file: VersionFile,
        blobs: Blobs,
        media: Mapping[str, Any] | None,
        asset_id: str,
    ) -> str:
        """Save the file as a new media or as the newest version of `media`; return the media id."""
        import_id = self._import_file(file, blobs.get(file.sha256))
        values = {
            "id": asset_id,
            "version": str(request.version.number),
            "written": VersionState.IN_REVIEW.value,
            "state": self._option_id(self._labels[VersionState.IN_REVIEW]),
        }
        facts = {**version_metadata(request.version, request.product), "review_url": request.review_url}
        texts = {
            "name": version_title(request.version, request.product),
            "description": json.dumps(facts, ensure_ascii=False),
        }
        texts |= {
            f"metaproperty.{self._metaproperty_named(name)['id']}": self._option_ids(name, value)
            for name, value in self._metadata.values(request).items()
        }
        if media is None:
            fields = {"brandId": self._brand, **texts, **self._property_fields(values)}
            saved = self.request_json("POST", f"/api/v4/media/save/{import_id}/", "push", fields=fields)
            return str(saved.get("mediaid"))
        self.request("POST", f"/api/v4/media/{media['id']}/save/{import_id}/", "push")
        self._write_properties(str(media["id"]), values, texts)
        return str(media["id"])

    def _import_file(self, file: VersionFile, data: bytes) -> str:
        """Upload a file in parts and wait for its import; return the import id."""
        upload_id, fields = self._upload_parts(file, data)
        named = {**fields, "original_filename": file.name}
        completed = self.request_json("POST", f"/api/v4/upload/{upload_id}/", "push", fields=named)
        import_id = str(completed.get("importId"))
        self._wait_for_import(import_id, file)
        return import_id

    def _upload_parts(self, file: VersionFile, data: bytes) -> tuple[str, dict[str, str]]:
        """Upload a file in parts; return the upload's id and the fields that complete it.

        The parts go to a storage that Bynder names, which must not receive our token.
        """
        storage_url = self._json("/api/upload/endpoint", "push")
        upload = self.request_json("POST", "/api/upload/init", "push", fields={"filename": file.name})
        s3_file, s3_filename = upload["s3file"], str(upload["s3_filename"])
        chunks = [data[start : start + CHUNK_BYTES] for start in range(0, len(data), CHUNK_BYTES)] or [b""]
        for number, chunk in enumerate(chunks, 1):
            key = f"{s3_filename}/p{number}"
            form = {
                **upload["multipart_params"],
                "Filename": key,
                "name": file.name,
                "chunk": str(number),
                "chunks": str(len(chunks)),
                "key": key,
            }
            part = ("file", (file.name, chunk, file.mime))
            self.upload_to_storage("POST", str(storage_url), "push", fields=form, files=[part])
            registration = {
                "id": s3_file["uploadid"],
                "targetid": s3_file["targetid"],
                "filename": key,
                "chunkNumber": str(number),
            }
            self.request("POST", "/api/v4/upload/", "push", fields=registration)
        last_key = f"{s3_filename}/p{len(chunks)}"
        fields = {"targetid": s3_file["targetid"], "s3_filename": last_key, "chunks": str(len(chunks))}
        return str(s3_file["uploadid"]), fields

    def _wait_for_import(self, import_id: str, file: VersionFile) -> None:
        for pause_s in IMPORT_PAUSES_S:
            time.sleep(pause_s)
            progress = self.request_json("GET", f"/api/v4/upload/poll/?items={import_id}", "push")
            if import_id in (progress.get("itemsFailed") or []) + (progress.get("itemsRejected") or []):
                raise Refused(self.vendor, "push", f"the import of {file.name} failed or was rejected")
            if import_id in (progress.get("itemsDone") or []):
                return
        raise Unavailable(self.vendor, "push", f"the import of {file.name} is not finished yet")

    def _write_properties(
        self, media_id: str, values: Mapping[str, str], texts: Mapping[str, str] | None = None
    ) -> None:
        fields = {**self._property_fields(values), **(texts or {})}
        self.request("POST", f"/api/v4/media/{media_id}/", "push", fields=fields)

    def _property_fields(self, values: Mapping[str, str]) -> dict[str, str]:
        return {f"metaproperty.{self._metaproperty(name)['id']}": value for name, value in values.items()}

    def _option_id(self, label: str) -> str:
        for option in self._metaproperty("state").get("options") or ():
            if option.get("label") == label or option.get("name") == label:
                return str(option["id"])
        raise Refused(
            self.vendor,
            "push",
            f"the metaproperty {self._property_names['state']} has no option {label!r}; "
            "docs/connections/bynder.md lists the options",
        )

    def _option_ids(self, name: str, value: MetadataValue) -> str:
        """Return the value of a metaproperty as Bynder takes it: ids of options, or a text."""
        options = self._metaproperty_named(name).get("options") or ()
        if not options:
            return as_text(value)
        given = value if isinstance(value, list) else [as_text(value)]
        ids = [str(o["id"]) for each in given for o in options if each in (o.get("label"), o.get("name"))]
        return ",".join(ids)

    def check_metadata(self, products: Sequence[Product]) -> Iterator[str]:
        if not self._metadata.templates:
            return
        self._metaproperties = self.request_json("GET", "/api/v4/metaproperties/", "metadata")
        fields = {name: _field_of(row) for name, row in self._metaproperties.items()}
        yield from self._metadata.check(self.vendor, fields, products)

    def _metaproperty(self, name: str) -> dict[str, Any]:
        return self._metaproperty_named(self._property_names[name])

    def _metaproperty_named(self, name: str) -> dict[str, Any]:
        """Return a metaproperty by Bynder's name of it.

        Raises:
            Refused: there is none.
        """
        if not self._metaproperties:
            self._metaproperties = self.request_json("GET", "/api/v4/metaproperties/", "push")
        try:
            found: dict[str, Any] = self._metaproperties[name]
        except KeyError as error:
            raise Refused(
                self.vendor,
                "push",
                f"there is no metaproperty {name}; docs/connections/bynder.md says how to create it",
            ) from error
        return found

    def _is_unchanged(self, media: Mapping[str, Any], file: VersionFile, version: Version) -> bool:
        attachment_id = ""
        if file != version.ordered_files[0]:
            attachments = media.get("mediaItems") or ()
            ids = (str(each["id"]) for each in attachments if each.get("fileName") == file.name)
            attachment_id = next(ids, "none")
        return is_same_file(file, lambda: self._download(str(media["id"]), attachment_id, "changed_files"))


def _field_of(row: Mapping[str, Any]) -> DamField:
    labels = tuple(str(option.get("label")) for option in row.get("options") or ())
    if labels:
        return DamField("choice", labels)
    return DamField({"date": "date", "number": "number"}.get(str(row.get("type")), "text"))


def connect(options: Mapping[str, Any], context: AdapterContext) -> BynderDam:
    """Open the adapter with the options of plugin.json."""
    check_options(options, "base_url", "token", "brand", "properties", "states", "metadata", "sources")
    if wrong := [name for name in options.get("properties", {}) if name not in DEFAULT_PROPERTIES]:
        raise ConfigError(f"properties: {wrong[0]!r} is none of {', '.join(DEFAULT_PROPERTIES)}")
    if not options.get("brand"):
        raise ConfigError("brand: the id of the brand that media belong to (GET /api/v4/brands/ lists them)")
    return BynderDam(
        context,
        base_url=url_option(options, example="https://brand.bynder.com"),
        token=context.secret(str(options.get("token", "env/BYNDER_TOKEN"))),
        brand=str(options["brand"]),
        options=options,
    )
