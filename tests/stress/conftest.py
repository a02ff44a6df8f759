"""Fixtures of the stress tests: those of the paid providers and of the service as processes, and their
marker.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tests.conftest import open_services
from tests.pipeline.paid.conftest import allow_hosts, fake, meshy, rules  # noqa: F401
from tests.processes import start  # noqa: F401
from tests.stress.crashes import World
from tests.stress.scenarios import Scenario
from tests.support import PhotoServer, TestClock, rules_json

LONGEST = ("test_kills.py", "test_mixed_attack.py", "test_process_kills.py", "test_submissions.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this directory, and begin with the longest, so that none is left to one core."""
    for item in items:
        if item.path.is_relative_to(__file__.rpartition("/")[0]):
            item.add_marker(pytest.mark.stress)
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Callable[[], str]:
    """Gives the URL of a fresh database; empty: SQLite."""
    return request.getfixturevalue("postgres") if request.param == "postgresql" else lambda: ""


@pytest.fixture
def begin(
    database: Callable[[], str],
    tmp_path: Path,
    queue_url: str,
    migrated_sqlite: Path,
    photos: PhotoServer,
    small_previews: None,
) -> Iterator[Callable[[type[Scenario]], Scenario]]:
    """Begins a scenario in a world of its own."""
    opened: list[Any] = []
    Redis.from_url(queue_url).flushall()

    def begun(kind: type[Scenario]) -> Scenario:
        clock, folder = TestClock(), tmp_path / str(len(opened))
        folder.mkdir()
        context = open_services(
            folder,
            clock=clock,
            queue_url=queue_url,
            allow_hosts=photos.host,
            migrated_sqlite=migrated_sqlite,
            database_url=database(),
        )
        services = context.__enter__()
        opened.append(context)
        services.settings.plugin_json.write_text(
            json.dumps(rules_json(**kind.rules(), deliverables=list(kind.deliverables)))
        )
        scenario = kind(World(services, clock), photos)
        opened.append(closing(scenario.world))
        scenario.prepare()
        return scenario

    yield begun
    for context in reversed(opened):
        context.__exit__(None, None, None)
