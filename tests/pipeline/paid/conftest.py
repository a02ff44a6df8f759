"""Fixtures of the tests of paid providers: fake servers, and rules with Tripo."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dam_connector.fakes.meshy import FakeMeshy
from dam_connector.fakes.server import MINIMAL_GLB
from dam_connector.fakes.tripo import FakeTripo
from dam_connector.wiring import Services
from tests.support import PhotoServer
from tests.unit.shapes import ball
from worker.modeling.glb_export import write_glb


@pytest.fixture
def fake() -> Iterator[FakeTripo]:
    server = FakeTripo(make=lambda pictures: write_glb(ball(3.0), "remote"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def meshy() -> Iterator[FakeMeshy]:
    server = FakeMeshy(make=lambda pictures: MINIMAL_GLB)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def allow_hosts(photos: PhotoServer, fake: FakeTripo, meshy: FakeMeshy) -> str:
    return f"{photos.host},{fake.host},{meshy.host}"


@pytest.fixture
def rules(services: Services, write_rules: Callable, fake: FakeTripo) -> Callable[..., None]:
    """Rules with Tripo as a generator of models."""

    def write(*generator: str, **options: Any) -> None:
        connections = json.loads(services.settings.plugin_json.read_text())["connections"]
        tripo = {"adapter": "tripo", "api_key": "env/TRIPO_API_KEY", "base_url": fake.base_url, **options}
        model = {
            "name": "model",
            "kind": "model",
            "generator": list(generator or ("tripo",)),
            "formats": ["glb"],
            "texture_px": 512,
        }
        write_rules(connections={**connections, "provider": {"tripo": tripo}}, deliverables=[model])

    write()
    return write
