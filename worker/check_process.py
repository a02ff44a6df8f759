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
from dam_connector.domain.issue import Issue, Outcome, Report, Row, issue
from dam_connector.domain.product import Product
from dam_connector.domain.rules import Deliverable, Rules
from dam_connector.domain.version import VersionFile

TIME_S = (
    9.0  # CPU-seconds for one report on files: that a machine is busy with other things is no fault of theirs
)
PHOTO_S = 4.0  # more, for each photo that a model is held against
FIRST_SHARE = 0.6  # of them for the first try
STUCK = 8  # times as long by the clock: what waits for ever takes no CPU
MEMORY_BYTES = 1_000_000_000
AT_REST_BYTES = (
    600_000_000  # what usual files leave behind; beyond it, what ends a report may be others' memory
)
START_S = 60.0
LOOK_S = 0.05
MAX_WRITTEN_BYTES = 64_000_000  # OpenUSD wants its packages on disk
if TYPE_CHECKING:
    from worker.checks import Subject
    from worker.imaging.cutout import Cutout

_LENGTH = struct.Struct("<Q")


@dataclass(frozen=True, kw_only=True)
class Order:
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
class Checked:
    """The report and its pictures, by name."""

    report: Report
    pictures: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class _Limit:
    """How far the process may get: to so many CPU-seconds of its life, and to a time of the clock."""

    cpu_s: float
    end: float


class Ended(Exception):
    """The process is gone or was ended; the message says why. check: what it was at."""

    def __init__(self, why: str, check: str) -> None:
        super().__init__(why)
        self.check = check


class Swollen(Ended):
    """It took too much memory, with all that files before had left in it."""


class Guard:
    """One process that checks, started when it is needed and again after it ended."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def check(self, order: Order) -> Checked:
        """The report on an order. What cannot be checked is an issue file.harmful; nothing is raised for it."""
        left = whole = TIME_S + PHOTO_S * len(order.photos)
        harmful: list[tuple[str, str]] = []
        stale = True  # what came before may have left half an answer in the pipe, or its memory: that is no fault of this file
        while True:
            cpu_s, clock, at_rest = 0.0, time.monotonic(), 0
            try:
                self.warm()
                cpu_s, clock, at_rest = self._cpu_s(), time.monotonic(), self.memory()
                checked = self._asked(
                    replace(order, skip=tuple(name for name, _ in harmful)),
                    left if harmful else FIRST_SHARE * left,
                )
                return replace(checked, report=_with_harm(checked.report, harmful))
            except Ended as ended:
                left -= max(self._cpu_s() - cpu_s, (time.monotonic() - clock) / STUCK)
                self.stop()
                if stale and (not ended.check or (isinstance(ended, Swollen) and at_rest > AT_REST_BYTES)):
                    stale, left = False, left if ended.check else whole
                    continue
                harmful.append((ended.check, str(ended)))
                if len(harmful) > 2 or not ended.check or left < 1:
                    rows = tuple(
                        Row(check=name or "reading", outcome=Outcome.NOT_TESTED, detail=why)
                        for name, why in harmful
                    )
                    return Checked(
                        report=_with_harm(
                            Report(issues=order.found_before, rows=rows, facts=order.facts), harmful
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
        self._read(_Limit(START_S, time.monotonic() + STUCK * START_S), MEMORY_BYTES)

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

    def _asked(self, order: Order, seconds: float) -> Checked:
        """seconds: of CPU. Raises: Ended."""
        assert self._process is not None and self._process.stdin is not None
        token, limit = (
            os.urandom(8).hex(),
            _Limit(self._cpu_s() + seconds, time.monotonic() + STUCK * seconds),
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
                return Checked(report=from_plain(Report, message["report"]), pictures=pictures)
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise Ended("its answer is none", at) from error

    def _write(self, data: bytes, limit: _Limit) -> None:
        """One message. Raises: Ended."""
        assert self._process is not None and self._process.stdin is not None
        descriptor, left = self._process.stdin.fileno(), memoryview(_LENGTH.pack(len(data)) + data)
        os.set_blocking(descriptor, False)  # it may not read
        try:
            while left:
                if select.select([], [descriptor], [], LOOK_S)[1]:
                    left = left[os.write(descriptor, left) :]
                elif self._past(limit):
                    raise Ended("it took too long", "")
        except OSError as error:
            raise Ended("the checker is gone", "") from error

    def _read(self, limit: _Limit, memory: int, at: str = "") -> bytes:
        """One message. Raises: Ended."""
        length = _LENGTH.unpack(self._exactly(_LENGTH.size, limit, memory, at))[0]
        if length > MEMORY_BYTES:
            raise Ended("its answer is none", at)
        return self._exactly(length, limit, memory, at)

    def _exactly(self, count: int, limit: _Limit, memory: int, at: str) -> bytes:
        assert self._process is not None and self._process.stdout is not None
        descriptor, got = self._process.stdout.fileno(), bytearray()
        while len(got) < count:
            ready, _, _ = select.select([descriptor], [], [], LOOK_S)
            if ready:
                part = os.read(descriptor, min(1 << 20, count - len(got)))
                if not part:
                    raise Ended("it crashed the checker", at)
                got += part
            elif self._past(limit):
                raise Ended("it took too long", at)
            if not ready and self.memory() > memory:
                raise Swollen(f"it took more than {memory // 1_000_000:,} MB", at)
        return bytes(got)

    def _past(self, limit: _Limit) -> bool:
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

    def memory(self) -> int:
        """What the process holds now, in bytes."""
        if self._process is None:
            return 0
        try:
            return int(psutil.Process(self._process.pid).memory_info().rss)
        except psutil.NoSuchProcess:
            return 0


GUARD = Guard()
atexit.register(GUARD.stop)


def _with_harm(report: Report, harmful: list[tuple[str, str]]) -> Report:
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
        begin = partial(_begun, outgoing, token)
        subject = _subject(order)
        report = run_checks(
            subject,
            order.rules,
            found_before=order.found_before,
            facts=order.facts,
            skip=order.skip,
            begin=begin,
        )
        pictures = {name: base64.b64encode(data).decode() for name, data in subject.pictures_made.items()}
        _say(outgoing, {"token": token, "report": to_plain(report), "pictures": pictures})


def _begun(pipe: IO[bytes], token: str, name: str) -> None:
    _say(pipe, {"token": token, "at": name})


def _subject(order: Order) -> "Subject":
    from worker.checks import Subject

    contents = order.contents
    return Subject(
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


def _say(pipe: IO[bytes], message: dict[str, Any]) -> None:
    _send(pipe, json.dumps(message).encode())


def _restrict() -> None:
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
    _restrict()
    serve(sys.stdin.buffer, outgoing)


if __name__ == "__main__":
    main()
