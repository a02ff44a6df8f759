"""The provider adapter for Stability: a model from one picture (SF3D, SPAR3D), or a photo without background.

The answer to a submission brings the result. Facts: docs/connections/stability.md.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from dam_connector.adapters.common.api_client import excerpt
from dam_connector.adapters.common.context import (
    AdapterContext,
    check_options,
    choice_option,
    integer_option,
    number_option,
)
from dam_connector.adapters.common.provider_client import (
    BUDGET_OPTIONS,
    MAX_MODEL_BYTES,
    SUBMIT,
    ProviderClient,
    picture_part,
)
from dam_connector.adapters.http import HttpResponse
from dam_connector.domain.run import RunKind
from dam_connector.errors import AdapterError, BadOutput, NotFound, RateLimited
from dam_connector.ports import GenerationRequest, ProviderCapabilities, RemoteTask, RemoteTaskState

BASE_URL = "https://api.stability.ai"
SF3D = "stable-fast-3d"
SPAR3D = "stable-point-aware-3d"
REMOVE_BACKGROUND = "remove-background"
PATH_BY_MODEL = {
    SF3D: "/v2beta/3d/stable-fast-3d",
    SPAR3D: "/v2beta/3d/stable-point-aware-3d",
    REMOVE_BACKGROUND: "/v2beta/stable-image/edit/remove-background",
}
# A task, by Stability's price list; the option `usd_per_task` overrides it.
USD_BY_MODEL = {SF3D: 0.10, SPAR3D: 0.04, REMOVE_BACKGROUND: 0.05}
VIEWS = ("front",)
IMAGE_TYPES = ("image/jpeg", "image/png", "image/webp")
MAX_UPLOAD_BYTES = 10_485_760
MAX_PIXELS = 4_194_304
RATE_LIMIT_RETRY_S = 60.0  # Stability locks a key out for so long after 150 requests in 10 s
REQUEST_TIMEOUT_S = 120.0


class StabilityProvider(ProviderClient):
    """A `Provider` on Stability. A task is one request, whose answer brings the result."""

    vendor = "stability"

    def __init__(
        self,
        context: AdapterContext,
        *,
        api_key: str,
        base_url: str,
        model: str,
        usd_per_task: float,
        texture_px: str,
        concurrency: int,
    ) -> None:
        super().__init__(context, base_url, {"Authorization": f"Bearer {api_key}"})
        self.model, self._usd_per_task, self._texture_px = model, usd_per_task, texture_px
        makes_pictures = model == REMOVE_BACKGROUND
        self.capabilities = ProviderCapabilities(
            kinds=(RunKind.IMAGE if makes_pictures else RunKind.MODEL,),
            views=() if makes_pictures else VIEWS,
            tasks_per_poll=0,
            concurrency=concurrency,
            submit_timeout_s=REQUEST_TIMEOUT_S + 30,
            removes_background=makes_pictures,
            max_picture_pixels=MAX_PIXELS,
        )

    def estimate(self, request: GenerationRequest) -> float:
        return self._usd_per_task

    def submit(self, request: GenerationRequest) -> RemoteTask:
        pictures = self.select_pictures(request, self.capabilities.views, IMAGE_TYPES, MAX_UPLOAD_BYTES)
        view, picture = next(iter(pictures.items()))
        accept = "image/*" if self.model == REMOVE_BACKGROUND else "model/gltf-binary"
        reply = self.request(
            "POST",
            PATH_BY_MODEL[self.model],
            SUBMIT,
            fields=self._fields(request),
            files=[picture_part("image", view, picture)],
            headers={"Accept": accept},
            max_bytes=MAX_MODEL_BYTES,
            timeout_s=REQUEST_TIMEOUT_S,
        )
        request_id = reply.headers.get("x-request-id", "")
        facts: dict[str, Any] = {
            "ref": request_id or request.key,
            "request_id": request_id,
            "cost_usd": self._usd_per_task,
            "model": self.model,
        }
        try:
            return RemoteTask(state=RemoteTaskState.SUCCEEDED, files=(self._read_result(reply),), **facts)
        except BadOutput as error:
            return RemoteTask(state=RemoteTaskState.FAILED, error=str(error), **facts)

    def _fields(self, request: GenerationRequest) -> dict[str, str]:
        if self.model == SF3D:
            return {"texture_resolution": self._texture_px, "foreground_ratio": "0.85", "remesh": "none"}
        if self.model == SPAR3D:
            return {
                "foreground_ratio": "1.3",
                "remesh": "none",
                "target_type": "face",
                "target_count": str(request.max_triangles),
                "seed": str(request.seed),
            }
        return {"output_format": "png"}

    def _read_result(self, reply: HttpResponse) -> bytes:
        if self.model != REMOVE_BACKGROUND:
            return self.check_glb(reply.body)
        if reply.headers.get("finish-reason", "SUCCESS") != "SUCCESS":
            reason = reply.headers["finish-reason"][:40]
            raise BadOutput("stability", "fetch", f"the picture was withheld ({reason})")
        return self.check_picture(reply.body)

    def poll(self, refs: Sequence[str]) -> dict[str, RemoteTask]:
        return {}

    def fetch(self, ref: str) -> tuple[bytes, ...]:
        raise NotFound("stability", "fetch", "only the answer to the submission has the result")

    def error_for(self, reply: HttpResponse, operation: str) -> AdapterError:
        if reply.status == 429:
            retry_after_s = reply.retry_after_s(RATE_LIMIT_RETRY_S)
            return RateLimited(
                "stability", operation, f"HTTP 429: {excerpt(reply)}", retry_after_s=retry_after_s
            )
        return super().error_for(reply, operation)


def connect(options: Mapping[str, Any], context: AdapterContext) -> StabilityProvider:
    """Open the adapter with the options of plugin.json."""
    check_options(
        options,
        "api_key",
        "base_url",
        "model",
        "usd_per_task",
        "texture_resolution",
        "concurrency",
        *BUDGET_OPTIONS,
    )
    model = choice_option(options, "model", SF3D, PATH_BY_MODEL)
    return StabilityProvider(
        context,
        api_key=context.secret(str(options.get("api_key", "env/STABILITY_API_KEY"))),
        base_url=str(options.get("base_url", BASE_URL)),
        model=model,
        usd_per_task=number_option(options, "usd_per_task", USD_BY_MODEL[model], 0, 100),
        texture_px=choice_option(options, "texture_resolution", "2048", ("512", "1024", "2048")),
        concurrency=integer_option(options, "concurrency", 4, 1, 100),
    )
