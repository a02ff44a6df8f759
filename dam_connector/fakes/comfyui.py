"""A fake ComfyUI: uploads, prompts with ids that the client chooses, a history, files."""

from typing import Any

from dam_connector.fakes.server import FakeReply, FakeRequest, FakeServer, FakeTask


class FakeComfyUI(FakeServer):
    """A ComfyUI that runs any workflow; the output is one file under the name `output`, `images` or `3d`."""

    errors = {
        "400": FakeReply(
            400,
            {
                "error": {"type": "prompt_outputs_failed_validation", "message": "bad"},
                "node_errors": {"3": {"errors": []}},
            },
        ),
        "500": FakeReply(500, b"500 Internal Server Error", mime="text/plain"),
        "401": FakeReply(401, {}),
    }
    price = 0.0
    output = "images"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.files: dict[str, bytes] = {}

    def is_authorized(self, request: FakeRequest) -> bool:
        return True

    def operation(self, request: FakeRequest) -> str:
        if request.path == "/prompt":
            return "submit"
        return {"upload": "upload", "history": "poll", "view": "view"}[request.path.split("/")[1]]

    def answer(self, request: FakeRequest, operation: str) -> FakeReply:
        if operation == "upload":
            name = f"upload_{len(self.files) + 1}.png"
            self.files[name] = request.form["image"]
            return FakeReply(200, {"name": name, "subfolder": "", "type": "input"})
        if operation == "submit":
            return self._submit(request.json)
        if operation == "view":
            task = self.tasks.get(request.query["filename"].partition(".")[0])
            if task is None or request.query.get("type") != "output":
                return FakeReply(404, {})
            data, fault = self.result_of(task), self.next_fault("task")
            return FakeReply(
                200,
                {"wrong magic": b"PK\x03\x04" + data[4:], "short": data[: len(data) // 2]}.get(fault, data),
                mime="image/png",
            )
        return self._poll(request.path.rpartition("/")[2])

    def _submit(self, body: dict[str, Any]) -> FakeReply:
        values = [
            value
            for node in body["prompt"].values()
            for value in node.get("inputs", {}).values()
            if isinstance(value, str)
        ]
        used = {name: self.files[name] for name in values if name in self.files}
        task = self.tasks.get(body["prompt_id"]) or self.create_task(
            body["prompt"], used, task_id=body["prompt_id"]
        )
        return FakeReply(200, {"prompt_id": task.id, "number": len(self.tasks), "node_errors": {}})

    def _poll(self, task_id: str) -> FakeReply:
        task = self.tasks.get(task_id)
        if task is None or not task.ready:
            return FakeReply(200, {})
        return FakeReply(200, {task_id: self._history(task)})

    def _history(self, task: FakeTask) -> dict[str, Any]:
        if self.next_fault("history") == "failed":
            detail = {
                "node_id": "3",
                "node_type": "KSampler",
                "exception_message": "content policy: out of memory",
            }
            return {
                "outputs": {},
                "status": {
                    "status_str": "error",
                    "completed": False,
                    "messages": [["execution_error", detail]],
                },
            }
        extension = "png" if self.output == "images" else "glb"
        output_file = {"filename": f"{task.id}.{extension}", "subfolder": "", "type": "output"}
        temporary = {"filename": "preview.png", "subfolder": "", "type": "temp"}
        return {
            "outputs": {"9": {self.output: [temporary, output_file]}},
            "status": {"status_str": "success", "completed": True, "messages": []},
        }
