"""A GLB of meshopt streams in model-viewer: it looks as the plain one does."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser

from benchmarks.corpus_viewer import Viewer
from benchmarks.report_time import large_glb
from tests.browser.conftest import WITH_3D, needs_chromium
from tests.unit.test_meshopt_packing import coloured, morphed
from worker.modeling.scene_packing import pack_scene

pytestmark = needs_chromium


def test_a_packed_glb_looks_as_the_plain_one(browsers: Callable[..., Browser]) -> None:
    with Viewer(browsers(*WITH_3D)) as viewer:
        for plain in (coloured(), morphed(), large_glb(41, 61)):
            packed = pack_scene(plain, geometry="meshopt")
            assert len(packed) < len(plain)
            (likeness,) = viewer.compare(plain, [packed])
            assert likeness == pytest.approx(1, abs=0.04)
            (unlike,) = viewer.compare(coloured() if plain != coloured() else morphed(), [packed])
            assert unlike is not None and unlike < 0.9
