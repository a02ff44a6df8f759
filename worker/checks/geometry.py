"""Geometry: watertight once seams are welded, outward, no degenerate faces, not in pieces, standing on its origin."""

from collections.abc import Iterator

import numpy as np

from dam_connector.catalog.issue import Issue, issue
from dam_connector.catalog.rules import Rules
from dam_connector.errors import InputError
from worker.checks.subject import Subject

ORIGIN_TOLERANCE = 0.02  # of the largest dimension: a centimetre on a chair


def check(subject: Subject, rules: Rules) -> Iterator[Issue]:
    """Issues geometry.*"""
    try:
        mesh = subject.mesh
    except InputError as error:
        yield issue(error.issue_code, str(error))
        return
    subject.measured["vertices"] = len(mesh.vertices)
    edges = np.sort(mesh.edges, axis=1)
    _, uses = np.unique(edges, axis=0, return_counts=True)
    open_edges = int((uses != 2).sum())
    if open_edges:
        yield issue("geometry.not_watertight", f"{open_edges} edges do not join exactly two faces.", measured=open_edges, limit=0)
    elif not mesh.is_winding_consistent:
        yield issue("geometry.winding", "Neighbouring faces look opposite ways.")
    elif float(mesh.volume) < 0:
        yield issue("geometry.winding", "The faces look inwards.", measured=f"{float(mesh.volume):.3g} m3")
    degenerate = int((mesh.area_faces < 1e-14).sum())
    if degenerate:
        yield issue("geometry.degenerate_faces", f"{degenerate} faces have no area.", measured=degenerate, limit=0)
    parts = int(mesh.body_count)
    subject.measured["components"] = parts
    if parts > rules.checks.max_components:
        yield issue("geometry.components", f"It falls into {parts} parts.", measured=parts, limit=rules.checks.max_components)
    low, high = mesh.bounds
    off = np.array([(low[0] + high[0]) / 2, low[1], (low[2] + high[2]) / 2])
    if np.abs(off).max() > ORIGIN_TOLERANCE * float((high - low).max()):
        yield issue("geometry.origin", "The bottom centre is not at the origin.", measured=", ".join(f"{v:.3f} m" for v in off), limit="0, 0, 0")
