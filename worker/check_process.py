"""The checks in a process of their own: `python -m worker.check_process` serves reports on its pipes.

Files come from outside, and what reads them (Draco, embree, image coders, OpenUSD, V8) is native code. The process has no secrets, writes no
files, and is watched: one that crashes, takes too long or too much memory is ended, and the report says at which check; the other checks are
run again without it. It is kept warm, and answers in JSON, which cannot do harm where it is read.
"""

import atexit
import base64
import json
import os
import pickle
import resource
import select
import struct
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import IO, TYPE_CHECKING, Any

import psutil

from dam_connector.domain.codec import from_plain, to_plain
from dam_connector.domain.issue import CheckOutcome, Issue, Report, ReportRow, issue
from dam_connector.domain.product import Product
from dam_connector.domain.rules import Deliverable, Rules
from dam_connector.domain.version import VersionFile

REPORT_CPU_S = (
    9.0  # CPU-seconds for one report on files: that a machine is busy with other things is no fault of theirs
)
PHOTO_CPU_S = 4.0  # more, for each photo that a model is held against
FIRST_TRY_SHARE = 0.6  # of them for the first try
CLOCK_FACTOR = 8  # times as long by the clock: what waits for ever takes no CPU
MEMORY_BYTES = 1_000_000_000
IDLE_MEMORY_BYTES = (
    600_000_000  # what usual files leave behind; beyond it, what ends a report may be others' memory
)
START_S = 60.0
POLL_INTERVAL_S = 0.05
MAX_WRITTEN_BYTES = 64_000_000  # OpenUSD wants its packages on disk
if TYPE_CHECKING:
    from worker.checks import CheckSubject
    from worker.imaging.cutout import Cutout

_LENGTH = struct.Struct("<Q")


@dataclass(frozen=True, kw_only=True)
class CheckRequest:
    """What to check: the fields of a Subject, with the files' bytes by name."""

    product: Product | None
    deliverable: Deliverable | None
    slot: int
    number: int
    files: tuple[VersionFile, ...]
    contents: Mapping[str, bytes]
    rules: Rules
    photos: Mapping[str, bytes] = field(default_factory=dict)
    cutouts: Mapping[str, "Cutout"] = field(default_factory=dict)
    profiles: tuple[str, ...] = ()
    found_before: tuple[Issue, ...] = ()
    facts: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)
    skip: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """The report and its pictures, by name."""

    report: Report
    pictures: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class _Deadline:
    """How far the process may get: to so many CPU-seconds of its life, and to a time of the clock."""

    cpu_s: float
    end: float


class CheckerExited(Exception):
    """The process is gone or was ended; the message says why. check: what it was at."""

    def __init__(self, why: str, check: str) -> None:
        super().__init__(why)
        self.check = check


class CheckerOutOfMemory(CheckerExited):
    """It took too much memory, with all that files before had left in it."""


