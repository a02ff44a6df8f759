"""The process behind `dam-connector up`: it starts all parts, restarts those that die, and stops all cleanly.

It may be killed with kill -9. The lock ends with the process and the children are on record in the data
directory, so that the next start takes over the queue server and replaces the other children.
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
from dam_connector.ops.running_service import noted_service
from dam_connector.private_files import make_private_dir, open_private
from dam_connector.settings import Settings
from dam_connector.store.database import Database
from dam_connector.usecases.storage_owner import require_own_storage
from dam_connector.wiring import build_services

log = structlog.get_logger()

FIRST_BACKOFF_S, MAX_BACKOFF_S = 0.5, 30.0
STABLE_AFTER_S = 20.0  # a child that lived this long is restarted with the shortest back-off
STOP_TIMEOUT_S = 20.0
READY_TIMEOUT_S = 60.0
QUEUE = "queue"
# A job works on blocks of tens of megabytes. Freed blocks stay in the process, in huge pages: this halves the
# time in the kernel (docs/lab/bulk.md).
_MALLOC_ENV = {
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"
    ":glibc.malloc.mmap_threshold=1073741824"
    ":glibc.malloc.trim_threshold=4294967295"
}
# One process a core does the parallel work.
_SINGLE_THREAD_ENV = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENCV_FOR_THREADS_NUM": "1",
}
MAKE_ENV = {**_SINGLE_THREAD_ENV, **_MALLOC_ENV}  # of make workers


@dataclass
class Child:
    """One part of the connector: a process started here, or taken over from a supervisor that was killed."""

    name: str  # e.g. `web` or `make-1`; also the name of its log file
    argv: list[str]
    env: dict[str, str]
    process: psutil.Process | None = None
    started_s: float = 0.0  # time.monotonic() of the last start
    backoff_s: float = FIRST_BACKOFF_S  # wait before the next restart
    restart_at_s: float = 0.0  # time.monotonic() of the next restart; 0.0 when none is due
    restarts: int = 0

    def start(self, log_file: Path) -> None:
        """Start the process in a session of its own, with its output appended to the log file."""
        with open_private(log_file, "ab") as out:
            self.process = psutil.Popen(
                self.argv,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self.started_s = time.monotonic()

    @property
    def is_alive(self) -> bool:
        """True while the process runs; a zombie does not count."""
        if isinstance(self.process, psutil.Popen):
            return self.process.poll() is None
        return (
            self.process is not None
            and self.process.is_running()
            and self.process.status() != psutil.STATUS_ZOMBIE
        )

    def stop(self, timeout_s: float) -> None:
        """Wait for the end of a process that was asked to stop; kill it and its forks after the timeout."""
        if self.process is None:
            return
        try:
            self.process.wait(max(0.1, timeout_s))
        except (psutil.TimeoutExpired, subprocess.TimeoutExpired):
            _signal_group(self.process, signal.SIGKILL)
            self.process.wait(5)


@dataclass
class Supervisor:
    """The parent of all parts on one data directory."""

    settings: Settings
    workers: int  # number of processes that make pictures and models
    on_ready: Callable[[], None] = lambda: None  # called when all parts are up
    children: list[Child] = field(default_factory=list)
    _stopping: bool = False
    _lock_fd: int = -1
    _adopted_queue: psutil.Process | None = None

    def run(self) -> None:
        """Start all parts and restart those that die, until SIGINT or SIGTERM.

        Raises:
            ConfigError: the data directory or the port is in use, or a part cannot be started.
        """
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_stop_signal)
        self._acquire_lock()
        self._end_leftovers()
        _check_port(self.settings)
        with noted_service(self.settings):  # with the lock: a second one, which is refused, notes nothing
            try:
                self._start_all()
                self.on_ready()
                while not self._stopping:
                    self._restart_dead_children()
                    time.sleep(0.1)
            finally:
                self._stop_all()

    def _acquire_lock(self) -> None:
        make_private_dir(self._run_dir)
        self._lock_fd = os.open(self._run_dir / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigError(
                f"dam-connector is already running on {self.settings.data_dir}; "
                "stop it first, or choose another --data-dir"
            ) from error

    @property
    def _run_dir(self) -> Path:
        return self.settings.data_dir / "run"

    @property
    def _children_file(self) -> Path:
        return self._run_dir / "children.json"

    def _end_leftovers(self) -> None:
        """End the children that a killed supervisor left behind, except a queue server that answers."""
        try:
            known = json.loads(self._children_file.read_text())
        except (FileNotFoundError, ValueError):
            return
        keep_queue = queue_server.is_answering(self.settings)
        found = [(name, p) for name, pid, born in known if (p := _find_process(pid, born))]
        left = [p for name, p in found if not (name == QUEUE and keep_queue)]
        self._adopted_queue = next((p for name, p in found if name == QUEUE and keep_queue), None)
        for process in left:
            _signal_group(process)
        gone, stuck = psutil.wait_procs(left, timeout=5)
        for process in stuck:
            process.kill()
        if left:
            log.info("leftovers_ended", count=len(gone) + len(stuck))

    def _start_all(self) -> None:
        s, env = self.settings, {**self.settings.child_environ(), "PYTHONUNBUFFERED": "1"}
        if not s.redis_url:
            if self._adopted_queue:
                self.children.append(
                    Child(
                        name=QUEUE, argv=queue_server.server_command(s), env=env, process=self._adopted_queue
                    )
                )
            else:
                self._add(QUEUE, queue_server.server_command(s), env)
        queue_server.wait_until_answering(s)
        Database(s.effective_database_url).migrate()
        services = build_services(s)
        services.rules.current()  # a bad plugin.json stops here, with its problems
        require_own_storage(services)
        python = [sys.executable, "-m"]
        self._add("web", web_command(s), env)
        self._add("intake", [*python, "worker", "run", "--queue", "intake"], {**env, **_SINGLE_THREAD_ENV})
        for number in range(1, self.workers + 1):
            self._add(
                f"make-{number}",
                [*python, "worker", "run", "--queue", "make"],
                {**env, **MAKE_ENV},
            )
        self._add("sweeper", [*python, "worker", "sweep"], env)
        self._wait_for_web()

    def _add(self, name: str, argv: list[str], env: dict[str, str]) -> None:
        child = Child(name=name, argv=argv, env=env)
        child.start(self._log_path(child))
        self.children.append(child)
        self._record_children()

    def _log_path(self, child: Child) -> Path:
        folder = self.settings.data_dir / "logs"
        make_private_dir(folder)
        return folder / f"{child.name}.log"

    def _record_children(self) -> None:
        rows = [
            (c.name, c.process.pid, _create_time(c.process.pid))
            for c in self.children
            if c.process is not None and c.is_alive
        ]
        temporary = self._children_file.with_suffix(".new")
        with open_private(temporary, "w") as file:
            json.dump(rows, file)
        temporary.replace(self._children_file)

    def _wait_for_web(self) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not self._stopping:
            try:
                with urllib.request.urlopen(
                    f"http://{_client_host(self.settings.host)}:{self.settings.port}/healthz", timeout=2
                ):
                    return
            except (urllib.error.URLError, OSError):
                pass
            web = next(c for c in self.children if c.name == "web")
            if not web.is_alive or time.monotonic() > deadline:
                tail = self._log_path(web).read_text(errors="replace").strip().splitlines()[-5:]
                raise ConfigError("the web server did not start: " + " / ".join(tail))
            time.sleep(0.1)

    def _restart_dead_children(self) -> None:
        """Restart the children that died, each time after a longer wait."""
        now = time.monotonic()
        for child in self.children:
            if child.is_alive:
                continue
            if child.restart_at_s == 0.0:
                child.backoff_s = (
                    FIRST_BACKOFF_S
                    if now - child.started_s > STABLE_AFTER_S
                    else min(MAX_BACKOFF_S, child.backoff_s * 2)
                )
                child.restart_at_s = now + child.backoff_s
                if child.process is not None:
                    _signal_group(child.process, signal.SIGKILL)  # its forks must not keep its port
                log.warning(
                    "child_died",
                    child=child.name,
                    status=getattr(child.process, "returncode", None),
                    again_in_s=child.backoff_s,
                )
            elif now >= child.restart_at_s:
                child.restart_at_s, child.restarts = 0.0, child.restarts + 1
                child.start(self._log_path(child))
                self._record_children()

    def stop(self) -> None:
        """End `run` soon, from any thread."""
        self._stopping = True

    def _on_stop_signal(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True

    def _stop_all(self) -> None:
        """Stop the workers first, so that they can finish; the queue server last: workers report to it."""
        queue = [c for c in self.children if c.name == QUEUE]
        for group in ([c for c in self.children if c.name != QUEUE], queue):
            for child in group:
                if child.is_alive and child.process:
                    child.process.terminate()
            deadline = time.monotonic() + STOP_TIMEOUT_S
            for child in group:
                child.stop(deadline - time.monotonic())
        self._children_file.unlink(missing_ok=True)
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1


def is_running(settings: Settings) -> bool:
    """Return whether a supervisor runs on the data directory."""
    try:
        descriptor = os.open(settings.data_dir / "run" / "up.lock", os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def web_command(settings: Settings) -> list[str]:
    """Return the command line of the web server.

    It is one process with threads, so that rate limits and wake-ups share one memory.
    """
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
        "dam_connector.web_server.worker.PatientWorker",
        "--no-sendfile",  # the pace of a client is watched where bytes are sent
        "--keep-alive",
        "30",
        "--graceful-timeout",
        "10",
        "--backlog",
        "2048",
        "--no-control-socket",
        # By default anybody behind a proxy on this machine may send a header SCRIPT_NAME: it changes routes
        # and the addresses of redirects.
        "--forwarder-headers",
        "",
        "dam_connector.app:create_from_env()",
    ]


def _client_host(host: str) -> str:
    """Return the address under which a client on this machine reaches a server bound to `host`."""
    return "127.0.0.1" if host in ("0.0.0.0", "") else host  # noqa: S104 - compared, not bound


def _check_port(settings: Settings) -> None:
    """Raise ConfigError when the port is in use."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise ConfigError(
                f"port {settings.port} on {settings.host} is in use ({error.strerror}); "
                "choose another with --port"
            ) from error


def _create_time(pid: int) -> float:
    """Return when a process was created, in seconds since the epoch; 0.0 when it is gone."""
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return 0.0


def _find_process(pid: int, created_s: float) -> psutil.Process | None:
    """Return the process of this id if it was created at `born`, else None: the system reuses ids."""
    try:
        process = psutil.Process(pid)
        return (
            process
            if abs(process.create_time() - created_s) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
            else None
        )
    except psutil.NoSuchProcess:
        return None


def _signal_group(process: psutil.Process, number: int = signal.SIGTERM) -> None:
    """Signal a child and its forks; each child leads a session of its own."""
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        pass
