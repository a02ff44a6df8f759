"""The process of a make worker in which jobs run, one after the other.

A process for each job would touch 43,000 pages of memory anew for each product: 1.1 CPU-seconds of the
kernel. So it stays for the next jobs, until it has done many, is large or has been idle. A job that crashes
or eats memory still harms no other: the process is ended, and the next job gets a new one.

Tried and not used: the runs of a product one after the other in the same process by a claim of its own. Its
front photo would be decoded once and not three times, .08 of 5.4 CPU-seconds; the cut-outs are shared on disk
anyway.
"""

import json
import mmap
import os
import random
import resource
import select
import signal
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from dam_connector.counters import resident_bytes

POLL_S = 1.0  # an answer that got lost is found so late: a timer's signal can come just after it was read
RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss
_STATE = struct.Struct("<QQQ")  # jobs done, resident bytes after the last one, the most ever


class WorkProcess:
    """A forked process that performs one job after the other, as told through a pipe.

    It ends by itself when its worker is gone.
    """

    def __init__(self, perform: Callable[[dict[str, str]], object]) -> None:
        """Fork the process.

        Args:
            perform: Called in the process for each job, with what was given to `start`. If it raises, the
                process ends with status 1.
        """
        self._shared = mmap.mmap(-1, _STATE.size)  # the process writes it, the worker reads it
        requests, self._requests = os.pipe()
        self._wakes, wakes = os.pipe()
        self.jobs = 0  # that were started
        self._idle_since = time.monotonic()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._requests)
            os.close(self._wakes)
            self._serve(perform, requests, wakes)
        os.close(requests)
        os.close(wakes)

    def start(self, job: dict[str, str]) -> None:
        """Let the process perform a job. If it has ended meanwhile, `wait` says so."""
        self.jobs += 1
        with suppress(BrokenPipeError):
            os.write(self._requests, json.dumps(job).encode() + b"\n")

    def wait(self) -> bool:
        """Wait until the job is done and return True, or return False when the process has ended.

        It can be interrupted by a signal whose handler raises, and called again.
        """
        while self._state()[0] < self.jobs:
            if select.select([self._wakes], [], [], POLL_S)[0] and not os.read(self._wakes, 64):
                break
        is_done = self._state()[0] >= self.jobs
        self._idle_since = time.monotonic()
        return is_done

    @property
    def peak_bytes(self) -> int:
        """Return the most memory that the process had so far."""
        return self._state()[2]

    def is_used_up(self, max_jobs: int, max_bytes: int, max_idle_s: float) -> bool:
        """Return whether it has done so many jobs, has so much memory, or has been idle for so long."""
        jobs, resident, _ = self._state()
        idle_s = time.monotonic() - self._idle_since
        return jobs >= max_jobs or resident > max_bytes or idle_s > max_idle_s

    def end(self) -> None:
        """End the process, between two jobs."""
        self.close()
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)

    def close(self) -> None:
        """Close the pipes: the process ends when its job is done."""
        os.close(self._requests)
        os.close(self._wakes)
        self._shared.close()

    def _state(self) -> tuple[int, int, int]:
        jobs, resident, peak = _STATE.unpack(self._shared[:])
        return jobs, resident, peak

    def _serve(self, perform: Callable[[dict[str, str]], object], requests: int, wakes: int) -> None:
        """Perform jobs until the pipe is closed. Runs in the process, and never returns."""
        try:
            os.setpgrp()
            random.seed()
            done = 0
            with open(requests, encoding="utf-8") as lines:
                for line in lines:
                    perform(json.loads(line))
                    done += 1
                    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT
                    self._shared[:] = _STATE.pack(done, resident_bytes(), peak)
                    with suppress(BrokenPipeError):  # the worker is gone
                        os.write(wakes, b".")
        except BaseException:  # noqa: BLE001 - nothing may run what belongs to the worker
            os._exit(1)
        os._exit(0)


def as_usage(process: WorkProcess) -> Any:
    """Return the usage of resources of a process that goes on, as `os.wait4` does for one that has ended."""
    values = [0] * 16
    values[2] = process.peak_bytes // RSS_UNIT
    return resource.struct_rusage(values)
