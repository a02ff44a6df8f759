"""The service as processes: starting it on a directory of its own, waiting for it, finding its parts."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

CLI = [sys.executable, "-m", "dam_connector.cli"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def children(data: Path) -> dict[str, psutil.Process]:
    """The service's parts by name, as its supervisor put them on record."""
    try:
        rows = json.loads((data / "run" / "children.json").read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return {name: psutil.Process(pid) for name, pid, _ in rows if psutil.pid_exists(pid)}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start `dam-connector ARGS` on a directory of its own; whatever is left at the end is ended by id."""
    started: list[subprocess.Popen[str]] = []

    def run(*args: str) -> subprocess.Popen[str]:
        environ = {
            k: v
            for k, v in os.environ.items()
            if not k.startswith(("DAM_CONNECTOR", "REDIS", "DATABASE", "STORAGE"))
        }
        process = subprocess.Popen(
            [*CLI, *args, "--data-dir", str(tmp_path / "d")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environ,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        left = [
            *children(tmp_path / "d").values(),
            *([psutil.Process(process.pid)] if process.poll() is None else []),
        ]
        for each in left:
            each.kill()
        process.communicate()


def wait_ready(port: int, process: subprocess.Popen[str]) -> None:
    for _ in range(600):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            pass
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        time.sleep(0.1)
    raise AssertionError("not ready")


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)
