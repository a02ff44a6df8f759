"""UsdPreviewSurface materials as glTF materials."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image
from pxr import Usd, UsdGeom, UsdShade

from dam_connector.errors import InputError
from worker.adoption.file_set import FileSet
from worker.gltf.rewriting import GlbRewriter

MAX_COMBINED_PX = 4096  # side of a picture that is put together from two
_WRAPS = {"clamp": 33071, "black": 33071, "mirror": 33648}  # every other mode repeats
_LOST_INPUTS = ("displacement", "specularColor")


@dataclass(frozen=True, slots=True)
class GltfMaterial:
    """A material in the GLB."""

    index: int | None  # None: the mesh has no material
    uv_name: str  # the primvar of its pictures
    has_vertex_colors: bool = False  # its colour is that of the mesh's vertices


@dataclass(frozen=True, slots=True, kw_only=True)
class _Texture:
    """A texture that an input reads."""

    path: str  # within the package
    channel: str  # rgb, r, g, b or a
    scale: tuple[float, ...]
    wrap: tuple[int, int]
    uv_name: str


class MaterialReader:
    """Reads materials into a GLB, each once."""

    def __init__(self, glb: GlbRewriter, files: FileSet, losses: list[str]) -> None:
        self._glb, self._files, self._losses = glb, files, losses
        self._found: dict[str, GltfMaterial] = {}
        self._textures: dict[tuple[object, ...], int] = {}

    def read(self, material: UsdShade.Material | None) -> GltfMaterial:
        """Return a material in the GLB."""
        if material is None:
            return GltfMaterial(None, "st")
        path = str(material.GetPath())
        if path not in self._found:
            self._found[path] = self._read(material)
        return self._found[path]

    def plain(self, mesh: UsdGeom.Mesh) -> int | None:
        """Return a material of the colour that a mesh shows without one; None where it has no colour.

        It is white where the vertices have colours of their own.
        """
        colors = mesh.GetDisplayColorAttr().Get()
        if colors is None or not len(colors):
            return None
        factor = [*(float(v) for v in (colors[0] if len(colors) == 1 else (1.0, 1.0, 1.0))), 1.0]
        return self._add({"baseColorFactor": factor, "metallicFactor": 0.0, "roughnessFactor": 0.5}, {})

    def _read(self, material: UsdShade.Material) -> GltfMaterial:
        shader = material.ComputeSurfaceSource()[0]
        if not shader or shader.GetIdAttr().Get() != "UsdPreviewSurface":
            self._losses.append("materials that are no UsdPreviewSurface")
            return GltfMaterial(self._add({"metallicFactor": 0.0}, {}), "st")
        textures = {name: t for name in _TEXTURED if (t := self._texture(shader, name))}
        self._losses.extend(
            name for name in _LOST_INPUTS if (i := shader.GetInput(name)) and i.HasConnectedSource()
        )
        pbr: dict[str, object] = {
            "baseColorFactor": self._base_factor(shader, textures),
            "metallicFactor": 1.0 if "metallic" in textures else _number(shader, "metallic", 0.0),
            "roughnessFactor": 1.0 if "roughness" in textures else _number(shader, "roughness", 0.5),
        }
        more: dict[str, object] = {"name": material.GetPrim().GetName()}
        self._write_base(pbr, more, shader, textures)
        self._write_roughness(pbr, textures)
        if "normal" in textures:
            more["normalTexture"] = self._use(textures["normal"])
        if "occlusion" in textures:
            self._write_occlusion(more, textures["occlusion"])
        emissive = _color(shader, "emissiveColor", (0.0, 0.0, 0.0))
        if "emissiveColor" in textures:
            more["emissiveTexture"] = self._use(textures["emissiveColor"])
            emissive = textures["emissiveColor"].scale[:3]
        if any(emissive):
            more["emissiveFactor"] = [min(max(v, 0.0), 1.0) for v in emissive]
        has_colors = _reads_vertex_colors(shader)
        if has_colors:
            pbr["baseColorFactor"] = [1.0, 1.0, 1.0, self._base_factor(shader, textures)[3]]
        names = list(dict.fromkeys(t.uv_name for t in textures.values()))
        if len(names) > 1:
            self._losses.append("second UV set")
        return GltfMaterial(self._add(pbr, more), names[0] if names else "st", has_colors)

    def _base_factor(self, shader: UsdShade.Shader, textures: Mapping[str, _Texture]) -> list[float]:
        color = (
            textures["diffuseColor"].scale[:3]
            if "diffuseColor" in textures
            else _color(shader, "diffuseColor", (0.18, 0.18, 0.18))
        )
        alpha = 1.0 if "opacity" in textures else _number(shader, "opacity", 1.0)
        return [*(min(max(v, 0.0), 1.0) for v in color), min(max(alpha, 0.0), 1.0)]

    def _write_base(
        self,
        pbr: dict[str, object],
        more: dict[str, object],
        shader: UsdShade.Shader,
        textures: Mapping[str, _Texture],
    ) -> None:
        base, opacity = textures.get("diffuseColor"), textures.get("opacity")
        threshold = _number(shader, "opacityThreshold", 0.0)
        if opacity and (base is None or opacity.path != base.path or opacity.channel != "a"):
            self._losses.append("map of transparency")
            opacity = None
        if opacity or _number(shader, "opacity", 1.0) < 1:
            more |= (
                {"alphaMode": "MASK", "alphaCutoff": threshold} if threshold > 0 else {"alphaMode": "BLEND"}
            )
        if base:
            pbr["baseColorTexture"] = self._use(base)

    def _write_roughness(self, pbr: dict[str, object], textures: Mapping[str, _Texture]) -> None:
        """Write roughness and metalness: one picture in glTF, with green and blue."""
        rough, metal = textures.get("roughness"), textures.get("metallic")
        if not rough and not metal:
            return
        fits = (not rough or rough.channel == "g") and (not metal or metal.channel == "b")
        first = rough or metal
        assert first is not None
        if rough and metal and rough.path == metal.path and fits:
            pbr["metallicRoughnessTexture"] = self._use(first)
            pbr["roughnessFactor"], pbr["metallicFactor"] = _factor(rough), _factor(metal)
            return
        data = self._combined(rough, metal)
        pbr["metallicRoughnessTexture"] = self._use(first, data)
        pbr["roughnessFactor"] = _factor(rough) if rough else pbr["roughnessFactor"]
        pbr["metallicFactor"] = _factor(metal) if metal else pbr["metallicFactor"]

    def _write_occlusion(self, more: dict[str, object], texture: _Texture) -> None:
        if texture.channel == "r":
            more["occlusionTexture"] = self._use(texture)
            return
        plane = self._plane(texture)
        out = io.BytesIO()
        Image.merge("RGB", (plane, plane, plane)).save(out, "PNG")
        more["occlusionTexture"] = self._use(texture, out.getvalue())

    def _combined(self, rough: _Texture | None, metal: _Texture | None) -> bytes:
        """Return a PNG with roughness in green and metalness in blue; white where there is none."""
        planes = [self._plane(texture) if texture else None for texture in (rough, metal)]
        sizes = [plane.size for plane in planes if plane]
        size = (max(s[0] for s in sizes), max(s[1] for s in sizes))
        white = Image.new("L", size, 255)
        green, blue = (plane.resize(size) if plane else white for plane in planes)
        out = io.BytesIO()
        Image.merge("RGB", (white, green, blue)).save(out, "PNG")
        return out.getvalue()

    def _plane(self, texture: _Texture) -> Image.Image:
        try:
            with Image.open(io.BytesIO(self._files.read(texture.path)), formats=("PNG", "JPEG")) as image:
                image.thumbnail((MAX_COMBINED_PX, MAX_COMBINED_PX))
                bands = image.convert("RGBA").split()
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            message = f"The picture {texture.path[:80]!r} cannot be opened."
            raise InputError("source.not_a_model", message) from error
        return bands["rgba".find(texture.channel[0])]

    def _texture(self, shader: UsdShade.Shader, name: str) -> _Texture | None:
        """Return the texture that an input reads; None where it reads none, or one that is not there."""
        source = shader.GetInput(name).GetConnectedSources()[0] if shader.GetInput(name) else []
        if not source:
            return None
        reader = UsdShade.Shader(source[0].source.GetPrim())
        file = _value(reader, "file")
        if reader.GetIdAttr().Get() != "UsdUVTexture" or file is None:
            if name != "diffuseColor" or not _reads_vertex_colors(shader):
                self._losses.append(f"{name} by other nodes")
            return None
        path = str(file.path).replace("\\", "/")
        if path not in self._files:
            path = path.rpartition("/")[2]
        if path not in self._files:
            message = f"The USDZ needs {str(file.path)[:120]!r}, which it does not hold."
            raise InputError("source.not_a_model", message)
        scale = _value(reader, "scale")
        wraps = [_WRAPS.get(str(_value(reader, w)), 10497) for w in ("wrapS", "wrapT")]
        return _Texture(
            path=path,
            channel=str(source[0].sourceName),
            scale=tuple(float(v) for v in scale) if scale is not None else (1.0,) * 4,
            wrap=(wraps[0], wraps[1]),
            uv_name=self._uv_name(reader),
        )

    def _uv_name(self, reader: UsdShade.Shader) -> str:
        connected = reader.GetInput("st").GetConnectedSources()[0] if reader.GetInput("st") else []
        node = UsdShade.Shader(connected[0].source.GetPrim()) if connected else None
        if node and node.GetIdAttr().Get() == "UsdTransform2d":
            self._losses.append("texture transforms")
            inner = node.GetInput("in").GetConnectedSources()[0] if node.GetInput("in") else []
            node = UsdShade.Shader(inner[0].source.GetPrim()) if inner else None
        return str(_value(node, "varname") or "st") if node else "st"

    def _use(self, texture: _Texture, data: bytes = b"") -> dict[str, int]:
        content = data or self._files.read(texture.path)
        key = (hash(content), texture.wrap)
        if key not in self._textures:
            mime = "image/png" if content.startswith(b"\x89PNG") else "image/jpeg"
            image = self._glb.add_row("images", {"bufferView": self._glb.add_view(content), "mimeType": mime})
            sampler = {"wrapS": texture.wrap[0], "wrapT": texture.wrap[1]}
            row = {"source": image, "sampler": self._glb.add_row("samplers", sampler)}
            self._textures[key] = self._glb.add_row("textures", row)
        return {"index": self._textures[key]}

    def _add(self, pbr: dict[str, object], more: dict[str, object]) -> int:
        return self._glb.add_row("materials", {"pbrMetallicRoughness": pbr, **more})


_TEXTURED = ("diffuseColor", "opacity", "metallic", "roughness", "normal", "occlusion", "emissiveColor")


def _reads_vertex_colors(shader: UsdShade.Shader) -> bool:
    """Return whether a surface's colour is the displayColor of its mesh."""
    colour = shader.GetInput("diffuseColor")
    source = colour.GetConnectedSources()[0] if colour else []
    reader = UsdShade.Shader(source[0].source.GetPrim()) if source else None
    if not reader or not str(reader.GetIdAttr().Get()).startswith("UsdPrimvarReader_float3"):
        return False
    return str(_value(reader, "varname")) == "displayColor"


def _value(shader: UsdShade.Shader, name: str) -> Any:
    """Return the value of an input, also where a material's interface gives it; None without one."""
    found = shader.GetInput(name) if shader else None
    if not found:
        return None
    attributes = found.GetValueProducingAttributes()
    return attributes[0].Get(Usd.TimeCode.EarliestTime()) if attributes else None


def _number(shader: UsdShade.Shader, name: str, default: float) -> float:
    found = _value(shader, name)
    return float(found) if isinstance(found, (int, float)) and np.isfinite(found) else default


def _color(shader: UsdShade.Shader, name: str, default: tuple[float, ...]) -> tuple[float, ...]:
    found = _value(shader, name)
    try:
        values = tuple(float(v) for v in found) if found is not None else default
    except TypeError:
        return default
    return values if len(values) == 3 and np.isfinite(values).all() else default


def _factor(texture: _Texture) -> float:
    number = "rgba".find(texture.channel[0])
    return min(max(texture.scale[number] if len(texture.scale) > number else 1.0, 0.0), 1.0)
