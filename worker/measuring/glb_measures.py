"""Measures: every number about a GLB that a profile can limit, found out once. A pair is the smallest and the largest of several."""

from collections.abc import Iterator
from itertools import islice

import numpy as np

from dam_connector.errors import InputError
from worker.gltf.document import local_matrix
from worker.measuring.check_subject import CheckSubject
from worker.measuring.uv_layout import WIDEST_GUTTER

Measured = float | tuple[float, float] | None
STILL = 1e-5  # off the identity: no transform
COUNTED = 1000  # transforms of roots: no profile wants to know of more
AXES = ("width", "height", "depth")


def measures(subject: CheckSubject) -> dict[str, Measured]:
    """By the names of catalog.model_profiles.MEASURES; None or absent: could not be measured."""
    found: dict[str, Measured] = {"file_bytes": len(subject.glb)}
    for part in (_validated, _counted, _pictured, _shaped, _unwrapped):
        try:
            found |= dict(part(subject))
        except InputError:
            continue  # the check that this belongs to says so
    return found


def _validated(subject: CheckSubject) -> Iterator[tuple[str, Measured]]:
    report = subject.validation
    if report and "failed" not in report:
        yield "validator_errors", report["issues"]["numErrors"]


def _counted(subject: CheckSubject) -> Iterator[tuple[str, Measured]]:
    document = subject.document
    for name in ("materials", "meshes", "nodes"):
        yield name, len(document.rows(name))
    yield (
        "primitives",
        sum(len(p) for m in document.rows("meshes") if isinstance(p := m.get("primitives"), list)),
    )
    nodes, still = document.rows("nodes"), np.eye(4)
    moved = (n for n in document.roots if np.abs(local_matrix(nodes[n], f"/nodes/{n}") - still).max() > STILL)
    yield "root_transforms", sum(1 for _ in islice(moved, COUNTED))
    yield "animation_s", max((_ends(subject, a) for a in document.rows("animations")), default=0.0)


def _ends(subject: CheckSubject, animation: dict[str, object]) -> float:
    """When an animation's last key is, in seconds."""
    samplers = animation.get("samplers")
    ends = [0.0]
    for sampler in samplers if isinstance(samplers, list) else []:
        if isinstance(sampler, dict):
            ends.append(
                float(np.nanmax(subject.document.accessor(sampler.get("input"), "/animations"), initial=0.0))
            )
    return max(ends)


def _pictured(subject: CheckSubject) -> Iterator[tuple[str, Measured]]:
    found = subject.textures
    yield "textures", len(found)
    if not found:
        return
    widths, heights = [t.width for t in found], [t.height for t in found]
    yield "texture_width_px", (min(widths), max(widths))
    yield "texture_height_px", (min(heights), max(heights))
    yield "textures_not_power_of_two", sum(not _powers(*sides) for sides in zip(widths, heights, strict=True))
    yield "textures_not_square", sum(w != h for w, h in zip(widths, heights, strict=True))
    brightness = [b for t in found if t.materials and (b := t.brightness_range)]
    if brightness:
        yield "base_color", (min(b[0] for b in brightness), max(b[1] for b in brightness))


def _powers(*sides: int) -> bool:
    return all(side > 0 and side & (side - 1) == 0 for side in sides)


def _shaped(subject: CheckSubject) -> Iterator[tuple[str, Measured]]:
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


def _unwrapped(subject: CheckSubject) -> Iterator[tuple[str, Measured]]:
    found = subject.unwraps
    if not found:
        return
    yield "uv_overlapping", sum(u.overlapping for u in found)
    yield "uv_inverted", sum(u.inverted for u in found)
    yield "uv_outside", max(0.0, *(max(-min(u.low), max(u.high) - 1) for u in found))
    yield "uv_gutter_px", min((u.gutter for u in found if u.gutter is not None), default=WIDEST_GUTTER)
    sides = {m: side for m, side in _sides(subject)}
    densities = [
        (float(d.min()) * sides[u.material], float(d.max()) * sides[u.material])
        for u in found
        if u.material in sides and len(d := u.density)
    ]
    if densities:
        yield "texel_density", (min(d[0] for d in densities), max(d[1] for d in densities))


def _sides(subject: CheckSubject) -> Iterator[tuple[int, float]]:
    """The side of each material's base colour texture in pixels; of one that is not square, of the square with its area."""
    for texture in subject.textures:
        for material in texture.materials:
            yield material, float(np.sqrt(texture.width * texture.height))
