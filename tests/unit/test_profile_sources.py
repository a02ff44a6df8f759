"""Each limit of a profile says where it comes from: a page with its day or version, or that there is none."""

import re

import pytest

from dam_connector.domain.model_profiles import MODEL_PROFILES
from dam_connector.domain.picture_profiles import PICTURE_PROFILES

SOURCES = {
    *(limit.source for limits in PICTURE_PROFILES.values() for limit in limits),
    *(limit.source for profile in MODEL_PROFILES.values() for limit in profile.limits),
}
DATED = r"20\d\d-\d\d-\d\d|\b\d\.\d\b|Model3dSource|thread \d+|own advice"


@pytest.mark.parametrize("source", sorted(SOURCES))
def test_a_source_can_be_looked_up_and_has_its_day(source: str) -> None:
    assert re.search(DATED, source) and "unconfirmed" not in source
