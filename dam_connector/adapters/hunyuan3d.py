"""Hunyuan3D on a server of one's own: a model from one picture. Facts, and where its licence does not reach: docs/connections/hunyuan3d.md."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from dam_connector.adapters.common.api_client import told
from dam_connector.adapters.common.context import AdapterContext, number, only
from dam_connector.adapters.common.provider_client import CAPS, MAX_MODEL, SUBMIT, Remote
from dam_connector.adapters.http import Reply
from dam_connector.errors import AdapterError, BadOutput, NotFound, Refused
from dam_connector.ports import GenerationRequest, ProviderCapabilities, RemoteTask, RemoteTaskState

BASE_URL = "http://127.0.0.1:8081"
VIEWS = ("front",)
TAKEN = ("image/jpeg", "image/png", "image/webp")
MAX_UPLOAD = 20_000_000
_RUNNING = ("processing", "texturing")


class Hunyuan3D(Remote):
    """Tasks by uid. It bills nothing, so that a lost answer is simply asked again; a uid that it lost says "processing" for ever."""

    vendor = "hunyuan3d"

    def __init__(
        self,
        kit: AdapterContext,
        base_url: str,
        texture: bool,
        steps: int,
        resolution: int,
        minutes: float,
        concurrency: int,
    ) -> None:
        super().__init__(kit, base_url, {})
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
            idempotent=True,
            longest_s=60 * minutes,
            poll_s=2.0,
            patience_s=60.0,
        )

    def estimate(self, order: GenerationRequest) -> float:
        return 0.0

    def submit(self, order: GenerationRequest) -> RemoteTask:
        (_, picture), *_ = self.pictures(order, VIEWS, TAKEN, MAX_UPLOAD).items()
        body = {
            **self._how,
            "image": base64.b64encode(picture).decode(),
            "seed": order.seed,
            "face_count": order.max_triangles,
        }
        return RemoteTask(
            ref=self.begun(self.asked("POST", "/send", SUBMIT, json=body), "uid"), state=RemoteTaskState.WAITING
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
        return self.asked("GET", f"/status/{ref}", operation, max_bytes=MAX_MODEL)

    def _glb(self, said: Mapping[str, Any]) -> bytes:
        if "model_base64" not in said:
            raise BadOutput("hunyuan3d", "fetch", "the answer holds no model")
        return self.glb(self.decoded(said["model_base64"]))

    def refusal(self, reply: Reply, operation: str) -> AdapterError:
        if reply.status == 404 and b"error_code" in reply.body:  # how it says that something broke
            return Refused("hunyuan3d", operation, f"HTTP 404: {told(reply)}")
        return (
            NotFound("hunyuan3d", operation, told(reply))
            if reply.status == 404
            else super().refusal(reply, operation)
        )


def connect(options: Mapping[str, Any], kit: AdapterContext) -> Hunyuan3D:
    only(
        options,
        "base_url",
        "texture",
        "num_inference_steps",
        "octree_resolution",
        "longest_minutes",
        "concurrency",
        *CAPS,
    )
    return Hunyuan3D(
        kit,
        base_url=str(options.get("base_url", BASE_URL)),
        texture=bool(options.get("texture", True)),
        steps=int(number(options, "num_inference_steps", 5, 1, 100)),
        resolution=int(number(options, "octree_resolution", 256, 16, 1024)),
        minutes=number(options, "longest_minutes", 20, 1, 600),
        concurrency=int(number(options, "concurrency", 1, 1, 100)),
    )
