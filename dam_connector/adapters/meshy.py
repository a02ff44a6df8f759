"""Meshy: image to model, one picture or up to four. Facts: docs/connections/meshy.md."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from dam_connector.adapters.common.api_client import excerpt
from dam_connector.adapters.common.context import AdapterContext, check_options, number_option
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
CREDITS, USD_PER_CREDIT = 30, 0.02  # a textured model; what a credit costs depends on the plan
ONE, SEVERAL = "image-to-3d", "multi-image-to-3d"
VIEWS = ("front", "right", "back", "left")
TAKEN = ("image/jpeg", "image/png")
MAX_UPLOAD = 20_000_000
BUSY_S = 15.0
LISTED = 50
SLACK = timedelta(seconds=30)  # between two clocks
_STATES = {"PENDING": RemoteTaskState.WAITING, "IN_PROGRESS": RemoteTaskState.RUNNING, "SUCCEEDED": RemoteTaskState.SUCCEEDED}
_FAILED = ("FAILED", "CANCELED", "EXPIRED")


class Meshy(ProviderClient):
    """Tasks by the interface they belong to and their id: `image-to-3d/ID`."""

    vendor = "meshy"

    def __init__(
        self, context: AdapterContext, api_key: str, base_url: str, model: str, usd_per_credit: float, concurrency: int
    ) -> None:
        super().__init__(context, base_url, {"Authorization": f"Bearer {api_key}"})
        self.model, self._usd = model, usd_per_credit
        self.capabilities = ProviderCapabilities(
            views=VIEWS, concurrency=concurrency, has_balance=True, can_cancel=True, can_find_lost_task=True, has_webhooks=True
        )

    def estimate(self, request: GenerationRequest) -> float:
        return CREDITS * self._usd

    def submit(self, request: GenerationRequest) -> RemoteTask:
        pictures = [data_uri(data) for data in self.select_pictures(request, VIEWS, TAKEN, MAX_UPLOAD).values()]
        body: dict[str, Any] = {
            "ai_model": self.model,
            "should_texture": True,
            "enable_pbr": True,
            "target_formats": ["glb"],
            "moderation": False,
        }
        body |= {
            "should_remesh": True,
            "topology": "triangle",
            "target_polycount": request.max_triangles,
        }  # else it gives millions of triangles
        kind = SEVERAL if len(pictures) > 1 else ONE
        body |= {"image_urls": pictures} if kind == SEVERAL else {"image_url": pictures[0]}
        said = self.request_json("POST", f"/openapi/v1/{kind}", SUBMIT, json=body)
        return RemoteTask(ref=f"{kind}/{self.task_ref(said, 'result')}", state=RemoteTaskState.WAITING)

    def poll(self, refs: Sequence[str]) -> dict[str, RemoteTask]:
        found = {}
        for ref in refs:
            try:
                found[ref] = self._task(ref, self.request_json("GET", f"/openapi/v1/{ref}", "poll"))
            except NotFound:
                continue
        return found

    def fetch(self, ref: str) -> tuple[bytes, ...]:
        def link() -> str:  # asked for again, it is signed again
            urls = self.request_json("GET", f"/openapi/v1/{ref}", "fetch").get("model_urls")
            url = urls.get("glb") if isinstance(urls, dict) else None
            if not isinstance(url, str):
                raise BadOutput("meshy", "fetch", "the task names no GLB")
            return url

        return (self.download(link, self.check_glb, MAX_MODEL_BYTES),)

    def find_lost_task(self, since: datetime, known: Collection[str]) -> str | None:
        found = []
        for kind in (ONE, SEVERAL):
            reply = self.request("GET", f"/openapi/v1/{kind}?sort_by=-created_at&page_size={LISTED}", "reconcile")
            tasks = parse_json(reply.body, "meshy")
            if not isinstance(tasks, list) or not all(
                isinstance(t, dict) and "id" in t and "created_at" in t for t in tasks
            ):
                raise BadOutput("meshy", "reconcile", "the answer is no list of tasks")
            found += [
                f"{kind}/{t['id']}"
                for t in tasks
                if datetime.fromtimestamp(float(t["created_at"]) / 1000, UTC) >= since - SLACK
            ]
        strangers = [ref for ref in found if ref not in known]
        if len(strangers) > 1:
            raise SubmitUnknown("meshy", "reconcile", f"{len(strangers)} tasks may be the one")
        return strangers[0] if strangers else None

    def cancel(self, ref: str) -> bool:
        try:
            self.request("DELETE", f"/openapi/v1/{ref}", "cancel")
        except Refused:  # 409: it runs already, and is paid for
            return False
        return True

    def balance(self) -> float:
        left = to_usd(self.request_json("GET", "/openapi/v1/balance", "balance").get("balance"), self._usd)
        if left is None:
            raise BadOutput("meshy", "balance", "the answer has no balance")
        return left

    def verify(self, inbound: InboundWebhook) -> VerifiedWebhook:
        """Nothing proves who sent it: it is no more than a hint to look, and only tasks of ours are looked at."""
        try:
            said = parse_json(inbound.body, "meshy")
        except BadOutput as error:
            raise DeliveryError(400, str(error)) from error
        if not isinstance(said, dict) or not isinstance(said.get("id"), str):
            raise DeliveryError(400, "it names no task")
        return VerifiedWebhook(key=f"{said['id']}:{said.get('status')}"[:200])

    def parse_webhook(self, inbound: InboundWebhook) -> str:
        said = parse_json(inbound.body, "meshy")
        several = "multi" in str(said.get("type", "")) or "image_urls" in said
        return f"{SEVERAL if several else ONE}/{said['id']}"

    def error_for(self, reply: HttpResponse, operation: str) -> AdapterError:
        if reply.status == 429 and b"NoMoreConcurrentTasks" in reply.body:
            return Busy(
                "meshy", operation, f"HTTP 429: {excerpt(reply)}", retry_after_s=reply.retry_after_s(BUSY_S)
            )
        return super().error_for(reply, operation)

    def _task(self, ref: str, said: Mapping[str, Any]) -> RemoteTask:
        status, wrong = str(said.get("status")), said.get("task_error")
        state = RemoteTaskState.FAILED if status in _FAILED else _STATES.get(status, RemoteTaskState.UNKNOWN)
        words = str(wrong.get("message") or status) if isinstance(wrong, dict) else status
        return RemoteTask(
            ref=ref,
            state=state,
            progress=int(said.get("progress") or 0),
            cost_usd=to_usd(said.get("consumed_credits"), self._usd),
            model=str(said.get("ai_model") or ""),
            error="" if state in _STATES.values() else words[:300],
        )


def connect(options: Mapping[str, Any], context: AdapterContext) -> Meshy:
    check_options(options, "api_key", "base_url", "model", "usd_per_credit", "concurrency", *BUDGET_OPTIONS)
    return Meshy(
        context,
        api_key=context.secret(str(options.get("api_key", "env/MESHY_API_KEY"))),
        base_url=str(options.get("base_url", BASE_URL)),
        model=str(options.get("model", MODEL)),
        usd_per_credit=number_option(options, "usd_per_credit", USD_PER_CREDIT, 0, 10),
        concurrency=int(number_option(options, "concurrency", 10, 1, 1000)),
    )
