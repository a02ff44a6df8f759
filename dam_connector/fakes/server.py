"""The base of all fake servers: a real HTTP server with slow tasks, expiring links and every kind of fault.

A vendor's file maps requests to operations and builds the answers. A test lists the faults that the next
requests of an operation get. Tasks are recorded, so that a test can count those that would have been billed.
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
FLOOD_BYTES = 6_000_000  # of an answer that is too long for every client
SLOW_REPLY_S = 60.0  # longer than any client waits
API_KEY = "key_fake"
FAULTS_BEFORE_WORK = ("slow", "closed", "no json")  # no task is created
METADATA_URL = "http://169.254.169.254/latest/meta-data"


@dataclass
class FakeTask:
    """A task of a fake provider."""

    id: str
    body: dict[str, Any]  # of the request that created it
    pictures: dict[str, bytes]  # by view, or by number where the vendor knows no views
    ready_at: float  # monotonic seconds
    kind: str = ""  # the endpoint, e.g. `image-to-3d`
    results: list[bytes] = field(default_factory=list)
    cancelled: bool = False

    @property
    def ready(self) -> bool:
        return time.monotonic() >= self.ready_at


@dataclass(frozen=True, slots=True)
class FakeReply:
    """The answer of a fake server."""

    status: int
    body: Any  # a JSON value, or bytes of the type `mime`
    headers: Mapping[str, str] = field(default_factory=dict)
    mime: str = "application/json"

    @property
    def raw_body(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass(frozen=True)
class FakeRequest:
    """A request that a fake server received."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @cached_property
    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.body or b"{}"))

    @property
    def parts(self) -> list[tuple[str, bytes]]:
        """Return the fields of a multipart form, in order."""
        return [(name, data) for name, _, data in self._multipart]

    @property
    def file_names(self) -> dict[str, str]:
        """Return the file names of a multipart form, by field."""
        return {name: file_name for name, file_name, _ in self._multipart if file_name}

    @cached_property
    def _multipart(self) -> list[tuple[str, str, bytes]]:
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
    """A fake server of one vendor.

    Subclasses define `errors`, `operation` and `answer`.

    Args:
        make: generates a result from the pictures of a task.
        seconds: how long a task takes.
        credits: the balance of the account.
        concurrency: the number of tasks that may run at a time.
    """

    errors: Mapping[str, FakeReply] = {}  # by the name of the fault; "401" and "500" are required
    price = 30.0  # credits of a task

    def __init__(
        self,
        make: Callable[[Mapping[str, bytes]], bytes],
        *,
        seconds: float = 0.0,
        credits: float = 10_000.0,
        concurrency: int = 10,
    ) -> None:
        self.make, self.seconds, self.credits, self.concurrency = make, seconds, credits, concurrency
        # The faults of the next requests, by operation (upload, submit, poll, cdn, balance, cancel, list).
        # A fault is a key of `errors` or one of these. "slow", "closed", "no json": no work was done.
        # "lost", "500 after", "nonsense", "flood": the work was done, e.g. a task was created.
        self.faults: dict[str, list[str]] = {}
        self.tasks: dict[str, FakeTask] = {}
        self.requests: list[tuple[str, str]] = []  # operation and path
        self.base_url = ""
        self._lock = threading.Lock()
        self._generation_lock = threading.Lock()
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> str:
        """Listen on a free port of loopback; return the base URL."""
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
        """Return the number of tasks that the vendor would have billed: those that were not cancelled."""
        return sum(not task.cancelled for task in self.tasks.values())

    def operation(self, request: FakeRequest) -> str:
        """Return which operation a request is."""
        raise NotImplementedError

    def answer(self, request: FakeRequest, operation: str) -> FakeReply:
        """Do the work of a request; return its answer."""
        raise NotImplementedError

    def is_authorized(self, request: FakeRequest) -> bool:
        """Return whether the request has the API key."""
        return request.headers.get("authorization") == f"Bearer {API_KEY}"

    def next_fault(self, operation: str) -> str:
        """Remove and return the next fault of an operation; empty: none."""
        with self._lock:
            pending_faults = self.faults.get(operation)
            return pending_faults.pop(0) if pending_faults else ""

    def create_task(
        self, body: dict[str, Any], pictures: dict[str, bytes], *, kind: str = "", task_id: str = ""
    ) -> FakeTask:
        """Create a task and charge the account."""
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
        """Return the answer that refuses another task: no free slot or no credit; None when there is both."""
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
        """Return a result of the task; it is generated at the first call."""
        with self._generation_lock:
            while len(task.results) <= number:
                task.results.append(self.make(task.pictures))
        return task.results[number]

    def link_to(self, task: FakeTask, extension: str, fault: str = "", number: int = 0) -> str:
        """Return a link to a result of the task, which expires after `LINK_LIFETIME_S`."""
        until = 0.0 if fault == "dead link" else time.time() + LINK_LIFETIME_S
        return f"{self.base_url}/cdn/{task.id}/{number}.{extension}?until={until:.0f}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that hung up."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """A connection to a fake server."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, fake: FakeServer, *args: Any) -> None:
        self._fake = fake
        super().__init__(*args)

    def do_GET(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length", 0) or 0))
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = FakeRequest(self.command, parts.path, dict(parse_qsl(parts.query)), headers, raw)
        operation = "cdn" if parts.path.startswith("/cdn/") else self._fake.operation(request)
        fault = self._fake.next_fault(operation)
        self._fake.requests.append((operation, self.path))
        if operation == "cdn":
            self._send_file(request, fault)
        elif fault in self._fake.errors:
            self._send(self._fake.errors[fault])
        elif fault in FAULTS_BEFORE_WORK and self._fail_without_answer(fault):
            self.close_connection = True
        elif not self._fake.is_authorized(request):
            self._send(self._fake.errors["401"])
        else:
            self._send_after_work(self._fake.answer(request, operation), fault)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def _fail_without_answer(self, fault: str) -> bool:
        """Send no usable answer; return whether the connection is to be closed without one."""
        if fault == "no json":
            self._send(FakeReply(200, b"<html>gateway</html>", {"Connection": "close"}, "text/html"))
        if fault == "slow":
            # The connection becomes readable when the client hangs up.
            return bool(select.select([self.connection], [], [], SLOW_REPLY_S)[0])
        return True

    def _send_after_work(self, reply: FakeReply, fault: str) -> None:
        """Send the answer, or the fault that hides it after the work was done."""
        if fault == "lost":
            self.close_connection = True
        elif fault == "500 after":
            self._send(self._fake.errors["500"])
        elif fault == "nonsense":
            self._send(FakeReply(200, {}))
        elif fault == "flood":
            self._send(
                FakeReply(reply.status, reply.raw_body + b" " * FLOOD_BYTES, reply.headers, reply.mime)
            )
        else:
            self._send(reply)

    def _send_file(self, request: FakeRequest, fault: str) -> None:
        task_id, _, name = request.path.removeprefix("/cdn/").partition("/")
        task = self._fake.tasks.get(task_id)
        if (
            task is None
            or float(request.query.get("until", 0)) < time.time()
            or "authorization" in request.headers
        ):
            self._send(FakeReply(403, {"message": "the link is dead, or a key was sent along"}))
            return
        if fault == "redirect":
            self._send(FakeReply(302, b"", {"Location": METADATA_URL}))
            return
        data = self._fake.result_of(task, int(name.partition(".")[0]))
        sent = {"wrong magic": b"PK\x03\x04" + data[4:], "short": data[: len(data) // 2]}.get(fault, data)
        self._send_head(
            200,
            {
                "Content-Type": "application/octet-stream",
                "Content-Length": str(10**12 if fault == "huge" else len(sent)),
            },
        )
        self.wfile.write(sent if fault != "half" else data[: len(data) // 2])
        self.close_connection = self.close_connection or fault in ("half", "huge")

    def _send(self, reply: FakeReply) -> None:
        data = reply.raw_body
        self._send_head(
            reply.status, {"Content-Type": reply.mime, "Content-Length": str(len(data)), **reply.headers}
        )
        self.wfile.write(data)

    def _send_head(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


# The smallest valid GLB: an empty JSON chunk.
MINIMAL_GLB = b"glTF" + (2).to_bytes(4, "little") + (24).to_bytes(4, "little") + b"\x04\x00\x00\x00JSON{}  "
