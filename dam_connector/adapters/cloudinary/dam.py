"""The DAM adapter for Cloudinary. Each file is an asset whose public id the connector chooses.

The main file of a version carries the moderation. Uploads are signed. The Admin API, which reads and changes
assets, allows few requests an hour: the adapter polls it rarely. Facts: docs/connections/cloudinary.md.
"""

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from dam_connector.adapters.cloudinary.photos import (
    OUR_TAG,
    PAGE_SIZE,
    STATE_KEY,
    CloudinaryPhotos,
    context_of,
)
from dam_connector.adapters.common.api_client import TRANSFER_TIMEOUT_S, basic_auth
from dam_connector.adapters.common.context import AdapterContext, check_options, choice_option, url_option
from dam_connector.adapters.common.dam_helpers import is_same_file, parse_state
from dam_connector.adapters.common.dam_metadata import DamField, MetadataOption, as_text
from dam_connector.adapters.common.envelopes import parse_json
from dam_connector.adapters.common.photo_sources import photo_sources_option
from dam_connector.adapters.common.webhook_signatures import check_sent_at
from dam_connector.domain.asset_texts import version_metadata, version_title
from dam_connector.domain.event import Decision, Verdict
from dam_connector.domain.metadata_templates import MetadataValue
from dam_connector.domain.outside_values import parse_timestamp
from dam_connector.domain.photo_sources import PhotoSources
from dam_connector.domain.product import Product
from dam_connector.domain.version import Version, VersionFile, VersionState
from dam_connector.errors import BadOutput, ConfigError, DeliveryError
from dam_connector.ports import (
    Blobs,
    DamCapabilities,
    InboundWebhook,
    PushRequest,
    RemoteState,
    VerifiedWebhook,
)

MODERATION_BY_STATE: dict[VersionState, str] = {
    VersionState.IN_REVIEW: "pending",
    VersionState.REJECTED: "rejected",
}
DEFAULT_MODERATION = "approved"  # of all other states
DECISION_BY_MODERATION = {"approved": Verdict.APPROVED, "rejected": Verdict.REJECTED}
SIGNATURE_MAX_AGE = timedelta(hours=2)  # as Cloudinary recommends
POLL_INTERVAL_S = 120.0
CLOCK_TOLERANCE = timedelta(seconds=5)  # between our clock and Cloudinary's
WRITTEN_AT_KEY = "connector_at"  # in an asset's context: when the connector wrote it


