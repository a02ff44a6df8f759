"""AEM Assets: each file an asset in a folder of its version, review by `dam:status`; only what is approved is delivered there.

Events are signed with Adobe's published keys. Facts and set-up: docs/connections/aem.md.
"""

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode, urljoin

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from dam_connector.adapters.common.api_client import MAX_FILE, UPLOAD_S, Caller
from dam_connector.adapters.common.context import AdapterContext, only, web_address
from dam_connector.adapters.common.dam_helpers import read_state
from dam_connector.adapters.common.envelopes import read_json
from dam_connector.adapters.common.file_hashes import holds
from dam_connector.adapters.http import Reply
from dam_connector.domain.event import Decision, Verdict
from dam_connector.domain.version import Version, VersionFile, VersionState
from dam_connector.domain.version_metadata import about, title
from dam_connector.errors import AdapterError, BadOutput, DeliveryError, NotFound, Refused
from dam_connector.ports import (
    Blobs,
    DamCapabilities,
    InboundWebhook,
    PushRequest,
    RemoteState,
    VerifiedWebhook,
)

S = VersionState
STATUS = {S.IN_REVIEW: "", S.APPROVED: "approved", S.PUBLISHED: "approved", S.REJECTED: "rejected"}
CLOSED = "changesRequested"  # of what is superseded or withdrawn: not delivered, and not for review
VERDICTS = {"approved": Verdict.APPROVED, "rejected": Verdict.REJECTED}
KEYS = "https://static.adobeioevents.com"
KEY_PATH = re.compile(r"/[A-Za-z0-9_./-]{1,200}\.pem")
MAX_KEY = 16_384
PAGE = 200
KEYS_FOR = timedelta(hours=24)


