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

from dam_connector.adapters.common.api_client import MAX_FILE_BYTES, TRANSFER_TIMEOUT_S, ApiClient, basic_auth
from dam_connector.adapters.common.context import AdapterContext, check_options, choice_option, url_option
from dam_connector.adapters.common.dam_helpers import is_same_file, parse_state
from dam_connector.adapters.common.dam_metadata import DamField, MetadataOption, as_text
from dam_connector.adapters.common.envelopes import parse_json
from dam_connector.adapters.common.photo_sources import photo_sources_option, row_key
from dam_connector.adapters.common.webhook_signatures import check_sent_at
from dam_connector.domain.asset_texts import version_metadata, version_title
from dam_connector.domain.event import Decision, Verdict
from dam_connector.domain.metadata_templates import MetadataValue
from dam_connector.domain.outside_values import parse_timestamp
from dam_connector.domain.photo_sources import PhotoFacts, PhotoSources
from dam_connector.domain.product import Product
from dam_connector.domain.version import Version, VersionFile, VersionState
from dam_connector.errors import BadOutput, ConfigError, DeliveryError, NotFound
from dam_connector.ports import (
    Blobs,
    DamCapabilities,
    DamPhoto,
    InboundWebhook,
    PhotoChange,
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
PAGE_SIZE = 100
CLOCK_TOLERANCE = timedelta(seconds=5)  # between our clock and Cloudinary's
SEARCH_LAG = timedelta(seconds=60)  # until a search knows an upload
OUR_TAG = "dam-connector"
MODEL_FORMATS = ("glb", "gltf", "usdz", "obj", "fbx")
STATE_KEY = "connector_state"  # in an asset's context: the state that the connector wrote last
WRITTEN_AT_KEY = "connector_at"  # in an asset's context: when the connector wrote it


class CloudinaryDam(ApiClient):
    """A `Dam` on Cloudinary. The reference of a version is the public id of its main file."""

    vendor = "cloudinary"
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
        context = _context_of(asset)
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

    def changed_photos(self, cursor: str) -> tuple[list[PhotoChange], str]:
        """Search for pictures by the time of their upload, as `SuppliesPhotos` has it.

        The cursor is a JSON array: that time, Cloudinary's own cursor of the next page, and the keys of the
        rows of the last call. What was uploaded within `SEARCH_LAG` is searched for again, since the search
        knows it late. Deletions and changed fields are in no list; webhooks tell of them.
        """
        moment, page, seen = json.loads(cursor) if cursor else ("", "", [])
        expression = "resource_type:image AND type:upload"
        search: dict[str, Any] = {
            "expression": f'{expression} AND uploaded_at>="{moment}"' if moment else expression,
            "sort_by": [{"uploaded_at": "asc"}],
            "max_results": PAGE_SIZE,
            "with_field": ["context", "tags", "metadata"],
            **({"next_cursor": page} if page else {}),
        }
        reply = self.request_json("POST", "/resources/search", "changed_photos", json=search)
        rows = [row for row in reply.get("resources") or () if isinstance(row, dict)]
        changes = [PhotoChange(ref=str(row.get("public_id")), photo=self._photo(row)) for row in rows]
        keys = [row_key(change) for change in changes]
        new = [change for change, key in zip(changes, keys, strict=True) if key not in seen]
        if following := reply.get("next_cursor"):
            return new, json.dumps([moment, following, keys])
        times = [at for row in rows if (at := parse_timestamp(row.get("uploaded_at")))]
        since = (max(times) - SEARCH_LAG).strftime("%Y-%m-%dT%H:%M:%SZ") if times else moment
        return new, json.dumps([max(since, moment), "", keys or seen])

    def photo(self, ref: str) -> DamPhoto | None:
        """Return a picture as `SuppliesPhotos` has it; references are public ids."""
        try:
            return self._photo(self._get_asset(ref, "photo"))
        except NotFound:
            return None

    def photo_bytes(self, ref: str) -> bytes:
        return self._download("image", ref, "photo_bytes")

    def photo_refs(self, inbound: InboundWebhook) -> list[str]:
        message = parse_json(inbound.body, self.vendor)
        if not isinstance(message, dict):
            raise BadOutput(self.vendor, "parse_webhook", "/: the body is not a JSON object")
        return list(dict.fromkeys(_public_ids(message)))

    def _photo(self, asset: Mapping[str, Any]) -> DamPhoto | None:
        """Return an asset as a photo; None if it is none, or ours: with our tag or our state."""
        context = _context_of(asset)
        is_ours = OUR_TAG in (asset.get("tags") or ()) or STATE_KEY in context
        if is_ours or asset.get("format") in MODEL_FORMATS:
            return None
        public_id = str(asset.get("public_id"))
        folder, _, stem = public_id.rpartition("/")
        metadata = asset.get("metadata")
        own: Mapping[str, Any] = {**context, **(metadata if isinstance(metadata, dict) else {})}
        facts = PhotoFacts(
            name=f"{asset.get('display_name') or stem}.{asset.get('format') or 'jpg'}",
            folder=str(asset.get("asset_folder") or folder),
            fields={name: as_text(own[name]) if name in own else "" for name in self._sources.fields},
        )
        fingerprint = str(asset.get("version") or asset.get("uploaded_at") or "")
        return DamPhoto(ref=public_id, facts=facts, fingerprint=fingerprint)

    def remove(self, ref: str) -> None:
        query = urlencode({"prefix": f"{ref.rpartition('/')[0]}/"})
        for resource_type in ("image", "raw"):
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
            written_at = parse_timestamp(_context_of(asset).get(WRITTEN_AT_KEY))
            if moderated_at and (written_at is None or moderated_at > written_at + CLOCK_TOLERANCE):
                yield moderated_at, str(asset.get("public_id"))

    def _get_asset(self, ref: str, operation: str) -> dict[str, Any]:
        return self.request_json("GET", f"/resources/image/upload/{quote(ref, safe='')}", operation)

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
        """Return the parameters of an upload with their timestamp, signature and API key."""
        stamped = {**params, "timestamp": str(int(self._clock.now().timestamp()))}
        text = "&".join(f"{name}={value}" for name, value in sorted(stamped.items()))
        signature = hashlib.new(self._algorithm, f"{text}{self._api_secret}".encode()).hexdigest()
        return {**stamped, "signature": signature, "api_key": self._api_key}

    def _is_unchanged(self, ref: str, file: VersionFile) -> bool:
        public_id = f"{ref.rpartition('/')[0]}/{_public_name(file)}"
        return is_same_file(file, lambda: self._download(_resource_type(file), public_id, "changed_files"))

    def _download(self, resource_type: str, public_id: str, operation: str) -> bytes:
        path = f"/resources/{resource_type}/upload/{quote(public_id, safe='')}"
        url = str(self.request_json("GET", path, operation).get("secure_url") or "")
        if not url:
            raise BadOutput(self.vendor, operation, "/secure_url: the asset has none")
        return self._http.get(url, max_bytes=MAX_FILE_BYTES, vendor=self.vendor)


def _resource_type(file: VersionFile) -> str:
    """Return Cloudinary's type of a file; a GLB is an image there."""
    return "raw" if file.format == "usdz" else "image"


def _public_id(request: PushRequest, file: VersionFile) -> str:
    """Return a file's public id, e.g. `furniture/CH123/model-1-V2/CH123_Chair_V2-glb`."""
    asset = request.version.asset
    version_folder = f"{asset.deliverable}-{asset.slot}-V{request.version.number}"
    return f"{request.folder}/{version_folder}/{_public_name(file)}"


def _public_name(file: VersionFile) -> str:
    """Return a file's public id within its folder; the public id of an image has no extension."""
    stem, _, extension = file.name.rpartition(".")
    return file.name if _resource_type(file) == "raw" else f"{stem}-{extension}"


def _context_of(asset: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the key and value pairs that were stored with an asset; a search gives them without `custom`."""
    context = asset.get("context") or {}
    pairs: Mapping[str, Any] = context.get("custom") or context
    return pairs


def _public_ids(value: Any) -> Iterator[str]:
    """Yield the public ids that a notification names, at any depth; of a renamed asset both."""
    if isinstance(value, dict):
        for name, child in value.items():
            if name in ("public_id", "from_public_id", "to_public_id") and isinstance(child, str):
                yield child
            else:
                yield from _public_ids(child)
    elif isinstance(value, list):
        for child in value:
            yield from _public_ids(child)


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
