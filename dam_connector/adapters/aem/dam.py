"""The DAM adapter for AEM Assets. `dam:status` carries the review; AEM delivers approved assets only.

Each file of a version is an asset of its own. All files of a version lie in one folder, e.g.
`/content/dam/dam-connector/furniture/CH123/model-1-V2`. Events are signed with Adobe's published keys.
Facts and setup: docs/connections/aem.md.
"""

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urljoin

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from dam_connector.adapters.aem.photos import PAGE_SIZE, AemPhotos
from dam_connector.adapters.common.context import AdapterContext, check_options, url_option
from dam_connector.adapters.common.dam_helpers import is_same_file, parse_state
from dam_connector.adapters.common.dam_metadata import MetadataOption, as_text
from dam_connector.adapters.common.envelopes import parse_json
from dam_connector.adapters.common.photo_sources import photo_sources_option
from dam_connector.adapters.http import HttpResponse
from dam_connector.domain.asset_texts import version_metadata, version_title
from dam_connector.domain.event import Decision, Verdict
from dam_connector.domain.metadata_templates import MetadataValue
from dam_connector.domain.outside_values import parse_integer
from dam_connector.domain.photo_sources import PhotoSources
from dam_connector.domain.product import Product
from dam_connector.domain.version import Version, VersionFile, VersionState
from dam_connector.errors import AdapterError, DeliveryError, NotFound, Refused
from dam_connector.ports import (
    Blobs,
    DamCapabilities,
    InboundWebhook,
    PushRequest,
    RemoteState,
    VerifiedWebhook,
)

STATUS_BY_STATE = {
    VersionState.IN_REVIEW: "",
    VersionState.APPROVED: "approved",
    VersionState.PUBLISHED: "approved",
    VersionState.REJECTED: "rejected",
}
CHANGES_REQUESTED = "changesRequested"  # superseded and withdrawn: AEM does not deliver it, nobody reviews it
DECISION_BY_STATUS = {"approved": Verdict.APPROVED, "rejected": Verdict.REJECTED}
KEYS_URL = "https://static.adobeioevents.com"
KEY_PATH_PATTERN = re.compile(r"/[A-Za-z0-9_./-]{1,200}\.pem")
MAX_KEY_BYTES = 16_384
KEYS_MAX_AGE = timedelta(hours=24)
TYPE_HINTS = {bool: "Boolean", int: "Long", float: "Double"}
POLL_INTERVAL_S = 15.0


class FolderExists(Refused):
    """The folder that was to be created exists already."""


