"""A fake of Stability's 3D and edit APIs: a task is one request."""

from dam_connector.fakes.server import FakeReply, FakeRequest, FakeServer


def _error(status: int, name: str) -> FakeReply:
    return FakeReply(status, {"id": "req_1", "name": name, "errors": [name]})


class FakeStability(FakeServer):
    """A Stability that answers a submission with its result."""

    errors = {
        "401": _error(401, "unauthorized: invalid api key"),
        "400": _error(400, "bad_request"),
        "moderated": _error(403, "content_moderation"),
        "no credit": _error(402, "payment_required"),
        "rate": _error(429, "rate_limit_exceeded"),
        "500": _error(500, "internal_error"),
    }

    def operation(self, request: FakeRequest) -> str:
        return "submit"

    def answer(self, request: FakeRequest, operation: str) -> FakeReply:
        form = request.form
        image = form.get("image", b"")
        if not image or len(image) > 10_485_760:
            return self.errors["400"]
        if refused := self.refusal():
            return refused
        task = self.create_task(
            {name: value.decode() for name, value in form.items() if name != "image"},
            {"front": image},
            kind=request.path,
        )
        data, fault = self.result_of(task), self.next_fault("task")
        headers = {
            "x-request-id": task.id,
            "finish-reason": "CONTENT_FILTERED" if fault == "failed" else "SUCCESS",
        }
        sent = b"PK\x03\x04" + data[4:] if fault == "wrong magic" else data
        return FakeReply(
            200, sent, headers, "image/png" if "remove-background" in request.path else "model/gltf-binary"
        )
