"""Hunyuan3D's own server, played: no key, errors as 404, a lost uid that is processing for ever."""

import base64

from dam_connector.fakes.server import FakeServer, Request, Said

BROKEN = {
    "text": "**NETWORK ERROR DUE TO HIGH TRAFFIC. PLEASE REGENERATE OR REFRESH THIS PAGE.**",
    "error_code": 1,
}


class FakeHunyuan3D(FakeServer):
    """Tasks by uid."""

    errors = {
        "400": Said(404, BROKEN),
        "500": Said(500, b"Internal Server Error", mime="text/plain"),
        "401": Said(401, {}),
    }
    price = 0.0

    def allowed(self, request: Request) -> bool:
        return True

    def operation(self, request: Request) -> str:
        return "submit" if request.path == "/send" else "poll"

    def answer(self, request: Request, operation: str) -> Said:
        if operation == "submit":
            body = request.json
            task = self.begin(
                {k: v for k, v in body.items() if k != "image"}, {"front": base64.b64decode(body["image"])}
            )
            return Said(200, {"uid": task.id})
        found = self.tasks.get(request.path.rpartition("/")[2])
        fault = self.next_fault("told")
        if fault == "odd":
            return Said(200, {"status": "meditating"})
        if found is None or not found.ready:
            return Said(200, {"status": "processing"})
        data = self.made_of(found)
        made = {"wrong magic": b"PK\x03\x04" + data[4:], "short": data[: len(data) // 2]}.get(fault, data)
        return Said(200, {"status": "completed", "model_base64": base64.b64encode(made).decode()})
