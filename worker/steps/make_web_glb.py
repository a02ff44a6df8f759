"""Make a compressed GLB for web pages, where plugin.json asks for it, within its budget.

The budget is reached by steps in a fixed order, each only where it is needed: packing (WebP and Draco), the
budget's texture size, its triangles; then textures of half the side and half the triangles in turn. A step
that brings nothing, or changes the look more than allowed, is not taken.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from dam_connector.domain.issue import issue
from dam_connector.domain.rules import DRACO, WEBP, WebBudget
from dam_connector.domain.version import WEB_PICTURE, Role
from dam_connector.errors import InputError
from dam_connector.wiring import Services
from worker.cache import cached_features, cached_model
from worker.gltf.container import read_json
from worker.gltf.document import Document
from worker.gltf.embedded_textures import read_textures
from worker.gltf.features import TANGENTS
from worker.imaging.encode import encode
from worker.measuring.check_subject import OUR_GENERATOR
from worker.measuring.look_comparison import compare_looks
from worker.modeling.camera import named_camera
from worker.modeling.glb_import import read_glb
from worker.modeling.render import Renderer, RenderOptions
from worker.modeling.scene_finishing import limit_scene_textures, simplify_scene
from worker.modeling.scene_packing import has_unit_normals, pack_scene
from worker.modeling.simplify import limit_texture_size, simplify_mesh
from worker.modeling.textured_mesh import TexturedMesh
from worker.modeling.web_packing import write_web_glb
from worker.work import Fact, Work

MIN_TEXTURE_PX, MIN_TRIANGLES = 128, 300  # no step goes below
HALVINGS = 4  # of textures and of triangles, at most
PICTURE_PX = 320  # side of the pictures that are shown to people
DIFFERENCE_GAIN = 4  # a difference as it is would be invisible


@dataclass(frozen=True, slots=True)
class Level:
    """How much of a model a web GLB has."""

    texture_px: int  # the longer side of its largest texture; 0: it has none
    triangles: int


@dataclass(frozen=True, slots=True)
class PackedModel:
    """A web GLB and how it was made."""

    data: bytes
    level: Level
    ssim: float = 1.0  # to the plain GLB, in the worst view
    refused: str = ""  # the step that would have changed the look too much


def make_web_glb(work: Work, services: Services) -> Work:
    """Add a small GLB of the same size and look as the plain one, never larger, and within its budget.

    Add one for each channel that has a budget of its own, too.

    Reads: raw_model. Adds: files, facts; issue web.over_budget.
    """
    if "web" in work.deliverable.formats:
        work = _with_packed(work, services, work.deliverable.web_budget, "")
    for channel, budget in work.deliverable.budgets.items():
        work = _with_packed(work, services, budget, channel)
    return work


def _with_packed(work: Work, services: Services, budget: WebBudget | None, channel: str) -> Work:
    """Return the work with the GLB for the web, or for a channel where one is named."""
    plain = services.blobs.get(work.model_sha256)
    model = cached_model(services, work.model_sha256)
    is_scene = _is_more_than_a_mesh(plain, cached_features(services, work.model_sha256))
    is_scene = is_scene or not has_unit_normals(model.normals)
    packing = budget or WebBudget()
    is_usual = (packing.geometry, packing.textures) == (DRACO, WEBP)

    def pack(level: Level) -> bytes:
        if is_scene or not is_usual:
            scene = limit_scene_textures(simplify_scene(plain, level.triangles), level.texture_px)
            return pack_scene(scene, geometry=packing.geometry, with_webp=packing.textures == WEBP)
        mesh = limit_texture_size(simplify_mesh(model, level.triangles), level.texture_px)
        return write_web_glb(mesh, work.product.sku)

    full = _level(plain)
    packed = PackedModel(_smaller(plain, pack, full), full)
    if budget is not None:
        packed = _within_budget(packed, budget, pack, model)
        work = _with_comparison(work, services, packed, full, budget, channel)
    return work.with_file(services, packed.data, "web", Role.CHANNEL if channel else Role.PRIMARY, channel)


def _smaller(plain: bytes, pack: Callable[[Level], bytes], full: Level) -> bytes:
    """Return the packed GLB; the plain one where that is smaller, or nothing in it can be packed."""
    try:
        return min(pack(full), plain, key=len)
    except InputError as error:
        if error.issue_code != "geometry.empty":
            raise
        return plain


def _is_more_than_a_mesh(glb: bytes, found: tuple[str, ...]) -> bool:
    """Return whether one mesh without tangents is not enough for a model.

    Args:
        glb: The model.
        found: Its features.
    """
    asset = read_json(glb).get("asset", {})
    is_ours = str(asset.get("generator", "")).startswith(OUR_GENERATOR)
    # Tangents that we computed are an eighth of the web GLB's bytes, and viewers compute the same.
    return bool(set(found) - ({TANGENTS} if is_ours else set()))


def _level(glb: bytes) -> Level:
    """Return the level of a GLB as it is."""
    document = Document(glb)
    sides = [max(t.width, t.height) for t in read_textures(document)]
    return Level(max(sides, default=0), sum(len(p.faces) for p in document.primitives))


def _within_budget(
    packed: PackedModel, budget: WebBudget, pack: Callable[[Level], bytes], model: TexturedMesh
) -> PackedModel:
    """Return the web GLB after as many steps as the budget needs.

    Args:
        packed: The web GLB without a budget.
        budget: The budget.
        pack: Makes a web GLB of a level.
        model: The plain model, to compare with.
    """
    packed = replace(packed, ssim=_ssim(model, packed.data))
    for step in _steps(packed.level, budget):
        if not _excess(packed, budget):
            break
        level = Level(
            min(step.texture_px, packed.level.texture_px), min(step.triangles, packed.level.triangles)
        )
        try:
            data = pack(level)
        except InputError:
            continue  # it cannot be simplified so far
        candidate = PackedModel(data, _level(data), refused=packed.refused)
        is_smaller = len(data) < len(packed.data)
        if not is_smaller and len(_excess(candidate, budget)) >= len(_excess(packed, budget)):
            continue
        candidate = replace(candidate, ssim=_ssim(model, data))
        if candidate.ssim < budget.min_ssim:
            refused = f"{_words(candidate.level)} would have had an SSIM of {candidate.ssim:.3f}"
            packed = replace(packed, refused=refused)
        else:
            packed = candidate
    return packed


def _steps(full: Level, budget: WebBudget) -> Iterator[Level]:
    """Yield the levels to try, in their fixed order; each is joined with those that were taken before."""
    if budget.texture_px:
        yield Level(budget.texture_px, full.triangles)
    if budget.max_triangles:
        yield Level(full.texture_px, budget.max_triangles)
    if not budget.max_bytes:
        return
    px, triangles = (
        min(side, full_side) if side else full_side
        for side, full_side in (
            (budget.texture_px, full.texture_px),
            (budget.max_triangles, full.triangles),
        )
    )
    for halving in range(1, HALVINGS + 1):
        if px >> halving >= MIN_TEXTURE_PX:
            yield Level(px >> halving, triangles)
        if triangles >> halving >= MIN_TRIANGLES:
            yield Level(px, triangles >> halving)


def _excess(packed: PackedModel, budget: WebBudget) -> list[tuple[str, str]]:
    """Return what is over the budget: pairs of the measured value and its limit."""
    pairs = (
        (len(packed.data), budget.max_bytes, "bytes"),
        (packed.level.triangles, budget.max_triangles, "triangles"),
        (packed.level.texture_px, budget.texture_px, "px"),
    )
    return [(f"{value:,} {unit}", f"{limit:,} {unit}") for value, limit, unit in pairs if 0 < limit < value]


def _ssim(model: TexturedMesh, data: bytes) -> float:
    return min(compare_looks(model, read_glb(data)).values())


def _words(level: Level) -> str:
    textures = f"textures of {level.texture_px} px, " if level.texture_px else ""
    return f"{textures}{level.triangles:,} triangles"


def _with_comparison(
    work: Work, services: Services, packed: PackedModel, full: Level, budget: WebBudget, channel: str
) -> Work:
    """Return the work with what the steps changed: facts, the picture, and what is over the budget."""
    steps = f"{_words(full)}; for the web {_words(packed.level)}" if packed.level != full else "Packed"
    end = f"_{channel}" if channel else ""
    facts: dict[str, Fact] = {f"web_steps{end}": steps, f"web_ssim{end}": round(packed.ssim, 3)}
    work = work.with_facts(**facts)
    model = cached_model(services, work.model_sha256)
    picture = encode(_comparison(model, read_glb(packed.data)), None, "webp")
    work = work.with_file(
        services, picture, "webp", Role.EVIDENCE, f"{WEB_PICTURE}-{channel}" if channel else WEB_PICTURE
    )
    excess = _excess(packed, budget)
    if not excess:
        return work
    return work.with_issues(
        issue(
            "web.over_budget",
            f"For {channel or 'the web'}: {packed.refused or 'no step is left'}.",
            measured=", ".join(value for value, _ in excess),
            limit=", ".join(limit for _, limit in excess),
        )
    )


def _comparison(before: TexturedMesh, after: TexturedMesh) -> np.ndarray:
    """Return both models from the hero view and their difference, side by side."""
    camera, options = named_camera(before.min_corner, before.max_corner, "hero"), RenderOptions()
    one, two = (Renderer(m).render(camera, PICTURE_PX, options)[0] for m in (before, after))
    off = np.abs(one.astype(np.int16) - two.astype(np.int16)) * DIFFERENCE_GAIN
    return np.hstack([one, two, (255 - np.minimum(off, 255)).astype(np.uint8)])
