"""A fake of the image APIs of OpenAI and CreativeAI: generations and edits, answers with bytes or links."""

import base64
from typing import Any

from dam_connector.fakes.server import FakeReply, FakeRequest, FakeServer


def _error(status: int, code: str, kind: str = "invalid_request_error") -> FakeReply:
    return FakeReply(
        status,
        {"error": {"message": code, "type": kind, "param": None, "code": code}},
        {"x-request-id": "req_error"},
    )


class FakeOpenAIImages(FakeServer):
    """An image API that answers with bytes, or with `links` as CreativeAI does."""

    errors = {
        "401": _error(401, "invalid_api_key"),
        "400": _error(400, "invalid_value"),
        "moderated": _error(400, "moderation_blocked", "image_generation_user_error"),
        "no credit": _error(402, "insufficient_quota"),
        "quota": _error(429, "insufficient_quota"),
        "rate": FakeReply(
            429, {"error": {"message": "rate limit", "code": "rate_limit_exceeded"}}, {"Retry-After": "5"}
        ),
        "500": _error(500, "server_error"),
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.links = False
        self.model_actual = ""  # the model that answers name

    def operation(self, request: FakeRequest) -> str:
        return "submit"

    def answer(self, request: FakeRequest, operation: str) -> FakeReply:
        if request.path.endswith("/edits"):
            body: dict[str, Any] = {name: data.decode() for name, data in request.parts if name != "image[]"}
            pictures = {
                str(number): data for number, (name, data) in enumerate(request.parts) if name == "image[]"
            }
        else:
            body, pictures = request.json, {}
            image = str(body.get("image_url", ""))
            if image.startswith("data:"):
                pictures = {"0": base64.b64decode(image.partition(",")[2])}
        if not body.get("model") or not body.get("prompt") or "response_format" in body:
            return self.errors["400"]
        if refused := self.refusal():
            return refused
        task = self.create_task(body, pictures, kind=request.path)
        fault = self.next_fault("task")
        pictures_made = [self._picture(task, number, fault) for number in range(int(body.get("n", 1)))]
        actual = {"model_actual": self.model_actual} if self.model_actual else {}
        return FakeReply(
            200,
            {"id": f"gen_{task.id[:8]}", "created": 1, "data": pictures_made, **actual},
            {"x-request-id": f"req_{task.id[:8]}"},
        )

    def _picture(self, task: Any, number: int, fault: str) -> dict[str, str]:
        if self.links or fault in ("dead link", "html"):
            return {"url": self.link_to(task, "png", fault, number)}
        data = self.result_of(task, number)
        return {
            "b64_json": base64.b64encode(
                b"PK\x03\x04" + data[4:] if fault == "wrong magic" else data
            ).decode()
        }
