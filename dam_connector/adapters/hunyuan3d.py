"""Hunyuan3D on a server of one's own: a model from one picture. Facts, and where its licence does not reach: docs/connections/hunyuan3d.md."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from dam_connector.adapters.common.api_client import excerpt
from dam_connector.adapters.common.context import AdapterContext, check_options, number_option
from dam_connector.adapters.common.provider_client import (
    BUDGET_OPTIONS,
    MAX_MODEL_BYTES,
    SUBMIT,
    ProviderClient,
)
from dam_connector.adapters.http import HttpResponse
from dam_connector.errors import AdapterError, BadOutput, NotFound, Refused
from dam_connector.ports import GenerationRequest, ProviderCapabilities, RemoteTask, RemoteTaskState

BASE_URL = "http://127.0.0.1:8081"
VIEWS = ("front",)
TAKEN = ("image/jpeg", "image/png", "image/webp")
MAX_UPLOAD = 20_000_000
_RUNNING = ("processing", "texturing")


class Hunyuan3D(ProviderClient):
    """Tasks by uid. It bills nothing, so that a lost answer is simply asked again; a uid that it lost says "processing" for ever."""

    vendor = "hunyuan3d"

    def __init__(
        self,
        context: AdapterContext,
        base_url: str,
        texture: bool,
        steps: int,
        resolution: int,
        minutes: float,
        concurrency: int,
    ) -> None:
        super().__init__(context, base_url, {})
        self._how = {
            "texture": texture,
            "num_inference_steps": steps,
            "octree_resolution": resolution,
            "guidance_scale": 5.0,
            "type": "glb",
        }
        self.capabilities = ProviderCapabilities(
            views=VIEWS,
            concurrency=concurrency,
            is_idempotent=True,
            task_timeout_s=60 * minutes,
            poll_interval_s=2.0,
            submit_timeout_s=60.0,
        )

    def estimate(self, request: GenerationRequest) -> float:
        return 0.0

    def submit(self, request: GenerationRequest) -> RemoteTask:
        (_, picture), *_ = self.select_pictures(request, VIEWS, TAKEN, MAX_UPLOAD).items()
        body = {
            **self._how,
            "image": base64.b64encode(picture).decode(),
            "seed": request.seed,
            "face_count": request.max_triangles,
        }
        return RemoteTask(
            ref=self.task_ref(self.request_json("POST", "/send", SUBMIT, json=body), "uid"), state=RemoteTaskState.WAITING
        )

    def poll(self, refs: Sequence[str]) -> dict[str, RemoteTask]:
        found = {}
        for ref in refs:
            said = self._said(ref, "poll")
            status = str(said.get("status"))
            if status == "completed":
                found[ref] = RemoteTask(
                    ref=ref, state=RemoteTaskState.SUCCEEDED, progress=100, cost_usd=0.0, files=(self._glb(said),)
                )
            elif status in _RUNNING:
                found[ref] = RemoteTask(ref=ref, state=RemoteTaskState.RUNNING)
            else:
                found[ref] = RemoteTask(
                    ref=ref, state=RemoteTaskState.UNKNOWN, error=f"the status {status[:40]!r} is none we know"
                )
        return found

    def fetch(self, ref: str) -> tuple[bytes, ...]:
        return (self._glb(self._said(ref, "fetch")),)

    def _said(self, ref: str, operation: str) -> dict[str, Any]:
        return self.request_json("GET", f"/status/{ref}", operation, max_bytes=MAX_MODEL_BYTES)

    def _glb(self, said: Mapping[str, Any]) -> bytes:
        if "model_base64" not in said:
            raise BadOutput("hunyuan3d", "fetch", "the answer holds no model")
        return self.check_glb(self.decode_base64(said["model_base64"]))

    def error_for(self, reply: HttpResponse, operation: str) -> AdapterError:
        if reply.status == 404 and b"error_code" in reply.body:  # how it says that something broke
            return Refused("hunyuan3d", operation, f"HTTP 404: {excerpt(reply)}")
        return (
            NotFound("hunyuan3d", operation, excerpt(reply))
            if reply.status == 404
            else super().error_for(reply, operation)
        )


def connect(options: Mapping[str, Any], context: AdapterContext) -> Hunyuan3D:
    check_options(
        options,
        "base_url",
        "texture",
        "num_inference_steps",
        "octree_resolution",
        "longest_minutes",
        "concurrency",
        *BUDGET_OPTIONS,
    )
    return Hunyuan3D(
        context,
        base_url=str(options.get("base_url", BASE_URL)),
        texture=bool(options.get("texture", True)),
        steps=int(number_option(options, "num_inference_steps", 5, 1, 100)),
        resolution=int(number_option(options, "octree_resolution", 256, 16, 1024)),
        minutes=number_option(options, "longest_minutes", 20, 1, 600),
        concurrency=int(number_option(options, "concurrency", 1, 1, 100)),
    )
