"""The materials of a glTF, with all that its core and its extensions say, read without trust."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.gltf.document import Document
from worker.gltf.embedded_textures import image_of_texture
from worker.gltf.json_fields import Row, extension

BASE_COLOUR = "base"
SLOTS = {  # glTF's names of the textures, by ours
    BASE_COLOUR: "baseColorTexture",
    "metallic_roughness": "metallicRoughnessTexture",
    "normal": "normalTexture",
    "occlusion": "occlusionTexture",
    "emissive": "emissiveTexture",
}
OPAQUE, MASK, BLEND = "OPAQUE", "MASK", "BLEND"
REPEAT, CLAMP, MIRROR = 10497, 33071, 33648  # wrap modes of samplers
UNLIT, EMISSIVE_STRENGTH = "KHR_materials_unlit", "KHR_materials_emissive_strength"
SPECULAR_GLOSSINESS, TEXTURE_TRANSFORM = "KHR_materials_pbrSpecularGlossiness", "KHR_texture_transform"
_MAX_NUMBER = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class TextureUse:
    """A texture as a material uses it."""

    image: int  # index in the document's images
    uv_set: int = 0  # TEXCOORD_n
    wrap: tuple[int, int] = (REPEAT, REPEAT)  # modes for u and v
    transform: NDArray[np.float64] = field(default_factory=lambda: np.eye(2, 3))  # (2, 3) of the uvs


@dataclass(frozen=True, slots=True, kw_only=True)
class SurfaceMaterial:
    """A material; factors are glTF's, with glTF's defaults."""

    name: str = ""
    color: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)  # linear RGBA
    roughness: float = 1.0
    metallic: float = 1.0
    emissive: tuple[float, ...] = (0.0, 0.0, 0.0)  # linear RGB, with its strength
    normal_scale: float = 1.0
    occlusion_strength: float = 1.0
    alpha_mode: str = OPAQUE
    alpha_cutoff: float = 0.5
    double_sided: bool = False
    textures: Mapping[str, TextureUse] = field(default_factory=dict)  # by the keys of SLOTS
    extensions: tuple[str, ...] = ()  # all that it uses


def read_material(document: Document, index: int | None) -> SurfaceMaterial:
    """Return a material; glTF's default one where the index names none."""
    rows = document.rows("materials")
    if index is None or not 0 <= index < len(rows):
        return SurfaceMaterial()
    row = rows[index]
    pbr = _object(row.get("pbrMetallicRoughness"))
    old = extension(row, SPECULAR_GLOSSINESS)
    textures, textured_by = {}, dict(_infos(row, pbr, old))
    for slot, info in textured_by.items():
        use = _texture_use(document, info)
        if use is not None:
            textures[slot] = use
    base = old.get("diffuseFactor") if old is not None else pbr.get("baseColorFactor")
    strength = _number(_object(extension(row, EMISSIVE_STRENGTH)).get("emissiveStrength"), 1.0)
    mode = row.get("alphaMode")
    return SurfaceMaterial(
        name=str(row.get("name") or ""),
        color=number_list(base, (1.0, 1.0, 1.0, 1.0)),
        roughness=1 - _number(old.get("glossinessFactor"), 1.0)
        if old is not None
        else _number(pbr.get("roughnessFactor"), 1.0),
        metallic=0.0 if old is not None else _number(pbr.get("metallicFactor"), 1.0),
        emissive=tuple(strength * e for e in number_list(row.get("emissiveFactor"), (0.0, 0.0, 0.0))),
        normal_scale=_number(textured_by.get("normal", {}).get("scale"), 1.0),
        occlusion_strength=_number(textured_by.get("occlusion", {}).get("strength"), 1.0),
        alpha_mode=mode if mode in (MASK, BLEND) else OPAQUE,
        alpha_cutoff=_number(row.get("alphaCutoff"), 0.5),
        double_sided=row.get("doubleSided") is True,
        textures=textures,
        extensions=tuple(sorted(_object(row.get("extensions")))),
    )


def number_list(found: Any, default: tuple[float, ...]) -> tuple[float, ...]:
    """Return a list of as many numbers as the default has; the default for anything else."""
    is_valid = (
        isinstance(found, list)
        and len(found) == len(default)
        and all(isinstance(n, int | float) and abs(n) < _MAX_NUMBER for n in found)
    )
    return tuple(float(n) for n in found) if is_valid else default


def _number(found: Any, default: float) -> float:
    return number_list([found], (default,))[0]


def _object(found: Any) -> Row:
    return found if isinstance(found, dict) else {}


def _infos(row: Row, pbr: Row, old: Row | None) -> list[tuple[str, Row]]:
    """Return the texture infos of a material by our slots."""
    found = []
    for slot, name in SLOTS.items():
        info = pbr.get(name) or row.get(name)
        if slot == BASE_COLOUR and old is not None:
            info = old.get("diffuseTexture")
        if isinstance(info, dict):
            found.append((slot, info))
    return found


def _texture_use(document: Document, info: Row) -> TextureUse | None:
    textures, samplers = document.rows("textures"), document.rows("samplers")
    index = info.get("index")
    if not isinstance(index, int) or not 0 <= index < len(textures):
        return None
    row = textures[index]
    image, sampler = image_of_texture(row), row.get("sampler")
    if not isinstance(image, int) or not 0 <= image < len(document.rows("images")):
        return None
    modes = samplers[sampler] if isinstance(sampler, int) and 0 <= sampler < len(samplers) else {}
    transform = extension(info, TEXTURE_TRANSFORM) or {}
    uv_set = transform.get("texCoord", info.get("texCoord", 0))
    return TextureUse(
        image=image,
        uv_set=uv_set if isinstance(uv_set, int) and uv_set >= 0 else 0,
        wrap=(_wrap(modes.get("wrapS")), _wrap(modes.get("wrapT"))),
        transform=_transform_matrix(transform),
    )


def _wrap(found: Any) -> int:
    return found if found in (CLAMP, MIRROR) else REPEAT


def _transform_matrix(transform: Row) -> NDArray[np.float64]:
    """Return a KHR_texture_transform as a matrix, (2, 3)."""
    x, y = number_list(transform.get("offset"), (0.0, 0.0))
    sx, sy = number_list(transform.get("scale"), (1.0, 1.0))
    rotation = _number(transform.get("rotation"), 0.0)
    c, s = np.cos(rotation), np.sin(rotation)
    return np.array([[c * sx, s * sy, x], [-s * sx, c * sy, y]])
