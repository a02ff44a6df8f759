"""`dam-connector up`: one process that starts all parts, restarts what dies, and stops all of it cleanly.

It survives its own kill -9: the lock goes with the process, the children are on record, and the next start takes over the
queue server and replaces the rest.
"""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import psutil
import structlog

from dam_connector.errors import ConfigError
from dam_connector.ops import queue_server
from dam_connector.settings import Settings
from dam_connector.store.database import Database
from dam_connector.wiring import build_services

log = structlog.get_logger()

FIRST_BACKOFF_S, MAX_BACKOFF_S = 0.5, 30.0
STEADY_S = 20.0  # a child that lived so long starts with a short back-off again
STOP_S = 20.0
READY_S = 60.0
QUEUE = "queue"
# a job works on blocks of tens of megabytes: kept, and in huge pages, they take half of the kernel's time (docs/benchmarks.md)
_LARGE_BLOCKS = {
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=1073741824:glibc.malloc.trim_threshold=4294967295"
}
_ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENCV_FOR_THREADS_NUM": "1",
}


@dataclass
class Child:
    """One part of the connector; started by us, or left by a supervisor that was killed and taken over."""

    name: str
    argv: list[str]
    env: dict[str, str]
    process: psutil.Process | None = None
    started: float = 0.0
    backoff_s: float = FIRST_BACKOFF_S
    restart_at: float = 0.0
    restarts: int = 0

    def start(self, log_file: Path) -> None:
        with log_file.open("ab") as out:
            self.process = psutil.Popen(
                self.argv,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self.started = time.monotonic()

    @property
    def alive(self) -> bool:
        if isinstance(self.process, psutil.Popen):
            return self.process.poll() is None
        return (
            self.process is not None
            and self.process.is_running()
            and self.process.status() != psutil.STATUS_ZOMBIE
        )

    def stop(self, seconds: float) -> None:
        """Wait for an end that was asked for; after that, end it and what it forked."""
        if self.process is None:
            return
        try:
            self.process.wait(max(0.1, seconds))
        except (psutil.TimeoutExpired, subprocess.TimeoutExpired):
            _end_group(self.process, signal.SIGKILL)
            self.process.wait(5)


@dataclass
class Supervisor:
    """All parts on one data directory."""

    settings: Settings
    workers: int
    on_ready: Callable[[], None] = lambda: None
    children: list[Child] = field(default_factory=list)
    _stopping: bool = False
    _lock: int = -1
    _adopted: psutil.Process | None = None

    def run(self) -> None:
        """Start all parts and look after them until SIGINT or SIGTERM.

        Raises: ConfigError when the data directory or the port is taken, or a part cannot be started.
        """
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop_soon)
        self._take_lock()
        self._replace_leftovers()
        _check_port(self.settings)
        try:
            self._start_all()
            self.on_ready()
            while not self._stopping:
                self._look_after()
                time.sleep(0.1)
        finally:
            self._stop_all()

    def _take_lock(self) -> None:
        self._run_dir.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self._run_dir / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigError(
                f"dam-connector is already running on {self.settings.data_dir}; stop it first, or name another --data-dir"
            ) from error

    @property
    def _run_dir(self) -> Path:
        return self.settings.data_dir / "run"

    @property
    def _record(self) -> Path:
        return self._run_dir / "children.json"

    def _replace_leftovers(self) -> None:
        """End what a killed supervisor left behind, but for a queue server that answers."""
        try:
            known = json.loads(self._record.read_text())
        except (FileNotFoundError, ValueError):
            return
        keep_queue = queue_server.answers(self.settings)
        found = [(name, p) for name, pid, born in known if (p := _same_process(pid, born))]
        left = [p for name, p in found if not (name == QUEUE and keep_queue)]
        self._adopted = next((p for name, p in found if name == QUEUE and keep_queue), None)
        for process in left:
            _end_group(process)
        gone, stuck = psutil.wait_procs(left, timeout=5)
        for process in stuck:
            process.kill()
        if left:
            log.info("leftovers_ended", count=len(gone) + len(stuck))

    def _start_all(self) -> None:
        s, env = self.settings, {**self.settings.child_environ(), "PYTHONUNBUFFERED": "1"}
        if not s.redis_url:
            if self._adopted:
                self.children.append(
                    Child(name=QUEUE, argv=queue_server.command(s), env=env, process=self._adopted)
                )
            else:
                self._add(QUEUE, queue_server.command(s), env)
        queue_server.wait(s)
        Database(s.database).migrate()
        build_services(s).rules.current()  # a bad plugin.json stops here, with its problems
        python = [sys.executable, "-m"]
        self._add("web", web_command(s), env)
        self._add("intake", [*python, "worker", "run", "--queue", "intake"], {**env, **_ONE_THREAD})
        for number in range(1, self.workers + 1):
            self._add(
                f"make-{number}",
                [*python, "worker", "run", "--queue", "make"],
                {**env, **_ONE_THREAD, **_LARGE_BLOCKS},
            )
        self._add("sweeper", [*python, "worker", "sweep"], env)
        self._wait_for_web()

    def _add(self, name: str, argv: list[str], env: dict[str, str]) -> None:
        child = Child(name=name, argv=argv, env=env)
        child.start(self._log_of(child))
        self.children.append(child)
        self._write_record()

    def _log_of(self, child: Child) -> Path:
        folder = self.settings.data_dir / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{child.name}.log"

    def _write_record(self) -> None:
        rows = [
            (c.name, c.process.pid, _born(c.process.pid))
            for c in self.children
            if c.process is not None and c.alive
        ]
        temporary = self._record.with_suffix(".new")
        temporary.write_text(json.dumps(rows))
        temporary.replace(self._record)

    def _wait_for_web(self) -> None:
        deadline = time.monotonic() + READY_S
        while not self._stopping:
            try:
                with urllib.request.urlopen(
                    f"http://{_reachable(self.settings.host)}:{self.settings.port}/healthz", timeout=2
                ):
                    return
            except (urllib.error.URLError, OSError):
                pass
            web = next(c for c in self.children if c.name == "web")
            if not web.alive or time.monotonic() > deadline:
                tail = self._log_of(web).read_text(errors="replace").strip().splitlines()[-5:]
                raise ConfigError("the web server did not start: " + " / ".join(tail))
            time.sleep(0.1)

    def _look_after(self) -> None:
        """Start again what died, later each time."""
        now = time.monotonic()
        for child in self.children:
            if child.alive:
                continue
            if child.restart_at == 0.0:
                child.backoff_s = (
                    FIRST_BACKOFF_S
                    if now - child.started > STEADY_S
                    else min(MAX_BACKOFF_S, child.backoff_s * 2)
                )
                child.restart_at = now + child.backoff_s
                if child.process is not None:
                    _end_group(child.process, signal.SIGKILL)  # what it forked must not hold its port
                log.warning(
                    "child_died",
                    child=child.name,
                    status=getattr(child.process, "returncode", None),
                    again_in_s=child.backoff_s,
                )
            elif now >= child.restart_at:
                child.restart_at, child.restarts = 0.0, child.restarts + 1
                child.start(self._log_of(child))
                self._write_record()

    def stop(self) -> None:
        """End `run` soon, from any thread."""
        self._stopping = True

    def _stop_soon(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True

    def _stop_all(self) -> None:
        """Workers first, so that they can finish; the queue server last, so that they can say so."""
        queue = [c for c in self.children if c.name == QUEUE]
        for group in ([c for c in self.children if c.name != QUEUE], queue):
            for child in group:
                if child.alive and child.process:
                    child.process.terminate()
            deadline = time.monotonic() + STOP_S
            for child in group:
                child.stop(deadline - time.monotonic())
        self._record.unlink(missing_ok=True)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def web_command(settings: Settings) -> list[str]:
    """How to start the web server: one process, so that rate limits and wake-ups have one memory, and threads."""
    return [
        sys.executable,
        "-m",
        "gunicorn",
        "--bind",
        f"{settings.host}:{settings.port}",
        "--workers",
        "1",
        "--threads",
        str(settings.web_threads),
        "--worker-class",
        "gthread",
        "--keep-alive",
        "30",
        "--graceful-timeout",
        "10",
        "--backlog",
        "2048",
        "--no-control-socket",
        "dam_connector.app:create_from_env()",
    ]


def _reachable(host: str) -> str:
    return "127.0.0.1" if host in ("0.0.0.0", "") else host  # noqa: S104 - compared, not bound


def _check_port(settings: Settings) -> None:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise ConfigError(
                f"port {settings.port} on {settings.host} is taken ({error.strerror}); choose another with --port"
            ) from error


def _born(pid: int) -> float:
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return 0.0


def _same_process(pid: int, born: float) -> psutil.Process | None:
    """The process of this id, when it is still the one we started."""
    try:
        process = psutil.Process(pid)
        return (
            process
            if abs(process.create_time() - born) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
            else None
        )
    except psutil.NoSuchProcess:
        return None


def _end_group(process: psutil.Process, number: int = signal.SIGTERM) -> None:
    """Signal a child and what it forked: each child leads a session of its own."""
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        pass
