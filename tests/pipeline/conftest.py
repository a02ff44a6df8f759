"""Fixtures of the pipeline's tests."""

from tests.processes import start  # noqa: F401
