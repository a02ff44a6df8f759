"""Watched processes: their output comes back; one that takes too much is ended, and the reason is given."""

import tempfile

import pytest

from dam_connector import watched_process
from dam_connector.watched_process import ProcessFailed, TooManyProcesses, run_module
from tests.greedy_process import LIMITS


def run(kind: str) -> bytes:
    with tempfile.TemporaryFile() as source:
        source.write(b"text")
        with run_module("tests.greedy_process", [kind], source, LIMITS) as output:
            return output.read()


def test_the_output_of_a_process_comes_back() -> None:
    assert run("works") == b"TEXT"


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("takes time", "takes too long"),
        ("takes memory", "takes too much memory|ended with code 1"),
        ("writes", "unpacks to too much|ended with code 120|ended with code 1"),
        ("crashes", "ended with code 1"),
    ],
)
def test_a_process_that_takes_too_much_is_ended(kind: str, reason: str) -> None:
    with pytest.raises(ProcessFailed, match=reason):
        run(kind)


def test_a_process_that_hangs_is_ended_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched_process, "_CLOCK_FACTOR", 0.5)
    with pytest.raises(ProcessFailed, match="takes too long"):
        run("hangs")


def test_processes_beyond_the_limit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched_process, "WAIT_S", 0.01)
    with watched_process._slots, watched_process._slots, pytest.raises(TooManyProcesses):
        run("works")
