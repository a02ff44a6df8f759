"""UVs: whether the textures lie on the model as they should. What a profile limits is limited there; these are findings by themselves."""

from collections.abc import Iterator

import numpy as np

from dam_connector.domain.issue import Issue, issue
from dam_connector.domain.rules import Rules
from dam_connector.errors import InputError
from worker.measuring.check_subject import CheckSubject
from worker.measuring.uv_layout import Unwrap

OVERLAP_SHARE = 0.01  # of the triangles: packers leave a sliver here and there
INVERTED_SHARE = 0.005
GUTTER_PX = 2  # at 1024 px: bilinear filtering alone reaches one
UNEVEN = 4.0  # between the 5th and 95th percentile of texel density: a step that an eye sees


def check(subject: CheckSubject, rules: Rules) -> Iterator[Issue]:
    """Issues uv.*; models without textures need no UVs."""
    try:
        textured = {m for t in subject.textures for _, m in t.uses}
        for p in subject.document.primitives:
            if p.material in textured and p.uvs is None:
                yield issue(
                    "uv.missing",
                    "Its material has textures, but it has no UVs to lay them on.",
                    pointer=f"{p.where}/attributes",
                )
        for unwrap in subject.unwraps:
            if unwrap.material in textured:
                yield from _laid(unwrap, f"/materials/{unwrap.material}")
    except InputError:
        return  # the checks of file and geometry say so


def _laid(unwrap: Unwrap, where: str) -> Iterator[Issue]:
    if unwrap.overlapping > OVERLAP_SHARE * unwrap.faces:
        yield issue(
            "uv.overlap",
            f"{unwrap.overlapping:,} triangles share their place in the texture.",
            pointer=where,
            measured=unwrap.overlapping,
            limit=0,
        )
    if unwrap.inverted > INVERTED_SHARE * unwrap.faces:
        yield issue(
            "uv.inverted",
            f"{unwrap.inverted:,} triangles show the texture mirrored.",
            pointer=where,
            measured=unwrap.inverted,
            limit=0,
        )
    if min(unwrap.low) < -1e-4 or max(unwrap.high) > 1 + 1e-4:
        span = f"u {unwrap.low[0]:.2f} to {unwrap.high[0]:.2f}, v {unwrap.low[1]:.2f} to {unwrap.high[1]:.2f}"
        yield issue(
            "uv.range", "The UVs leave the texture: it repeats.", pointer=where, measured=span, limit="0 to 1"
        )
    if unwrap.gutter is not None and unwrap.gutter < GUTTER_PX:
        yield issue(
            "uv.gutter",
            "Islands lie so close that colours bleed.",
            pointer=where,
            measured=f"{unwrap.gutter} px",
            limit=f"{GUTTER_PX} px at 1024 px",
        )
    if unwrap.empty > OVERLAP_SHARE * unwrap.faces:
        yield issue(
            "uv.empty",
            f"{unwrap.empty:,} triangles have a line or a point of the texture.",
            pointer=where,
            measured=unwrap.empty,
            limit=0,
        )
    spread = unwrap.density[unwrap.density > 0]
    if len(spread) > 20:
        low, high = np.percentile(spread, [5, 95])
        if high > UNEVEN * low:
            yield issue(
                "uv.density",
                "The texture is far sharper in some places than in others.",
                pointer=where,
                measured=f"{high / low:.1f} times",
                limit=f"{UNEVEN:g} times",
            )
