"""What channels and guidelines ask of models, as data: what can be measured, and one row a limit, each with its source.

A deliverable names the profiles it must satisfy; the report holds every model against all of them. An admin adds one in plugin.json under
`profiles`, from a known one or from nothing, with `max_MEASURE` and `min_MEASURE`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Measure:
    """Something measured on a model: its title, its unit, and what to do where it does not fit.

    What has a smallest and a largest value (textures' sides) holds the largest against a maximum, the smallest against a minimum.
    """

    title: str
    unit: str
    remedy: str


MEASURES: Mapping[str, Measure] = {
    "file_bytes": Measure(
        "size of the file", "bytes", "Shrink the textures, simplify the mesh, or compress both."
    ),
    "validator_errors": Measure(
        "errors by the Khronos validator", "", "Mend what the conformance findings name."
    ),
    "triangles": Measure("triangles", "", "Simplify the mesh (`max_triangles` of the deliverable)."),
    "vertices": Measure("vertices", "", "Simplify the mesh; fewer seams and hard edges need fewer vertices."),
    "materials": Measure("materials", "", "Merge materials into one atlas."),
    "meshes": Measure("meshes", "", "Join meshes."),
    "nodes": Measure("nodes", "", "Flatten the scene; remove empty nodes."),
    "primitives": Measure("draw calls", "", "Join primitives that share a material."),
    "textures": Measure("texture pictures", "", "Merge textures into one atlas."),
    "texture_width_px": Measure(
        "width of textures", "px", "Resize the textures (`texture_px` of the deliverable)."
    ),
    "texture_height_px": Measure(
        "height of textures", "px", "Resize the textures (`texture_px` of the deliverable)."
    ),
    "textures_not_power_of_two": Measure(
        "textures whose sides are no powers of two", "", "Resize them to 512, 1024, 2048 or 4096 px."
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
        "Scale the model to the product's dimensions, or correct those.",
    ),
    "root_transforms": Measure("root nodes with a transform", "", "Apply the transforms to the mesh."),
    "open_edges": Measure("open edges", "", "Close the holes."),
    "crowded_edges": Measure(
        "edges of more than two faces", "", "Remove inner faces; separate what meets in one edge."
    ),
    "hard_edges": Measure(
        "edges of 90 degrees and sharper", "", "Bevel them: no real edge is perfectly sharp."
    ),
    "uv_overlapping": Measure("triangles whose UVs overlap", "", "Unwrap the model anew, without overlap."),
    "uv_inverted": Measure(
        "triangles whose UVs are mirrored",
        "",
        "Flip the mirrored islands; letters would be mirrored on them.",
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


class Level(StrEnum):
    """Whether a limit is one, or advice."""

    MUST = "must"
    SHOULD = "should"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A bound on one measure. at_least, at_most: None is no bound."""

    measure: str
    at_least: float | None = None
    at_most: float | None = None
    level: Level = Level.MUST
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelProfile:
    """What one channel asks. naming: a pattern that names must follow, empty where any will do; lower_case: the Khronos rule for names."""

    limits: tuple[Limit, ...]
    naming: str = ""
    lower_case: bool = False


def _limits(
    source: str, level: Level = Level.MUST, **bounds: tuple[float | None, float | None]
) -> tuple[Limit, ...]:
    return tuple(
        Limit(measure=m, at_least=low, at_most=high, level=level, source=source)
        for m, (low, high) in bounds.items()
    )


_AUDITOR = "Khronos gltf-asset-auditor 1.0.6, recommended schema"
_GUIDE = "Khronos 3D Commerce asset creation guidelines 2.0"
_SHOPIFY = "Shopify help: 3D modeling checklist; Model3dSource"
_GOOGLE = "Google Merchant Center, virtual_model_link, support answer 13674896"
_APPLE = "Apple developer forums, thread 693867"
_SCENE = "Scene Viewer slides of 2019 (unconfirmed)"
_AMAZON = "Amazon 3D model requirements (unconfirmed)"
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
        limits=musts + _limits(_GUIDE, Level.SHOULD, primitives=(None, calls)), lower_case=True
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
        + _limits(_SHOPIFY, Level.SHOULD, file_bytes=(None, 4 * MB))
    ),
    "google-merchant": ModelProfile(
        limits=_limits(_GOOGLE, file_bytes=(None, 15 * MB), validator_errors=(None, 0))
        + _limits(
            _GOOGLE,
            Level.SHOULD,
            file_bytes=(None, 10 * MB),
            texture_width_px=_TWO_K,
            texture_height_px=_TWO_K,
        )
    ),
    "apple-quicklook": ModelProfile(
        limits=_limits(
            _APPLE,
            Level.SHOULD,
            triangles=(None, 100_000),
            texture_width_px=_TWO_K,
            texture_height_px=_TWO_K,
            animation_s=(None, 10),
        )
    ),
    "scene-viewer": ModelProfile(
        limits=_limits(
            _SCENE,
            Level.SHOULD,
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
            Level.SHOULD,
            triangles=(None, 150_000),
            texture_width_px=(2048, 4096),
            texture_height_px=(2048, 4096),
        )
    ),
}
