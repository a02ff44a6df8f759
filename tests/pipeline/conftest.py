"""Fixtures of the pipeline's tests."""

import pytest

from tests.processes import start  # noqa: F401
from worker.steps import render_previews


@pytest.fixture
def small_previews(monkeypatch: pytest.MonkeyPatch) -> None:
    """Previews of models in an eighth of their size, for tests that look at none."""
    sizes = {view: size // 8 for view, size in render_previews.SIZES_PX.items()}
    monkeypatch.setattr(render_previews, "SIZES_PX", sizes)
    monkeypatch.setattr(render_previews, "DIAGNOSTIC_PX", render_previews.DIAGNOSTIC_PX // 8)
