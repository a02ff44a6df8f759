"""Stability: a model from one picture (SF3D, SPAR3D), or a photo without its ground. Answers bring what was made. Facts: docs/connections/stability.md."""

from collections.abc import Mapping, Sequence
from typing import Any

from dam_connector.adapters.common.api_client import told
from dam_connector.adapters.common.context import AdapterContext, chosen, number, only
from dam_connector.adapters.common.provider_client import CAPS, MAX_MODEL, SUBMIT, Remote, part
from dam_connector.adapters.http import Reply
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


class Stability(Remote):
    """One request a task: it waits for what is made."""

    vendor = "stability"

    def __init__(
        self,
        kit: AdapterContext,
        api_key: str,
        base_url: str,
        model: str,
        usd_per_task: float,
        texture_px: str,
        concurrency: int,
    ) -> None:
        super().__init__(kit, base_url, {"Authorization": f"Bearer {api_key}"})
        self.model, self._usd, self._texture_px = model, usd_per_task, texture_px
        picture = model == CUTOUT
        self.capabilities = ProviderCapabilities(
            makes=(RunKind.IMAGE if picture else RunKind.MODEL,),
            views=() if picture else VIEWS,
            polls=0,
            concurrency=concurrency,
            patience_s=PATIENCE_S + 30,
            cuts_out=picture,
        )

    def estimate(self, order: GenerationRequest) -> float:
        return self._usd

    def submit(self, order: GenerationRequest) -> RemoteTask:
        (view, picture), *_ = self.pictures(order, self.capabilities.views, TAKEN, MAX_UPLOAD).items()
        accept = "image/*" if self.model == CUTOUT else "model/gltf-binary"
        reply = self.ask(
            "POST",
            PATHS[self.model],
            SUBMIT,
            fields=self._fields(order),
            files=[part("image", view, picture)],
            headers={"Accept": accept},
            max_bytes=MAX_MODEL,
            timeout_s=PATIENCE_S,
        )
        request_id = reply.headers.get("x-request-id", "")
        done: dict[str, Any] = {
            "ref": request_id or order.key,
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

    def _taken(self, reply: Reply) -> bytes:
        if self.model != CUTOUT:
            return self.glb(reply.body)
        if reply.headers.get("finish-reason", "SUCCESS") != "SUCCESS":
            raise BadOutput(
                "stability", "fetch", f"the picture was held back ({reply.headers['finish-reason'][:40]})"
            )
        return self.picture(reply.body)

    def poll(self, refs: Sequence[str]) -> dict[str, RemoteTask]:
        return {}

    def fetch(self, ref: str) -> tuple[bytes, ...]:
        raise NotFound("stability", "fetch", "the answer to the submission brought it, once")

    def refusal(self, reply: Reply, operation: str) -> AdapterError:
        if reply.status == 429:
            return RateLimited(
                "stability",
                operation,
                f"HTTP 429: {told(reply)}",
                retry_after_s=reply.retry_after_s(LOCKOUT_S),
            )
        return super().refusal(reply, operation)


def connect(options: Mapping[str, Any], kit: AdapterContext) -> Stability:
    only(options, "api_key", "base_url", "model", "usd_per_task", "texture_resolution", "concurrency", *CAPS)
    model = chosen(options, "model", SF3D, PATHS)
    return Stability(
        kit,
        api_key=kit.secret(str(options.get("api_key", "env/STABILITY_API_KEY"))),
        base_url=str(options.get("base_url", BASE_URL)),
        model=model,
        usd_per_task=number(options, "usd_per_task", USD[model], 0, 100),
        texture_px=chosen(options, "texture_resolution", "2048", ("512", "1024", "2048")),
        concurrency=int(number(options, "concurrency", 4, 1, 100)),
    )
