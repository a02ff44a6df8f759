"""The environment map of the 3D viewer is the one that the studio's constants give."""

from pathlib import Path

import dam_connector.web
from worker.modeling.viewer_light import studio_hdr


def test_the_map_of_the_pages_is_that_of_the_studio() -> None:
    stored = Path(dam_connector.web.__file__).parent / "static" / "studio.hdr"
    assert stored.read_bytes() == studio_hdr()  # else: python -m worker.modeling.viewer_light FILE