class CheckProcess:
    """One process that checks, started when it is needed and again after it ended."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def check(self, request: CheckRequest) -> CheckResult:
        """The report on an order. What cannot be checked is an issue file.harmful; nothing is raised for it."""
        left = whole = REPORT_CPU_S + PHOTO_CPU_S * len(request.photos)
        harmful: list[tuple[str, str]] = []
        stale = True  # what came before may have left half an answer in the pipe, or its memory: that is no fault of this file
        while True:
            cpu_s, clock, at_rest = 0.0, time.monotonic(), 0
            try:
                self.warm()
                cpu_s, clock, at_rest = self._cpu_s(), time.monotonic(), self.memory_bytes()
                checked = self._request(
                    replace(request, skip=tuple(name for name, _ in harmful)),
                    left if harmful else FIRST_TRY_SHARE * left,
                )
                return replace(checked, report=_add_harmful_issues(checked.report, harmful))
            except CheckerExited as ended:
                left -= max(self._cpu_s() - cpu_s, (time.monotonic() - clock) / CLOCK_FACTOR)
                self.stop()
                if stale and (
                    not ended.check or (isinstance(ended, CheckerOutOfMemory) and at_rest > IDLE_MEMORY_BYTES)
                ):
                    stale, left = False, left if ended.check else whole
                    continue
                harmful.append((ended.check, str(ended)))
                if len(harmful) > 2 or not ended.check or left < 1:
                    rows = tuple(
                        ReportRow(check=name or "reading", outcome=CheckOutcome.NOT_TESTED, detail=why)
                        for name, why in harmful
                    )
                    return CheckResult(
                        report=_add_harmful_issues(
                            Report(issues=request.found_before, rows=rows, facts=request.facts), harmful
                        ),
                        pictures={},
                    )

    def warm(self) -> None:
        """Start the process, if there is none: a worker does before it forks, so that its jobs find one. Raises: Ended."""
        if self._process is not None and self._alive():
            return
        quiet = {
            k: v
            for k, v in os.environ.items()
            if k in ("PATH", "LANG", "LC_ALL", "TMPDIR", "HOME", "PYTHONPATH", "VIRTUAL_ENV")
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "worker.check_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=quiet,
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

    def _alive(self) -> bool:
        assert self._process is not None
        try:
            return psutil.Process(self._process.pid).status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def _request(self, order: CheckRequest, seconds: float) -> CheckResult:
        """seconds: of CPU. Raises: Ended."""
        assert self._process is not None and self._process.stdin is not None
        token, limit = (
            os.urandom(8).hex(),
            _Deadline(self._cpu_s() + seconds, time.monotonic() + CLOCK_FACTOR * seconds),
        )
        self._write(pickle.dumps((token, order)), limit)
        at = ""
        while True:
            try:
                message = json.loads(self._read(limit, MEMORY_BYTES, at))
                if message["token"] != token:
                    continue
                if "at" in message:
                    at = str(message["at"])
                    continue
                pictures = {str(name): base64.b64decode(data) for name, data in message["pictures"].items()}
                return CheckResult(report=from_plain(Report, message["report"]), pictures=pictures)
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise CheckerExited("its answer is none", at) from error

    def _write(self, data: bytes, limit: _Deadline) -> None:
        """One message. Raises: Ended."""
        assert self._process is not None and self._process.stdin is not None
        descriptor, left = self._process.stdin.fileno(), memoryview(_LENGTH.pack(len(data)) + data)
        os.set_blocking(descriptor, False)  # it may not read
        try:
            while left:
                if select.select([], [descriptor], [], POLL_INTERVAL_S)[1]:
                    left = left[os.write(descriptor, left) :]
                elif self._is_past(limit):
                    raise CheckerExited("it took too long", "")
        except OSError as error:
            raise CheckerExited("the checker is gone", "") from error

    def _read(self, limit: _Deadline, memory: int, at: str = "") -> bytes:
        """One message. Raises: Ended."""
        length = _LENGTH.unpack(self._read_exactly(_LENGTH.size, limit, memory, at))[0]
        if length > MEMORY_BYTES:
            raise CheckerExited("its answer is none", at)
        return self._read_exactly(length, limit, memory, at)

    def _read_exactly(self, count: int, limit: _Deadline, memory: int, at: str) -> bytes:
        assert self._process is not None and self._process.stdout is not None
        descriptor, got = self._process.stdout.fileno(), bytearray()
        while len(got) < count:
            ready, _, _ = select.select([descriptor], [], [], POLL_INTERVAL_S)
            if ready:
                part = os.read(descriptor, min(1 << 20, count - len(got)))
                if not part:
                    raise CheckerExited("it crashed the checker", at)
                got += part
            elif self._is_past(limit):
                raise CheckerExited("it took too long", at)
            if not ready and self.memory_bytes() > memory:
                raise CheckerOutOfMemory(f"it took more than {memory // 1_000_000:,} MB", at)
        return bytes(got)

    def _is_past(self, limit: _Deadline) -> bool:
        return self._cpu_s() > limit.cpu_s or time.monotonic() > limit.end

    def _cpu_s(self) -> float:
        """CPU-seconds that the process took in its life."""
        if self._process is None:
            return 0.0
        try:
            times = psutil.Process(self._process.pid).cpu_times()
        except psutil.NoSuchProcess:
            return 0.0
        return float(times.user + times.system)

    def memory_bytes(self) -> int:
        """What the process holds now, in bytes."""
        if self._process is None:
            return 0
        try:
            return int(psutil.Process(self._process.pid).memory_info().rss)
        except psutil.NoSuchProcess:
            return 0


CHECK_PROCESS = CheckProcess()
atexit.register(CHECK_PROCESS.stop)


def _add_harmful_issues(report: Report, harmful: list[tuple[str, str]]) -> Report:
    """The report with an issue for each check that the file broke."""
    found = tuple(
        issue("file.harmful", f"Checking it ended badly: {why}.", measured=check or "reading")
        for check, why in harmful
    )
    return replace(report, issues=(*found, *report.issues))


def _send(pipe: IO[bytes], data: bytes) -> None:
    pipe.write(_LENGTH.pack(len(data)) + data)
    pipe.flush()


def serve(incoming: IO[bytes], outgoing: IO[bytes]) -> None:
    """Answer orders until the pipe is closed."""
    from worker.checks import run_checks

    _send(outgoing, b"ready")
    while header := incoming.read(_LENGTH.size):
        token, order = pickle.loads(incoming.read(_LENGTH.unpack(header)[0]))  # noqa: S301 - what our own process sends
        begin = partial(_send_progress, outgoing, token)
        subject = _check_subject(order)
        report = run_checks(
            subject,
            order.rules,
            found_before=order.found_before,
            facts=order.facts,
            skip=order.skip,
            begin=begin,
        )
        pictures = {name: base64.b64encode(data).decode() for name, data in subject.pictures_made.items()}
        _send_json(outgoing, {"token": token, "report": to_plain(report), "pictures": pictures})


def _send_progress(pipe: IO[bytes], token: str, name: str) -> None:
    _send_json(pipe, {"token": token, "at": name})


def _check_subject(order: CheckRequest) -> "CheckSubject":
    from worker.checks import CheckSubject

    contents = order.contents
    return CheckSubject(
        product=order.product,
        deliverable=order.deliverable,
        slot=order.slot,
        number=order.number,
        files=order.files,
        read=lambda f: contents[f.name],
        photos=order.photos,
        cutouts=order.cutouts,
        profiles=order.profiles,
    )


def _send_json(pipe: IO[bytes], message: dict[str, Any]) -> None:
    _send(pipe, json.dumps(message).encode())


def _set_resource_limits() -> None:
    """No core dumps, no large files, no more processes than threads need."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_WRITTEN_BYTES, MAX_WRITTEN_BYTES))


def main() -> None:
    """Serve on the standard pipes; what libraries print goes nowhere."""
    import cv2

    cv2.setNumThreads(1)
    outgoing = os.fdopen(os.dup(1), "wb")
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    _set_resource_limits()
    serve(sys.stdin.buffer, outgoing)


if __name__ == "__main__":
    main()
