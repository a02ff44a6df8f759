"""The process that runs the checks. `python -m worker.check_process` answers requests on its pipes.

Files come from outside, and the code that reads them (Draco, embree, image codecs, OpenUSD, V8) is native.
The process has no secrets, writes no files, and is watched. When it crashes, or takes too long or too much
memory, it is ended. The report then names the check that was running; what the checks before it found is
kept, and those after it run. The process is kept running between reports. It answers in JSON, which cannot
harm its reader.
"""

import atexit
import base64
import ctypes
import gc
import json
import os
import pickle
import resource
import select
import struct
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass
from functools import partial
from typing import IO, TYPE_CHECKING, Any

import psutil
import structlog

from dam_connector.domain.codec import from_plain, to_plain
from dam_connector.domain.issue import Report
from dam_connector.domain.issue_codes import IssueCode
from worker.check_request import (
    BrokenCheck,
    CheckRequest,
    CheckResult,
    add_broken_issues,
    report_of_our_fault,
    result_without_checks,
)

if TYPE_CHECKING:
    from worker.checks import CheckSubject

# CPU-seconds for one report: a machine that is busy with other things is no fault of the files. A model of
# 500,000 triangles takes five.
REPORT_CPU_S = 15.0
PHOTO_CPU_S = 4.0  # more for each photo that a model is compared with
FIRST_TRY_SHARE = 0.6  # of the CPU-seconds for the first try
CLOCK_FACTOR = 8  # the limit by the clock, in multiples of the CPU limit: a process that hangs takes no CPU
MAX_TRIES = 3
MEMORY_BYTES = 1 << 30
# Memory that the process keeps after ordinary files. If it began with more, an earlier file may be the reason
# that it ran out.
IDLE_MEMORY_BYTES = 600_000_000
LARGE_MEMORY_BYTES = 500_000_000  # more than ordinary files take
START_S = 60.0
POLL_INTERVAL_S = 0.1  # between looks at CPU time and memory; each costs a millisecond
MAX_WRITTEN_BYTES = 64_000_000  # OpenUSD needs its packages on disk
log = structlog.get_logger()
_LENGTH = struct.Struct("<Q")  # before each message
_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "HOME", "PYTHONPATH", "VIRTUAL_ENV")  # that it inherits


@dataclass(frozen=True, slots=True)
class _Deadline:
    """The limits of time for one answer."""

    cpu_s: float  # CPU-seconds of the process's life
    clock: float  # by time.monotonic()


class CheckerExited(Exception):
    """The process exited or was ended. The message gives the reason."""

    code: IssueCode = "file.harmful"

    def __init__(self, reason: str, check: str) -> None:
        """Create the exception.

        Args:
            reason: The reason, e.g. "it took too long".
            check: The check that was running; empty when none was.
        """
        super().__init__(reason)
        self.check = check


class CheckerOutOfMemory(CheckerExited):
    """The process took too much memory, together with what earlier files left in it."""


class CheckerTooSlow(CheckerExited):
    """The process took too long."""

    code: IssueCode = "file.too_slow"


