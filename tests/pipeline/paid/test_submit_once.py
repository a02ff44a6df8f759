"""Tests that nothing is paid for twice: brokers that are killed at random points, lost answers, failed
requests.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from dam_connector.fakes.meshy import FakeMeshy
from dam_connector.wiring import Services
from tests.pipeline.paid.helpers import place
from tests.pipeline.paid.killed_brokers import Mortal
from tests.support import TestClock


def test_lost_submissions_are_found_in_the_vendors_list(
    services: Services,
    write_rules: Callable,
    clock: TestClock,
    monkeypatch: pytest.MonkeyPatch,
    meshy: FakeMeshy,
) -> None:
    connections = json.loads(services.settings.plugin_json.read_text())["connections"]
    options = {
        "adapter": "meshy",
        "api_key": "env/MESHY_API_KEY",
        "base_url": meshy.base_url,
        "concurrency": 1,
    }
    write_rules(connections={**connections, "provider": {"meshy": options}})
    meshy.faults["submit"] = ["lost", "", "500 after", "closed", "", "500", "", "lost"]
    monkeypatch.setattr("dam_connector.fakes.meshy.time.time", lambda: clock.now().timestamp())
    mortal = Mortal(services, services.provider("meshy"), monkeypatch)
    for n in range(60):
        place(services, n, "meshy")
    mortal.work(clock, 220)
    states = {
        state: count
        for state, count, _ in services.spend.totals_by("state", since=datetime.min.replace(tzinfo=UTC))
    }
    assert (
        states == {"settled": 60} and meshy.billed == 60 and mortal.deaths > 4
    )  # none lost, none paid twice