class CloudinaryDam(CloudinaryPhotos):
    """A `Dam` on Cloudinary. The reference of a version is the public id of its main file."""

    capabilities = DamCapabilities(poll_interval_s=POLL_INTERVAL_S)

    def __init__(
        self,
        context: AdapterContext,
        *,
        base_url: str,
        cloud_name: str,
        api_key: str,
        api_secret: str,
        algorithm: str,
        metadata: MetadataOption,
        sources: PhotoSources,
    ) -> None:
        api_url = f"{base_url.rstrip('/')}/v1_1/{quote(cloud_name)}"
        super().__init__(context.http, api_url, {"Authorization": basic_auth(api_key, api_secret)})
        self._api_key, self._api_secret, self._algorithm = api_key, api_secret, algorithm
        self._clock = context.clock
        self._metadata = metadata
        self._sources = sources

    def push(self, request: PushRequest, blobs: Blobs) -> str:
        """Upload the files. The main file comes last, so that the version is complete then."""
        main_file = request.version.ordered_files[0]
        for file in request.version.channel_files:
            if file != main_file:
                self._upload(request, file, blobs.get(file.sha256), {})
        self._upload(request, main_file, blobs.get(main_file.sha256), {"moderation": "manual"})
        return _public_id(request, main_file)

    def write_state(self, ref: str, state: VersionState, decision: Decision | None = None) -> None:
        self._get_asset(ref, "write_state")
        context = {STATE_KEY: state.value, WRITTEN_AT_KEY: self._clock.now().isoformat()}
        if decision:
            reason = "; ".join(filter(None, [", ".join(decision.reasons), decision.note]))
            context |= {"decided_by": decision.by, "reason": reason}
        if state is VersionState.IN_REVIEW:  # only an explicit call makes a moderation pending again
            params = {"public_id": ref, "type": "upload", "moderation": "manual"}
            fields = self._sign({**params, "context": _format_context(context)})
            self.request("POST", "/image/explicit", "write_state", fields=fields)
            return
        fields = {
            "moderation_status": MODERATION_BY_STATE.get(state, DEFAULT_MODERATION),
            "context": _format_context(context),
        }
        self.request("POST", f"/resources/image/upload/{quote(ref, safe='')}", "write_state", fields=fields)

    def remote_state(self, ref: str, version: Version) -> RemoteState:
        asset = self._get_asset(ref, "remote_state")
        moderations = (each for each in asset.get("moderation") or () if each.get("kind") == "manual")
        moderation: Mapping[str, Any] = next(moderations, {})
        status = str(moderation.get("status"))
        context = context_of(asset)
        our_state = parse_state(context.get(STATE_KEY), self.vendor)
        if status == MODERATION_BY_STATE.get(our_state, DEFAULT_MODERATION):
            return RemoteState(state=our_state)
        if status not in DECISION_BY_MODERATION:
            return RemoteState(state=VersionState.IN_REVIEW)
        decision = Decision(
            verdict=DECISION_BY_MODERATION[status],
            by=str(moderation.get("by") or "a moderator in cloudinary"),
            note=str(context.get("note") or ""),
        )
        return RemoteState(state=VersionState(status), decision=decision)

    def changed_files(self, ref: str, version: Version) -> tuple[str, ...]:
        self._get_asset(ref, "changed_files")
        return tuple(f.name for f in version.channel_files if not self._is_unchanged(ref, f))

    def changed_since(self, cursor: str) -> tuple[list[str], str]:
        """Read the lists of approved and of rejected assets, newest first."""
        since = parse_timestamp(cursor) or datetime(2000, 1, 1, tzinfo=UTC)
        found = [
            (moderated_at, ref)
            for status in DECISION_BY_MODERATION
            for moderated_at, ref in self._moderated_by_others(status)
            if moderated_at > since
        ]
        if not found:
            return [], cursor
        refs = list(dict.fromkeys(ref for _, ref in sorted(found)))
        return refs, max(moderated_at for moderated_at, _ in found).isoformat()

    def verify(self, inbound: InboundWebhook) -> VerifiedWebhook:
        signature = inbound.headers.get("x-cld-signature", "")
        timestamp = inbound.headers.get("x-cld-timestamp", "")
        if not signature:
            raise DeliveryError(400, "x-cld-signature is missing")
        check_sent_at(timestamp, inbound.received_at, "x-cld-timestamp", SIGNATURE_MAX_AGE)
        signed = inbound.body + timestamp.encode() + self._api_secret.encode()
        expected = hashlib.new(self._algorithm, signed).hexdigest()
        if not hmac.compare_digest(signature.encode(), expected.encode()):
            raise DeliveryError(
                401, "x-cld-signature does not match this connection's secret; see also signature_algorithm"
            )
        return VerifiedWebhook(key=f"{timestamp}:{hashlib.sha256(inbound.body).hexdigest()}")

    def parse_webhook(self, inbound: InboundWebhook) -> list[str]:
        message = parse_json(inbound.body, self.vendor)
        if not isinstance(message, dict):
            raise BadOutput(self.vendor, "parse_webhook", "/: the body is not a JSON object")
        is_moderation = message.get("notification_type") == "moderation"
        return [str(message["public_id"])] if is_moderation and message.get("public_id") else []

    def fetch_picture(self, name: str, blobs: Blobs) -> bytes:
        return self._download("image", name, "fetch_picture")

    def remove(self, ref: str) -> None:
        query = urlencode({"prefix": f"{ref.rpartition('/')[0]}/"})
        for resource_type in ("image", "raw", "video"):
            self.request("DELETE", f"/resources/{resource_type}/upload?{query}", "remove")

    def check_metadata(self, products: Sequence[Product]) -> Iterator[str]:
        if not self._metadata.templates:
            return
        rows = self.request_json("GET", "/metadata_fields", "metadata").get("metadata_fields") or ()
        fields = {str(row.get("external_id")): _field_of(row) for row in rows}
        yield from self._metadata.check(self.vendor, fields, products)

    def _moderated_by_others(self, status: str) -> Iterator[tuple[datetime, str]]:
        """Yield time and public id of the assets whose moderation changed after the connector wrote it."""
        query = {
            "max_results": PAGE_SIZE,
            "direction": "desc",
            "moderations": "true",
            "context": "true",
            "tags": "true",
        }
        path = f"/resources/image/moderations/manual/{status}?{urlencode(query)}"
        for asset in self.request_json("GET", path, "changed_since").get("resources") or ():
            moderation: Mapping[str, Any] = next(iter(asset.get("moderation") or ()), {})
            moderated_at = parse_timestamp(moderation.get("updated_at"))
            written_at = parse_timestamp(context_of(asset).get(WRITTEN_AT_KEY))
            if moderated_at and (written_at is None or moderated_at > written_at + CLOCK_TOLERANCE):
                yield moderated_at, str(asset.get("public_id"))

    def _upload(self, request: PushRequest, file: VersionFile, data: bytes, more: Mapping[str, str]) -> None:
        version = request.version
        context = {
            **version_metadata(version, request.product),
            "title": version_title(version, request.product),
            "review_url": request.review_url,
            STATE_KEY: VersionState.IN_REVIEW.value,
            WRITTEN_AT_KEY: self._clock.now().isoformat(),
        }
        params = {
            "public_id": _public_id(request, file),
            "overwrite": "false",  # a repeat keeps the existing asset
            "tags": f"{OUR_TAG},{request.product.sku},{version.asset.deliverable}",
            "context": _format_context(context),
            **more,
        }
        if pairs := self._metadata.values(request):
            params["metadata"] = _format_pairs({name: _metadata_text(value) for name, value in pairs.items()})
        self.request(
            "POST",
            f"/{_resource_type(file)}/upload",
            "push",
            fields=self._sign(params),
            files=[("file", (file.name, data, file.mime))],
            timeout_s=TRANSFER_TIMEOUT_S,
        )

    def _sign(self, params: Mapping[str, str]) -> dict[str, str]:
        """Return the parameters of an upload with their timestamp, signature and API key.

        Cloudinary signs no empty parameter, and a `&` in a value as `%26`.
        """
        given = {name: value for name, value in params.items() if value}
        stamped = {**given, "timestamp": str(int(self._clock.now().timestamp()))}
        text = "&".join(f"{name}={value}".replace("&", "%26") for name, value in sorted(stamped.items()))
        signature = hashlib.new(self._algorithm, f"{text}{self._api_secret}".encode()).hexdigest()
        return {**stamped, "signature": signature, "api_key": self._api_key}

    def _is_unchanged(self, ref: str, file: VersionFile) -> bool:
        public_id = f"{ref.rpartition('/')[0]}/{_public_name(file)}"
        return is_same_file(file, lambda: self._download(_resource_type(file), public_id, "changed_files"))


