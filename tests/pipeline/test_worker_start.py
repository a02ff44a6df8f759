"""Workers are ready before they fork: what jobs need is there, nothing that a fork must not share is open,
and nothing that is away stops them.
"""

from pathlib import Path

import pytest
from PIL import Image

from dam_connector.errors import Unavailable
from dam_connector.wiring import Services
from worker import jobs


@pytest.fixture(autouse=True)
def unfrozen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gc.freeze", lambda: None)  # this process goes on


def connections(services: Services) -> int:
    # type: ignore[attr-defined]
    return sum(e.pool.checkedin() + e.pool.checkedout() for e in (services.db._reader, services.db._writer))


def test_no_connection_is_left_open(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "services", lambda: services)
    monkeypatch.setattr(Image, "_initialized", 0)
    jobs.warm()
    assert Image._initialized == 2  # all coders are loaded
    assert connections(services) == 0
    assert len(services.db._reader._compiled_cache) >= 3  # type: ignore[arg-type]


def test_rules_that_are_wrong_and_a_database_that_is_away_stop_no_worker(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "services", lambda: services)
    Path(services.settings.plugin_json).write_text("{")
    jobs.warm()
    assert services.rules.problem is not None and connections(services) == 0

    for table in services.settings.data_dir.glob("*.db*"):
        table.unlink()
    jobs.warm()
    with pytest.raises(Unavailable):
        services.db.ping()
    services.db.close()
