"""Sampling of a mesh's glTF 2.0 material at points of its surface, for shading."""

import io
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from worker.imaging.bilinear_sampling import sample_bilinear
from worker.imaging.linear_light import to_linear
from worker.modeling.textured_mesh import TexturedMesh, row_dot, tangents, unit_vectors

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]

ALPHA = "alpha"  # the alpha channel of the base colour, as a map of its own
MAX_HALVINGS = 5  # of a picture, for distant views


@dataclass(frozen=True, slots=True, kw_only=True)
class SurfaceSamples:
    """The material at n points of a surface."""

    albedo: F32  # (n, 3) linear base colour
    metallic: F32  # (n,) 0 to 1
    roughness: F32  # (n,) 0 to 1
    normals: F32  # (n, 3) unit vectors, with the normal map applied
    sky_visibility: F32  # (n,) the share of the sky that the occlusion map leaves
    emission: F32 | None  # (n, 3) linear; None: no emissive map
    opacity: F32 | None = None  # (n,) 0 to 1; None: opaque


class MaterialSampler:
    """A mesh's material, prepared for sampling at any distance."""

    def __init__(self, model: TexturedMesh) -> None:
        self._model = model
        self._encoded = {
            name: data for name, data in {"base": model.texture, **model.maps}.items() if data is not None
        }
        if model.alpha_mode != "OPAQUE" and model.texture is not None:
            self._encoded[ALPHA] = model.texture
        self._texels_per_m_of = {
            name: _texels_per_m(model, *_picture_size(data)) for name, data in self._encoded.items()
        }
        self._decoded: dict[tuple[str, int], F32] = {}
        self._tangents = tangents(model) if "normal" in self._encoded else None

    def sample(self, face: I64, bary: F32, normals: F32, pixels_per_m: float) -> SurfaceSamples:
        """Return the material where rays hit the mesh.

        Args:
            face: (n,) the triangles that were hit.
            bary: (n, 3) barycentric coordinates of the hits.
            normals: (n, 3) interpolated normals at the hits.
            pixels_per_m: The resolution of the render; maps are sampled at a like resolution.
        """
        model, count = self._model, len(face)
        corners = model.faces.take(face, axis=0)
        uv = (
            np.einsum("nk,nkc->nc", bary, model.uvs.take(corners, axis=0))
            if self._encoded
            else np.zeros((0, 2), np.float32)
        )

        def picture(name: str) -> F32 | None:
            return _sample_repeated(self._level(name, pixels_per_m), uv) if name in self._encoded else None

        base, metal_rough = np.array(model.color[:3], np.float32), picture("metallic_roughness")
        base_colour, occlusion, emission = picture("base"), picture("occlusion"), picture("emissive")
        normal_map = picture("normal")
        albedo = np.broadcast_to(base, (count, 3)) if base_colour is None else base_colour * base
        opacity = picture(ALPHA)
        opacity = None if opacity is None else opacity[:, 0]
        if model.alpha_mode != "OPAQUE":
            opacity = (np.ones(count, np.float32) if opacity is None else opacity) * np.float32(
                model.color[3]
            )
        if model.colors is not None:
            vertex = np.einsum("nk,nkc->nc", bary, model.colors.take(corners, axis=0))
            albedo = albedo * vertex[:, :3]
            opacity = None if opacity is None else opacity * vertex[:, 3]
        return SurfaceSamples(
            albedo=np.asarray(albedo, np.float32),
            metallic=np.full(count, model.metallic, np.float32)
            if metal_rough is None
            else metal_rough[:, 2] * np.float32(model.metallic),
            roughness=np.full(count, model.roughness, np.float32)
            if metal_rough is None
            else metal_rough[:, 1] * np.float32(model.roughness),
            normals=normals
            if normal_map is None
            else self._apply_normal_map(normals, normal_map, corners, bary),
            sky_visibility=np.ones(count, np.float32) if occlusion is None else occlusion[:, 0],
            emission=emission,
            opacity=opacity,
        )

    def _apply_normal_map(self, normals: F32, normal_map: F32, corners: NDArray[np.uint32], bary: F32) -> F32:
        """Return normals with the normal map applied."""
        assert self._tangents is not None
        tangents_at = np.einsum("nk,nkc->nc", bary, self._tangents.take(corners, axis=0))
        tangent = unit_vectors(
            np.asarray(
                tangents_at[:, :3] - normals * row_dot(tangents_at[:, :3], normals)[:, None], np.float32
            )
        )
        bitangent = np.cross(normals, tangent) * np.sign(tangents_at[:, 3:])
        x, y, z = (normal_map * np.float32(2) - 1).T
        return unit_vectors(
            (tangent * x[:, None] + bitangent * y[:, None] + normals * np.maximum(z, 0.05)[:, None]).astype(
                np.float32
            )
        )

    def _level(self, name: str, pixels_per_m: float) -> F32:
        """Return a map at the resolution of the render, so that sampling skips none of its texels."""
        level = int(
            np.clip(np.round(np.log2(max(1.0, self._texels_per_m_of[name] / pixels_per_m))), 0, MAX_HALVINGS)
        )
        if (name, level) not in self._decoded:
            picture = _halve_picture(self._encoded[name], level, "RGBA" if name == ALPHA else "RGB")
            if name == ALPHA:
                picture = picture[..., 3:]
            is_colour = name in ("base", "emissive")
            self._decoded[name, level] = (
                to_linear(picture) if is_colour else picture.astype(np.float32) / np.float32(255)
            )
        return self._decoded[name, level]


def _picture_size(picture: bytes) -> tuple[int, int]:
    """Return height and width of an encoded picture."""
    with Image.open(io.BytesIO(picture)) as image:
        return image.height, image.width


def _halve_picture(picture: bytes, times: int, mode: str) -> NDArray[np.uint8]:
    """Return the pixels of an encoded picture, halved so many times; a JPEG is not decoded at full size."""
    with Image.open(io.BytesIO(picture)) as image:
        size = max(1, image.width >> times), max(1, image.height >> times)
        image.draft("RGB", size)
        return np.asarray(
            cv2.resize(np.asarray(image.convert(mode)), size, interpolation=cv2.INTER_AREA), np.uint8
        )


def _texels_per_m(model: TexturedMesh, height: int, width: int) -> float:
    """Return the mean number of texels per metre of the surface."""
    corners, uvs = model.positions[model.faces], model.uvs[model.faces].astype(np.float64)
    area = float(
        np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1).sum()
    )
    edge_1, edge_2 = uvs[:, 1] - uvs[:, 0], uvs[:, 2] - uvs[:, 0]
    covered = float(np.abs(edge_1[:, 0] * edge_2[:, 1] - edge_1[:, 1] * edge_2[:, 0]).sum())
    return float(np.sqrt(covered * width * height / max(area, 1e-12)))


def _sample_repeated(picture: F32, uv: F32) -> F32:
    """Return a picture's values (n, c) at uv (n, 2), origin at the top left; beyond 0 to 1 it repeats."""
    height, width = picture.shape[:2]
    uv = np.where((uv < 0) | (uv > 1), uv - np.floor(uv), uv)
    return sample_bilinear(picture, np.asarray(uv * (width, height) - 0.5, np.float32))
