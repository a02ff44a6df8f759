"""A vendor played on loopback: a real HTTP server with tasks that take a while, links that die, and every way in which it can fail.

A vendor's file says which request is which operation and how its answers look. Faults are told here, once: what the next requests of an
operation meet, before their work or behind it. What was asked is kept, so that a test can count what would have been billed.
"""

import email.parser
import email.policy
import json
import select
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

LINK_LIFETIME_S = 60.0
FLOOD_BYTES = 6_000_000  # bytes of an answer that nobody takes
SLOW_REPLY_S = 60.0  # a slow answer comes then; whom it is for has hung up long before
API_KEY = "key_fake"
FAULTS_BEFORE_WORK = ("slow", "closed", "no json")  # faults that need no work of the vendor's
METADATA_URL = "http://169.254.169.254/latest/meta-data"


@dataclass
class FakeTask:
    """A task: what it was asked, the pictures it was given, and what became of it."""

    id: str
    body: dict[str, Any]
    pictures: dict[str, bytes]
    ready_at: float
    kind: str = ""
    results: list[bytes] = field(default_factory=list)
    cancelled: bool = False

    @property
    def ready(self) -> bool:
        return time.monotonic() >= self.ready_at


@dataclass(frozen=True, slots=True)
class FakeReply:
    """An answer: a JSON value, or bytes with their type."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)
    mime: str = "application/json"

    @property
    def raw_body(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass(frozen=True)
class FakeRequest:
    """What came in. headers: names in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @cached_property
    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.body or b"{}"))

    @property
    def parts(self) -> list[tuple[str, bytes]]:
        """The fields of a form, with their bytes, in order."""
        return [(name, data) for name, _, data in self._sent]

    @property
    def file_names(self) -> dict[str, str]:
        """The names of a form's files, by field."""
        return {name: file_name for name, file_name, _ in self._sent if file_name}

    @cached_property
    def _sent(self) -> list[tuple[str, str, bytes]]:
        head = b"Content-Type: " + self.headers.get("content-type", "").encode() + b"\r\n\r\n"
        message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + self.body)
        found = []
        for each in message.iter_parts():
            name, data = each.get_param("name", header="content-disposition"), each.get_payload(decode=True)
            found.append((str(name), each.get_filename() or "", data if isinstance(data, bytes) else b""))
        return found

    @property
    def form(self) -> dict[str, bytes]:
        return dict(self.parts)


