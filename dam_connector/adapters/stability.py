"""Stability: a model from one picture (SF3D, SPAR3D), or a photo without its ground. Answers bring what was made. Facts: docs/connections/stability.md."""

from collections.abc import Mapping, Sequence
from typing import Any

from dam_connector.adapters.common.api_client import excerpt
from dam_connector.adapters.common.context import AdapterContext, check_options, choice_option, number_option
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
SF3D, SPAR3D, CUTOUT = "stable-fast-3d", "stable-point-aware-3d", "remove-background"
PATHS = {
    SF3D: "/v2beta/3d/stable-fast-3d",
    SPAR3D: "/v2beta/3d/stable-point-aware-3d",
    CUTOUT: "/v2beta/stable-image/edit/remove-background",
}
USD = {SF3D: 0.10, SPAR3D: 0.04, CUTOUT: 0.05}  # a task, by its price list; `usd_per_task` says otherwise
VIEWS = ("front",)
TAKEN = ("image/jpeg", "image/png", "image/webp")
MAX_UPLOAD = 10_485_760
LOCKOUT_S = 60.0  # after 150 requests in 10 s
PATIENCE_S = 120.0


class Stability(ProviderClient):
    """One request a task: it waits for what is made."""

    vendor = "stability"

    def __init__(
        self,
        context: AdapterContext,
        api_key: str,
        base_url: str,
        model: str,
        usd_per_task: float,
        texture_px: str,
        concurrency: int,
    ) -> None:
        super().__init__(context, base_url, {"Authorization": f"Bearer {api_key}"})
        self.model, self._usd, self._texture_px = model, usd_per_task, texture_px
        picture = model == CUTOUT
        self.capabilities = ProviderCapabilities(
            kinds=(RunKind.IMAGE if picture else RunKind.MODEL,),
            views=() if picture else VIEWS,
            tasks_per_poll=0,
            concurrency=concurrency,
            submit_timeout_s=PATIENCE_S + 30,
            removes_background=picture,
        )

    def estimate(self, request: GenerationRequest) -> float:
        return self._usd

    def submit(self, request: GenerationRequest) -> RemoteTask:
        (view, picture), *_ = self.select_pictures(request, self.capabilities.views, TAKEN, MAX_UPLOAD).items()
        accept = "image/*" if self.model == CUTOUT else "model/gltf-binary"
        reply = self.request(
            "POST",
            PATHS[self.model],
            SUBMIT,
            fields=self._fields(request),
            files=[picture_part("image", view, picture)],
            headers={"Accept": accept},
            max_bytes=MAX_MODEL_BYTES,
            timeout_s=PATIENCE_S,
        )
        request_id = reply.headers.get("x-request-id", "")
        done: dict[str, Any] = {
            "ref": request_id or request.key,
            "request_id": request_id,
            "cost_usd": self._usd,
            "model": self.model,
        }
        try:
            return RemoteTask(state=RemoteTaskState.SUCCEEDED, files=(self._taken(reply),), **done)
        except BadOutput as error:
            return RemoteTask(state=RemoteTaskState.FAILED, error=str(error), **done)

    def _fields(self, order: GenerationRequest) -> dict[str, str]:
        if self.model == SF3D:
            return {"texture_resolution": self._texture_px, "foreground_ratio": "0.85", "remesh": "none"}
        if self.model == SPAR3D:
            return {
                "foreground_ratio": "1.3",
                "remesh": "none",
                "target_type": "face",
                "target_count": str(order.max_triangles),
                "seed": str(order.seed),
            }
        return {"output_format": "png"}

    def _taken(self, reply: HttpResponse) -> bytes:
        if self.model != CUTOUT:
            return self.check_glb(reply.body)
        if reply.headers.get("finish-reason", "SUCCESS") != "SUCCESS":
            raise BadOutput(
                "stability", "fetch", f"the picture was held back ({reply.headers['finish-reason'][:40]})"
            )
        return self.check_picture(reply.body)

    def poll(self, refs: Sequence[str]) -> dict[str, RemoteTask]:
        return {}

    def fetch(self, ref: str) -> tuple[bytes, ...]:
        raise NotFound("stability", "fetch", "the answer to the submission brought it, once")

    def error_for(self, reply: HttpResponse, operation: str) -> AdapterError:
        if reply.status == 429:
            return RateLimited(
                "stability",
                operation,
                f"HTTP 429: {excerpt(reply)}",
                retry_after_s=reply.retry_after_s(LOCKOUT_S),
            )
        return super().error_for(reply, operation)


def connect(options: Mapping[str, Any], context: AdapterContext) -> Stability:
    check_options(options, "api_key", "base_url", "model", "usd_per_task", "texture_resolution", "concurrency", *BUDGET_OPTIONS)
    model = choice_option(options, "model", SF3D, PATHS)
    return Stability(
        context,
        api_key=context.secret(str(options.get("api_key", "env/STABILITY_API_KEY"))),
        base_url=str(options.get("base_url", BASE_URL)),
        model=model,
        usd_per_task=number_option(options, "usd_per_task", USD[model], 0, 100),
        texture_px=choice_option(options, "texture_resolution", "2048", ("512", "1024", "2048")),
        concurrency=int(number_option(options, "concurrency", 4, 1, 100)),
    )
