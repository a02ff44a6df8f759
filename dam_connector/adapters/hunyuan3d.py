"""The provider adapter for a self-hosted Hunyuan3D: a model from one picture.

Facts, and the regions that its licence excludes: docs/connections/hunyuan3d.md.
"""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from dam_connector.adapters.common.api_client import excerpt
from dam_connector.adapters.common.context import (
    AdapterContext,
    check_options,
    flag_option,
    integer_option,
    number_option,
)
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
IMAGE_TYPES = ("image/jpeg", "image/png", "image/webp")
MAX_UPLOAD_BYTES = 20_000_000
_RUNNING = ("processing", "texturing")
MIN_FACES, MAX_FACES = 1000, 100_000  # 2.1 refuses other numbers
_NO_SHAPES = "this server (2.1) gives away textured models only: set texture to true"


class Hunyuan3dProvider(ProviderClient):
    """A `Provider` on Hunyuan3D. The reference of a task is its uid.

    Tasks cost nothing, so that a lost submission is simply repeated. The server answers "processing" for ever
    for a uid that it does not know.
    """

    vendor = "hunyuan3d"

    def __init__(
        self,
        context: AdapterContext,
        *,
        base_url: str,
        texture: bool,
        inference_steps: int,
        octree_resolution: int,
        task_timeout_min: float,
        concurrency: int,
    ) -> None:
        super().__init__(context, base_url, {})
        self._parameters = {
            "texture": texture,
            "num_inference_steps": inference_steps,
            "octree_resolution": octree_resolution,
            "guidance_scale": 5.0,
            "type": "glb",
        }
        self.capabilities = ProviderCapabilities(
            views=VIEWS,
            concurrency=concurrency,
            is_idempotent=True,
            task_timeout_s=60 * task_timeout_min,
            poll_interval_s=2.0,
            submit_timeout_s=60.0,
        )

    def estimate(self, request: GenerationRequest) -> float:
        return 0.0

    def submit(self, request: GenerationRequest) -> RemoteTask:
        (picture,) = self.select_pictures(request, VIEWS, IMAGE_TYPES, MAX_UPLOAD_BYTES).values()
        body = {
            **self._parameters,
            "image": base64.b64encode(picture).decode(),
            "seed": request.seed,
            "face_count": max(MIN_FACES, min(request.max_triangles, MAX_FACES)),
        }
        answer = self.request_json("POST", "/send", SUBMIT, json=body)
        return RemoteTask(ref=self.task_ref(answer, "uid"), state=RemoteTaskState.WAITING)

    def poll(self, refs: Sequence[str]) -> dict[str, RemoteTask]:
        return {ref: self._to_task(ref, self._get_status(ref, "poll")) for ref in refs}

    def fetch(self, ref: str) -> tuple[bytes, ...]:
        return (self._decode_glb(self._get_status(ref, "fetch")),)

    def error_for(self, reply: HttpResponse, operation: str) -> AdapterError:
        if reply.status != 404:
            return super().error_for(reply, operation)
        if b"error_code" in reply.body:  # the server reports its own failures with status 404
            return Refused("hunyuan3d", operation, f"HTTP 404: {excerpt(reply)}")
        return NotFound("hunyuan3d", operation, excerpt(reply))

    def _to_task(self, ref: str, answer: Mapping[str, Any]) -> RemoteTask:
        status = str(answer.get("status"))
        if status == "completed":
            files = (self._decode_glb(answer),)
            state = RemoteTaskState.SUCCEEDED
            return RemoteTask(ref=ref, state=state, progress=100, cost_usd=0.0, files=files)
        if status == "texturing" and not self._parameters["texture"]:
            # 2.1 has made the shape, and would say so for ever: it gives away textured models only
            return RemoteTask(ref=ref, state=RemoteTaskState.FAILED, cost_usd=0.0, error=_NO_SHAPES)
        if status in _RUNNING:
            return RemoteTask(ref=ref, state=RemoteTaskState.RUNNING)
        return RemoteTask(ref=ref, state=RemoteTaskState.UNKNOWN, error=f"unknown status {status[:40]!r}")

    def _get_status(self, ref: str, operation: str) -> dict[str, Any]:
        return self.request_json("GET", f"/status/{ref}", operation, max_bytes=MAX_MODEL_BYTES)

    def _decode_glb(self, answer: Mapping[str, Any]) -> bytes:
        if "model_base64" not in answer:
            raise BadOutput("hunyuan3d", "fetch", "the answer has no model")
        return self.check_glb(self.decode_base64(answer["model_base64"]))


def connect(options: Mapping[str, Any], context: AdapterContext) -> Hunyuan3dProvider:
    """Open the adapter with the options of plugin.json."""
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
    return Hunyuan3dProvider(
        context,
        base_url=str(options.get("base_url", BASE_URL)),
        texture=flag_option(options, "texture", default=True),
        inference_steps=integer_option(options, "num_inference_steps", 5, 1, 100),
        octree_resolution=integer_option(options, "octree_resolution", 256, 16, 1024),
        task_timeout_min=number_option(options, "longest_minutes", 20, 1, 600),
        concurrency=integer_option(options, "concurrency", 1, 1, 100),
    )
