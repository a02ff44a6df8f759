"""The provider adapter for Tripo, API v3: models from one to four views. Facts: docs/connections/tripo.md."""

import hashlib
import hmac
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from dam_connector.adapters.common.context import AdapterContext, check_options, choice_option, integer_option
from dam_connector.adapters.common.envelopes import parse_json
from dam_connector.adapters.common.provider_client import (
    BUDGET_OPTIONS,
    MAX_MODEL_BYTES,
    SUBMIT,
    ProviderClient,
    picture_part,
    to_usd,
)
from dam_connector.adapters.common.webhook_signatures import check_sent_at
from dam_connector.adapters.http import HttpResponse
from dam_connector.domain.outside_values import parse_integer, parse_timestamp
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
CREDITS_BY_QUALITY = {"standard": 30, "detailed": 40, "extreme": 50}  # of a textured model
MAX_FACES_BY_FAMILY = {"v3.1": 1_500_000, "v3.0": 1_000_000, "v2.5": 500_000, "P1": 20_000, "P2": 50_000}
VIEWS = ("front", "back", "left", "right")
IMAGE_TYPES = ("image/jpeg", "image/png", "image/webp")
MAX_UPLOAD_BYTES = 20_000_000
MAX_TASKS_PER_POLL = 100
USAGE_ROWS = 50
MODEL_TASK_TYPES = ("image_to_model", "multiview_to_model")
CLOCK_TOLERANCE = timedelta(seconds=30)  # between our clock and Tripo's
BUSY_RETRY_S = 10.0
RATE_LIMIT_RETRY_S = 5.0
POLL_INTERVAL_S = 4.0
POLL_INTERVAL_WITH_WEBHOOKS_S = 20.0
_STATES = {
    "queued": RemoteTaskState.WAITING,
    "running": RemoteTaskState.RUNNING,
    "success": RemoteTaskState.SUCCEEDED,
}
_FAILED = ("failed", "cancelled", "banned", "expired", "unknown")
_CODE_NO_CREDIT, _CODE_NO_TASK, _CODE_BUSY = 2010, 2001, 2000