def _resource_type(file: VersionFile) -> str:
    """Return Cloudinary's type of a file; a GLB is an image there."""
    return "raw" if file.format == "usdz" else "video" if file.mime.startswith("video/") else "image"


def _public_id(request: PushRequest, file: VersionFile) -> str:
    """Return a file's public id, e.g. `furniture/CH123/model-1-V2/CH123_Chair_V2-glb`."""
    asset = request.version.asset
    version_folder = f"{asset.deliverable}-{asset.slot}-V{request.version.number}"
    return f"{request.folder}/{version_folder}/{_public_name(file)}"


def _public_name(file: VersionFile) -> str:
    """Return a file's public id within its folder; the public id of an image has no extension."""
    stem, _, extension = file.name.rpartition(".")
    return file.name if _resource_type(file) == "raw" else f"{stem}-{extension}"


def _format_context(pairs: Mapping[str, str]) -> str:
    """Write pairs as Cloudinary's `key=value|key=value`; escape `|` and `=` in the values."""
    return _format_pairs({name: value for name, value in pairs.items() if value})


def _format_pairs(pairs: Mapping[str, str]) -> str:
    escaped = {
        name: value.replace("\\", "").replace("|", "\\|").replace("=", "\\=") for name, value in pairs.items()
    }
    return "|".join(f"{name}={value}" for name, value in escaped.items())


def _metadata_text(value: MetadataValue) -> str:
    """Return a value of structured metadata: several options are a JSON array."""
    return json.dumps(value) if isinstance(value, list) else as_text(value)


def _field_of(row: Mapping[str, Any]) -> DamField:
    kinds = {"integer": "integer", "date": "date", "enum": "choice", "set": "list"}
    values = (row.get("datasource") or {}).get("values") or ()
    return DamField(
        kinds.get(str(row.get("type")), "text"), tuple(str(each.get("external_id")) for each in values)
    )


def connect(options: Mapping[str, Any], context: AdapterContext) -> CloudinaryDam:
    """Open the adapter with the options of plugin.json."""
    check_options(
        options,
        "base_url",
        "cloud_name",
        "api_key",
        "api_secret",
        "signature_algorithm",
        "metadata",
        "sources",
    )
    if not options.get("cloud_name"):
        raise ConfigError("cloud_name: the name of the product environment")
    return CloudinaryDam(
        context,
        base_url=url_option({"base_url": "https://api.cloudinary.com", **options}),
        cloud_name=str(options["cloud_name"]),
        api_key=context.secret(str(options.get("api_key", "env/CLOUDINARY_API_KEY"))),
        api_secret=context.secret(str(options.get("api_secret", "env/CLOUDINARY_API_SECRET"))),
        algorithm=choice_option(options, "signature_algorithm", "sha1", ("sha1", "sha256")),
        metadata=MetadataOption(options),
        sources=photo_sources_option(options),
    )
