"""The provider adapter for fal: many models behind one queue, each with its own input and output fields.

plugin.json maps the fields of the model that is used. Facts and setup: docs/connections/fal.md.
"""

import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlencode

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from dam_connector.adapters.common.api_client import excerpt
from dam_connector.adapters.common.context import (
    AdapterContext,
    check_options,
    choice_option,
    flag_option,
    integer_option,
    number_option,
)
from dam_connector.adapters.common.envelopes import parse_json
from dam_connector.adapters.common.provider_client import (
    BUDGET_OPTIONS,
    MAX_MODEL_BYTES,
    MAX_PICTURE_BYTES,
    SUBMIT,
    ProviderClient,
    data_uri,
)
from dam_connector.adapters.common.request_template import check_template, extract, fill_template
from dam_connector.adapters.common.webhook_signatures import PublishedKeys, check_sent_at, decode_base64url
from dam_connector.adapters.http import HttpResponse
from dam_connector.domain.run import RunKind
from dam_connector.errors import (
    AdapterError,
    BadOutput,
    ConfigError,
    DeliveryError,
    NotFound,
    OutOfCredit,
    RateLimited,
    Refused,
    SubmitUnknown,
)
from dam_connector.ports import (
    GenerationRequest,
    InboundWebhook,
    ProviderCapabilities,
    RemoteTask,
    RemoteTaskState,
    VerifiedWebhook,
)

BASE_URL = "https://queue.fal.run"
KEYS_URL = "https://rest.alpha.fal.ai/.well-known/jwks.json"
KINDS = {"picture": RunKind.IMAGE, "model": RunKind.MODEL}
DEFAULT_MAPPING = {  # the input template and the path of the file addresses in the answer
    "picture": ({"image_url": "{{image}}", "prompt": "{{prompt}}"}, "images.*.url"),
    "model": ({"image_url": "{{image}}"}, "model_mesh.url"),
}
IMAGE_TYPES = ("image/jpeg", "image/png", "image/webp")
MAX_UPLOAD_BYTES = 20_000_000
POLL_INTERVAL_S = 3.0
POLL_INTERVAL_WITH_WEBHOOKS_S = 20.0
_STATES = {
    "IN_QUEUE": RemoteTaskState.WAITING,
    "IN_PROGRESS": RemoteTaskState.RUNNING,
    "COMPLETED": RemoteTaskState.SUCCEEDED,
}
_REF_PARTS = ("request_id", "status_url", "response_url", "cancel_url")
_SIGNED_HEADERS = ("request-id", "user-id", "timestamp")


