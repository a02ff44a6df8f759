"""A process that takes too much, for the tests of watched processes."""

import os
import socket
import sys
import time
from typing import TYPE_CHECKING

from dam_connector.watched_process import ProcessLimits, limit_this_process

if TYPE_CHECKING:
    from dam_connector.store.runs import Runs

runs: "Runs | None" = None  # those of the test, which forks this process

LIMITS = ProcessLimits(cpu_s=1, memory_bytes=150_000_000, output_bytes=1_000_000)


def main(kind: str) -> None:
    limit_this_process(LIMITS)
    if kind == "works":
        sys.stdout.write(sys.stdin.read().upper())
    if kind == "crashes":
        sys.exit("it broke")
    if kind == "takes time":
        while True:
            pass
    if kind == "hangs":
        time.sleep(600)
    if kind == "takes memory":
        held = [bytearray(10_000_000) for _ in range(100)]
        time.sleep(600 + len(held))
    if kind == "writes":
        while True:
            sys.stdout.write("x" * 100_000)


def hold(megabytes: int) -> None:
    """Take so much memory, and keep it until the process is ended."""
    held = [bytearray(b"x" * 1_000_000) for _ in range(megabytes)]
    time.sleep(600 + len(held))


def lease_and_hold(run_id: str, megabytes: int) -> None:
    """Lease a run as its job does, and take so much memory."""
    assert runs is not None and runs.lease(run_id, f"{socket.gethostname()}:{os.getpid()}", 600)
    hold(megabytes)


def lease_and_cancel(run_id: str) -> None:
    """Lease a run, let newer facts cancel it, and go on working for nothing."""
    from dam_connector.store.run_records import NewRun

    assert runs is not None
    run = runs.lease(run_id, f"{socket.gethostname()}:{os.getpid()}", 600)
    assert run is not None
    newer = NewRun(
        kind=run.kind,
        sku=run.sku,
        deliverable=run.deliverable,
        slot=run.slot,
        input_hash="newer",
        rules_fingerprint=run.rules_fingerprint,
    )
    assert runs.add([newer])
    time.sleep(600)


def note_pid(path: str) -> None:
    """Add the id of this process to a file."""
    with open(path, "a") as file:
        file.write(f"{os.getpid()}\n")


if __name__ == "__main__":
    main(sys.argv[1])
