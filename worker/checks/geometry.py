"""Geometry: a closed, outward surface of sound faces, in one piece, without self-intersection."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from dam_connector.domain.issue import Issue, Severity, issue
from dam_connector.domain.rules import Rules
from dam_connector.errors import InputError
from worker.gltf.document import Primitive
from worker.measuring.check_subject import CheckSubject
from worker.measuring.welded_surface import FLOATING_DISTANCE, WeldedSurface

ORIGIN_TOLERANCE = 0.02  # share of the largest dimension: a centimetre or two on a chair
MAX_CROSSING_SHARE = 0.01  # of the edges tested: parts of real products do touch
NORMAL_LENGTH_TOLERANCE = 0.02  # quantized normals are a little longer or shorter than 1
LOOKS_INWARDS = "The faces look inwards."
MAX_AWAY_SHARE = 0.02  # of the corners whose normal points away from the face


def check(subject: CheckSubject, rules: Rules) -> Iterator[Issue]:
    """Yield geometry.*"""
    try:
        surface = subject.surface
    except InputError as error:
        yield error.to_issue()
        return
    edge_issues = _edge_issues(surface)
    # No channel asks that a model is a solid. Ours are, so an open one is a fault of ours.
    yield from edge_issues if subject.is_made_here else map(_as_advice, edge_issues)
    yield from _face_issues(surface)
    yield from _part_issues(subject, surface, rules)
    yield from _normal_issues(subject.document.primitives)
    low, high = surface.min_corner, surface.max_corner
    off = np.array([(low[0] + high[0]) / 2, low[1], (low[2] + high[2]) / 2])
    if np.abs(off).max() > ORIGIN_TOLERANCE * float((high - low).max()):
        yield issue(
            "geometry.origin",
            "The bottom centre is not at the origin.",
            measured=", ".join(f"{v:.3f} m" for v in off),
            limit="0, 0, 0",
        )


def _as_advice(found: Issue) -> Issue:
    """Return an issue of a model that was made elsewhere: a warning, unless its faces look inwards."""
    return found if found.message == LOOKS_INWARDS else replace(found, severity=Severity.WARNING)


def _edge_issues(surface: WeldedSurface) -> Iterator[Issue]:
    if surface.open_edges:
        yield issue(
            "geometry.not_watertight",
            f"{surface.open_edges:,} edges have a face on one side only.",
            measured=surface.open_edges,
            limit=0,
        )
    if surface.crowded_edges:
        yield issue(
            "geometry.non_manifold",
            f"{surface.crowded_edges:,} edges join more than two faces.",
            measured=surface.crowded_edges,
            limit=0,
        )
    if surface.opposed_edges:
        yield issue(
            "geometry.winding",
            "Neighbouring faces look opposite ways.",
            measured=f"{surface.opposed_edges:,} edges",
            limit=0,
        )
    elif not surface.open_edges and surface.volume < 0:
        yield issue("geometry.winding", LOOKS_INWARDS, measured=f"{surface.volume:.3g} m3")


def _face_issues(surface: WeldedSurface) -> Iterator[Issue]:
    degenerate = int(surface.is_degenerate.sum())
    if degenerate:
        yield issue(
            "geometry.degenerate_faces", f"{degenerate:,} faces have no area.", measured=degenerate, limit=0
        )
    if surface.duplicate_count:
        yield issue(
            "geometry.duplicate_faces",
            f"{surface.duplicate_count:,} faces lie on another.",
            measured=surface.duplicate_count,
            limit=0,
        )
    crossings, looked_at = surface.crossings
    if crossings > MAX_CROSSING_SHARE * looked_at:
        yield issue(
            "geometry.self_intersection",
            "The surface runs through itself.",
            measured=f"{crossings / looked_at * 100:.1f} % of {looked_at:,} edges",
            limit=f"{MAX_CROSSING_SHARE * 100:g} %",
        )


def _part_issues(subject: CheckSubject, surface: WeldedSurface, rules: Rules) -> Iterator[Issue]:
    count, _ = surface.components
    subject.facts["components"] = count
    if count > rules.checks.max_components:
        yield issue(
            "geometry.components",
            f"It falls into {count} parts.",
            measured=count,
            limit=rules.checks.max_components,
        )
    floating, inner = surface.loose_parts()
    if floating:
        yield issue(
            "geometry.floating",
            f"{floating} parts hang in the air.",
            measured=floating,
            limit=f"none farther than {FLOATING_DISTANCE * 100:g} % of the size",
        )
    if inner:
        yield issue(
            "geometry.inner", f"{inner} parts lie inside and are never seen.", measured=inner, limit=0
        )


def _normal_issues(primitives: tuple[Primitive, ...]) -> Iterator[Issue]:
    for p in primitives:
        if p.normals is None or not len(p.faces):
            continue
        used = p.normals[p.faces]
        long = np.linalg.norm(used, axis=2)
        wrong = int((~(np.abs(long - 1) < NORMAL_LENGTH_TOLERANCE)).sum())
        if wrong:
            yield issue(
                "geometry.normals",
                f"{wrong:,} normals are not of length 1.",
                pointer=f"{p.where}/attributes/NORMAL",
                measured=wrong,
                limit=0,
            )
            continue
        a, b, c = (p.positions[p.faces[:, k]] for k in range(3))
        cross = np.cross(b - a, c - a)
        away = float(((used * cross[:, None]).sum(2) < 0).mean())
        if away > MAX_AWAY_SHARE:
            yield issue(
                "geometry.normals",
                "Stored normals look away from their faces: light falls on the wrong side.",
                pointer=f"{p.where}/attributes/NORMAL",
                measured=f"{away * 100:.0f} % of corners",
                limit=f"{MAX_AWAY_SHARE * 100:g} %",
            )