class FalProvider(ProviderClient):
    """A `Provider` on fal's queue.

    The reference of a task is its request id and the addresses that the queue gave for it, joined by spaces.
    """

    vendor = "fal"

    def __init__(self, context: AdapterContext, options: Mapping[str, Any]) -> None:
        api_key = context.secret(str(options.get("api_key", "env/FAL_KEY")))
        base_url = str(options.get("base_url", BASE_URL))
        super().__init__(context, base_url, {"Authorization": f"Key {api_key}"})
        self.model = str(options.get("model", ""))
        if not self.model or "://" in self.model or ".." in self.model:
            raise ConfigError("model: name one, such as fal-ai/trellis")
        makes = choice_option(options, "makes", "picture", KINDS)
        default_input, default_output = DEFAULT_MAPPING[makes]
        self._input = options.get("input", default_input)
        self._output_path = str(options.get("output", default_output))
        check_template(self._input, "input")
        self._usd_per_task = number_option(options, "usd_per_task", 0.05, 0, 100)
        uses_webhooks = flag_option(options, "webhook", default=False)
        webhook = urlencode({"fal_webhook": f"{context.public_url}/webhooks/{context.name}"})
        self._webhook_query = f"?{webhook}" if uses_webhooks else ""
        self._keys = PublishedKeys(
            context,
            "fal",
            str(options.get("keys_url", KEYS_URL)),
            lambda key: Ed25519PublicKey.from_public_bytes(decode_base64url(key["x"])),
        )
        self.capabilities = ProviderCapabilities(
            kinds=(KINDS[makes],),
            views=tuple(options.get("views", ())),
            concurrency=integer_option(options, "concurrency", 10, 1, 1000),
            takes_prompts="{{prompt}}" in str(self._input),
            poll_interval_s=POLL_INTERVAL_WITH_WEBHOOKS_S if uses_webhooks else POLL_INTERVAL_S,
        )

    def estimate(self, request: GenerationRequest) -> float:
        return self._usd_per_task

    def submit(self, request: GenerationRequest) -> RemoteTask:
        selected = self.select_pictures(request, self.capabilities.views, IMAGE_TYPES, MAX_UPLOAD_BYTES)
        data_uris = {view: data_uri(data) for view, data in selected.items()}
        body = fill_template(self._input, request, data_uris)
        answer = self.request_json("POST", f"/{self.model}{self._webhook_query}", SUBMIT, json=body)
        parts = [answer.get(name) for name in _REF_PARTS]
        if not all(isinstance(part, str) and part and " " not in part for part in parts):
            raise SubmitUnknown("fal", SUBMIT, "the answer names no task")
        ref = " ".join(map(str, parts))
        return RemoteTask(ref=ref, state=RemoteTaskState.WAITING, request_id=str(parts[0]))

    def poll(self, refs: Sequence[str]) -> dict[str, RemoteTask]:
        found = {}
        for ref in refs:
            try:
                status = self.request_json("GET", _ref_part(ref, "status_url"), "poll")
            except NotFound:
                continue
            found[ref] = self._to_task(ref, status)
        return found

    def fetch(self, ref: str) -> tuple[bytes, ...]:
        """Download the one model, or all pictures; ask for new links where they expired."""
        is_model = self.capabilities.kinds == (RunKind.MODEL,)
        max_bytes = MAX_MODEL_BYTES if is_model else MAX_PICTURE_BYTES
        check = self.check_glb if is_model else self.check_picture
        count = 1 if is_model else len(self._file_urls(ref))
        return tuple(
            self.download(partial(self._file_url, ref, number), check, max_bytes) for number in range(count)
        )

    def cancel(self, ref: str) -> bool:
        try:
            self.request("PUT", _ref_part(ref, "cancel_url"), "cancel")
        except (Refused, NotFound):  # fal says ALREADY_COMPLETED
            return False
        return True

    def verify(self, inbound: InboundWebhook) -> VerifiedWebhook:
        names = (*_SIGNED_HEADERS, "signature")
        headers = {name: inbound.headers.get(f"x-fal-webhook-{name}", "") for name in names}
        if not all(headers.values()):
            raise DeliveryError(400, "a header X-Fal-Webhook-... is missing")
        check_sent_at(headers["timestamp"], inbound.received_at, "X-Fal-Webhook-Timestamp")
        body_hash = hashlib.sha256(inbound.body).hexdigest()
        message = "\n".join([*(headers[name] for name in _SIGNED_HEADERS), body_hash]).encode()
        if not self._keys.verify(lambda key: _is_signed_by(key, headers["signature"], message)):
            raise DeliveryError(401, "the signature matches none of fal's keys")
        return VerifiedWebhook(key=headers["request-id"][:200])

    def parse_webhook(self, inbound: InboundWebhook) -> str:
        message = parse_json(inbound.body, "fal")
        if not isinstance(message, dict) or not isinstance(message.get("request_id"), str):
            raise BadOutput("fal", "webhook", "it names no task")
        return str(message["request_id"])

    def error_for(self, reply: HttpResponse, operation: str) -> AdapterError:
        reason = f"HTTP {reply.status}: {excerpt(reply)}"
        if reply.status == 403 and (b"balance" in reply.body.lower() or b"locked" in reply.body.lower()):
            return OutOfCredit("fal", operation, reason)
        if reply.headers.get("x-fal-retryable", "").lower() == "true":
            return RateLimited("fal", operation, reason, retry_after_s=reply.retry_after_s(5.0))
        return super().error_for(reply, operation)

    def _file_urls(self, ref: str) -> list[str]:
        answer = self.request_json("GET", _ref_part(ref, "response_url"), "fetch")
        return extract(answer, self._output_path, "fal")

    def _file_url(self, ref: str, number: int) -> str:
        urls = self._file_urls(ref)
        if number >= len(urls):
            raise BadOutput("fal", "fetch", f"the answer has fewer files at {self._output_path} than before")
        return urls[number]

    def _to_task(self, ref: str, answer: Mapping[str, Any]) -> RemoteTask:
        status = str(answer.get("status"))
        state = _STATES.get(status, RemoteTaskState.UNKNOWN)
        if state is RemoteTaskState.SUCCEEDED and answer.get("error"):
            error = str(answer["error"])[:300]
            return RemoteTask(ref=ref, state=RemoteTaskState.FAILED, cost_usd=0.0, error=error)
        return RemoteTask(
            ref=ref,
            state=state,
            cost_usd=self._usd_per_task if state is RemoteTaskState.SUCCEEDED else None,
            error=f"unknown status {status[:40]!r}" if state is RemoteTaskState.UNKNOWN else "",
        )


def _ref_part(ref: str, name: str) -> str:
    return ref.split(" ")[_REF_PARTS.index(name)]


def _is_signed_by(key: Ed25519PublicKey, signature: str, message: bytes) -> bool:
    try:
        key.verify(bytes.fromhex(signature), message)
    except (InvalidSignature, ValueError):
        return False
    return True


def connect(options: Mapping[str, Any], context: AdapterContext) -> FalProvider:
    """Open the adapter with the options of plugin.json."""
    check_options(
        options,
        "api_key",
        "base_url",
        "keys_url",
        "model",
        "makes",
        "views",
        "input",
        "output",
        "usd_per_task",
        "concurrency",
        "webhook",
        *BUDGET_OPTIONS,
    )
    return FalProvider(context, options)
