"""Who makes a model: our own code or a provider, in the order of the rules, each where the one before cannot."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from dam_connector.catalog.version import Version, VersionState
from dam_connector.errors import Refused
from dam_connector.flow import sweeping
from dam_connector.wiring import Services
from tests.pipeline.helpers import Drain, chair, send, versions
from tests.support import PhotoServer, TestClock, picture
from tests.unit.shapes import ball
from worker.modeling.glb import write_glb

CUBE = {"width": 30, "height": 30, "depth": 30, "unit": "cm"}


@pytest.fixture
def made(services: Services, photos: PhotoServer, drain: Drain, write_rules: Callable, clock: TestClock) -> Callable[..., Version]:
    """A product's model by these generators, after some rounds of work; the provider is called `mem` and gives a ball."""

    def make(*generator: str, fail_with: Refused | None = None, **deliverable: Any) -> Version:
        connections = json.loads(services.settings.plugin_json.read_text())["connections"]
        write_rules(
            connections={**connections, "provider": {"mem": {"adapter": "memory", "polls": 2}}},
            deliverables=[{"name": "model", "kind": "model", "generator": list(generator), "formats": ["glb"], "texture_px": 512, **deliverable}],
        )
        services.provider("mem").result = write_glb(ball(3.0), "remote")
        services.provider("mem").fail_with = fail_with
        send(services, chair(photos, dimensions=CUBE))
        for _ in range(4):
            drain()
            clock.forward(60)
            sweeping.sweep(services, "me")
        return versions(services)["model"]

    return make


def test_a_provider_task_parks_the_run_and_its_model_goes_the_same_way(services: Services, made: Callable[..., Version]) -> None:
    version = made("mem", "local", channels=["viewer"])
    assert version.provenance["generator"] == "mem" and version.report.facts["size_m"] == "0.300 x 0.300 x 0.300"
    assert len(services.provider("mem").looks) == 1


def test_a_local_model_below_the_threshold_goes_to_the_provider(services: Services, made: Callable[..., Version]) -> None:
    version = made("local", "mem", min_confidence=1.0)
    assert version.provenance["generator"] == "mem" and "confidence" not in version.report.facts
    assert not [i for i in version.report.issues if i.code.startswith("model.")] and len(services.provider("mem").looks) == 1


def test_a_local_model_below_the_threshold_is_flagged_when_nobody_else_makes_one(made: Callable[..., Version]) -> None:
    version = made("local", min_confidence=1.0)
    assert version.state is VersionState.BLOCKED and "model.below_threshold" in {i.code for i in version.report.issues}


def test_a_photo_that_our_code_cannot_cut_out_goes_to_the_provider(photos: PhotoServer, made: Callable[..., Version]) -> None:
    photos.files["front.jpg"] = picture(lambda rgb: None)
    assert made("local", "mem").provenance["generator"] == "mem"


def test_a_refusing_provider_falls_back_to_our_own_code(made: Callable[..., Version]) -> None:
    assert made("mem", "local", fail_with=Refused("mem", "submit", "moderated")).provenance["generator"] == "local"