class TripoProvider(ProviderClient):
    """A `Provider` on Tripo. The reference of a task is Tripo's id.

    Tripo has no idempotency key for submissions. A lost task is looked for in the usage of the account.
    """

    vendor = "tripo"

    def __init__(
        self,
        context: AdapterContext,
        *,
        api_key: str,
        base_url: str,
        model: str,
        texture_quality: str,
        concurrency: int,
        webhook_secret: str,
    ) -> None:
        super().__init__(context, base_url, {"Authorization": f"Bearer {api_key}"})
        self.model, self._texture_quality, self._webhook_secret = model, texture_quality, webhook_secret
        self.capabilities = ProviderCapabilities(
            views=VIEWS,
            has_balance=True,
            can_find_lost_task=True,
            tasks_per_poll=MAX_TASKS_PER_POLL,
            concurrency=concurrency,
            poll_interval_s=POLL_INTERVAL_WITH_WEBHOOKS_S if webhook_secret else POLL_INTERVAL_S,
        )

    def estimate(self, request: GenerationRequest) -> float:
        return CREDITS_BY_QUALITY[self._texture_quality] * USD_PER_CREDIT

    def submit(self, request: GenerationRequest) -> RemoteTask:
        pictures = self.select_pictures(request, VIEWS, IMAGE_TYPES, MAX_UPLOAD_BYTES)
        tokens = {view: self._upload(view, data) for view, data in pictures.items()}
        family = self.model.partition("-")[0]
        body: dict[str, Any] = {
            "model": self.model,
            "texture": True,
            "pbr": True,
            "model_seed": request.seed,
            "texture_seed": request.seed,
        }
        max_faces = MAX_FACES_BY_FAMILY.get(family, request.max_triangles)
        body["face_limit"] = min(request.max_triangles, max_faces)
        if family != "v2.5":
            body["texture_quality"] = self._texture_quality
        if len(tokens) > 1:
            endpoint = "multiview-to-model"
            body["inputs"] = [{view: token} for view, token in tokens.items()]
        else:
            endpoint = "image-to-model"
            body["input"] = tokens["front"]
        answer = self._request_data("POST", f"/v3/generation/{endpoint}", SUBMIT, json=body)
        return RemoteTask(ref=self.task_ref(answer, "task_id"), state=RemoteTaskState.WAITING)

    def poll(self, refs: Sequence[str]) -> dict[str, RemoteTask]:
        answer = self._request_data("POST", "/v3/tasks/list", "poll", json={"task_ids": list(refs)})
        tasks = answer.get("tasks")
        if not isinstance(tasks, dict):
            raise BadOutput("tripo", "poll", "/data/tasks: the answer has no tasks by their ids")
        known = (task for task in tasks.values() if isinstance(task, dict) and "task_id" in task)
        return {str(task["task_id"]): _to_task(task) for task in known}

    def fetch(self, ref: str) -> tuple[bytes, ...]:
        return (self.download(partial(self._model_url, ref), self.check_glb, MAX_MODEL_BYTES),)

    def find_lost_task(self, since: datetime, known: Collection[str]) -> str | None:
        """Find the one new task of the account's usage that is not ours yet.

        No document says when a task gets into that list: without one, nothing is proved.
        """
        path = f"/v3/account/usage?limit={USAGE_ROWS}&offset=0"
        reply = self.request("GET", path, "find_lost_task")
        body = self.parse_object(reply, "find_lost_task")
        rows = body.get("data")
        rows = rows.get("items") if isinstance(rows, dict) else rows
        if body.get("code") != 0 or not isinstance(rows, list):
            raise BadOutput("tripo", "find_lost_task", "/data: the answer has no list of tasks")
        unknown = [
            str(row["task_id"])
            for row in rows
            if isinstance(row, dict)
            and row.get("type") in MODEL_TASK_TYPES
            and row.get("task_id")
            and str(row["task_id"]) not in known
            and (created_at := parse_timestamp(row.get("created_at")))
            and created_at >= since - CLOCK_TOLERANCE
        ]
        if len(unknown) > 1:
            raise SubmitUnknown("tripo", "find_lost_task", f"{len(unknown)} tasks may be the one")
        if not unknown:
            raise SubmitUnknown("tripo", "find_lost_task", "the usage of the account names no such task")
        return unknown[0]

    def balance(self) -> float:
        answer = self._request_data("GET", "/v3/account/balance", "balance")
        balance_usd = to_usd(answer.get("balance"), USD_PER_CREDIT)
        if balance_usd is None:
            raise BadOutput("tripo", "balance", "the answer has no balance")
        return balance_usd

    def verify(self, inbound: InboundWebhook) -> VerifiedWebhook:
        # e.g. `t=1790000000,v1=3a1f...`; while a secret is changed, with a `v1` of each
        header = inbound.headers.get("tripo-webhook-signature", "")
        parts = [part.strip().partition("=")[::2] for part in header.split(",")]
        timestamp = next((value for name, value in parts if name == "t"), "")
        key = inbound.headers.get("tripo-webhook-delivery", "")
        if not self._webhook_secret:
            raise DeliveryError(401, "this connection has no webhook_secret")
        if not key:
            raise DeliveryError(400, "Tripo-Webhook-Delivery is missing")
        check_sent_at(timestamp, inbound.received_at, "Tripo-Webhook-Signature")
        signed = f"{timestamp}.".encode() + inbound.body
        expected = hmac.new(self._webhook_secret.encode(), signed, hashlib.sha256).hexdigest()
        signatures = [value for name, value in parts if name == "v1"]
        if not any([hmac.compare_digest(each.encode(), expected.encode()) for each in signatures]):
            raise DeliveryError(401, "the signature does not match webhook_secret")
        return VerifiedWebhook(key=key, is_event=_names_task(inbound))

    def parse_webhook(self, inbound: InboundWebhook) -> str:
        message = parse_json(inbound.body, "tripo")
        data = message.get("data") if isinstance(message, dict) else None
        ref = data.get("task_id") if isinstance(data, dict) else None
        if not isinstance(ref, str):
            raise BadOutput("tripo", "webhook", "it names no task")
        return ref

    def error_for(self, reply: HttpResponse, operation: str) -> AdapterError:
        try:
            body = reply.json("tripo", operation)
        except BadOutput:
            return super().error_for(reply, operation)
        code, trace = body.get("code"), reply.headers.get("x-tripo-trace-id", "")
        reason = f"HTTP {reply.status}, code {code}: {str(body.get('message', ''))[:200]}"
        if trace:
            reason += f" (trace {trace[:60]})"
        if reply.status == 429 and code == _CODE_BUSY:
            return Busy("tripo", operation, reason, retry_after_s=reply.retry_after_s(BUSY_RETRY_S))
        if reply.status == 429:
            return RateLimited(
                "tripo", operation, reason, retry_after_s=reply.retry_after_s(RATE_LIMIT_RETRY_S)
            )
        if code == _CODE_NO_CREDIT:
            return OutOfCredit("tripo", operation, reason)
        if code == _CODE_NO_TASK:
            return NotFound("tripo", operation, reason)
        return super().error_for(reply, operation)

    def _upload(self, view: str, picture: bytes) -> str:
        """Upload a picture; return the token of it for a submission."""
        files = [picture_part("file", view, picture)]
        token = self._request_data("POST", "/v3/files", "upload", files=files).get("file_token")
        if not isinstance(token, str):
            raise BadOutput("tripo", "upload", "the answer has no file_token")
        return token

    def _model_url(self, ref: str) -> str:
        """Return a freshly signed link to the model of a task; it is valid for minutes."""
        output = self._request_data("GET", f"/v3/tasks/{ref}", "fetch").get("output")
        url = output.get("model_url") if isinstance(output, dict) else None
        if not isinstance(url, str):
            raise BadOutput("tripo", "fetch", "the task names no model")
        return url

    def _request_data(self, method: str, path: str, operation: str, **more: Any) -> dict[str, Any]:
        """Send a request; return the `data` of the answer, or raise the error of its `code`."""
        reply = self.request(method, path, operation, **more)
        body = self.parse_object(reply, operation)
        code = body.get("code")
        if code != 0:
            if operation == SUBMIT and not isinstance(code, int):
                raise SubmitUnknown("tripo", operation, "the answer cannot be read")
            raise self.error_for(reply, operation)
        data = body.get("data")
        return data if isinstance(data, dict) else {}


