"""The catalog of issue codes: severity, meaning and remedy of each.

A new code goes into `IssueCode` (code.py), so that mypy knows it, and into the table of its family. The test
suite holds that both agree and that every code has a test. docs/issues.md is generated from the catalog by
`dam-connector docs`.
"""

from collections.abc import Mapping
from typing import cast

from dam_connector.domain.issue_codes.code import IssueCode, IssueSpec
from dam_connector.domain.issue_codes.files import FILE_CODES
from dam_connector.domain.issue_codes.models import MODEL_CODES
from dam_connector.domain.issue_codes.products import PRODUCT_CODES
from dam_connector.domain.issue_codes.renditions import RENDITION_CODES
from dam_connector.domain.issue_codes.source_images import SOURCE_IMAGE_CODES
from dam_connector.domain.model_profiles import MEASURES

__all__ = ["CODES", "IssueCode", "IssueSpec", "known_code"]

# What profiles demand of models: one code a measure, so that an admin can set the severity of each.
_LIMIT_CODES = {
    cast(IssueCode, f"limit.{name}"): IssueSpec(
        "error", f"A profile limits this measure: {measure.title}.", measure.remedy, measure.admin
    )
    for name, measure in MEASURES.items()
}

CODES: Mapping[IssueCode, IssueSpec] = {
    **PRODUCT_CODES,
    **SOURCE_IMAGE_CODES,
    **RENDITION_CODES,
    **MODEL_CODES,
    **FILE_CODES,
    **_LIMIT_CODES,
}


def known_code(text: str) -> IssueCode:
    """Return a computed text as an issue code, e.g. `limit.triangles` for a measure of a profile.

    Raises:
        KeyError: The catalog has no such code.
    """
    if text not in CODES:
        raise KeyError(text)
    return cast(IssueCode, text)