class Aem(Caller):
    """Versions by the path of the asset that they are shown by."""

    vendor = "aem"
    capabilities = DamCapabilities(webhooks=True, poll_s=15.0)

    def __init__(
        self, kit: AdapterContext, base_url: str, token: str, root: str, user: str, client_id: str, keys_url: str
    ) -> None:
        super().__init__(kit.http, base_url, {"Authorization": f"Bearer {token}"})
        self._clock, self._root, self._user, self._client_id, self._keys_url = (
            kit.clock,
            root.strip("/"),
            user,
            client_id,
            keys_url,
        )
        self._keys: dict[str, tuple[datetime, RSAPublicKey]] = {}
        self._made: set[str] = set()

    def push(self, request: PushRequest, blobs: Blobs) -> str:
        version, shown = request.version, request.version.ordered[0]
        folder = self._folder(request)
        for file in sorted(
            version.shipped, key=lambda f: f == shown
        ):  # the one with the state comes last: who sees it, sees all of it
            if not self._holds(f"{folder}/{file.name}", file):
                self._upload(folder, file, blobs.get(file.sha256))
        path = f"{folder}/{shown.name}"
        if "connector:id" not in self._metadata(path, "push")[0]:
            facts = {f"connector:{name}": value for name, value in about(version, request.product).items()}
            facts |= {"dc:title": title(version, request.product), "connector:review_url": request.review_url}
            self._write(
                path,
                {**facts, "connector:id": request.external_id, "connector:state": S.IN_REVIEW.value},
                "push",
            )
        return path

    def write_state(self, ref: str, state: VersionState, decision: Decision | None = None) -> None:
        self._metadata(ref, "write_state")
        said = {"dam:status": STATUS.get(state, CLOSED), "connector:state": state.value}
        if decision:
            words = "; ".join(filter(None, [", ".join(decision.reasons), decision.note]))
            said |= {"connector:decided_by": decision.by, "connector:note": words}
        self._write(ref, said, "write_state")

    def standing(self, ref: str, version: Version) -> RemoteState:
        found, by = self._metadata(ref, "standing")
        status, ours = (
            str(found.get("dam:status") or ""),
            read_state(found.get("connector:state"), self.vendor),
        )
        if status == STATUS.get(ours, CLOSED):
            return RemoteState(state=ours)
        if status not in VERDICTS:
            return RemoteState(state=S.IN_REVIEW)
        decision = Decision(
            verdict=VERDICTS[status],
            by=by or "a reviewer in aem",
            note=str(found.get("connector:note") or ""),
        )
        return RemoteState(state=S(status), decision=decision)

    def changed(self, ref: str, version: Version) -> tuple[str, ...]:
        folder = ref.rpartition("/")[0]
        self._metadata(ref, "changed")
        return tuple(f.name for f in version.shipped if not self._holds(f"{folder}/{f.name}", f))

    def touched_since(self, cursor: str) -> tuple[list[str], str]:
        query = {
            "path": f"/content/dam/{self._root}",
            "type": "dam:Asset",
            "property": "jcr:content/metadata/connector:id",
            "property.operation": "exists",
            "daterange.property": "jcr:content/jcr:lastModified",
            "daterange.lowerBound": cursor or "2000-01-01T00:00:00Z",
            "daterange.lowerOperation": ">",
            "orderby": "@jcr:content/jcr:lastModified",
            "p.limit": str(PAGE),
            "p.hits": "selective",
            "p.properties": "jcr:path jcr:content/jcr:lastModified jcr:content/jcr:lastModifiedBy",
        }
        hits = [
            h
            for h in self.asked("GET", f"/bin/querybuilder.json?{urlencode(query)}", "poll").get("hits") or ()
            if isinstance(h, dict)
        ]
        if not hits:
            return [], cursor
        theirs = [
            str(hit["jcr:path"])
            for hit in hits
            if (hit.get("jcr:content") or {}).get("jcr:lastModifiedBy") != self._user
        ]
        return theirs, str((hits[-1].get("jcr:content") or {}).get("jcr:lastModified"))

    def verify(self, inbound: InboundWebhook) -> VerifiedWebhook:
        said = read_json(inbound.body, self.vendor)
        if (
            not isinstance(said, dict)
            or not self._client_id
            or said.get("recipient_client_id") != self._client_id
        ):
            raise DeliveryError(401, "the event is not for this connection's client_id")
        for number in "12":
            sign, path = (
                inbound.headers.get(f"x-adobe-{name}", "")
                for name in (f"digital-signature-{number}", f"public-key{number}-path")
            )
            if (
                sign
                and KEY_PATH.fullmatch(path)
                and ".." not in path
                and self._signed(inbound.body, sign, path)
            ):
                return VerifiedWebhook(key=str(said.get("event_id") or hashlib.sha256(inbound.body).hexdigest()))
        raise DeliveryError(401, "x-adobe-digital-signature-1 and -2 match none of Adobe's published keys")

    def parse_webhook(self, inbound: InboundWebhook) -> list[str]:
        said = read_json(inbound.body, self.vendor)
        if not isinstance(said, dict):
            raise BadOutput(self.vendor, "parse_webhook", "/: no object")
        return list(dict.fromkeys(_paths(said)))

    def picture(self, name: str, blobs: Blobs) -> bytes:
        query = {"path": f"/content/dam/{self._root}", "type": "dam:Asset", "nodename": name, "p.limit": "1"}
        hits = self.asked("GET", f"/bin/querybuilder.json?{urlencode(query)}", "picture").get("hits") or []
        if not hits:
            raise NotFound(self.vendor, "picture", name)
        return self._original(str(hits[0]["path"]), "picture")

    def remove(self, ref: str) -> None:
        try:
            self.ask(
                "DELETE",
                f"/api/assets/{quote(ref.rpartition('/')[0].removeprefix('/content/dam/'))}",
                "remove",
            )
        except NotFound:
            pass
        self._made.clear()

    def _folder(self, request: PushRequest) -> str:
        """The path of the version's folder, which is made with those above it where they are not there."""
        asset, path = request.version.asset, ""
        for name in (
            f"{self._root}/{request.folder}/{asset.deliverable}-{asset.slot}-V{request.version.number}".split(
                "/"
            )
        ):
            path = f"{path}/{name}".strip("/")
            if path not in self._made:
                try:
                    self.ask(
                        "POST",
                        f"/api/assets/{quote(path)}",
                        "push",
                        json={"class": "folder", "properties": {"dc:title": name}},
                    )
                except _Exists:
                    pass
                self._made.add(path)
        return f"/content/dam/{path}"

    def refusal(self, reply: Reply, operation: str) -> AdapterError:
        return (
            _Exists(self.vendor, operation, "it is there already")
            if reply.status == 409
            else super().refusal(reply, operation)
        )

    def _upload(self, folder: str, file: VersionFile, data: bytes) -> None:
        """Three requests: begun here, the bytes to a storage where our token does not go, completed here. A later one replaces what is there."""
        begun = self.asked(
            "POST",
            f"{quote(folder)}.initiateUpload.json",
            "push",
            fields={"fileName": file.name, "fileSize": str(len(data))},
        )
        (place, *_) = begun.get("files") or [{}]
        uris, most = place.get("uploadURIs") or [], int(place.get("maxPartSize") or len(data) or 1)
        size = max(1, min(most, -(-len(data) // max(1, len(uris)))))
        for number, start in enumerate(range(0, max(1, len(data)), size)):
            self.store("PUT", str(uris[number]), "push", content=data[start : start + size])
        done = {
            "fileName": file.name,
            "mimeType": file.mime,
            "uploadToken": str(place.get("uploadToken")),
            "replace": "true",
        }
        self.ask("POST", urljoin(f"{self._base}/", str(begun.get("completeURI"))), "push", fields=done)

    def _metadata(self, path: str, operation: str) -> tuple[dict[str, Any], str]:
        """The metadata of an asset, and who changed it last."""
        found = self.asked("GET", f"{quote(path)}/_jcr_content.1.json", operation)
        return dict(found.get("metadata") or {}), str(found.get("jcr:lastModifiedBy") or "")

    def _write(self, path: str, values: Mapping[str, str], operation: str) -> None:
        fields = {
            f"./{name}" if value else f"./{name}@Delete": value or "true" for name, value in values.items()
        }
        self.ask("POST", f"{quote(path)}/_jcr_content/metadata", operation, fields=fields)

    def _holds(self, path: str, file: VersionFile) -> bool:
        return holds(file, lambda: self._original(path, "changed"))

    def _original(self, path: str, operation: str) -> bytes:
        return self.ask(
            "GET",
            f"{quote(path)}/_jcr_content/renditions/original",
            operation,
            max_bytes=MAX_FILE,
            timeout_s=UPLOAD_S,
        ).body

    def _signed(self, body: bytes, sign: str, path: str) -> bool:
        try:
            self._key(path).verify(base64.b64decode(sign), body, padding.PKCS1v15(), hashes.SHA256())
        except (InvalidSignature, ValueError):
            return False
        return True

    def _key(self, path: str) -> RSAPublicKey:
        """A published key, kept for a day. Raises: DeliveryError 503 when it cannot be had."""
        until, key = self._keys.get(path, (datetime.min.replace(tzinfo=UTC), None))
        if key is None or self._clock.now() > until:
            try:
                found = load_pem_public_key(
                    self._http.get(f"{self._keys_url}{path}", max_bytes=MAX_KEY, vendor=self.vendor).body
                )
            except (AdapterError, ValueError) as error:
                raise DeliveryError(503, "Adobe's published key cannot be had now; send it again") from error
            if not isinstance(found, RSAPublicKey):
                raise DeliveryError(401, "the published key is no RSA key")
            key = found
            self._keys[path] = (self._clock.now() + KEYS_FOR, key)
        return key


class _Exists(Refused):
    """It is there already."""


def _paths(value: Any) -> Iterator[str]:
    """The asset paths that an event names, wherever they stand in it."""
    if isinstance(value, dict):
        if isinstance(path := value.get("repo:path"), str):
            yield path
        for each in value.values():
            yield from _paths(each)
    elif isinstance(value, list):
        for each in value:
            yield from _paths(each)


def connect(options: Mapping[str, Any], kit: AdapterContext) -> Aem:
    only(options, "base_url", "token", "folder", "user", "client_id", "keys_url")
    return Aem(
        kit,
        base_url=web_address(options, example="https://author-p1-e1.adobeaemcloud.com"),
        token=kit.secret(str(options.get("token", "env/AEM_TOKEN"))),
        root=str(options.get("folder", "dam-connector")),
        user=str(options.get("user", "")),
        client_id=str(options.get("client_id", "")),
        keys_url=web_address({"keys_url": KEYS, **options}, "keys_url").rstrip("/"),
    )
