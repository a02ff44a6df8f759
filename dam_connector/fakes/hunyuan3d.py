"""A fake Hunyuan3D server: no API key, errors with status 404, "processing" for every unknown uid.

Sources: Tencent-Hunyuan/Hunyuan3D-2, api_server.py; Tencent-Hunyuan/Hunyuan3D-2.1, api_server.py,
api_models.py (bounds of the request) and model_worker.py (files of a task).
"""

import base64

from dam_connector.fakes.server import FakeReply, FakeRequest, FakeServer

BROKEN = {
    "text": "**NETWORK ERROR DUE TO HIGH TRAFFIC. PLEASE REGENERATE OR REFRESH THIS PAGE.**",
    "error_code": 1,
}


class FakeHunyuan3D(FakeServer):
    """A Hunyuan3D server; tasks have a uid."""

    errors = {
        "400": FakeReply(404, BROKEN),
        "500": FakeReply(500, b"Internal Server Error", mime="text/plain"),
        "401": FakeReply(401, {}),
    }
    price = 0.0
    is_2_1 = False  # it wants numbers within bounds, and gives away textured models only

    def is_authorized(self, request: FakeRequest) -> bool:
        return True

    def operation(self, request: FakeRequest) -> str:
        return "submit" if request.path == "/send" else "poll"

    def answer(self, request: FakeRequest, operation: str) -> FakeReply:
        if operation == "submit":
            body = request.json
            if self.is_2_1 and not (
                1000 <= body["face_count"] <= 100_000 and body["num_inference_steps"] <= 20
            ):
                return FakeReply(422, {"detail": [{"loc": ["body", "face_count"], "msg": "out of bounds"}]})
            task = self.create_task(
                {k: v for k, v in body.items() if k != "image"}, {"front": base64.b64decode(body["image"])}
            )
            return FakeReply(200, {"uid": task.id})
        polled = self.tasks.get(request.path.rpartition("/")[2])
        fault = self.next_fault("task")
        if fault == "odd":
            return FakeReply(200, {"status": "meditating"})
        if polled is None or not polled.ready:
            return FakeReply(200, {"status": "processing"})
        if self.is_2_1 and not polled.body["texture"]:
            return FakeReply(200, {"status": "texturing"})
        data = self.result_of(polled)
        sent = {"wrong magic": b"PK\x03\x04" + data[4:], "short": data[: len(data) // 2]}.get(fault, data)
        return FakeReply(200, {"status": "completed", "model_base64": base64.b64encode(sent).decode()})
