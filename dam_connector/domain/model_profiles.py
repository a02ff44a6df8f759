"""Profiles of models: the limits that channels and guidelines set, as data, each with its source.

A deliverable names the profiles that its models must satisfy; the report compares every model with all of
them. An admin adds a profile in plugin.json under `profiles`, on the basis of a built-in one or from nothing,
with `max_MEASURE` and `min_MEASURE`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Measure:
    """Something that is measured on a model.

    If a model has several values of it (e.g. the sides of its textures), the largest is compared with a
    maximum and the smallest with a minimum.
    """

    title: str
    unit: str  # empty for a plain number
    remedy: str  # what a person does about a value beyond a limit
    admin: str = ""  # what an admin can do besides


MEASURES: Mapping[str, Measure] = {
    "file_bytes": Measure(
        "size of the file", "bytes", "Shrink the textures, simplify the mesh, or compress both."
    ),
    "validator_errors": Measure(
        "errors by the Khronos validator", "", "Correct the places that the conformance findings name."
    ),
    "triangles": Measure("triangles", "", "Simplify the mesh.", "Lower `max_triangles` of the deliverable."),
    "vertices": Measure("vertices", "", "Simplify the mesh; fewer seams and hard edges need fewer vertices."),
    "materials": Measure("materials", "", "Merge materials into one atlas."),
    "meshes": Measure("meshes", "", "Join meshes."),
    "nodes": Measure("nodes", "", "Flatten the scene; remove empty nodes."),
    "primitives": Measure("draw calls", "", "Join primitives that share a material."),
    "textures": Measure("texture images", "", "Merge textures into one atlas."),
    "texture_width_px": Measure(
        "width of textures", "px", "Resize the textures.", "Lower `texture_px` of the deliverable."
    ),
    "texture_height_px": Measure(
        "height of textures", "px", "Resize the textures.", "Lower `texture_px` of the deliverable."
    ),
    "textures_not_power_of_two": Measure(
        "textures whose sides are not powers of two", "", "Resize them to 512, 1024, 2048 or 4096 px."
    ),
    "textures_not_square": Measure("textures that are not square", "", "Resize them to equal sides."),
    "base_color": Measure(
        "brightness of base colour textures",
        "of 255",
        "Keep pure black and pure white out of the base colour.",
    ),
    "width_m": Measure("width", "m", "Scale the model in metres."),
    "height_m": Measure("height", "m", "Scale the model in metres."),
    "depth_m": Measure("depth", "m", "Scale the model in metres."),
    "product_off_pct": Measure(
        "off the product's size, on the worst axis",
        "%",
        "Scale the model to the product's dimensions, or correct the dimensions.",
    ),
    "root_transforms": Measure("root nodes with a transform", "", "Apply the transforms to the mesh."),
    "open_edges": Measure("open edges", "", "Close the holes."),
    "crowded_edges": Measure(
        "edges of more than two faces", "", "Remove inner faces, and separate parts that meet in one edge."
    ),
    "hard_edges": Measure(
        "edges of 90 degrees and sharper", "", "Bevel them: no real edge is perfectly sharp."
    ),
    "uv_overlapping": Measure("triangles whose UVs overlap", "", "Unwrap the model again, without overlap."),
    "uv_inverted": Measure(
        "triangles whose UVs are mirrored",
        "",
        "Flip the mirrored islands: letters on them would be mirrored.",
    ),
    "uv_outside": Measure("range of UVs beyond 0 to 1", "", "Move the islands into the 0 to 1 square."),
    "uv_gutter_px": Measure(
        "gutter between UV islands at 1024 px",
        "px",
        "Pack the islands farther apart, so that colours do not bleed.",
    ),
    "texel_density": Measure(
        "pixels of the texture per metre", "px/m", "Resize the texture, or give the islands a common scale."
    ),
    "animation_s": Measure("length of animations", "s", "Shorten or remove the animations."),
}


class LimitLevel(StrEnum):
    """How strict a limit is."""

    MUST = "must"
    SHOULD = "should"  # advice


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLimit:
    """A limit of one measure of a model."""

    measure: str  # a key of `MEASURES`
    at_least: float | None = None  # None: no minimum
    at_most: float | None = None  # None: no maximum
    level: LimitLevel = LimitLevel.MUST
    source: str  # where the limit comes from


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelProfile:
    """What one channel or guideline demands of models."""

    limits: tuple[ModelLimit, ...]
    naming: str = ""  # pattern that file names must follow; empty: any name
    lower_case: bool = False  # whether the Khronos rule for names applies


def _limits(
    source: str, level: LimitLevel = LimitLevel.MUST, **bounds: tuple[float | None, float | None]
) -> tuple[ModelLimit, ...]:
    return tuple(
        ModelLimit(measure=m, at_least=low, at_most=high, level=level, source=source)
        for m, (low, high) in bounds.items()
    )


_AUDITOR = "Khronos gltf-asset-auditor 1.0.6, recommended schema"
_GUIDE = "Khronos 3D Commerce asset creation guidelines 2.0 (August 2025)"
_SHOPIFY = "Shopify help: 3D modeling checklist; Model3dSource"
_GOOGLE = "Google Merchant Center Help, answer 13674896, read 2026-11-29"
_APPLE = "Apple developer forums, thread 693867"
_SCENE = (
    "ARCore slides of Google I/O 2019, as others cite them; no page of Google has them, looked for 2026-11-29"
)
_AMAZON = "Amazon Seller Central, 3D guidelines: behind a login, others' accounts of them, 2026-11-29"
_TWO_K: tuple[None, float] = (None, 2048)
KIB, MB = 1024, 1_000_000


def _guide(megabytes: float, triangles: int, calls: int, texture_px: int) -> ModelProfile:
    musts = _limits(
        _GUIDE,
        file_bytes=(None, megabytes * MB),
        triangles=(None, triangles),
        texture_width_px=(None, texture_px),
        texture_height_px=(None, texture_px),
        root_transforms=(None, 0),
    )
    return ModelProfile(
        limits=musts + _limits(_GUIDE, LimitLevel.SHOULD, primitives=(None, calls)), lower_case=True
    )


MODEL_PROFILES: Mapping[str, ModelProfile] = {
    "khronos-recommended": ModelProfile(
        limits=_limits(
            _AUDITOR,
            file_bytes=(KIB, 5120 * KIB),
            validator_errors=(None, 0),
            materials=(None, 5),
            triangles=(None, 100_000),
            texture_width_px=(512, 2048),
            texture_height_px=(512, 2048),
            textures_not_power_of_two=(None, 0),
            base_color=(30, 243),
            uv_inverted=(None, 0),
            product_off_pct=(None, 3),
        )
    ),
    "khronos-mobile-ar": _guide(3, 150_000, 20, 2048),
    "khronos-desktop": _guide(3, 250_000, 100, 2048),
    "khronos-planner": _guide(1, 40_000, 5, 1024),
    "khronos-banner": _guide(0.5, 30_000, 5, 512),
    "shopify": ModelProfile(
        limits=_limits(_SHOPIFY, file_bytes=(None, 500 * MB), validator_errors=(None, 0))
        + _limits(_SHOPIFY, LimitLevel.SHOULD, file_bytes=(None, 4 * MB))
    ),
    "google-merchant": ModelProfile(
        limits=_limits(_GOOGLE, file_bytes=(None, 15 * MB), validator_errors=(None, 0))
        + _limits(
            _GOOGLE,
            LimitLevel.SHOULD,
            file_bytes=(None, 10 * MB),
            texture_width_px=_TWO_K,
            texture_height_px=_TWO_K,
        )
    ),
    "apple-quicklook": ModelProfile(
        limits=_limits(
            _APPLE,
            LimitLevel.SHOULD,
            triangles=(None, 100_000),
            texture_width_px=_TWO_K,
            texture_height_px=_TWO_K,
            animation_s=(None, 10),
        )
    ),
    "scene-viewer": ModelProfile(
        limits=_limits(
            _SCENE,
            LimitLevel.SHOULD,
            file_bytes=(None, 10 * MB),
            vertices=(None, 30_000),
            materials=(None, 10),
            texture_width_px=_TWO_K,
            texture_height_px=_TWO_K,
        )
    ),
    "amazon": ModelProfile(
        limits=_limits(
            _AMAZON,
            LimitLevel.SHOULD,
            triangles=(None, 150_000),
            texture_width_px=(2048, 4096),
            texture_height_px=(2048, 4096),
        )
    ),
}
