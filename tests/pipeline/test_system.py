"""The whole service as processes: starting, stopping, being killed, and losing nothing by it."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from redis import Redis
from redis.exceptions import RedisError

from dam_connector.settings import Settings

CLI = [sys.executable, "-m", "dam_connector.cli"]
KILLS = 20


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
    assert len(lines) == 1 and "is taken" in lines[0] and "--port" in lines[0]


def kill_something(data: Path, chance: random.Random) -> bool:
    """Kill -9 a worker: its parent, what it forked, or both."""
    workers = [p for name, p in children(data).items() if name.startswith(("make", "intake", "sweeper"))]
    if not workers:
        return False
    worker = chance.choice(workers)
    try:
        forked = worker.children(recursive=True)
        for victim in chance.choice([[worker], forked or [worker], [worker, *forked]]):
            victim.kill()
    except psutil.NoSuchProcess:
        return False
    return True


def flushed(data: Path) -> bool:
    """Whether the queue server, which may be away after its death, forgot everything."""
    try:
        return bool(Redis.from_url(Settings.from_env({}, data_dir=data).redis).flushall())
    except RedisError:
        return False


@pytest.mark.timeout(600)
def test_the_demo_ends_the_same_with_20_kills_a_dead_queue_server_and_a_flush(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    data, chance = tmp_path / "d", random.Random(7)
    demo = start("demo", "--headless", "--workers", "2")
    while "sweeper" not in children(data):
        assert demo.poll() is None, demo.communicate()[1]
        time.sleep(0.2)
    kills = 0
    while kills < KILLS and demo.poll() is None:
        time.sleep(chance.uniform(0.3, 1.2))
        if not kill_something(data, chance):
            continue
        kills += 1
        if kills == 5:
            until(lambda: "queue" in children(data))
            children(data)["queue"].kill()
        if kills == 12:
            until(lambda: flushed(data))
    out, err = demo.communicate(timeout=500)
    assert demo.returncode == 0, err[-2000:]
    summary = json.loads(out)
    assert kills == KILLS
    assert {k: summary["totals"][k] for k in ("live", "flagged", "versions")} == {
        "live": 6,
        "flagged": 2,
        "versions": 30,
    }
    assert {v["number"] for p in summary["products"] for v in p["versions"]} == {1}
    assert {v["state"] for p in summary["products"] for v in p["versions"]} == {"published"}
    reasons = {
        p["sku"]: [i["code"] for i in p["issues"]] for p in summary["products"] if p["state"] == "flagged"
    }
    assert reasons == {"TB620": ["product.field_missing"], "BT310": ["source.damaged"]}
