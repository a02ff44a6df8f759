"""The provider adapter for Meshy: a model from one to four pictures. Facts: docs/connections/meshy.md."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from dam_connector.adapters.common.api_client import excerpt
from dam_connector.adapters.common.context import AdapterContext, check_options, integer_option, number_option
from dam_connector.adapters.common.envelopes import parse_json
from dam_connector.adapters.common.provider_client import (
    BUDGET_OPTIONS,
    MAX_MODEL_BYTES,
    SUBMIT,
    ProviderClient,
    data_uri,
    to_usd,
)
from dam_connector.adapters.http import HttpResponse
from dam_connector.domain.outside_values import parse_integer, parse_unix_time
from dam_connector.errors import (
    AdapterError,
    BadOutput,
    Busy,
    DeliveryError,
    NotFound,
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

BASE_URL = "https://api.meshy.ai"
MODEL = "meshy-7.1"
CREDITS_PER_MODEL = 30  # with texture
USD_PER_CREDIT = 0.02  # depends on the plan; the option `usd_per_credit` overrides it
SINGLE_IMAGE = "image-to-3d"
MULTI_IMAGE = "multi-image-to-3d"
VIEWS = ("front", "right", "back", "left")
IMAGE_TYPES = ("image/jpeg", "image/png")
MAX_UPLOAD_BYTES = 20_000_000
BUSY_RETRY_S = 15.0
LIST_PAGE_SIZE = 50
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CLOCK_TOLERANCE = timedelta(seconds=30)  # between our clock and Meshy's
_STATES = {
    "PENDING": RemoteTaskState.WAITING,
    "IN_PROGRESS": RemoteTaskState.RUNNING,
    "SUCCEEDED": RemoteTaskState.SUCCEEDED,
}
_FAILED = ("FAILED", "CANCELED", "EXPIRED")


class MeshyProvider(ProviderClient):
    """A `Provider` on Meshy. The reference of a task is its endpoint and its id, e.g. `image-to-3d/ID`."""

    vendor = "meshy"

    def __init__(
        self,
        context: AdapterContext,
        *,
        api_key: str,
        base_url: str,
        model: str,
        usd_per_credit: float,
        concurrency: int,
    ) -> None:
        super().__init__(context, base_url, {"Authorization": f"Bearer {api_key}"})
        self.model, self._usd_per_credit = model, usd_per_credit
        self.capabilities = ProviderCapabilities(
            views=VIEWS,
            concurrency=concurrency,
            has_balance=True,
            can_find_lost_task=True,
        )

    def estimate(self, request: GenerationRequest) -> float:
        return CREDITS_PER_MODEL * self._usd_per_credit

    def submit(self, request: GenerationRequest) -> RemoteTask:
        selected = self.select_pictures(request, VIEWS, IMAGE_TYPES, MAX_UPLOAD_BYTES)
        pictures = [data_uri(data) for data in selected.values()]
        body: dict[str, Any] = {
            "ai_model": self.model,
            "should_texture": True,
            "enable_pbr": True,
            "target_formats": ["glb"],
            "moderation": False,
            "should_remesh": True,  # without it a model has millions of triangles
            "topology": "triangle",
            "target_polycount": request.max_triangles,
        }
        endpoint = MULTI_IMAGE if len(pictures) > 1 else SINGLE_IMAGE
        body |= {"image_urls": pictures} if endpoint == MULTI_IMAGE else {"image_url": pictures[0]}
        answer = self.request_json("POST", f"/openapi/v1/{endpoint}", SUBMIT, json=body)
        ref = f"{endpoint}/{self.task_ref(answer, 'result')}"
        return RemoteTask(ref=ref, state=RemoteTaskState.WAITING)

    def poll(self, refs: Sequence[str]) -> dict[str, RemoteTask]:
        found = {}
        for ref in refs:
            try:
                found[ref] = self._to_task(ref, self.request_json("GET", f"/openapi/v1/{ref}", "poll"))
            except NotFound:
                continue
        return found

    def fetch(self, ref: str) -> tuple[bytes, ...]:
        return (self.download(partial(self._model_url, ref), self.check_glb, MAX_MODEL_BYTES),)

    def find_lost_task(self, since: datetime, known: Collection[str]) -> str | None:
        found = []
        for endpoint in (SINGLE_IMAGE, MULTI_IMAGE):
            path = f"/openapi/v1/{endpoint}?sort_by=-created_at&page_size={LIST_PAGE_SIZE}"
            tasks = parse_json(self.request("GET", path, "find_lost_task").body, "meshy")
            if not isinstance(tasks, list) or not all(
                isinstance(task, dict) and "id" in task and "created_at" in task for task in tasks
            ):
                raise BadOutput("meshy", "find_lost_task", "the answer is not a list of tasks")
            found += [
                f"{endpoint}/{task['id']}" for task in tasks if _created_at(task) >= since - CLOCK_TOLERANCE
            ]
        unknown = [ref for ref in found if ref not in known]
        if len(unknown) > 1:
            raise SubmitUnknown("meshy", "find_lost_task", f"{len(unknown)} tasks may be the one")
        return unknown[0] if unknown else None

    def cancel(self, ref: str) -> bool:
        try:
            self.request("DELETE", f"/openapi/v1/{ref}", "cancel")
        except Refused:  # 409: it runs already and is billed
            return False
        return True

    def balance(self) -> float:
        answer = self.request_json("GET", "/openapi/v1/balance", "balance")
        balance_usd = to_usd(answer.get("balance"), self._usd_per_credit)
        if balance_usd is None:
            raise BadOutput("meshy", "balance", "the answer has no balance")
        return balance_usd

    def verify(self, inbound: InboundWebhook) -> VerifiedWebhook:
        """Accept any well-formed message: Meshy signs none, and a message only wakes the next poll."""
        try:
            message = parse_json(inbound.body, "meshy")
        except BadOutput as error:
            raise DeliveryError(400, str(error)) from error
        if not isinstance(message, dict) or not isinstance(message.get("id"), str):
            raise DeliveryError(400, "it names no task")
        status = message.get("status")
        status = status if isinstance(status, str) and status in (*_STATES, *_FAILED) else "other"
        return VerifiedWebhook(key=f"{message['id']}:{status}"[:200], is_proved=False)

    def parse_webhook(self, inbound: InboundWebhook) -> str:
        message = parse_json(inbound.body, "meshy")
        is_multi_image = "multi" in str(message.get("type", "")) or "image_urls" in message
        return f"{MULTI_IMAGE if is_multi_image else SINGLE_IMAGE}/{message['id']}"

    def error_for(self, reply: HttpResponse, operation: str) -> AdapterError:
        if reply.status == 429 and b"NoMoreConcurrentTasks" in reply.body:
            retry_after_s = reply.retry_after_s(BUSY_RETRY_S)
            return Busy("meshy", operation, f"HTTP 429: {excerpt(reply)}", retry_after_s=retry_after_s)
        return super().error_for(reply, operation)

    def _model_url(self, ref: str) -> str:
        """Return a freshly signed link to the GLB of a task."""
        urls = self.request_json("GET", f"/openapi/v1/{ref}", "fetch").get("model_urls")
        url = urls.get("glb") if isinstance(urls, dict) else None
        if not isinstance(url, str):
            raise BadOutput("meshy", "fetch", "the task names no GLB")
        return url

    def _to_task(self, ref: str, answer: Mapping[str, Any]) -> RemoteTask:
        status, task_error = str(answer.get("status")), answer.get("task_error")
        state = RemoteTaskState.FAILED if status in _FAILED else _STATES.get(status, RemoteTaskState.UNKNOWN)
        reason = str(task_error.get("message") or status) if isinstance(task_error, dict) else status
        return RemoteTask(
            ref=ref,
            state=state,
            progress=parse_integer(answer.get("progress"), most=100) or 0,
            cost_usd=to_usd(answer.get("consumed_credits"), self._usd_per_credit),
            model=str(answer.get("ai_model") or ""),
            error="" if state in _STATES.values() else reason[:300],
        )


def _created_at(task: Mapping[str, Any]) -> datetime:
    """Return when a task was created, by its milliseconds since 1970; long ago if it does not say so."""
    milliseconds = parse_integer(task.get("created_at"))
    return parse_unix_time((milliseconds or 0) / 1000) or EPOCH


def connect(options: Mapping[str, Any], context: AdapterContext) -> MeshyProvider:
    """Open the adapter with the options of plugin.json."""
    check_options(options, "api_key", "base_url", "model", "usd_per_credit", "concurrency", *BUDGET_OPTIONS)
    return MeshyProvider(
        context,
        api_key=context.secret(str(options.get("api_key", "env/MESHY_API_KEY"))),
        base_url=str(options.get("base_url", BASE_URL)),
        model=str(options.get("model", MODEL)),
        usd_per_credit=number_option(options, "usd_per_credit", USD_PER_CREDIT, 0, 10),
        concurrency=integer_option(options, "concurrency", 10, 1, 1000),
    )
