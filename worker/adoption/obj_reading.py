"""An OBJ with its MTL and pictures as GLB, read by trimesh."""

import io
from typing import Any

import numpy as np
import trimesh
from PIL import Image
from trimesh.resolvers import Resolver
from trimesh.visual.material import PBRMaterial
from trimesh.visual.texture import TextureVisuals

from dam_connector.errors import InputError
from worker.adoption.file_set import FileSet
from worker.imaging.linear_light import to_linear

DEFAULT_COLOR = (0.8, 0.8, 0.8)  # of a material without one
DEFAULT_ROUGHNESS = 0.6
# Maps that are not carried over: keys of the MTL, in lower case, and their names for people.
_LOST_MAPS = {
    "map_bump": "bump map",
    "bump": "bump map",
    "disp": "displacement map",
    "map_d": "map of transparency",
    "map_pr": "map of roughness",
    "map_pm": "map of metalness",
    "map_ks": "map of highlights",
    "refl": "reflection map",
}


class _Files(Resolver):
    """The files beside the OBJ, for trimesh."""

    def __init__(self, files: FileSet) -> None:
        self.files, self.missing = files, list[str]()

    def get(self, key: str) -> bytes:
        name = key.strip().replace("\\", "/")
        if name not in self.files:
            name = name.rpartition("/")[2]  # absolute paths of the machine that exported it
        try:
            return self.files.read(name)
        except InputError:
            self.missing.append(key.strip()[:120])
            raise

    def write(self, name: str, data: object) -> None:
        raise NotImplementedError

    def namespaced(self, namespace: str) -> "_Files":
        return self

    def keys(self) -> list[str]:
        return []


def read_obj(data: bytes, files: FileSet) -> tuple[bytes, tuple[str, ...]]:
    """Return the GLB, and what it does not hold.

    Raises:
        InputError: source.not_a_model: the OBJ is damaged, or a file that it names is missing.
    """
    resolver = _Files(files)
    try:
        loaded = trimesh.load_scene(io.BytesIO(data), file_type="obj", resolver=resolver, process=False)
    except Exception as error:  # trimesh raises whatever its parsing meets
        raise InputError("source.not_a_model", f"The OBJ cannot be read: {error}.") from error
    if resolver.missing:
        message = f"The OBJ needs files that are not beside it: {', '.join(dict.fromkeys(resolver.missing))}."
        raise InputError("source.not_a_model", message, limit="a ZIP with the OBJ and all its files")
    losses: list[str] = []
    scene = trimesh.Scene()
    for name, mesh in loaded.geometry.items():
        if isinstance(mesh, trimesh.Trimesh) and len(mesh.faces):
            _set_material(mesh, files, losses)
            scene.add_geometry(mesh, geom_name=name, node_name=name)
    if not scene.geometry:
        raise InputError("geometry.empty", "The OBJ holds no faces.")
    glb = scene.export(file_type="glb", include_normals=True)
    assert isinstance(glb, bytes)
    return glb, tuple(dict.fromkeys(losses))


def _set_material(mesh: Any, files: FileSet, losses: list[str]) -> None:
    """Replace the material of an OBJ by one that glTF has."""
    found = getattr(mesh.visual, "material", None)
    uvs = getattr(mesh.visual, "uv", None)
    if found is None or not hasattr(found, "kwargs"):
        return  # colours of vertices
    keys = found.kwargs
    losses.extend(text for key, text in _LOST_MAPS.items() if key in keys)
    color, alpha = _color(keys.get("kd"), has_map=found.image is not None), _alpha(keys)
    mesh.visual = TextureVisuals(
        uv=uvs,
        material=PBRMaterial(
            name=str(found.name or "material"),
            baseColorFactor=np.array([*color, alpha]),
            baseColorTexture=found.image,
            normalTexture=_picture(keys.get("norm"), files),
            emissiveTexture=_picture(keys.get("map_ke"), files),
            emissiveFactor=[1.0, 1.0, 1.0] if "map_ke" in keys else _numbers(keys.get("ke"), [0.0] * 3),
            roughnessFactor=_roughness(keys),
            metallicFactor=min(max(_numbers(keys.get("pm"), [0.0])[0], 0.0), 1.0),
            alphaMode="BLEND" if alpha < 1 else "OPAQUE",
        ),
    )


def _color(kd: object, *, has_map: bool) -> tuple[float, ...]:
    """Return the linear colour. Exporters write black beside a map, which they do not mean."""
    srgb = np.clip(_numbers(kd, list(DEFAULT_COLOR)), 0, 1)
    if has_map and not srgb.any():
        return (1.0, 1.0, 1.0)
    linear = to_linear(np.round(srgb * 255).astype(np.uint8).reshape(1, 1, 3))
    return tuple(float(v) for v in linear.ravel())


def _alpha(keys: dict[str, Any]) -> float:
    if "d" in keys:
        return min(max(_numbers(keys["d"], [1.0])[0], 0.0), 1.0)
    return 1 - min(max(_numbers(keys.get("tr"), [0.0])[0], 0.0), 1.0)


def _roughness(keys: dict[str, Any]) -> float:
    """Return the roughness, or that of the exponent of highlights."""
    if "pr" in keys:
        return min(max(_numbers(keys["pr"], [DEFAULT_ROUGHNESS])[0], 0.0), 1.0)
    exponent = _numbers(keys.get("ns"), [-1.0])[0]
    return float((2 / (exponent + 2)) ** 0.25) if exponent >= 0 else DEFAULT_ROUGHNESS


def _numbers(found: Any, default: list[float]) -> list[float]:
    """Return the numbers of a line of an MTL; the default where they are none, or too few."""
    parts = found if isinstance(found, (list, tuple)) else [found]
    try:
        numbers = [float(part) for part in parts]
    except (TypeError, ValueError):
        return default
    return numbers[: len(default)] if len(numbers) >= len(default) and np.isfinite(numbers).all() else default


def _picture(found: object, files: FileSet) -> Image.Image | None:
    name = " ".join(found) if isinstance(found, list) else ""
    if not name or name not in files:
        return None
    try:
        return Image.open(io.BytesIO(files.read(name)), formats=("PNG", "JPEG"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError("source.not_a_model", f"The picture {name[:80]!r} cannot be opened.") from error
