"""Fixtures of the pipeline's tests."""

import json
from collections.abc import Callable

import pytest

from dam_connector.wiring import Services
from tests.pipeline.helpers import PACKSHOT
from tests.processes import start  # noqa: F401
from worker.steps import render_previews


@pytest.fixture
def shop(services: Services, write_rules: Callable[..., None]) -> Services:
    """The services with a DAM that decides itself and two channels."""
    connections = json.loads(services.settings.plugin_json.read_text())["connections"]
    channels = {**connections["channel"], "shop": {"adapter": "memory"}}
    write_rules(
        connections={**connections, "dam": {"shelf": {"adapter": "memory"}}, "channel": channels},
        review={"dam": "shelf"},
        deliverables=[PACKSHOT, {**PACKSHOT, "name": "detail", "size_px": 300}],
        naming={"default": "{sku}_{name:pascal}_{deliverable}_V{version}_{format:upper}"},
    )
    return services


@pytest.fixture
def small_previews(monkeypatch: pytest.MonkeyPatch) -> None:
    """Previews of models in an eighth of their size, for tests that look at none."""
    sizes = {view: size // 8 for view, size in render_previews.SIZES_PX.items()}
    monkeypatch.setattr(render_previews, "SIZES_PX", sizes)
    monkeypatch.setattr(render_previews, "DIAGNOSTIC_PX", render_previews.DIAGNOSTIC_PX // 8)
