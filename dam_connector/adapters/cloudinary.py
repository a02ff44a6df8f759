"""Cloudinary: each file an asset under a public id of ours; the one that the version is shown by carries the moderation.

Uploads are signed; looks and changes go to the Admin API, which is asked seldom: it allows few requests an hour. Facts: docs/connections/cloudinary.md.
"""

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from dam_connector.adapters.common.api_client import MAX_FILE, UPLOAD_S, Caller
from dam_connector.adapters.common.context import AdapterContext, chosen, only, web_address
from dam_connector.adapters.common.dam_helpers import read_state
from dam_connector.adapters.common.envelopes import read_json
from dam_connector.adapters.common.file_hashes import holds
from dam_connector.adapters.common.product_mapping import moment_of
from dam_connector.adapters.common.webhook_signatures import basic
from dam_connector.domain.event import Decision, Verdict
from dam_connector.domain.version import Version, VersionFile, VersionState
from dam_connector.domain.version_metadata import about, title
from dam_connector.errors import BadOutput, ConfigError, DeliveryError
from dam_connector.ports import (
    Blobs,
    Clock,
    DamCapabilities,
    InboundWebhook,
    PushRequest,
    RemoteState,
    VerifiedWebhook,
)

S = VersionState
MODERATION: dict[VersionState, str] = {
    S.IN_REVIEW: "pending",
    S.REJECTED: "rejected",
}  # of all other states: approved
VERDICTS = {"approved": Verdict.APPROVED, "rejected": Verdict.REJECTED}
WINDOW = timedelta(hours=2)  # of a notification's signature, its makers' own advice
POLL_S = 120.0
PAGE = 100
AT = "connector_at"  # of an asset's context: when we wrote its state
STATE = "connector_state"


