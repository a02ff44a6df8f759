"""Fixtures of the stress tests: those of the paid providers and of the service as processes, and their
marker.
"""

import pytest

from tests.pipeline.paid.conftest import allow_hosts, fake, meshy, rules  # noqa: F401
from tests.processes import start  # noqa: F401


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this directory."""
    for item in items:
        if item.path.is_relative_to(__file__.rpartition("/")[0]):
            item.add_marker(pytest.mark.stress)
