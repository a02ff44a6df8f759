"""A fake of Tripo's API v3.

Sources: the package tripo3d 1.0.0 on PyPI (Tripo's own client), client.py, models.py and _http.py;
tryAGI/Tripo, src/libs/Tripo/openapi.yaml; for webhooks tryAGI/Tripo, TripoWebhookSignature.cs.
"""

import hashlib
import hmac
import json
import uuid
from typing import Any

from dam_connector.fakes.server import FakeReply, FakeRequest, FakeServer, FakeTask

API_KEY = "tsk_fake"
WEBHOOK_SECRET = "whsec_fake"


def _error(status: int, code: int, message: str, **headers: str) -> FakeReply:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return FakeReply(
        status,
        {"code": code, "status": "error", "message": message},
        {"X-Tripo-Trace-ID": "trace_1", **names},
    )


class FakeTripo(FakeServer):
    """A Tripo with uploads, tasks of one to four views, bulk polls, a balance and signed webhooks."""

    errors = {
        "401": _error(401, 2, "invalid api key"),
        "400": _error(400, 1004, "model is required"),
        "moderated": _error(400, 2008, "content policy"),
        "no credit": _error(403, 2010, "insufficient credit"),
        "rate": _error(429, 1007, "too many requests", X_RateLimit_Remaining="0"),
        "busy": _error(429, 2000, "too many concurrent tasks", Retry_After="7"),
        "500": _error(500, 5000, "internal"),
        "gone": _error(404, 2001, "task not found"),
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.files: dict[str, bytes] = {}
        self.usage_time = "2026-11-20T10:00:00Z"

    def is_authorized(self, request: FakeRequest) -> bool:
        return request.headers.get("authorization") == f"Bearer {API_KEY}"

    def operation(self, request: FakeRequest) -> str:
        if request.path == "/v3/files":
            return "upload"
        if request.path.startswith("/v3/generation/"):
            return "submit"
        if request.path == "/v3/account/usage":
            return "usage"
        return "balance" if "/account/" in request.path else "poll"

    def answer(self, request: FakeRequest, operation: str) -> FakeReply:
        if operation == "upload":
            token = f"file_{uuid.uuid4().hex[:12]}"
            self.files[token] = request.form["file"]
            return _ok({"file_token": token})
        if operation == "submit":
            return self._submit(request)
        if operation == "usage":
            rows = [self.usage_row(task) for task in reversed(self.tasks.values())]
            return FakeReply(
                200, {"code": 0, "status": "success", "data": rows[: int(request.query["limit"])]}
            )
        if operation == "balance":
            return _ok({"balance": self.credits, "frozen": 0})
        if request.path == "/v3/tasks/list":
            ids = request.json["task_ids"]
            tasks = {i: self.task_json(self.tasks[i]) for i in ids if i in self.tasks}
            return _ok({"tasks": tasks, "missed": [i for i in ids if i not in self.tasks]})
        task = self.tasks.get(request.path.rpartition("/")[2])
        return _ok(self.task_json(task)) if task else self.errors["gone"]

    def _submit(self, request: FakeRequest) -> FakeReply:
        body = request.json
        picture_field = "inputs" if request.path.endswith("multiview-to-model") else "input"
        if "model" not in body or picture_field not in body or body.get("quad") or "compress" in body:
            return self.errors["400"]
        if refused := self.refusal():
            return refused
        views = body["inputs"] if "inputs" in body else [{"front": body["input"]}]
        task = self.create_task(
            body, {view: self.files[token] for each in views for view, token in each.items()}
        )
        return _ok({"task_id": task.id, "type": "image_to_model", "status": "queued"})

    def task_json(self, task: FakeTask) -> dict[str, Any]:
        """Return a task as polls and webhooks report it.

        Faults of the operation `task`: failed, odd, other model, dead link.
        """
        fault = self.next_fault("task")
        common: dict[str, Any] = {"task_id": task.id, "input": task.body, "progress": 100}
        if fault == "failed":
            return {
                **common,
                "status": "failed",
                "error_code": 2008,
                "error_message": "content policy",
                "credits_consumed": 0,
            }
        if fault == "odd":
            return {**common, "status": "meditating"}
        if not task.ready:
            return {**common, "status": "running", "progress": 50}
        model = {"input": {**task.body, "model": "v9.9-later"}} if fault == "other model" else {}
        output = {"model_url": self.link_to(task, "glb", fault), "rendered_image_url": ""}
        return {**common, **model, "status": "success", "output": output, "credits_consumed": self.price}

    def usage_row(self, task: FakeTask) -> dict[str, Any]:
        """Return a task as the usage of the account names it; `self.usage_time` is when all were created."""
        type_name = "multiview_to_model" if "inputs" in task.body else "image_to_model"
        return {
            "task_id": task.id,
            "type": type_name,
            "status": "success" if task.ready else "running",
            "credits_consumed": self.price,
            "created_at": self.usage_time,
        }

    def webhook(self, task: FakeTask, *, at: int, delivery: str = "dlv_1") -> tuple[dict[str, str], bytes]:
        """Return headers and body of the webhook about a finished task; `at`: Unix seconds."""
        body = json.dumps(
            {"id": "evt_1", "type": "task.completed", "created_at": at, "data": self.task_json(task)}
        ).encode()
        return self.signed(body, at=at, delivery=delivery), body

    def signed(self, body: bytes, *, at: int, delivery: str = "dlv_1") -> dict[str, str]:
        """Return the headers of a webhook; `at`: Unix seconds."""
        signature = hmac.new(WEBHOOK_SECRET.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
        return {
            "tripo-webhook-signature": f"t={at},v1={signature}",
            "tripo-webhook-delivery": delivery,
            "content-type": "application/json",
        }


def _ok(data: dict[str, Any]) -> FakeReply:
    return FakeReply(200, {"code": 0, "status": "success", "data": data}, {"X-Tripo-Trace-ID": "trace_0"})
