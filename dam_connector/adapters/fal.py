"""fal's queue: many models behind one interface, each with its own words, which plugin.json maps. Facts: docs/connections/fal.md."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from dam_connector.adapters.common.api_client import excerpt
from dam_connector.adapters.common.context import AdapterContext, check_options, choice_option, number_option
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
from dam_connector.adapters.common.webhook_signatures import TOLERANCE, PublishedKeys, decode_base64url
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
USUAL = {
    "picture": ({"image_url": "{{image}}", "prompt": "{{prompt}}"}, "images.*.url"),
    "model": ({"image_url": "{{image}}"}, "model_mesh.url"),
}
TAKEN = ("image/jpeg", "image/png", "image/webp")
MAX_UPLOAD = 20_000_000
SELDOM_S = 20.0
_STATES = {"IN_QUEUE": RemoteTaskState.WAITING, "IN_PROGRESS": RemoteTaskState.RUNNING, "COMPLETED": RemoteTaskState.SUCCEEDED}
_PARTS = ("request_id", "status_url", "response_url", "cancel_url")
_SIGNED = ("request-id", "user-id", "timestamp")


class Fal(ProviderClient):
    """Tasks by the addresses that the queue gives for them."""

    vendor = "fal"

    def __init__(self, context: AdapterContext, options: Mapping[str, Any]) -> None:
        super().__init__(
            context,
            str(options.get("base_url", BASE_URL)),
            {"Authorization": f"Key {context.secret(str(options.get('api_key', 'env/FAL_KEY')))}"},
        )
        makes = choice_option(options, "makes", "picture", KINDS)
        self.model, self._usd = str(options.get("model", "")), number_option(options, "usd_per_task", 0.05, 0, 100)
        if not self.model or "://" in self.model or ".." in self.model:
            raise ConfigError("model: name one, such as fal-ai/trellis")
        self._input, self._output = (
            options.get("input", USUAL[makes][0]),
            str(options.get("output", USUAL[makes][1])),
        )
        check_template(self._input, "input")
        hook = urlencode({"fal_webhook": f"{context.public_url}/webhooks/{context.name}"})
        self._hook = f"?{hook}" if options.get("webhook") else ""
        self._keys = PublishedKeys(
            context,
            "fal",
            str(options.get("keys_url", KEYS_URL)),
            lambda key: Ed25519PublicKey.from_public_bytes(decode_base64url(key["x"])),
        )
        self.capabilities = ProviderCapabilities(
            kinds=(KINDS[makes],),
            views=tuple(options.get("views", ())),
            concurrency=int(number_option(options, "concurrency", 10, 1, 1000)),
            can_cancel=True,
            takes_prompts="{{prompt}}" in str(self._input),
            has_webhooks=bool(self._hook),
            poll_interval_s=SELDOM_S if self._hook else 3.0,
        )

    def estimate(self, request: GenerationRequest) -> float:
        return self._usd

    def submit(self, request: GenerationRequest) -> RemoteTask:
        pictures = {
            view: data_uri(data)
            for view, data in self.select_pictures(request, self.capabilities.views, TAKEN, MAX_UPLOAD).items()
        }
        said = self.request_json(
            "POST", f"/{self.model}{self._hook}", SUBMIT, json=fill_template(self._input, request, pictures)
        )
        parts = [said.get(name) for name in _PARTS]
        if not all(isinstance(each, str) and each and " " not in each for each in parts):
            raise SubmitUnknown("fal", SUBMIT, "the answer names no task")
        return RemoteTask(ref=" ".join(map(str, parts)), state=RemoteTaskState.WAITING, request_id=str(parts[0]))

    def poll(self, refs: Sequence[str]) -> dict[str, RemoteTask]:
        found = {}
        for ref in refs:
            try:
                found[ref] = self._task(ref, self.request_json("GET", _of(ref, "status_url"), "poll"))
            except NotFound:
                continue
        return found

    def _task(self, ref: str, said: Mapping[str, Any]) -> RemoteTask:
        status = str(said.get("status"))
        state = _STATES.get(status, RemoteTaskState.UNKNOWN)
        if state is RemoteTaskState.SUCCEEDED and said.get("error"):
            return RemoteTask(ref=ref, state=RemoteTaskState.FAILED, cost_usd=0.0, error=str(said["error"])[:300])
        cost = self._usd if state is RemoteTaskState.SUCCEEDED else None
        return RemoteTask(
            ref=ref,
            state=state,
            cost_usd=cost,
            error=f"the status {status[:40]!r} is none we know" if state is RemoteTaskState.UNKNOWN else "",
        )

    def fetch(self, ref: str) -> tuple[bytes, ...]:
        model = self.capabilities.kinds == (RunKind.MODEL,)
        most, what = (MAX_MODEL_BYTES, self.check_glb) if model else (MAX_PICTURE_BYTES, self.check_picture)

        def links() -> list[str]:
            return extract(self.request_json("GET", _of(ref, "response_url"), "fetch"), self._output, "fal")

        def link(number: int) -> str:
            found = links()
            if number >= len(found):
                raise BadOutput("fal", "fetch", f"the answer has fewer files at {self._output} than before")
            return found[number]

        count = 1 if model else len(links())
        return tuple(self.download(lambda number=n: link(number), what, most) for n in range(count))  # type: ignore[misc]

    def cancel(self, ref: str) -> bool:
        try:
            self.request("PUT", _of(ref, "cancel_url"), "cancel")
        except (Refused, NotFound):  # ALREADY_COMPLETED
            return False
        return True

    def verify(self, inbound: InboundWebhook) -> VerifiedWebhook:
        given = {name: inbound.headers.get(f"x-fal-webhook-{name}", "") for name in (*_SIGNED, "signature")}
        stamp = given["timestamp"]
        if not all(given.values()) or not stamp.isascii() or not stamp.isdigit() or len(stamp) > 12:
            raise DeliveryError(400, "a header X-Fal-Webhook-... is missing or malformed")
        if abs(inbound.received_at - datetime.fromtimestamp(int(stamp), UTC)) > TOLERANCE:
            raise DeliveryError(401, "the signature is more than five minutes old")
        message = "\n".join(
            [*(given[name] for name in _SIGNED), hashlib.sha256(inbound.body).hexdigest()]
        ).encode()
        if not self._keys.verify(lambda key: _fits(key, given["signature"], message)):
            raise DeliveryError(401, "the signature matches none of fal's keys")
        return VerifiedWebhook(key=given["request-id"][:200])

    def parse_webhook(self, inbound: InboundWebhook) -> str:
        said = parse_json(inbound.body, "fal")
        if not isinstance(said, dict) or not isinstance(said.get("request_id"), str):
            raise BadOutput("fal", "webhook", "it names no task")
        return str(said["request_id"])

    def error_for(self, reply: HttpResponse, operation: str) -> AdapterError:
        words = f"HTTP {reply.status}: {excerpt(reply)}"
        if reply.status == 403 and (b"balance" in reply.body.lower() or b"locked" in reply.body.lower()):
            return OutOfCredit("fal", operation, words)
        if reply.headers.get("x-fal-retryable", "").lower() == "true":
            return RateLimited("fal", operation, words, retry_after_s=reply.retry_after_s(5.0))
        return super().error_for(reply, operation)


def _of(ref: str, name: str) -> str:
    return ref.split(" ")[_PARTS.index(name)]


def _fits(key: Ed25519PublicKey, sign: str, message: bytes) -> bool:
    try:
        key.verify(bytes.fromhex(sign), message)
    except (InvalidSignature, ValueError):
        return False
    return True


def connect(options: Mapping[str, Any], context: AdapterContext) -> Fal:
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
    return Fal(context, options)
