"""A small application under the worker class of the web server, with two threads and short times."""

import sys
from collections.abc import Callable, Iterable
from typing import Any

from gunicorn.app.base import BaseApplication
from werkzeug.exceptions import HTTPException

from dam_connector.web_server import timed_socket, worker

LARGE = b"x" * 30_000_000


def application(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    """Read the body of `/read`, refuse `/refuse` without reading, send much from `/large`."""
    if environ["PATH_INFO"] == "/large":
        start("200 OK", [("Content-Length", str(len(LARGE)))])
        return [LARGE]
    if environ["PATH_INFO"] == "/refuse":
        start("401 Unauthorized", [("Content-Length", "0")])
        return [b""]
    try:
        body = environ["wsgi.input"].read()
    except HTTPException as error:
        start(f"{error.code} {error.name}", [("Content-Length", "0")])
        return [b""]
    text = str(len(body)).encode()
    start("200 OK", [("Content-Length", str(len(text)))])
    return [text]


class Server(BaseApplication):
    def load_config(self) -> None:
        for name, value in {
            "bind": f"127.0.0.1:{sys.argv[1]}",
            "worker_class": "dam_connector.web_server.worker.PatientWorker",
            "threads": 2,
            "keepalive": 30,
            "sendfile": False,
            "control_socket_disable": True,
        }.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        return application


if __name__ == "__main__":
    if "short" in sys.argv[2:]:
        worker.REQUEST_TIMEOUT_S = 0.5
        timed_socket.GRACE_S = timed_socket.WRITE_TIMEOUT_S = 0.5
    timed_socket.SLOT_WAIT_S = 0.2
    sys.argv = sys.argv[:2]
    Server().run()
