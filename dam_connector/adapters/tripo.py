"""Tripo, v3: image to model, one view or several. Facts: docs/connections/tripo.md."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from dam_connector.adapters.common.context import AdapterContext, check_options, choice_option, number_option
from dam_connector.adapters.common.envelopes import parse_json
from dam_connector.adapters.common.provider_client import (
    BUDGET_OPTIONS,
    MAX_MODEL_BYTES,
    SUBMIT,
    ProviderClient,
    picture_part,
    to_usd,
)
from dam_connector.adapters.common.webhook_signatures import TOLERANCE
from dam_connector.adapters.http import HttpResponse
from dam_connector.errors import (
    AdapterError,
    BadOutput,
    Busy,
    DeliveryError,
    NotFound,
    OutOfCredit,
    RateLimited,
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

BASE_URL = "https://openapi.tripo3d.ai"
MODEL = "v3.1-20260211"
USD_PER_CREDIT = 0.01
CREDITS = {"standard": 30, "detailed": 40, "extreme": 50}  # textured, by texture quality
MOST_FACES = {"v3.1": 1_500_000, "v3.0": 1_000_000, "v2.5": 500_000, "P1": 20_000, "P2": 50_000}
VIEWS = ("front", "back", "left", "right")
TAKEN = ("image/jpeg", "image/png", "image/webp")
MAX_UPLOAD = 20_000_000
MOST_LOOKS = 100  # tasks of one look
BUSY_S, RATE_S, SELDOM_S = 10.0, 5.0, 20.0
_STATES = {"queued": RemoteTaskState.WAITING, "running": RemoteTaskState.RUNNING, "success": RemoteTaskState.SUCCEEDED}
_FAILED = ("failed", "cancelled", "banned", "expired", "unknown")
_NO_CREDIT, _NO_TASK, _BUSY = 2010, 2001, 2000


class Tripo(ProviderClient):
    """Tasks by Tripo's own ids. There is no key that makes a repeated submission harmless, and no list to find a lost one in."""

    vendor = "tripo"

    def __init__(
        self,
        context: AdapterContext,
        api_key: str,
        base_url: str,
        model: str,
        texture_quality: str,
        concurrency: int,
        webhook_secret: str,
    ) -> None:
        super().__init__(context, base_url, {"Authorization": f"Bearer {api_key}"})
        self.model, self._quality, self._webhook_secret = model, texture_quality, webhook_secret
        self.capabilities = ProviderCapabilities(
            views=VIEWS,
            has_balance=True,
            tasks_per_poll=MOST_LOOKS,
            concurrency=concurrency,
            has_webhooks=bool(webhook_secret),
            poll_interval_s=SELDOM_S if webhook_secret else 4.0,
        )

    def estimate(self, request: GenerationRequest) -> float:
        return CREDITS[self._quality] * USD_PER_CREDIT

    def submit(self, request: GenerationRequest) -> RemoteTask:
        tokens = {
            view: self._upload(view, data)
            for view, data in self.select_pictures(request, VIEWS, TAKEN, MAX_UPLOAD).items()
        }
        body: dict[str, Any] = {
            "model": self.model,
            "texture": True,
            "pbr": True,
            "model_seed": request.seed,
            "texture_seed": request.seed,
        }
        family = self.model.partition("-")[0]
        body["face_limit"] = min(request.max_triangles, MOST_FACES.get(family, request.max_triangles))
        if family != "v2.5":
            body["texture_quality"] = self._quality
        body |= (
            {"inputs": [{view: token} for view, token in tokens.items()]}
            if len(tokens) > 1
            else {"input": tokens["front"]}
        )
        said = self._data(
            "POST",
            f"/v3/generation/{'multiview' if len(tokens) > 1 else 'image'}-to-model",
            SUBMIT,
            json=body,
        )
        return RemoteTask(ref=self.task_ref(said, "task_id"), state=RemoteTaskState.WAITING)

    def _upload(self, view: str, picture: bytes) -> str:
        token = self._data("POST", "/v3/files", "upload", files=[picture_part("file", view, picture)]).get(
            "file_token"
        )
        if not isinstance(token, str):
            raise BadOutput("tripo", "upload", "the answer has no file_token")
        return token

    def poll(self, refs: Sequence[str]) -> dict[str, RemoteTask]:
        tasks = self._data("POST", "/v3/tasks/list", "poll", json={"task_ids": list(refs)}).get("tasks")
        if not isinstance(tasks, list):
            raise BadOutput("tripo", "poll", "the answer lists no tasks")
        return {str(t["task_id"]): _task(t) for t in tasks if isinstance(t, dict) and "task_id" in t}

    def fetch(self, ref: str) -> tuple[bytes, ...]:
        def link() -> str:  # signed, for minutes: each look gives a fresh one
            output = self._data("GET", f"/v3/tasks/{ref}", "fetch").get("output")
            url = output.get("model_url") if isinstance(output, dict) else None
            if not isinstance(url, str):
                raise BadOutput("tripo", "fetch", "the task names no model")
            return url

        return (self.download(link, self.check_glb, MAX_MODEL_BYTES),)

    def balance(self) -> float:
        left = to_usd(self._data("GET", "/v3/account/balance", "balance").get("balance"), USD_PER_CREDIT)
        if left is None:
            raise BadOutput("tripo", "balance", "the answer has no balance")
        return left

    def verify(self, inbound: InboundWebhook) -> VerifiedWebhook:
        given = dict(
            each.partition("=")[::2] for each in inbound.headers.get("tripo-webhook-signature", "").split(",")
        )
        stamp, sign, key = (
            given.get("t", ""),
            given.get("v1", ""),
            inbound.headers.get("tripo-webhook-delivery", ""),
        )
        if not self._webhook_secret:
            raise DeliveryError(401, "this connection has no webhook_secret")
        if not key or not stamp.isascii() or not stamp.isdigit() or len(stamp) > 12:
            raise DeliveryError(
                400, "Tripo-Webhook-Signature or Tripo-Webhook-Delivery is missing or malformed"
            )
        if abs(inbound.received_at - datetime.fromtimestamp(int(stamp), UTC)) > TOLERANCE:
            raise DeliveryError(401, "the signature is more than five minutes old")
        expected = hmac.new(
            self._webhook_secret.encode(), f"{stamp}.".encode() + inbound.body, hashlib.sha256
        ).hexdigest()
        if not hmac.compare_digest(sign.encode(), expected.encode()):
            raise DeliveryError(401, "the signature does not match webhook_secret")
        return VerifiedWebhook(key=key)

    def parse_webhook(self, inbound: InboundWebhook) -> str:
        said = parse_json(inbound.body, "tripo")
        data = said.get("data") if isinstance(said, dict) else None
        ref = data.get("task_id") if isinstance(data, dict) else None
        if not isinstance(ref, str):
            raise BadOutput("tripo", "webhook", "it names no task")  # such as balance.low
        return ref

    def _data(self, method: str, path: str, operation: str, **more: Any) -> dict[str, Any]:
        """The reply's data. Raises: as the port says."""
        reply = self.request(method, path, operation, **more)
        body = self.parse_object(reply, operation)
        code = body.get("code")
        if code != 0:
            lost = operation == SUBMIT and not isinstance(code, int)
            raise (
                SubmitUnknown("tripo", operation, "the answer cannot be read")
                if lost
                else self.error_for(reply, operation)
            )
        data = body.get("data")
        return data if isinstance(data, dict) else {}

    def error_for(self, reply: HttpResponse, operation: str) -> AdapterError:
        try:
            body = reply.json("tripo", operation)
        except BadOutput:
            return super().error_for(reply, operation)
        code, trace = body.get("code"), reply.headers.get("x-tripo-trace-id", "")
        words = f"HTTP {reply.status}, code {code}: {str(body.get('message', ''))[:200]}" + (
            f" (trace {trace[:60]})" if trace else ""
        )
        if reply.status == 429 and code == _BUSY:
            return Busy("tripo", operation, words, retry_after_s=reply.retry_after_s(BUSY_S))
        if reply.status == 429:
            return RateLimited("tripo", operation, words, retry_after_s=reply.retry_after_s(RATE_S))
        if code == _NO_CREDIT:
            return OutOfCredit("tripo", operation, words)
        return NotFound("tripo", operation, words) if code == _NO_TASK else super().error_for(reply, operation)


def _task(said: Mapping[str, Any]) -> RemoteTask:
    status = str(said.get("status"))
    state = RemoteTaskState.FAILED if status in _FAILED else _STATES.get(status, RemoteTaskState.UNKNOWN)
    error = f"{said.get('error_code', '')} {said.get('error_message', '') or status}".strip()[:300]
    return RemoteTask(
        ref=str(said["task_id"]),
        state=state,
        progress=int(said.get("progress") or 0),
        cost_usd=to_usd(said.get("credits_consumed"), USD_PER_CREDIT),
        model=str(said.get("model") or said.get("model_version") or ""),
        error="" if state in _STATES.values() else error,
    )


def connect(options: Mapping[str, Any], context: AdapterContext) -> Tripo:
    check_options(options, "api_key", "base_url", "model", "texture_quality", "concurrency", "webhook_secret", *BUDGET_OPTIONS)
    return Tripo(
        context,
        api_key=context.secret(str(options.get("api_key", "env/TRIPO_API_KEY"))),
        base_url=str(options.get("base_url", BASE_URL)),
        model=str(options.get("model", MODEL)),
        texture_quality=choice_option(options, "texture_quality", "standard", CREDITS),
        concurrency=int(number_option(options, "concurrency", 10, 1, 1000)),
        webhook_secret=context.secret(str(options["webhook_secret"])) if "webhook_secret" in options else "",
    )
