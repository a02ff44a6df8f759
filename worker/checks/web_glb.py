"""The web GLB, decoded and compared with the plain GLB: the validator does not decode compressed meshes."""

from collections.abc import Iterator

import numpy as np

from dam_connector.domain.issue import Issue, issue
from dam_connector.domain.rules import Rules, WebBudget
from dam_connector.domain.version import VersionFile
from dam_connector.errors import InputError
from worker.measuring.check_subject import CheckSubject
from worker.measuring.product_size import size_difference
from worker.modeling.web_packing import POSITION_BITS, read_web_glb

TOLERANCE = 0.002  # relative, of a side; quantization changes a tenth of this
BUDGET_TOLERANCE = 0.005  # of one that was simplified for its budget


def check(subject: CheckSubject, rules: Rules) -> Iterator[Issue]:
    """Yield web.differs, and file.* for a file or a stream that is damaged."""
    for file in subject.files:
        if file.format != "web":
            continue
        where = f"/files/{file.name}"
        data = subject.read(file)
        end = f"_{file.view}" if file.view else ""
        subject.facts[f"web_bytes{end}"] = len(data)
        try:
            packed = read_web_glb(data)
        except InputError as error:
            yield issue(error.issue_code, str(error), pointer=where)
            continue
        if not subject.has("glb"):
            continue
        budget = _budget(subject, file)
        tolerance = BUDGET_TOLERANCE if budget else TOLERANCE
        off = size_difference(packed.extent, subject.surface.extent)
        if off > tolerance:
            yield issue(
                "web.differs",
                "Its size differs from the plain GLB's.",
                pointer=where,
                measured=f"{off * 100:.1f} %",
                limit=f"{tolerance * 100:.1f} %",
            )
        subject.facts[f"web_triangles{end}"] = packed.triangles
        expected = len(subject.surface.faces)
        least = 0 if budget else expected - _vanishing(subject)
        if not least <= packed.triangles <= expected:
            yield issue(
                "web.differs",
                "It has another number of triangles than the plain GLB.",
                pointer=where,
                measured=packed.triangles,
                limit=expected,
            )


def _budget(subject: CheckSubject, file: VersionFile) -> WebBudget | None:
    """Return the budget of a file: its channel's, or that of the web GLB; None without one."""
    deliverable = subject.deliverable
    if deliverable is None:
        return None
    return deliverable.budgets.get(file.view) if file.view else deliverable.web_budget


def _vanishing(subject: CheckSubject) -> int:
    """Return how many triangles are smaller than a step of the web GLB's positions: Draco drops such."""
    corners = subject.surface.positions[subject.surface.faces]
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    step = float(subject.surface.extent.max()) / 2**POSITION_BITS
    return int((areas <= step**2).sum())
