"""Fake PIMs on loopback: REST and GraphQL answers in the vendors' formats, and their faults."""

import json
import threading
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

FakePimReply = tuple[int, Any, dict[str, str]]  # status, JSON value, headers


class FakePim:
    """A fake PIM.

    Args:
        answer: the function of a vendor from (method, path, query, headers, body) to (status, JSON, headers).
    """

    def __init__(self, answer: Callable[..., FakePimReply]) -> None:
        self._answer = answer
        self.requests: list[tuple[str, str]] = []  # method and target
        self.next_replies: list[FakePimReply] = []  # they come before the answers of `answer`
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self))
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://{self.host}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> FakePimReply:
        self.requests.append((method, target))
        if self.next_replies:
            return self.next_replies.pop(0)
        parts = urlsplit(target)
        return self._answer(
            method, parts.path, dict(parse_qsl(parts.query)), headers, json.loads(body) if body else {}
        )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, pim: FakePim, *args: Any) -> None:
        self._pim = pim
        super().__init__(*args)

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0) or 0))
        status, data, headers = self._pim.answer(
            self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body
        )
        raw = data if isinstance(data, bytes) else json.dumps(data).encode()
        self.send_response_only(status)  # without a date, which a vendor's answer may have
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(raw)),
            **headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    do_POST = do_PATCH = do_PUT = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass
