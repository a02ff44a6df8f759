"""Workers are ready before they fork: what jobs need is there, nothing that a fork must not share is open,
and nothing that is away stops them.
"""

import json
from pathlib import Path

import pytest
from PIL import Image

from dam_connector.errors import ConfigError, Unavailable
from dam_connector.net_file import NETS
from dam_connector.wiring import Services
from worker import jobs
from worker.cache import load_net
from worker.imaging import salient_net
from worker.imaging.salient_net import find_net


@pytest.fixture(autouse=True)
def unfrozen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gc.freeze", lambda: None)  # this process goes on


def connections(services: Services) -> int:
    # type: ignore[attr-defined]
    return sum(e.pool.checkedin() + e.pool.checkedout() for e in (services.db._reader, services.db._writer))


def use_net(services: Services) -> str:
    """Let plugin.json name the shipped net; return its name."""
    rules = json.loads(services.settings.plugin_json.read_text())
    services.settings.plugin_json.write_text(json.dumps({**rules, "imaging": {}}))
    return services.rules.current().imaging.net


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


def test_forked_jobs_find_the_net_read(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    name = use_net(services)
    monkeypatch.setattr(jobs, "services", lambda: services)
    salient_net._load.cache_clear()
    jobs.warm()
    net = find_net(name, (services.settings.data_dir / NETS,))
    assert net is not None
    assert {"sha256", "_net"} <= set(vars(net))  # a job makes neither again


def test_a_net_that_cannot_be_run_stops_no_worker(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "services", lambda: services)
    name = use_net(services)
    folder = services.settings.data_dir / NETS
    folder.mkdir()
    (folder / name).write_bytes(b"no net")
    jobs.warm()
    assert len(services.db._reader._compiled_cache) >= 3  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="fetch the file again"):
        load_net(services, services.rules.current().imaging)
