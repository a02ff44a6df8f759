"""UVs: missing, overlapping, inverted or uneven texture coordinates, whatever the profiles limit."""

from collections.abc import Iterator

import numpy as np

from dam_connector.domain.issue import Issue, issue
from dam_connector.domain.rules import Rules
from dam_connector.errors import InputError
from worker.measuring.check_subject import CheckSubject
from worker.measuring.uv_layout import UvLayout

MAX_OVERLAP_SHARE = 0.01  # of the triangles: packers leave a few slivers
MAX_INVERTED_SHARE = 0.005
MIN_GUTTER_PX = 2  # at 1024 px: bilinear filtering alone reads one pixel beyond an island
MAX_DENSITY_RATIO = 4.0  # between the 5th and 95th percentile of texel density: a step that an eye sees


def check(subject: CheckSubject, rules: Rules) -> Iterator[Issue]:
    """Yield uv.*; models without textures need no UVs."""
    try:
        textured = {m for t in subject.textures for _, m in t.uses}
        for p in subject.document.primitives:
            if p.material in textured and p.uvs is None:
                yield issue(
                    "uv.missing",
                    "Its material has textures, but it has no UVs to lay them on.",
                    pointer=f"{p.where}/attributes",
                )
        for layout in subject.uv_layouts:
            if layout.material in textured:
                yield from _layout_issues(layout, f"/materials/{layout.material}")
    except InputError:
        return  # the checks of file and geometry report it


def _layout_issues(layout: UvLayout, where: str) -> Iterator[Issue]:
    if layout.overlapping_count > MAX_OVERLAP_SHARE * layout.face_count:
        yield issue(
            "uv.overlap",
            f"{layout.overlapping_count:,} triangles share their place in the texture.",
            pointer=where,
            measured=layout.overlapping_count,
            limit=0,
        )
    if layout.inverted_count > MAX_INVERTED_SHARE * layout.face_count:
        yield issue(
            "uv.inverted",
            f"{layout.inverted_count:,} triangles show the texture mirrored.",
            pointer=where,
            measured=layout.inverted_count,
            limit=0,
        )
    if min(layout.min_uv) < -1e-4 or max(layout.max_uv) > 1 + 1e-4:
        (u0, v0), (u1, v1) = layout.min_uv, layout.max_uv
        span = f"u {u0:.2f} to {u1:.2f}, v {v0:.2f} to {v1:.2f}"
        yield issue(
            "uv.range", "The UVs leave the texture: it repeats.", pointer=where, measured=span, limit="0 to 1"
        )
    if layout.gutter_px is not None and layout.gutter_px < MIN_GUTTER_PX:
        yield issue(
            "uv.gutter",
            "Islands lie so close that colours bleed.",
            pointer=where,
            measured=f"{layout.gutter_px} px",
            limit=f"{MIN_GUTTER_PX} px at 1024 px",
        )
    if layout.empty_count > MAX_OVERLAP_SHARE * layout.face_count:
        yield issue(
            "uv.empty",
            f"{layout.empty_count:,} triangles have a line or a point of the texture.",
            pointer=where,
            measured=layout.empty_count,
            limit=0,
        )
    spread = layout.density[layout.density > 0]
    if len(spread) > 20:
        low, high = np.percentile(spread, [5, 95])
        if high > MAX_DENSITY_RATIO * low:
            yield issue(
                "uv.density",
                "The texture is far sharper in some places than in others.",
                pointer=where,
                measured=f"{high / low:.1f} times",
                limit=f"{MAX_DENSITY_RATIO:g} times",
            )
