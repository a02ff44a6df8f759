"""A fake Meshy."""

import base64
import time
import uuid
from collections.abc import Mapping
from typing import Any

from dam_connector.fakes.server import FakeReply, FakeRequest, FakeServer, FakeTask

FAULT_STATUSES = {"failed": "FAILED", "odd": "MEDITATING"}


def _error(status: int, message: str, headers: Mapping[str, str] | None = None) -> FakeReply:
    return FakeReply(status, {"message": message}, headers or {})


class FakeMeshy(FakeServer):
    """A Meshy with data URIs, cancelling of waiting tasks, task lists, a balance and unsigned webhooks."""

    errors = {
        "401": _error(401, "Invalid API key"),
        "400": _error(400, "image_url is required"),
        "moderated": _error(422, "moderation"),
        "no credit": _error(402, "Insufficient funds"),
        "rate": _error(429, "RateLimitExceeded", {"Retry-After": "5"}),
        "busy": _error(429, "NoMoreConcurrentTasks", {"Retry-After": "7"}),
        "500": _error(500, "internal"),
        "gone": _error(404, "Task not found"),
    }

    def operation(self, request: FakeRequest) -> str:
        if request.path.endswith("/balance"):
            return "balance"
        whole = request.path.removeprefix("/openapi/v1/")
        return {"POST": "submit", "DELETE": "cancel"}.get(request.method, "poll" if "/" in whole else "list")

    def answer(self, request: FakeRequest, operation: str) -> FakeReply:
        kind, _, task_id = request.path.removeprefix("/openapi/v1/").partition("/")
        if operation == "balance":
            return FakeReply(200, {"balance": self.credits})
        if operation == "submit":
            return self._submit(request, kind)
        if operation == "list":
            return FakeReply(
                200, [self.task_json(task) for task in reversed(self.tasks.values()) if task.kind == kind]
            )
        task = self.tasks.get(task_id)
        if task is None or task.kind != kind:
            return self.errors["gone"]
        if operation == "cancel":
            if not task.ready and task.body.get("running"):
                return _error(409, "task is in progress")
            task.cancelled = True
            return FakeReply(200, {})
        return FakeReply(200, self.task_json(task))

    def _submit(self, request: FakeRequest, kind: str) -> FakeReply:
        body = request.json
        images = body.get("image_urls") or ([body["image_url"]] if "image_url" in body else [])
        if (
            not images
            or len(images) > 4
            or not all(image.startswith(("data:image/jpeg", "data:image/png")) for image in images)
        ):
            return self.errors["400"]
        if refused := self.refusal():
            return refused
        pictures = {
            f"{number}": base64.b64decode(image.partition(",")[2]) for number, image in enumerate(images)
        }
        task = self.create_task(body, pictures, kind=kind, task_id=str(uuid.uuid4()))
        task.body["created_at"] = int(time.time() * 1000)
        return FakeReply(202, {"result": task.id})

    def task_json(self, task: FakeTask) -> dict[str, Any]:
        """Return a task as polls, lists and webhooks report it.

        Faults of the operation `task`: failed, odd, other model, dead link.
        """
        fault = self.next_fault("task")
        common: dict[str, Any] = {
            "id": task.id,
            "ai_model": task.body["ai_model"],
            "created_at": task.body["created_at"],
            "progress": 100,
        }
        common["type"] = task.kind
        if fault in FAULT_STATUSES:
            return {
                **common,
                "status": FAULT_STATUSES[fault],
                "task_error": {"message": "content policy" if fault == "failed" else ""},
                "consumed_credits": 0,
            }
        if not task.ready:
            return {**common, "status": "IN_PROGRESS", "progress": 50}
        model = {"ai_model": "v9.9-later"} if fault == "other model" else {}
        return {
            **common,
            **model,
            "status": "SUCCEEDED",
            "model_urls": {"glb": self.link_to(task, "glb", fault)},
            "consumed_credits": self.price,
        }
