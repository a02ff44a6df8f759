"""A fake of fal's queue: addresses for each request, cancelling, webhooks with Ed25519 signatures."""

import base64
import hashlib
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dam_connector.fakes.server import API_KEY, FakeReply, FakeRequest, FakeServer, FakeTask


def _error(status: int, kind: str, **headers: str) -> FakeReply:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return FakeReply(status, {"detail": [{"loc": ["body"], "msg": kind, "type": kind}]}, names)


class FakeFal(FakeServer):
    """A queue for any model; the result is under `images` and under `model_mesh`."""

    errors = {
        "401": _error(401, "invalid api key"),
        "400": _error(422, "missing"),
        "moderated": _error(422, "content_policy_violation"),
        "no credit": FakeReply(403, {"detail": "User is locked. Reason: Exhausted balance."}),
        "rate": _error(429, "too_many_requests", Retry_After="5"),
        "500": _error(500, "internal"),
        "gone": _error(404, "request not found"),
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._private_key = Ed25519PrivateKey.generate()
        self.other_host = ""  # a base URL for the addresses in answers, in place of our own

    def is_authorized(self, request: FakeRequest) -> bool:
        return request.path == "/jwks.json" or request.headers.get("authorization") == f"Key {API_KEY}"

    def operation(self, request: FakeRequest) -> str:
        if request.path == "/jwks.json":
            return "keys"
        return {"POST": "submit", "PUT": "cancel"}.get(request.method, "poll")

    def answer(self, request: FakeRequest, operation: str) -> FakeReply:
        if operation == "keys":
            x = (
                base64.urlsafe_b64encode(self._private_key.public_key().public_bytes_raw())
                .rstrip(b"=")
                .decode()
            )
            return FakeReply(200, {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": x}]})
        if operation == "submit":
            return self._submit(request)
        parts = request.path.split("/")
        task = self.tasks.get(parts[parts.index("requests") + 1])
        if task is None:
            return self.errors["gone"]
        if operation == "cancel":
            if task.ready:
                return FakeReply(400, {"status": "ALREADY_COMPLETED"})
            task.cancelled = True
            return FakeReply(202, {"status": "CANCELLATION_REQUESTED"})
        return (
            FakeReply(200, self._status(task))
            if request.path.endswith("/status")
            else FakeReply(200, self.result_json(task))
        )

    def _submit(self, request: FakeRequest) -> FakeReply:
        image = str(request.json.get("image_url", ""))
        if not image.startswith("data:image/"):
            return self.errors["400"]
        if refused := self.refusal():
            return refused
        body = {**request.json, "webhook": request.query.get("fal_webhook", "")}
        task = self.create_task(body, {"front": base64.b64decode(image.partition(",")[2])})
        base = f"{self.other_host or self.base_url}{request.path}/requests/{task.id}"
        addresses = {"response_url": base, "status_url": f"{base}/status", "cancel_url": f"{base}/cancel"}
        return FakeReply(200, {"request_id": task.id, **addresses, "queue_position": 0})

    def _status(self, task: FakeTask) -> dict[str, Any]:
        fault = self.next_fault("task")
        if fault == "odd":
            return {"status": "MEDITATING"}
        if fault == "failed":
            return {"status": "COMPLETED", "error": "content policy"}
        return {"status": "COMPLETED" if task.ready else "IN_PROGRESS"}

    def result_json(self, task: FakeTask) -> dict[str, Any]:
        """Return the answer of the model."""
        url = self.link_to(task, "bin", self.next_fault("link"))
        return {"images": [{"url": url}], "model_mesh": {"url": url}, "seed": 1}

    def webhook(self, task: FakeTask, *, at: int) -> tuple[dict[str, str], bytes]:
        """Return headers and body of the webhook about a finished task; `at`: Unix seconds."""
        body = json.dumps({"request_id": task.id, "status": "OK", "payload": self.result_json(task)}).encode()
        message = "\n".join([task.id, "user_1", str(at), hashlib.sha256(body).hexdigest()]).encode()
        names = {
            "request-id": task.id,
            "user-id": "user_1",
            "timestamp": str(at),
            "signature": self._private_key.sign(message).hex(),
        }
        return {
            **{f"x-fal-webhook-{name}": value for name, value in names.items()},
            "content-type": "application/json",
        }, body
