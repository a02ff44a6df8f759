"""Measures: every number of a GLB that a profile can limit."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np

from dam_connector.errors import InputError
from worker.gltf.node_transforms import local_matrix
from worker.measuring.check_subject import CheckSubject
from worker.measuring.uv_layout import MAX_GUTTER_PX

MeasuredValue = float | tuple[float, float] | None  # a pair is the least and the greatest of several
TRANSFORM_TOLERANCE = 1e-5  # a matrix this near to the identity is no transform
MAX_COUNTED_TRANSFORMS = 1000  # of root nodes: no profile allows so many
AXES = ("width", "height", "depth")


def glb_measurements(subject: CheckSubject) -> dict[str, MeasuredValue]:
    """Measure a GLB.

    Returns:
        The values by the names of `domain.model_profiles.MEASURES`. One that is absent or None could not be
        measured.
    """
    found: dict[str, MeasuredValue] = {"file_bytes": len(subject.glb)}
    for part in (_validator_measures, _count_measures, _texture_measures, _surface_measures, _uv_measures):
        try:
            found |= dict(part(subject))
        except InputError:
            continue  # another check reports the error
    return found


def _validator_measures(subject: CheckSubject) -> Iterator[tuple[str, MeasuredValue]]:
    report = subject.validator_report
    if report and "failed" not in report:
        yield "validator_errors", report["issues"]["numErrors"]


def _count_measures(subject: CheckSubject) -> Iterator[tuple[str, MeasuredValue]]:
    document = subject.document
    for name in ("materials", "meshes", "nodes"):
        yield name, len(document.rows(name))
    yield (
        "primitives",
        sum(len(p) for m in document.rows("meshes") if isinstance(p := m.get("primitives"), list)),
    )
    nodes, still = document.rows("nodes"), np.eye(4)
    moved = (
        n
        for n in document.roots
        if np.abs(local_matrix(nodes[n], f"/nodes/{n}") - still).max() > TRANSFORM_TOLERANCE
        and _moves_a_mesh(nodes, n)
    )
    yield "root_transforms", sum(1 for _ in islice(moved, MAX_COUNTED_TRANSFORMS))
    yield "animation_s", max((_duration_s(subject, a) for a in document.rows("animations")), default=0.0)


def _moves_a_mesh(nodes: list[dict[str, Any]], root: int) -> bool:
    """Return whether a root's transform moves a mesh: not for a camera, a light, or a mesh that joints
    place."""
    stack, visited = [root], {root}
    while stack:
        row = nodes[stack.pop()]
        if "mesh" in row and "skin" not in row:
            return True
        children = row.get("children")
        for child in children if isinstance(children, list) else []:
            if isinstance(child, int) and 0 <= child < len(nodes) and child not in visited:
                visited.add(child)
                stack.append(child)
    return False


def _duration_s(subject: CheckSubject, animation: dict[str, object]) -> float:
    """Return the time of an animation's last key, in seconds."""
    samplers = animation.get("samplers")
    ends = [0.0]
    for sampler in samplers if isinstance(samplers, list) else []:
        if isinstance(sampler, dict):
            ends.append(
                float(np.nanmax(subject.document.accessor(sampler.get("input"), "/animations"), initial=0.0))
            )
    return max(ends)


def _texture_measures(subject: CheckSubject) -> Iterator[tuple[str, MeasuredValue]]:
    found = subject.textures
    yield "textures", len(found)
    if not found:
        return
    widths, heights = [t.width for t in found], [t.height for t in found]
    yield "texture_width_px", (min(widths), max(widths))
    yield "texture_height_px", (min(heights), max(heights))
    yield (
        "textures_not_power_of_two",
        sum(not _are_powers_of_two(*sides) for sides in zip(widths, heights, strict=True)),
    )
    yield "textures_not_square", sum(w != h for w, h in zip(widths, heights, strict=True))
    brightness = [b for t in found if t.materials and (b := t.brightness_range)]
    if brightness:
        yield "base_color", (min(b[0] for b in brightness), max(b[1] for b in brightness))


def _are_powers_of_two(*sides: int) -> bool:
    return all(side > 0 and side & (side - 1) == 0 for side in sides)


def _surface_measures(subject: CheckSubject) -> Iterator[tuple[str, MeasuredValue]]:
    surface = subject.surface
    yield "triangles", len(surface.faces)
    yield "vertices", sum(len(p.positions) for p in subject.document.primitives)
    yield from ((f"{axis}_m", float(v)) for axis, v in zip(AXES, surface.extent, strict=True))
    yield "open_edges", surface.open_edges
    yield "crowded_edges", surface.crowded_edges
    yield "hard_edges", surface.hard_edges
    if subject.product is not None:
        known = subject.product.dimensions
        off = [
            abs(float(e) / w - 1) * 100
            for e, w in zip(surface.extent, (known.width_m, known.height_m, known.depth_m), strict=True)
            if w
        ]
        if off:
            yield "product_off_pct", max(off)


def _uv_measures(subject: CheckSubject) -> Iterator[tuple[str, MeasuredValue]]:
    found = subject.uv_layouts
    if not found:
        return
    yield "uv_overlapping", sum(u.overlapping_count for u in found)
    yield "uv_inverted", sum(u.inverted_count for u in found)
    yield "uv_outside", max(0.0, *(max(-min(u.min_uv), max(u.max_uv) - 1) for u in found))
    yield "uv_gutter_px", min((u.gutter_px for u in found if u.gutter_px is not None), default=MAX_GUTTER_PX)
    sides = {m: side for m, side in _texture_sides(subject)}
    densities = [
        (float(d.min()) * sides[u.material], float(d.max()) * sides[u.material])
        for u in found
        if u.material in sides and len(d := u.density)
    ]
    if densities:
        yield "texel_density", (min(d[0] for d in densities), max(d[1] for d in densities))


def _texture_sides(subject: CheckSubject) -> Iterator[tuple[int, float]]:
    """Yield the side of each material's base colour texture in pixels.

    For one that is not square, it is the side of the square with the same area.
    """
    for texture in subject.textures:
        for material in texture.materials:
            yield material, float(np.sqrt(texture.width * texture.height))