class CheckProcess:
    """One process that checks files. It is started when needed, and again after it ended."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0  # the process that started it; a fork inherits it but must not wait for it

    def check(self, request: CheckRequest) -> CheckResult:
        """Return the report on a request.

        A check that the files break is an issue file.harmful: it crashes the process or takes too much
        memory. One that takes too long is file.too_slow. A check that raises an exception is a bug of ours:
        an issue file.check_failed, and a traceback in the log. Nothing is raised for any of them. What the
        other checks found is kept, and not made again.
        """
        remaining = whole = REPORT_CPU_S + PHOTO_CPU_S * len(request.photos)
        broken: dict[str, BrokenCheck] = {}
        parts: dict[str, CheckResult] = {}
        # An earlier request may have left half an answer in the pipe, or its memory. That is no fault of
        # these files: the first failure of this kind is not counted.
        may_be_stale = True
        while True:
            cpu_s, clock, idle_memory = 0.0, time.monotonic(), 0
            try:
                self.warm()
                cpu_s, clock, idle_memory = self._cpu_s(), time.monotonic(), self.memory_bytes()
                allowed = remaining if broken else FIRST_TRY_SHARE * remaining
                result = self._request(request.after(parts, broken), allowed, parts)
                pictures = {k: v for part in parts.values() for k, v in part.pictures.items()}
                return CheckResult(
                    report=add_broken_issues(result.report, broken), pictures={**pictures, **result.pictures}
                )
            except CheckerExited as error:
                remaining -= max(self._cpu_s() - cpu_s, (time.monotonic() - clock) / CLOCK_FACTOR)
                self.stop()
                ran_out_of_memory = isinstance(error, CheckerOutOfMemory) and idle_memory > IDLE_MEMORY_BYTES
                if may_be_stale and (not error.check or ran_out_of_memory):
                    may_be_stale, remaining = False, remaining if error.check else whole
                    continue
                broken[error.check] = BrokenCheck(error.code, str(error))
                if len(broken) >= MAX_TRIES or not error.check or remaining < 1:
                    return result_without_checks(request.after(parts, broken), broken)

    def warm(self) -> None:
        """Start the process if there is none. A worker does so before it forks, so that its jobs find one.

        Raises:
            CheckerExited: It did not start.
        """
        if self._process is not None and self._is_alive():
            return
        self._process = subprocess.Popen(
            [sys.executable, "-m", "worker.check_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={name: value for name, value in os.environ.items() if name in _ENVIRONMENT},
        )
        self._owner = os.getpid()
        self._read(_Deadline(START_S, time.monotonic() + CLOCK_FACTOR * START_S), MEMORY_BYTES)

    def stop(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            for pipe in (process.stdin, process.stdout):
                if pipe:
                    pipe.close()
            if self._owner == os.getpid():
                process.wait()

    def memory_bytes(self) -> int:
        """Return the memory that the process holds now."""
        if self._process is None:
            return 0
        try:
            return int(psutil.Process(self._process.pid).memory_info().rss)
        except psutil.NoSuchProcess:
            return 0

    def _is_alive(self) -> bool:
        assert self._process is not None
        try:
            return psutil.Process(self._process.pid).status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def _request(self, request: CheckRequest, cpu_s: float, parts: dict[str, CheckResult]) -> CheckResult:
        """Send a request and return the answer, within so many CPU-seconds.

        Args:
            request: The request.
            cpu_s: CPU-seconds of the process.
            parts: The results of single checks, by name; those that arrive are added.
        """
        assert self._process is not None and self._process.stdin is not None
        token = os.urandom(8).hex()  # tells the answer from one to an earlier request
        deadline = _Deadline(self._cpu_s() + cpu_s, time.monotonic() + CLOCK_FACTOR * cpu_s)
        self._write(pickle.dumps((token, request)), deadline)
        check = ""
        while True:
            try:
                message = json.loads(self._read(deadline, MEMORY_BYTES, check))
                if message["token"] != token:
                    continue
                if "failed" in message:
                    failed, cause = str(message["failed"]), str(message["traceback"])
                    log.error("check_failed", check=failed, traceback=cause)
                    continue
                if "check" in message:
                    check = str(message["check"])
                    continue
                pictures = {str(name): base64.b64decode(data) for name, data in message["pictures"].items()}
                result = CheckResult(report=from_plain(Report, message["report"]), pictures=pictures)
                if "done" not in message:
                    return result
                parts[str(message["done"])] = result
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise CheckerExited("its answer cannot be read", check) from error

    def _write(self, data: bytes, deadline: _Deadline) -> None:
        """Write one message."""
        assert self._process is not None and self._process.stdin is not None
        descriptor, rest = self._process.stdin.fileno(), memoryview(_LENGTH.pack(len(data)) + data)
        os.set_blocking(descriptor, False)  # the process may not read
        try:
            while rest:
                if select.select([], [descriptor], [], POLL_INTERVAL_S)[1]:
                    rest = rest[os.write(descriptor, rest) :]
                elif self._is_past(deadline):
                    raise CheckerTooSlow("it took too long", "")
        except OSError as error:
            raise CheckerExited("the check process is gone", "") from error

    def _read(self, deadline: _Deadline, max_memory: int, check: str = "") -> bytes:
        """Read one message."""
        length = _LENGTH.unpack(self._read_exactly(_LENGTH.size, deadline, max_memory, check))[0]
        if length > MEMORY_BYTES:
            raise CheckerExited("its answer cannot be read", check)
        return self._read_exactly(length, deadline, max_memory, check)

    def _read_exactly(self, count: int, deadline: _Deadline, max_memory: int, check: str) -> bytes:
        """Read `count` bytes, and watch time and memory meanwhile."""
        assert self._process is not None and self._process.stdout is not None
        descriptor, data = self._process.stdout.fileno(), bytearray()
        while len(data) < count:
            ready, _, _ = select.select([descriptor], [], [], POLL_INTERVAL_S)
            if ready:
                part = os.read(descriptor, min(1 << 20, count - len(data)))
                if not part:
                    raise CheckerExited("it crashed the check process", check)
                data += part
            elif self._is_past(deadline):
                raise CheckerTooSlow("it took too long", check)
            if not ready and self.memory_bytes() > max_memory:
                raise CheckerOutOfMemory(f"it took more than {max_memory // 1_000_000:,} MB", check)
        return bytes(data)

    def _is_past(self, deadline: _Deadline) -> bool:
        return self._cpu_s() > deadline.cpu_s or time.monotonic() > deadline.clock

    def _cpu_s(self) -> float:
        """Return the CPU-seconds that the process took in its life."""
        if self._process is None:
            return 0.0
        try:
            times = psutil.Process(self._process.pid).cpu_times()
        except psutil.NoSuchProcess:
            return 0.0
        return float(times.user + times.system)


CHECK_PROCESS = CheckProcess()
atexit.register(CHECK_PROCESS.stop)


def serve(incoming: IO[bytes], outgoing: IO[bytes]) -> None:
    """Answer requests until the pipe is closed. Runs in the check process."""
    import worker.checks  # noqa: F401 - before "ready", so that requests find it loaded

    _send(outgoing, b"ready")
    while header := incoming.read(_LENGTH.size):
        message = incoming.read(_LENGTH.unpack(header)[0])
        token: str
        request: CheckRequest
        token, request = pickle.loads(message)  # noqa: S301 - it comes from our own process
        try:
            result = _run_request(request, token, outgoing)
        except MemoryError:  # the limit of this process, which the files exceed
            raise
        except Exception as error:  # noqa: BLE001 - a bug of ours between the checks
            _send_failure(outgoing, token, "reading", "".join(traceback.format_exception(error)))
            result = CheckResult(report=report_of_our_fault(request, error), pictures={})
        _send_json(outgoing, {"token": token, **_plain(result)})
        del message, request, result
        _return_memory()


def _return_memory() -> None:
    """Give back what was freed of a large file: the C library keeps it, and the next check needs it."""
    if psutil.Process().memory_info().rss > LARGE_MEMORY_BYTES:
        gc.collect()
        if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):  # glibc has it
            trim(0)


def _plain(result: CheckResult) -> dict[str, Any]:
    pictures = {name: base64.b64encode(data).decode() for name, data in result.pictures.items()}
    return {"report": to_plain(result.report), "pictures": pictures}


def _run_request(request: CheckRequest, token: str, outgoing: IO[bytes]) -> CheckResult:
    from worker.checks import run_checks

    subject = _check_subject(request)
    report = run_checks(
        subject,
        request.rules,
        earlier_issues=request.earlier_issues,
        facts=request.facts,
        skip=request.skip,
        done=request.done,
        earlier_rows=request.earlier_rows,
        on_done=partial(_send_part, outgoing, token, subject),
        on_check=partial(_send_progress, outgoing, token),
        on_failure=partial(_send_failure, outgoing, token),
    )
    return CheckResult(report=report, pictures=subject.evidence)


def _check_subject(request: CheckRequest) -> "CheckSubject":
    from worker.checks import CheckSubject

    return CheckSubject(
        product=request.product,
        deliverable=request.deliverable,
        slot=request.slot,
        number=request.number,
        files=request.files,
        read=lambda file: request.contents[file.name],
        photos=request.photos,
        cutouts=request.cutouts,
        profiles=request.profiles,
        origin=request.made_here,
        original=request.original,
    )


def _send_progress(pipe: IO[bytes], token: str, check: str) -> None:
    _return_memory()
    _send_json(pipe, {"token": token, "check": check})


def _send_part(pipe: IO[bytes], token: str, subject: "CheckSubject", check: str, found: Report) -> None:
    """Send what one check found: it is kept when a later one ends the process."""
    part = CheckResult(report=found, pictures=dict(subject.evidence))
    _send_json(pipe, {"token": token, "done": check, **_plain(part)})


def _send_failure(pipe: IO[bytes], token: str, check: str, cause: str) -> None:
    """Send the traceback of a check; the process itself has no log."""
    _send_json(pipe, {"token": token, "failed": check, "traceback": cause})


def _send_json(pipe: IO[bytes], message: dict[str, Any]) -> None:
    _send(pipe, json.dumps(message).encode())


def _send(pipe: IO[bytes], data: bytes) -> None:
    pipe.write(_LENGTH.pack(len(data)) + data)
    pipe.flush()


def _set_resource_limits() -> None:
    """Forbid core dumps and large files."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_WRITTEN_BYTES, MAX_WRITTEN_BYTES))


def main() -> None:
    """Serve on the standard pipes. Output that libraries print is discarded."""
    import cv2

    cv2.setNumThreads(1)
    outgoing = os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    _set_resource_limits()
    serve(sys.stdin.buffer, outgoing)


if __name__ == "__main__":
    main()