class Cloudinary(Caller):
    """Versions by the public id of the file that they are shown by."""

    vendor = "cloudinary"
    capabilities = DamCapabilities(webhooks=True, poll_s=POLL_S)

    def __init__(self, kit: AdapterContext, base_url: str, cloud: str, key: str, secret: str, algorithm: str) -> None:
        super().__init__(
            kit.http, f"{base_url.rstrip('/')}/v1_1/{quote(cloud)}", {"Authorization": basic(key, secret)}
        )
        self._key, self._secret, self._algorithm = key, secret, algorithm
        self._clock: Clock = kit.clock

    def push(self, request: PushRequest, blobs: Blobs) -> str:
        shown = request.version.ordered[0]
        for file in request.version.shipped:
            if file != shown:
                self._upload(request, file, blobs.get(file.sha256), {})
        mine = {"moderation": "manual"}  # last: who sees it, sees all of it
        self._upload(request, shown, blobs.get(shown.sha256), mine)
        return f"{_home(request)}/{_name(shown)}"

    def write_state(self, ref: str, state: VersionState, decision: Decision | None = None) -> None:
        self._asset(ref, "write_state")
        said = {STATE: state.value, AT: self._clock.now().isoformat()}
        if decision:
            said |= {
                "decided_by": decision.by,
                "reason": "; ".join(filter(None, [", ".join(decision.reasons), decision.note])),
            }
        if state is S.IN_REVIEW:  # only an explicit call makes a moderation pending again
            fields = self._signed(
                {"public_id": ref, "type": "upload", "moderation": "manual", "context": _context(said)}
            )
            self.ask("POST", "/image/explicit", "write_state", fields=fields)
            return
        fields = {"moderation_status": MODERATION.get(state, "approved"), "context": _context(said)}
        self.ask("POST", f"/resources/image/upload/{quote(ref, safe='')}", "write_state", fields=fields)

    def standing(self, ref: str, version: Version) -> RemoteState:
        asset = self._asset(ref, "standing")
        moderation: Mapping[str, Any] = next(
            (m for m in asset.get("moderation") or () if m.get("kind") == "manual"), {}
        )
        status = str(moderation.get("status"))
        told = (asset.get("context") or {}).get("custom") or {}
        ours = read_state(told.get(STATE), self.vendor)
        if status == MODERATION.get(ours, "approved"):
            return RemoteState(state=ours)
        if status not in VERDICTS:
            return RemoteState(state=S.IN_REVIEW)
        decision = Decision(
            verdict=VERDICTS[status],
            by=str(moderation.get("by") or "a moderator in cloudinary"),
            note=str(told.get("note") or ""),
        )
        state = S.APPROVED if status == "approved" else S.REJECTED
        return RemoteState(state=state, decision=decision)

    def changed(self, ref: str, version: Version) -> tuple[str, ...]:
        self._asset(ref, "changed")
        return tuple(f.name for f in version.shipped if not self._holds(ref, f))

    def touched_since(self, cursor: str) -> tuple[list[str], str]:
        """By the lists of what was approved and rejected, newest first."""
        since, found = moment_of(cursor) or datetime(2000, 1, 1, tzinfo=UTC), []
        for status in VERDICTS:
            found += [(at, ref) for at, ref in self._moderated(status) if at > since]
        return list(dict.fromkeys(ref for _, ref in sorted(found))), max(
            (at for at, _ in found), default=since
        ).isoformat() if found else cursor

    def verify(self, inbound: InboundWebhook) -> VerifiedWebhook:
        sign, stamp = inbound.headers.get("x-cld-signature", ""), inbound.headers.get("x-cld-timestamp", "")
        if not sign or not stamp.isascii() or not stamp.isdigit() or len(stamp) > 12:
            raise DeliveryError(400, "x-cld-signature or x-cld-timestamp is missing or malformed")
        if abs(inbound.received_at - datetime.fromtimestamp(int(stamp), UTC)) > WINDOW:
            raise DeliveryError(401, "x-cld-timestamp is more than two hours off")
        expected = hashlib.new(
            self._algorithm, inbound.body + stamp.encode() + self._secret.encode()
        ).hexdigest()
        if not hmac.compare_digest(sign.encode(), expected.encode()):
            raise DeliveryError(
                401, "x-cld-signature does not match this connection's secret; see also signature_algorithm"
            )
        return VerifiedWebhook(key=f"{stamp}:{hashlib.sha256(inbound.body).hexdigest()}")

    def parse_webhook(self, inbound: InboundWebhook) -> list[str]:
        said = read_json(inbound.body, self.vendor)
        if not isinstance(said, dict):
            raise BadOutput(self.vendor, "parse_webhook", "/: no object")
        return (
            [str(said["public_id"])]
            if said.get("notification_type") == "moderation" and said.get("public_id")
            else []
        )

    def picture(self, name: str, blobs: Blobs) -> bytes:
        return self._bytes("image", name, "picture")

    def remove(self, ref: str) -> None:
        for kind in ("image", "raw"):
            self.ask(
                "DELETE",
                f"/resources/{kind}/upload?{urlencode({'prefix': ref.rpartition('/')[0] + '/'})}",
                "remove",
            )

    def _moderated(self, status: str) -> Iterator[tuple[datetime, str]]:
        query = urlencode(
            {
                "max_results": PAGE,
                "direction": "desc",
                "moderations": "true",
                "context": "true",
                "tags": "true",
            }
        )
        found = self.asked("GET", f"/resources/image/moderations/manual/{status}?{query}", "poll")
        for asset in found.get("resources") or ():
            told = (asset.get("context") or {}).get("custom") or {}
            moderation: Mapping[str, Any] = next(iter(asset.get("moderation") or ()), {})
            at = moment_of(moderation.get("updated_at"))
            mine = moment_of(told.get(AT))
            if at and (mine is None or at > mine + timedelta(seconds=5)):  # not what we wrote ourselves
                yield at, str(asset.get("public_id"))

    def _asset(self, ref: str, operation: str) -> dict[str, Any]:
        return self.asked("GET", f"/resources/image/upload/{quote(ref, safe='')}", operation)

    def _upload(self, request: PushRequest, file: VersionFile, data: bytes, more: Mapping[str, str]) -> None:
        version = request.version
        facts = {
            **about(version, request.product),
            "title": title(version, request.product),
            "review_url": request.review_url,
        }
        wanted = {
            "public_id": f"{_home(request)}/{_name(file)}",
            "overwrite": "false",  # a repeat finds what is there
            "tags": f"dam-connector,{request.product.sku},{version.asset.deliverable}",
            "context": _context({**facts, STATE: S.IN_REVIEW.value, AT: self._clock.now().isoformat()}),
            **more,
        }
        part = ("file", (file.name, data, file.mime))
        self.ask(
            "POST",
            f"/{_kind(file)}/upload",
            "push",
            fields=self._signed(wanted),
            files=[part],
            timeout_s=UPLOAD_S,
        )

    def _signed(self, params: Mapping[str, str]) -> dict[str, str]:
        """The parameters of an upload with their signature."""
        signed = {**params, "timestamp": str(int(self._clock.now().timestamp()))}
        text = "&".join(f"{name}={value}" for name, value in sorted(signed.items()))
        return {
            **signed,
            "signature": hashlib.new(self._algorithm, f"{text}{self._secret}".encode()).hexdigest(),
            "api_key": self._key,
        }

    def _holds(self, ref: str, file: VersionFile) -> bool:
        return holds(
            file, lambda: self._bytes(_kind(file), f"{ref.rpartition('/')[0]}/{_name(file)}", "changed")
        )

    def _bytes(self, kind: str, public_id: str, operation: str) -> bytes:
        asset = self.asked("GET", f"/resources/{kind}/upload/{quote(public_id, safe='')}", operation)
        url = str(asset.get("secure_url") or "")
        if not url:
            raise BadOutput(self.vendor, operation, "/secure_url: the asset has none")
        return self._http.get(url, max_bytes=MAX_FILE, vendor=self.vendor).body


def _kind(file: VersionFile) -> str:
    return "raw" if file.format == "usdz" else "image"


def _home(request: PushRequest) -> str:
    """The folder of a version, in that of its product."""
    asset = request.version.asset
    return f"{request.folder}/{asset.deliverable}-{asset.slot}-V{request.version.number}"


def _name(file: VersionFile) -> str:
    """A file's public id within its folder: pictures' ids have no extension of their own."""
    stem, _, extension = file.name.rpartition(".")
    return file.name if _kind(file) == "raw" else f"{stem}-{extension}"


def _context(said: Mapping[str, str]) -> str:
    """Key and value pairs as Cloudinary takes them: `|` and `=` are its own."""
    clean = {
        name: value.replace("\\", "").replace("|", "\\|").replace("=", "\\=")
        for name, value in said.items()
        if value
    }
    return "|".join(f"{name}={value}" for name, value in clean.items())


def connect(options: Mapping[str, Any], kit: AdapterContext) -> Cloudinary:
    only(options, "base_url", "cloud_name", "api_key", "api_secret", "signature_algorithm")
    if not options.get("cloud_name"):
        raise ConfigError("cloud_name: the name of the product environment")
    return Cloudinary(
        kit,
        base_url=web_address({"base_url": "https://api.cloudinary.com", **options}),
        cloud=str(options["cloud_name"]),
        key=kit.secret(str(options.get("api_key", "env/CLOUDINARY_API_KEY"))),
        secret=kit.secret(str(options.get("api_secret", "env/CLOUDINARY_API_SECRET"))),
        algorithm=chosen(options, "signature_algorithm", "sha1", ("sha1", "sha256")),
    )
