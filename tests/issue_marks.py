"""The mark `issue`: which tests make which issues happen.

`@pytest.mark.issue("cutout.empty")` says that the program reports this issue during the test;
`@pytest.mark.issue(param="code")` says it of the code, or the set of codes, that the parameter `code` holds.
A marked test fails if the program did not report the issue. An `Issue` that a test creates itself does not
count.
"""

import importlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dam_connector.domain.issue import Issue
from dam_connector.errors import InputError
from tests.support import ROOT

PROGRAM = ("dam_connector.", "schemas.", "worker.")
PASSING_ON = (
    "dam_connector.domain.issue",
    "dam_connector.domain.codec",
)  # they create issues for their caller
reported: set[str] = set()  # codes that the program reported since the running test began


def _recording(create: Callable[..., None], code_of: Callable[[Any], str]) -> Callable[..., None]:
    """Wrap an `__init__` so that `reported` gets the code if the program, not a test, is the caller."""

    def init(self: Any, *args: Any, **fields: Any) -> None:
        create(self, *args, **fields)
        frame = sys._getframe(1)
        while frame.f_back and frame.f_globals.get("__name__") in PASSING_ON:
            frame = frame.f_back
        if str(frame.f_globals.get("__name__")).startswith(PROGRAM):
            reported.add(code_of(self))

    return init


def record_reported_codes() -> None:
    """Record from now on the code of every issue that the program reports."""
    Issue.__init__ = _recording(Issue.__init__, lambda issue: issue.code)  # type: ignore[method-assign]
    InputError.__init__ = _recording(  # type: ignore[method-assign]
        InputError.__init__, lambda error: error.issue_code
    )


def _codes(value: object) -> set[str]:
    return {value} if isinstance(value, str) else set(value)  # type: ignore[call-overload]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    reported.clear()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Fail a marked test during which the program did not report the issues."""
    result = yield
    for mark in item.iter_markers("issue"):
        codes = set(mark.args)
        if "param" in mark.kwargs:
            codes |= _codes(item.callspec.params[mark.kwargs["param"]])  # type: ignore[attr-defined]
        assert codes <= reported, f"the program did not report {', '.join(sorted(codes - reported))}"
    return result


def marked_codes() -> set[str]:
    """Return the codes that the marks of all tests of `make test` name."""
    codes: set[str] = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        dotted = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if not dotted.startswith(("tests.live.", "tests.stress.")):
            for test in vars(importlib.import_module(dotted)).values():
                codes |= _marked_codes(getattr(test, "pytestmark", []))
    return codes


def _marked_codes(marks: object) -> set[str]:
    """Return the codes that the marks of one test name, with those of its parameters."""
    codes: set[str] = set()
    every = marks if isinstance(marks, list) else []
    for mark in (m for m in every if m.name == "issue"):
        codes |= set(mark.args)
        for table in (m for m in every if m.name == "parametrize"):
            names = table.args[0] if not isinstance(table.args[0], str) else table.args[0].split(",")
            names = [name.strip() for name in names]
            if mark.kwargs.get("param") in names:
                place = names.index(mark.kwargs["param"])
                for row in table.args[1]:
                    codes |= _codes(row if len(names) == 1 else row[place])
    return codes
