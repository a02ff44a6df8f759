"""Processes that read files from outside, within limits on time, memory and output.

A file that takes too much of any of these ends such a process, and nothing else. The process has no secrets.
It limits itself as far as the system can; its parent watches it for the rest.
"""

import os
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

MAX_AT_ONCE = 2  # in one process that starts them
WAIT_S = 30.0  # for one of these to end
_CLOCK_FACTOR = 8  # the limit by the clock, in multiples of the CPU limit: a process that hangs takes no CPU
_POLL_INTERVAL_S = 0.02
_MAX_ERROR_BYTES = 65_536
_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "HOME", "PYTHONPATH", "VIRTUAL_ENV")  # that it inherits
# What reading a ZIP that is damaged, or made to do harm, raises.
DAMAGED_ARCHIVE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    OSError,
    EOFError,
    ValueError,
    NotImplementedError,  # of a method of compression that Python cannot read
    RuntimeError,  # of an encrypted file
)
_slots = threading.BoundedSemaphore(MAX_AT_ONCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessLimits:
    """The limits of a process."""

    cpu_s: float  # CPU-seconds
    memory_bytes: int
    output_bytes: int  # written to its standard output


class ProcessFailed(Exception):
    """The process did not end well. The message gives the reason, e.g. "it takes too much memory"."""

    def __init__(self, reason: str, report: str = "") -> None:
        """Create the exception.

        Args:
            reason: the reason, for people.
            report: the text that the process wrote to its standard error.
        """
        super().__init__(reason)
        self.report = report


class TooManyProcesses(Exception):
    """As many processes as allowed run already, and none ended in time."""


def run_module(module: str, arguments: Sequence[str], source: IO[bytes], limits: ProcessLimits) -> IO[bytes]:
    """Run a module on a file, and return the file with its output, at its beginning.

    The module calls `limit_this_process` before it reads anything.

    Args:
        module: the module's name; `python -m` runs it.
        arguments: its arguments.
        source: a real file, which the process reads as its standard input from the file's beginning.
        limits: the limits of the process.

    Raises:
        ProcessFailed: it exceeded a limit, or its exit code is not 0.
        TooManyProcesses: too many of them run at once.
    """
    if not _slots.acquire(timeout=WAIT_S):
        raise TooManyProcesses
    try:
        return _run([sys.executable, "-m", module, *arguments], source, limits)
    finally:
        _slots.release()


def _run(command: list[str], source: IO[bytes], limits: ProcessLimits) -> IO[bytes]:
    output = tempfile.TemporaryFile()  # noqa: SIM115 - the caller reads and closes it
    environment = {name: value for name, value in os.environ.items() if name in _ENVIRONMENT}
    source.flush()
    source.seek(0)
    try:
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(command, stdin=source, stdout=output, stderr=errors, env=environment)
            try:
                reason = _watch(process, limits)
            finally:
                process.kill()
                process.wait()
            if reason or process.returncode:
                errors.seek(0)
                report = errors.read(_MAX_ERROR_BYTES).decode(errors="replace")
                raise ProcessFailed(reason or f"it ended with code {process.returncode}", report)
    except BaseException:
        output.close()
        raise
    output.seek(0)
    return output


def _watch(process: subprocess.Popen[bytes], limits: ProcessLimits) -> str:
    """Wait for the end of a process; return why it must be ended, or an empty text."""
    import psutil  # a sixth of the time in which a watched process, which imports this module, starts

    end_s = time.monotonic() + _CLOCK_FACTOR * limits.cpu_s
    watched = psutil.Process(process.pid)
    while True:
        try:
            process.wait(_POLL_INTERVAL_S)
            return _reason_of_exit(process.returncode)
        except subprocess.TimeoutExpired:
            pass
        try:
            times, memory = watched.cpu_times(), watched.memory_info().rss
        except psutil.NoSuchProcess:
            continue
        if times.user + times.system > limits.cpu_s or time.monotonic() > end_s:
            return "it takes too long"
        if memory > limits.memory_bytes:
            return "it takes too much memory"


def _reason_of_exit(code: int) -> str:
    """Return the limit that the system enforced, or an empty text."""
    return {
        -signal.SIGXCPU: "it takes too long",
        -signal.SIGKILL: "it takes too much memory",
        -signal.SIGXFSZ: "it unpacks to too much",
    }.get(code, "")


def limit_this_process(limits: ProcessLimits) -> None:
    """Apply the limits to this process, as far as the system can."""
    cpu_s = int(limits.cpu_s) + 1
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_CPU, cpu_s)
    _lower(resource.RLIMIT_FSIZE, limits.output_bytes)
    # The address space is larger than the memory in use: the parent watches the latter.
    _lower(resource.RLIMIT_AS, 2 * limits.memory_bytes)


def _lower(limit: int, value: int) -> None:
    """Set a limit of the system; one that is lower already stays."""
    _, hard = resource.getrlimit(limit)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    try:
        resource.setrlimit(limit, (value, hard))
    except (ValueError, OSError):  # macOS refuses some; the parent watches
        return
