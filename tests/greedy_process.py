"""A process that takes too much, for the tests of watched processes."""

import os
import sys
import time

from dam_connector.watched_process import ProcessLimits, limit_this_process

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


def note_pid(path: str) -> None:
    """Add the id of this process to a file."""
    with open(path, "a") as file:
        file.write(f"{os.getpid()}\n")


if __name__ == "__main__":
    main(sys.argv[1])