class AemDam(AemPhotos):
    """A `Dam` on AEM Assets. The reference of a version is the path of its main asset."""

    capabilities = DamCapabilities(poll_interval_s=POLL_INTERVAL_S)

    def __init__(
        self,
        context: AdapterContext,
        *,
        base_url: str,
        token: str,
        root_folder: str,
        user: str,
        client_id: str,
        keys_url: str,
        metadata: MetadataOption,
        sources: PhotoSources,
    ) -> None:
        super().__init__(context.http, base_url, {"Authorization": f"Bearer {token}"})
        self._clock = context.clock
        self._root_folder = root_folder.strip("/")
        self._user = user
        self._client_id = client_id
        self._metadata = metadata
        self._sources = sources
        self._keys_url = keys_url
        context.http.allow_port(keys_url)
        self._keys: dict[str, tuple[datetime, RSAPublicKey]] = {}  # expiry and key, by path
        self._known_folders: set[str] = set()

    def push(self, request: PushRequest, blobs: Blobs) -> str:
        """Upload the missing files. The main file comes last, so that the version is complete then."""
        version, main_file = request.version, request.version.ordered_files[0]
        folder = self._create_folders(request)
        for file in sorted(version.channel_files, key=lambda f: f == main_file):
            if not self._is_unchanged(f"{folder}/{file.name}", file):
                self._upload(folder, file, blobs.get(file.sha256))
        path = f"{folder}/{main_file.name}"
        if "connector:id" not in self._read_metadata(path, "push")[0]:
            facts = version_metadata(version, request.product)
            metadata = {f"connector:{name}": value for name, value in facts.items()}
            metadata |= {
                "dc:title": version_title(version, request.product),
                "connector:review_url": request.review_url,
                "connector:id": request.external_id,
                "connector:state": VersionState.IN_REVIEW.value,
            }
            metadata |= _typed(self._metadata.values(request))
            self._write_metadata(path, metadata, "push")
        return path

    def write_state(self, ref: str, state: VersionState, decision: Decision | None = None) -> None:
        self._read_metadata(ref, "write_state")
        metadata = {
            "dam:status": STATUS_BY_STATE.get(state, CHANGES_REQUESTED),
            "connector:state": state.value,
        }
        if decision:
            note = "; ".join(filter(None, [", ".join(decision.reasons), decision.note]))
            metadata |= {"connector:decided_by": decision.by, "connector:note": note}
        self._write_metadata(ref, metadata, "write_state")

    def remote_state(self, ref: str, version: Version) -> RemoteState:
        metadata, modified_by = self._read_metadata(ref, "remote_state")
        status = str(metadata.get("dam:status") or "")
        our_state = parse_state(metadata.get("connector:state"), self.vendor)
        if status == STATUS_BY_STATE.get(our_state, CHANGES_REQUESTED):
            return RemoteState(state=our_state)
        if status not in DECISION_BY_STATUS:
            return RemoteState(state=VersionState.IN_REVIEW)
        decision = Decision(
            verdict=DECISION_BY_STATUS[status],
            by=modified_by or "a reviewer in aem",
            note=str(metadata.get("connector:note") or ""),
        )
        return RemoteState(state=VersionState(status), decision=decision)

    def changed_files(self, ref: str, version: Version) -> tuple[str, ...]:
        folder = ref.rpartition("/")[0]
        self._read_metadata(ref, "changed_files")
        return tuple(f.name for f in version.channel_files if not self._is_unchanged(f"{folder}/{f.name}", f))

    def changed_since(self, cursor: str) -> tuple[list[str], str]:
        query = {
            "path": f"/content/dam/{self._root_folder}",
            "type": "dam:Asset",
            "property": "jcr:content/metadata/connector:id",
            "property.operation": "exists",
            "daterange.property": "jcr:content/jcr:lastModified",
            "daterange.lowerBound": cursor or "2000-01-01T00:00:00Z",
            "daterange.lowerOperation": ">",
            "orderby": "@jcr:content/jcr:lastModified",
            "p.limit": str(PAGE_SIZE),
            "p.hits": "selective",
            "p.properties": "jcr:path jcr:content/jcr:lastModified jcr:content/jcr:lastModifiedBy",
        }
        hits = [hit for hit in self._query(query, "changed_since") if isinstance(hit, dict)]
        if not hits:
            return [], cursor
        changed_by_others = [
            str(hit["jcr:path"])
            for hit in hits
            if (hit.get("jcr:content") or {}).get("jcr:lastModifiedBy") != self._user
        ]
        return changed_by_others, str((hits[-1].get("jcr:content") or {}).get("jcr:lastModified"))

    def verify(self, inbound: InboundWebhook) -> VerifiedWebhook:
        event = parse_json(inbound.body, self.vendor)
        if (
            not isinstance(event, dict)
            or not self._client_id
            or event.get("recipient_client_id") != self._client_id
        ):
            raise DeliveryError(401, "the event is not for this connection's client_id")
        for number in "12":  # Adobe signs with two keys; one valid signature is enough
            signature = inbound.headers.get(f"x-adobe-digital-signature-{number}", "")
            path = inbound.headers.get(f"x-adobe-public-key{number}-path", "")
            has_valid_path = KEY_PATH_PATTERN.fullmatch(path) and ".." not in path
            if signature and has_valid_path and self._is_signed(inbound.body, signature, path):
                key = str(event.get("event_id") or hashlib.sha256(inbound.body).hexdigest())
                return VerifiedWebhook(key=key)
        raise DeliveryError(401, "x-adobe-digital-signature-1 and -2 match none of Adobe's published keys")

    def fetch_picture(self, name: str, blobs: Blobs) -> bytes:
        path = f"/content/dam/{self._root_folder}"
        query = {"path": path, "type": "dam:Asset", "nodename": name, "p.limit": "1"}
        hits = self._query(query, "fetch_picture")
        if not hits:
            raise NotFound(self.vendor, "fetch_picture", name)
        return self._download(str(hits[0]["path"]), "fetch_picture")

    def remove(self, ref: str) -> None:
        folder = ref.rpartition("/")[0].removeprefix("/content/dam/")
        try:
            self.request("DELETE", f"/api/assets/{quote(folder)}", "remove")
        except NotFound:
            pass
        self._known_folders.clear()

    def check_metadata(self, products: Sequence[Product]) -> Iterator[str]:
        """Compare the values of products only: AEM takes any property, and has no list of them."""
        yield from self._metadata.check(self.vendor, None, products)

    def error_for(self, reply: HttpResponse, operation: str) -> AdapterError:
        if reply.status == 409:
            return FolderExists(self.vendor, operation, "the folder exists already")
        return super().error_for(reply, operation)

    def _create_folders(self, request: PushRequest) -> str:
        """Create the version's folder and those above it where they are missing; return its path."""
        asset = request.version.asset
        version_folder = f"{asset.deliverable}-{asset.slot}-V{request.version.number}"
        path = ""
        for name in f"{self._root_folder}/{request.folder}/{version_folder}".split("/"):
            path = f"{path}/{name}".strip("/")
            if path not in self._known_folders:
                folder = {"class": "assetFolder", "properties": {"jcr:title": name}}
                try:
                    self.request("POST", f"/api/assets/{quote(path)}", "push", json=folder)
                except FolderExists:
                    pass
                self._known_folders.add(path)
        return f"/content/dam/{path}"

    def _upload(self, folder: str, file: VersionFile, data: bytes) -> None:
        """Upload a file in three requests; a later upload replaces an existing file.

        The first and the last request go to AEM. The bytes go to a storage, which must not receive our token.
        """
        upload = self.request_json(
            "POST",
            f"{quote(folder)}.initiateUpload.json",
            "push",
            fields={"fileName": file.name, "fileSize": str(len(data))},
        )
        (target, *_) = upload.get("files") or [{}]
        uris = target.get("uploadURIs") or []
        max_part_size = parse_integer(target.get("maxPartSize")) or len(data) or 1
        # only the last part may be smaller than the least size; addresses may stay unused
        min_part_size = parse_integer(target.get("minPartSize")) or 1
        part_size = min(max_part_size, max(min_part_size, -(-len(data) // max(1, len(uris)))))
        for number, start in enumerate(range(0, max(1, len(data)), part_size)):
            self.upload_to_storage("PUT", str(uris[number]), "push", content=data[start : start + part_size])
        completion = {
            "fileName": file.name,
            "fileSize": str(len(data)),
            "mimeType": file.mime,
            "uploadToken": str(target.get("uploadToken")),
            "replace": "true",
        }
        complete_url = urljoin(f"{self._base}/", str(upload.get("completeURI")))
        self.request("POST", complete_url, "push", fields=completion)

    def _write_metadata(self, path: str, values: Mapping[str, str], operation: str) -> None:
        """Write metadata by Sling POST; an empty value deletes the property."""
        fields = {
            f"./{name}" if value else f"./{name}@Delete": value or "true" for name, value in values.items()
        }
        self.request("POST", f"{quote(path)}/_jcr_content/metadata", operation, fields=fields)

    def _is_unchanged(self, path: str, file: VersionFile) -> bool:
        return is_same_file(file, lambda: self._download(path, "changed_files"))

    def _is_signed(self, body: bytes, signature: str, path: str) -> bool:
        try:
            public_key = self._public_key(path)
            public_key.verify(base64.b64decode(signature), body, padding.PKCS1v15(), hashes.SHA256())
        except (InvalidSignature, ValueError):
            return False
        return True

    def _public_key(self, path: str) -> RSAPublicKey:
        """Return a published key; it is cached for a day.

        Raises:
            DeliveryError: with status 503 when the key cannot be fetched, with 401 when it is not an RSA key.
        """
        expires_at, key = self._keys.get(path, (datetime.min.replace(tzinfo=UTC), None))
        if key is not None and self._clock.now() <= expires_at:
            return key
        try:
            pem = self._http.get(f"{self._keys_url}{path}", max_bytes=MAX_KEY_BYTES, vendor=self.vendor)
            loaded = load_pem_public_key(pem)
        except (AdapterError, ValueError) as error:
            raise DeliveryError(503, "Adobe's published key cannot be fetched now; send it again") from error
        if not isinstance(loaded, RSAPublicKey):
            raise DeliveryError(401, "the published key is not an RSA key")
        self._keys[path] = (self._clock.now() + KEYS_MAX_AGE, loaded)
        return loaded


def _typed(values: Mapping[str, MetadataValue]) -> dict[str, str]:
    """Return properties with the hints by which Sling stores numbers and switches as such."""
    found = {}
    for name, value in values.items():
        found[name] = as_text(value)
        if hint := TYPE_HINTS.get(type(value)):
            found[f"{name}@TypeHint"] = hint
    return found


def connect(options: Mapping[str, Any], context: AdapterContext) -> AemDam:
    """Open the adapter with the options of plugin.json."""
    check_options(
        options, "base_url", "token", "folder", "user", "client_id", "keys_url", "metadata", "sources"
    )
    return AemDam(
        context,
        base_url=url_option(options, example="https://author-p1-e1.adobeaemcloud.com"),
        token=context.secret(str(options.get("token", "env/AEM_TOKEN"))),
        root_folder=str(options.get("folder", "dam-connector")),
        user=str(options.get("user", "")),
        client_id=str(options.get("client_id", "")),
        keys_url=url_option({"keys_url": KEYS_URL, **options}, "keys_url").rstrip("/"),
        metadata=MetadataOption(options),
        sources=photo_sources_option(options),
    )