class FakeServer:
    """The server. make: what is made of some pictures. seconds: how long a task takes. credits: what the account has.

    faults: by operation (upload, submit, poll, cdn, balance, cancel, list), what the next requests meet: one of `errors`, or slow, closed,
    no json (before any work); lost, 500 after, nonsense, flood (the work was begun). operation(): which one a request is.
    """

    errors: Mapping[str, FakeReply] = {}
    price = 30.0  # credits a task

    def __init__(
        self,
        make: Callable[[Mapping[str, bytes]], bytes],
        *,
        seconds: float = 0.0,
        credits: float = 10_000.0,
        concurrency: int = 10,
    ) -> None:
        self.make, self.seconds, self.credits, self.concurrency = make, seconds, credits, concurrency
        self.faults: dict[str, list[str]] = {}
        self.tasks: dict[str, FakeTask] = {}
        self.requests: list[tuple[str, str]] = []
        self.base_url = ""
        self._lock = threading.Lock()
        self._making = threading.Lock()
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> str:
        """The base URL, once it listens on a free port of loopback."""
        self._server = _Server(("127.0.0.1", 0), partial(_Handler, self))
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.base_url = f"http://127.0.0.1:{self._server.server_address[1]}"
        return self.base_url

    def stop(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()

    @property
    def host(self) -> str:
        return self.base_url.removeprefix("http://")

    @property
    def billed(self) -> int:
        """Tasks that were begun and not given back: each would have cost money."""
        return sum(not task.cancelled for task in self.tasks.values())

    def operation(self, request: FakeRequest) -> str:
        raise NotImplementedError

    def answer(self, request: FakeRequest, operation: str) -> FakeReply:
        raise NotImplementedError

    def is_authorized(self, request: FakeRequest) -> bool:
        """Whether the request carries the key."""
        return request.headers.get("authorization") == f"Bearer {API_KEY}"

    def next_fault(self, operation: str) -> str:
        with self._lock:
            waiting = self.faults.get(operation)
            return waiting.pop(0) if waiting else ""

    def create_task(
        self, body: dict[str, Any], pictures: dict[str, bytes], *, kind: str = "", task_id: str = ""
    ) -> FakeTask:
        """A new task; the account pays for it."""
        task = FakeTask(
            id=task_id or str(uuid.uuid4()),
            body=body,
            pictures=pictures,
            ready_at=time.monotonic() + self.seconds,
            kind=kind,
        )
        with self._lock:
            self.tasks[task.id] = task
            self.credits -= self.price
        return task

    def refusal(self) -> FakeReply | None:
        """What stands against another task: no slot, no money."""
        with self._lock:
            if (
                "busy" in self.errors
                and sum(not task.ready for task in self.tasks.values()) >= self.concurrency
            ):
                return self.errors["busy"]
            return (
                self.errors["no credit"] if "no credit" in self.errors and self.credits < self.price else None
            )

    def result_of(self, task: FakeTask, number: int = 0) -> bytes:
        """What the task makes, made when somebody wants it first."""
        with self._making:
            while len(task.results) <= number:
                task.results.append(self.make(task.pictures))
        return task.results[number]

    def link_to(self, task: FakeTask, extension: str, fault: str = "", number: int = 0) -> str:
        """A link to what a task made, which lives for a while."""
        until = 0.0 if fault == "dead link" else time.time() + LINK_LIFETIME_S
        return f"{self.base_url}/cdn/{task.id}/{number}.{extension}?until={until:.0f}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who was cut off while it was answered is not news."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """One connection to a fake."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, fake: FakeServer, *given: Any) -> None:
        self._fake = fake
        super().__init__(*given)

    def do_GET(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length", 0) or 0))
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = FakeRequest(self.command, parts.path, dict(parse_qsl(parts.query)), headers, raw)
        operation = "cdn" if parts.path.startswith("/cdn/") else self._fake.operation(request)
        fault = self._fake.next_fault(operation)
        self._fake.requests.append((operation, self.path))
        if operation == "cdn":
            self._cdn(request, fault)
        elif fault in self._fake.errors:
            self._say(self._fake.errors[fault])
        elif fault in FAULTS_BEFORE_WORK and self._stays_away(fault):
            self.close_connection = True
        elif not self._fake.is_authorized(request):
            self._say(self._fake.errors["401"])
        else:
            self._behind(self._fake.answer(request, operation), fault)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def _stays_away(self, fault: str) -> bool:
        """Whether the vendor never learns of the request."""
        if fault == "no json":
            self._say(FakeReply(200, b"<html>gateway</html>", {"Connection": "close"}, "text/html"))
        if fault == "slow":
            return bool(
                select.select([self.connection], [], [], SLOW_REPLY_S)[0]
            )  # it can be read from once the client hangs up
        return True

    def _behind(self, said: FakeReply, fault: str) -> None:
        """The work was done; whether the answer arrives is another matter."""
        if fault == "lost":
            self.close_connection = True
        elif fault == "500 after":
            self._say(self._fake.errors["500"])
        elif fault == "nonsense":
            self._say(FakeReply(200, {}))
        elif fault == "flood":
            self._say(FakeReply(said.status, said.raw_body + b" " * FLOOD_BYTES, said.headers, said.mime))
        else:
            self._say(said)

    def _cdn(self, request: FakeRequest, fault: str) -> None:
        task_id, _, name = request.path.removeprefix("/cdn/").partition("/")
        task = self._fake.tasks.get(task_id)
        if (
            task is None
            or float(request.query.get("until", 0)) < time.time()
            or "authorization" in request.headers
        ):
            self._say(FakeReply(403, {"message": "the link is dead, or a key was sent along"}))
            return
        if fault == "redirect":
            self._say(FakeReply(302, b"", {"Location": METADATA_URL}))
            return
        data = self._fake.result_of(task, int(name.partition(".")[0]))
        whole = {"wrong magic": b"PK\x03\x04" + data[4:], "short": data[: len(data) // 2]}.get(fault, data)
        self._head(
            200,
            {
                "Content-Type": "application/octet-stream",
                "Content-Length": str(10**12 if fault == "huge" else len(whole)),
            },
        )
        self.wfile.write(whole if fault != "half" else data[: len(data) // 2])
        self.close_connection = self.close_connection or fault in ("half", "huge")

    def _say(self, said: FakeReply) -> None:
        data = said.raw_body
        self._head(said.status, {"Content-Type": said.mime, "Content-Length": str(len(data)), **said.headers})
        self.wfile.write(data)

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


MINIMAL_GLB = (
    b"glTF" + (2).to_bytes(4, "little") + (24).to_bytes(4, "little") + b"\x04\x00\x00\x00JSON{}  "
)  # the smallest one
