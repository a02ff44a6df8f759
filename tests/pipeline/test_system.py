"""The whole service as processes: starting, stopping, and surviving its own death."""

import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.processes import children, free_port, until, wait_ready


def test_up_refuses_a_second_start_survives_its_own_death_and_stops_cleanly(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    port, data = free_port(), tmp_path / "d"
    first = start("up", "--port", str(port), "--workers", "1")
    wait_ready(port, first)
    parts = children(data)
    assert set(parts) == {"queue", "web", "intake", "make-1", "sweeper"}
    second = start("up", "--port", str(free_port()))
    assert second.wait(60) == 1 and "already running" in second.communicate()[1]
    parts["web"].kill()
    until(lambda: children(data).get("web", parts["web"]).pid != parts["web"].pid)
    wait_ready(port, first)
    queue, web = children(data)["queue"].pid, children(data)["web"].pid
    first.kill()
    first.wait()
    again = start("up", "--port", str(port), "--workers", "1")
    until(
        lambda: (
            children(data).get("web", parts["web"]).pid not in (web, parts["web"].pid)
            and "sweeper" in children(data)
        )
    )
    wait_ready(port, again)
    assert psutil.pid_exists(queue)
    everyone = [*children(data).values(), psutil.Process(queue)]
    again.send_signal(signal.SIGTERM)
    assert again.wait(60) == 0
    assert psutil.wait_procs(everyone, timeout=5)[1] == []


def test_a_busy_port_is_one_clear_line(start: Callable[..., subprocess.Popen[str]]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = start("up", "--port", str(taken.getsockname()[1]))
        assert process.wait(60) == 1
    lines = process.communicate()[1].strip().splitlines()
    assert len(lines) == 1 and "cannot be used" in lines[0] and "--port" in lines[0]
