"""Skin: what a model's material and its pictures say of the surface at a point: colour, metal, roughness, relief, glow (glTF 2.0)."""

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

SMALLEST = 5  # halvings of a picture


@dataclass(frozen=True, slots=True, kw_only=True)
class SurfaceSamples:
    """The surface at n points. albedo: (n, 3) linear; metallic, roughness, free: (n,), free being the share of the sky that the model's
    own occlusion leaves; normals: (n, 3) unit; glow: (n, 3) linear, or None."""

    albedo: F32
    metallic: F32
    roughness: F32
    normals: F32
    sky_visibility: F32
    emission: F32 | None


class MaterialSampler:
    """A model's pictures, made ready to be looked at from any distance."""

    def __init__(self, model: TexturedMesh) -> None:
        self._model = model
        self._pictures = {
            name: data for name, data in {"base": model.texture, **model.maps}.items() if data is not None
        }
        self._density = {name: _texels_per_m(model, *_size(data)) for name, data in self._pictures.items()}
        self._levels: dict[tuple[str, int], F32] = {}
        self._tangents = tangents(model) if "normal" in self._pictures else None

    def sample(self, face: I64, bary: F32, normals: F32, pixels_per_m: float) -> SurfaceSamples:
        """The surface where rays hit `face` (n,) at `bary` (n, 3), as a picture of `pixels_per_m` shows it. normals: (n, 3), the form's."""
        model, count = self._model, len(face)
        corners = model.faces.take(face, axis=0)
        uv = (
            np.einsum("nk,nkc->nc", bary, model.uvs.take(corners, axis=0))
            if self._pictures
            else np.zeros((0, 2), np.float32)
        )

        def picture(name: str) -> F32 | None:
            return _repeated(self._level(name, pixels_per_m), uv) if name in self._pictures else None

        base, rough = np.array(model.color[:3], np.float32), picture("metallic_roughness")
        painted, hidden, glow = picture("base"), picture("occlusion"), picture("emissive")
        relief = picture("normal")
        return SurfaceSamples(
            albedo=np.broadcast_to(base, (count, 3)) if painted is None else painted * base,
            metallic=np.full(count, model.metallic, np.float32)
            if rough is None
            else rough[:, 2] * np.float32(model.metallic),
            roughness=np.full(count, model.roughness, np.float32)
            if rough is None
            else rough[:, 1] * np.float32(model.roughness),
            normals=normals if relief is None else self._bent(normals, relief, corners, bary),
            sky_visibility=np.ones(count, np.float32) if hidden is None else hidden[:, 0],
            emission=glow,
        )

    def _bent(self, normals: F32, relief: F32, corners: NDArray[np.uint32], bary: F32) -> F32:
        """The normals with the picture's relief."""
        assert self._tangents is not None
        along = np.einsum("nk,nkc->nc", bary, self._tangents.take(corners, axis=0))
        tangent = unit_vectors(
            np.asarray(along[:, :3] - normals * row_dot(along[:, :3], normals)[:, None], np.float32)
        )
        other = np.cross(normals, tangent) * np.sign(along[:, 3:])
        x, y, z = (relief * np.float32(2) - 1).T
        return unit_vectors(
            (tangent * x[:, None] + other * y[:, None] + normals * np.maximum(z, 0.05)[:, None]).astype(
                np.float32
            )
        )

    def _level(self, name: str, pixels_per_m: float) -> F32:
        """The picture at the size that it is shown at, so that nothing of it is skipped."""
        level = int(np.clip(np.round(np.log2(max(1.0, self._density[name] / pixels_per_m))), 0, SMALLEST))
        if (name, level) not in self._levels:
            picture = _halved(self._pictures[name], level)
            light = name in ("base", "emissive")
            self._levels[name, level] = (
                to_linear(picture) if light else picture.astype(np.float32) / np.float32(255)
            )
        return self._levels[name, level]


def _size(picture: bytes) -> tuple[int, int]:
    """Of an encoded picture, height and width."""
    with Image.open(io.BytesIO(picture)) as image:
        return image.height, image.width


def _halved(picture: bytes, times: int) -> NDArray[np.uint8]:
    """An encoded picture's pixels, halved so often; a JPEG is not even decoded at its full size."""
    with Image.open(io.BytesIO(picture)) as image:
        size = max(1, image.width >> times), max(1, image.height >> times)
        image.draft("RGB", size)
        return np.asarray(
            cv2.resize(np.asarray(image.convert("RGB")), size, interpolation=cv2.INTER_AREA), np.uint8
        )


def _texels_per_m(model: TexturedMesh, height: int, width: int) -> float:
    """Texels per metre of the model's surface, on the average."""
    p, t = model.positions[model.faces], model.uvs[model.faces].astype(np.float64)
    area = float(np.linalg.norm(np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]), axis=1).sum())
    one, two = t[:, 1] - t[:, 0], t[:, 2] - t[:, 0]
    covered = float(np.abs(one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]).sum())
    return float(np.sqrt(covered * width * height / max(area, 1e-12)))


def _repeated(picture: F32, uv: F32) -> F32:
    """The picture's values (n, c) at uv (n, 2), origin top left; beyond 0 to 1 it repeats."""
    height, width = picture.shape[:2]
    uv = np.where((uv < 0) | (uv > 1), uv - np.floor(uv), uv)
    return sample_bilinear(picture, np.asarray(uv * (width, height) - 0.5, np.float32))
