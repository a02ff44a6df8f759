"""Tripo's v3 interface, played: uploads, tasks that take a while, links that die, a balance; and every way in which it can fail.

What it is asked is kept, so that a test can count what would have been billed.
"""

import email.parser
import email.policy
import json
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CREDITS = 30
LINK_S = 60.0
FLOOD = 6_000_000  # bytes of an answer that nobody takes
KEY = "tsk_fake"


@dataclass
class FakeTask:
    """A task, and the pictures it was given by view."""

    id: str
    body: dict[str, Any]
    pictures: dict[str, bytes]
    ready_at: float
    glb: bytes | None = None


@dataclass
class FakeTripo:
    """The server. make: the GLB for some pictures. seconds: how long a task takes. faults: by operation (upload, submit, poll, cdn,
    balance), what the next requests meet instead of an answer; see `_FAULTS` and `Handler._fault`."""

    make: Callable[[Mapping[str, bytes]], bytes]
    seconds: float = 0.0
    credits: float = 10_000.0
    concurrency: int = 10
    faults: dict[str, list[str]] = field(default_factory=dict)
    tasks: dict[str, FakeTask] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    base_url: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _server: ThreadingHTTPServer | None = None

    def start(self) -> str:
        """The base URL, once it listens on a free port of loopback."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.base_url = f"http://127.0.0.1:{self._server.server_address[1]}"
        return self.base_url

    def stop(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()

    @property
    def billed(self) -> int:
        """Tasks that were begun: each would have cost money."""
        return len(self.tasks)

    def next_fault(self, operation: str) -> str:
        with self._lock:
            waiting = self.faults.get(operation)
            return waiting.pop(0) if waiting else ""

    def begin(self, body: dict[str, Any]) -> FakeTask:
        """A new task. Raises: KeyError when it names no uploaded picture."""
        views = body["inputs"] if "inputs" in body else [{"front": body["input"]}]
        pictures = {view: self.files[token] for each in views for view, token in each.items()}
        task = FakeTask(id=str(uuid.uuid4()), body=body, pictures=pictures, ready_at=time.monotonic() + self.seconds)
        with self._lock:
            self.tasks[task.id] = task
            self.credits -= CREDITS
        return task

    def busy(self) -> bool:
        with self._lock:
            return sum(task.ready_at > time.monotonic() for task in self.tasks.values()) >= self.concurrency

    def glb_of(self, task: FakeTask) -> bytes:
        with self._lock:
            if task.glb is None:
                task.glb = self.make(task.pictures)
            return task.glb


_FAULTS: Mapping[str, tuple[int, dict[str, Any], dict[str, str]]] = {
    "401": (401, {"code": 1002, "message": "invalid api key"}, {}),
    "400": (400, {"code": 1004, "message": "model is required"}, {}),
    "moderated": (400, {"code": 2008, "message": "content policy"}, {}),
    "no credit": (403, {"code": 2010, "message": "insufficient credit"}, {}),
    "rate": (429, {"code": 1007, "message": "too many requests"}, {"X-RateLimit-Remaining": "0"}),
    "busy": (429, {"code": 2000, "message": "too many concurrent tasks"}, {"Retry-After": "7"}),
    "500": (500, {"code": 5000, "message": "internal"}, {}),
    "gone": (404, {"code": 2001, "message": "task not found"}, {}),
}


class Handler(BaseHTTPRequestHandler):
    """One connection to a fake."""

    protocol_version = "HTTP/1.1"

    def __init__(self, fake: FakeTripo, *given: Any) -> None:
        self._fake = fake
        super().__init__(*given)

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length", 0)))
        operation = "upload" if self.path == "/v3/files" else "submit"
        self._fake.asked.append((operation, self.path))
        fault = self._fake.next_fault(operation)
        if self._fault(fault) or not self._known():
            return
        if operation == "upload":
            token = f"file_{uuid.uuid4().hex[:12]}"
            self._fake.files[token] = _part(raw, self.headers.get("content-type", ""))
            self._say(200, {"code": 0, "data": {"file_token": token}})
            return
        body = json.loads(raw)
        wanted = "inputs" if self.path.endswith("multiview-to-model") else "input"
        if "model" not in body or wanted not in body or body.get("quad") or "compress" in body:
            self._say(*_FAULTS["400"])
        elif self._fake.busy():
            self._say(*_FAULTS["busy"])
        elif self._fake.credits < CREDITS:
            self._say(*_FAULTS["no credit"])
        else:
            self._begun(self._fake.begin(body), fault)

    def _begun(self, task: FakeTask, fault: str) -> None:
        """The work began; whether the answer arrives is another matter."""
        data = {"task_id": task.id, "type": "image_to_model", "status": "queued"}
        if fault == "lost":
            self.close_connection = True
        elif fault == "500 after":
            self._say(*_FAULTS["500"])
        elif fault == "nonsense":
            self._say(200, {"code": 0, "data": {}})
        else:
            self._say(200, {"code": 0, "status": "success", "data": data, "padding": "x" * FLOOD if fault == "flood" else ""})

    def do_GET(self) -> None:
        if self.path.startswith("/cdn/"):
            self._cdn()
            return
        operation = "balance" if "/account/" in self.path else "poll"
        self._fake.asked.append((operation, self.path))
        fault = self._fake.next_fault(operation)
        if self._fault(fault) or not self._known():
            return
        if operation == "balance":
            self._say(200, {"code": 0, "data": {"balance": self._fake.credits, "frozen": 0}})
            return
        task = self._fake.tasks.get(self.path.rpartition("/")[2])
        if task is None:
            self._say(*_FAULTS["gone"])
            return
        self._say(200, {"code": 0, "data": self._told(task, fault)})

    def _told(self, task: FakeTask, fault: str) -> dict[str, Any]:
        said: dict[str, Any] = {"task_id": task.id, "model": task.body["model"], "progress": 100}
        if fault == "failed":
            return {**said, "status": "failed", "error_code": 2008, "error_message": "content policy", "credits_consumed": 0}
        if fault == "odd":
            return {**said, "status": "meditating"}
        if task.ready_at > time.monotonic():
            return {**said, "status": "running", "progress": 50}
        model = {"model": "v9.9-later"} if fault == "other model" else {}
        until = 0.0 if fault == "dead link" else time.time() + LINK_S
        output = {"model_url": f"{self._fake.base_url}/cdn/{task.id}.glb?until={until:.0f}", "rendered_image_url": ""}
        return {**said, **model, "status": "success", "output": output, "credits_consumed": float(CREDITS)}

    def _cdn(self) -> None:
        fault = self._fake.next_fault("cdn")
        self._fake.asked.append(("cdn", self.path))
        name, _, until = self.path.removeprefix("/cdn/").partition("?until=")
        task = self._fake.tasks.get(name.removesuffix(".glb"))
        if task is None or float(until or 0) < time.time() or self.headers.get("authorization"):
            self._say(403, {"message": "the link is dead, or a key was sent along"})
            return
        if fault == "redirect":
            self.send_response(302)
            self.send_header("Location", "http://169.254.169.254/latest/meta-data")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        data = self._fake.glb_of(task)
        whole = {"wrong magic": b"PK\x03\x04" + data[4:], "short": data[: len(data) // 2]}.get(fault, data)
        self.send_response(200)
        self.send_header("Content-Type", "model/gltf-binary")
        self.send_header("Content-Length", str(len(data) if fault != "huge" else 10**12))
        self.end_headers()
        self.wfile.write(whole if fault != "half" else data[: len(data) // 2])
        self.close_connection = True

    def _known(self) -> bool:
        if self.headers.get("authorization") == f"Bearer {KEY}":
            return True
        self._say(*_FAULTS["401"])
        return False

    def _fault(self, fault: str) -> bool:
        """Whether the request was met with a fault that needs no work."""
        if fault in _FAULTS:
            self._say(*_FAULTS[fault])
        elif fault == "slow":
            time.sleep(3)
            self.close_connection = True
        elif fault == "closed":
            self.close_connection = True
        elif fault == "no json":
            self._say(200, None)
        return fault in _FAULTS or fault in ("slow", "closed", "no json")

    def _say(self, status: int, body: dict[str, Any] | None, headers: Mapping[str, str] = {}) -> None:
        data = b"<html>gateway</html>" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "X-Tripo-Trace-ID": uuid.uuid4().hex, **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


def _part(raw: bytes, content_type: str) -> bytes:
    """The one file of a multipart body."""
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + raw)
    for part in message.iter_parts():
        found = part.get_payload(decode=True)
        return found if isinstance(found, bytes) else b""
    return b""