def _names_task(inbound: InboundWebhook) -> bool:
    """Return whether a message is about a task; `balance.low` comes to the same address."""
    try:
        message = parse_json(inbound.body, "tripo")
    except BadOutput as error:
        raise DeliveryError(400, str(error)) from error
    return isinstance(message, dict) and str(message.get("type", "")).startswith("task.")


def _to_task(answer: Mapping[str, Any]) -> RemoteTask:
    given = answer.get("input")
    parameters = given if isinstance(given, dict) else {}
    status = str(answer.get("status"))
    state = RemoteTaskState.FAILED if status in _FAILED else _STATES.get(status, RemoteTaskState.UNKNOWN)
    error = f"{answer.get('error_code', '')} {answer.get('error_message', '') or status}".strip()[:300]
    return RemoteTask(
        ref=str(answer["task_id"]),
        state=state,
        progress=parse_integer(answer.get("progress"), most=100) or 0,
        cost_usd=to_usd(answer.get("credits_consumed"), USD_PER_CREDIT),
        model=str(parameters.get("model") or parameters.get("model_version") or ""),
        error="" if state in _STATES.values() else error,
    )


def connect(options: Mapping[str, Any], context: AdapterContext) -> TripoProvider:
    """Open the adapter with the options of plugin.json."""
    check_options(
        options,
        "api_key",
        "base_url",
        "model",
        "texture_quality",
        "concurrency",
        "webhook_secret",
        *BUDGET_OPTIONS,
    )
    return TripoProvider(
        context,
        api_key=context.secret(str(options.get("api_key", "env/TRIPO_API_KEY"))),
        base_url=str(options.get("base_url", BASE_URL)),
        model=str(options.get("model", MODEL)),
        texture_quality=choice_option(options, "texture_quality", "standard", CREDITS_BY_QUALITY),
        concurrency=integer_option(options, "concurrency", 10, 1, 1000),
        webhook_secret=context.secret(str(options["webhook_secret"])) if "webhook_secret" in options else "",
    )
