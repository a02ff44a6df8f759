"""UsdPreviewSurface materials with all of a glTF material that such a surface can say."""

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from PIL import Image
from pxr import Gf, Sdf, Usd, UsdShade

from worker.gltf.materials import BLEND, CLAMP, MASK, MIRROR, UNLIT, SurfaceMaterial, TextureUse
from worker.gltf.texture_pictures import scaled_normals

PNG_MAGIC = b"\x89PNG"
_WRAPS = {CLAMP: "clamp", MIRROR: "mirror"}  # every other mode repeats
_LEAST_THRESHOLD = 1e-4  # of opacity: OpenUSD takes 0 for "no threshold"
_FLOAT, _COLOR = Sdf.ValueTypeNames.Float, Sdf.ValueTypeNames.Color3f
# Extensions that a UsdPreviewSurface says as well, where none of their own textures is used.
CARRIED_EXTENSIONS = frozenset(
    ("KHR_materials_emissive_strength", "KHR_materials_ior", "KHR_materials_clearcoat", UNLIT)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsdSurface:
    """A material and what the mesh that has it adds."""

    material: SurfaceMaterial
    pictures: Mapping[str, str]  # files by slot, without those that cannot be decoded
    has_alpha: bool  # whether the base colour's picture has an alpha channel
    primvars: Mapping[str, str]  # the UV primvar of each slot
    tint: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)  # vertex colour that all vertices share
    has_vertex_colors: bool = False  # read from displayColor and displayOpacity
    ior: float | None = None
    clearcoat: tuple[float, float] | None = None  # factor and roughness


def define_material(stage: Usd.Stage, path: str, surface: UsdSurface) -> UsdShade.Material:
    """Write a material at a path and return it."""
    material = UsdShade.Material.Define(stage, path)
    shader = UsdShade.Shader.Define(stage, f"{path}/Surface")
    shader.CreateIdAttr("UsdPreviewSurface")
    _MaterialWriter(stage, path, shader, surface).write()
    material.CreateSurfaceOutput().ConnectToSource(shader.CreateOutput("surface", Sdf.ValueTypeNames.Token))
    return material


class _MaterialWriter:
    """One material while it is written."""

    def __init__(self, stage: Usd.Stage, path: str, shader: UsdShade.Shader, surface: UsdSurface) -> None:
        self._stage, self._path, self._shader, self._surface = stage, path, shader, surface
        self._readers: dict[str, UsdShade.Output] = {}
        self._color = tuple(f * t for f, t in zip(surface.material.color, surface.tint, strict=True))

    def write(self) -> None:
        m, surface = self._surface.material, self._surface
        self._set("roughness", _FLOAT, m.roughness)
        self._set("metallic", _FLOAT, m.metallic)
        if surface.ior is not None:
            self._set("ior", _FLOAT, surface.ior)
        if surface.clearcoat is not None:
            self._set("clearcoat", _FLOAT, surface.clearcoat[0])
            self._set("clearcoatRoughness", _FLOAT, surface.clearcoat[1])
        self._write_base()
        if "normal" in surface.pictures:
            node = self._texture("normal", "raw", (2.0, 2.0, 2.0, 1.0), (-1.0, -1.0, -1.0, 0.0))
            self._connect("normal", Sdf.ValueTypeNames.Normal3f, node, "rgb")
        if "metallic_roughness" in surface.pictures:
            node = self._texture("metallic_roughness", "raw", (1.0, m.roughness, m.metallic, 1.0))
            self._connect("roughness", _FLOAT, node, "g")
            self._connect("metallic", _FLOAT, node, "b")
        if "occlusion" in surface.pictures:
            strength = m.occlusion_strength
            node = self._texture("occlusion", "raw", (strength,) * 3 + (1.0,), (1.0 - strength,) * 3 + (0.0,))
            self._connect("occlusion", _FLOAT, node, "r")
        self._write_emission()

    def _write_base(self) -> None:
        """Write colour and opacity. An unlit material has its colour as light of its own."""
        is_unlit = UNLIT in self._surface.material.extensions
        target = "emissiveColor" if is_unlit else "diffuseColor"
        if is_unlit:
            self._set("diffuseColor", _COLOR, Gf.Vec3f(0, 0, 0))
            self._set("roughness", _FLOAT, 1.0)
        self._set(target, _COLOR, Gf.Vec3f(*self._color[:3]))
        node = None
        if "base" in self._surface.pictures:
            node = self._texture("base", "sRGB", self._color)
            self._connect(target, _COLOR, node, "rgb")
        elif self._surface.has_vertex_colors:
            reader = self._reader("displayColor", "float3", Sdf.ValueTypeNames.Float3)
            self._input(target, _COLOR).ConnectToSource(reader)
        self._write_opacity(node if self._surface.has_alpha else None)

    def _write_opacity(self, base: UsdShade.Shader | None) -> None:
        m = self._surface.material
        if m.alpha_mode not in (MASK, BLEND) or (m.alpha_mode == MASK and m.alpha_cutoff <= 0):
            return
        self._set("opacity", _FLOAT, self._color[3])
        if base is not None:
            self._connect("opacity", _FLOAT, base, "a")
        elif self._surface.has_vertex_colors:
            reader = self._reader("displayOpacity", "float", _FLOAT)
            self._input("opacity", _FLOAT).ConnectToSource(reader)
        if m.alpha_mode == MASK:
            self._set("opacityThreshold", _FLOAT, max(m.alpha_cutoff, _LEAST_THRESHOLD))

    def _write_emission(self) -> None:
        m = self._surface.material
        if UNLIT in m.extensions or not any(m.emissive):
            return
        self._set("emissiveColor", _COLOR, Gf.Vec3f(*m.emissive))
        if "emissive" in self._surface.pictures:
            node = self._texture("emissive", "sRGB", (*m.emissive, 1.0))
            self._connect("emissiveColor", _COLOR, node, "rgb")

    def _texture(
        self,
        slot: str,
        colour_space: str,
        scale: tuple[float, ...],
        bias: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0),
    ) -> UsdShade.Shader:
        node = UsdShade.Shader.Define(self._stage, f"{self._path}/{slot.title().replace('_', '')}")
        node.CreateIdAttr("UsdUVTexture")
        file = f"./{self._surface.pictures[slot]}"
        node.CreateInput("file", Sdf.ValueTypeNames.Asset).Set(Sdf.AssetPath(file))
        node.CreateInput("sourceColorSpace", Sdf.ValueTypeNames.Token).Set(colour_space)
        reader = self._reader(self._surface.primvars[slot], "float2", Sdf.ValueTypeNames.Float2)
        node.CreateInput("st", Sdf.ValueTypeNames.Float2).ConnectToSource(reader)
        modes = self._surface.material.textures[slot].wrap
        for name, mode in zip(("wrapS", "wrapT"), modes, strict=True):
            node.CreateInput(name, Sdf.ValueTypeNames.Token).Set(_WRAPS.get(mode, "repeat"))
        for name, values, neutral in (("scale", scale, 1.0), ("bias", bias, 0.0)):
            if any(value != neutral for value in values):
                node.CreateInput(name, Sdf.ValueTypeNames.Float4).Set(Gf.Vec4f(*values))
        return node

    def _reader(self, primvar: str, kind: str, value: Sdf.ValueTypeName) -> UsdShade.Output:
        """Return the output of a node that reads a primvar; each is written once."""
        if primvar not in self._readers:
            suffix = "" if primvar == "st" else f"_{primvar}"
            reader = UsdShade.Shader.Define(self._stage, f"{self._path}/Reader{suffix}")
            reader.CreateIdAttr(f"UsdPrimvarReader_{kind}")
            reader.CreateInput("varname", Sdf.ValueTypeNames.String).Set(primvar)
            self._readers[primvar] = reader.CreateOutput("result", value)
        return self._readers[primvar]

    def _input(self, name: str, kind: Sdf.ValueTypeName) -> UsdShade.Input:
        return self._shader.GetInput(name) or self._shader.CreateInput(name, kind)

    def _set(self, name: str, kind: Sdf.ValueTypeName, value: object) -> None:
        self._input(name, kind).Set(value)

    def _connect(self, name: str, kind: Sdf.ValueTypeName, node: UsdShade.Shader, channel: str) -> None:
        output = node.GetOutput(channel) or node.CreateOutput(
            channel, Sdf.ValueTypeNames.Float3 if channel == "rgb" else Sdf.ValueTypeNames.Float
        )
        self._input(name, kind).ConnectToSource(output)


class PictureFiles:
    """The pictures of a package: each is stored once, under the name of its first use."""

    def __init__(self, read: Callable[[int], bytes], write: Callable[[str, bytes], None]) -> None:
        """Create the files. read: returns an image as PNG or JPEG. write: stores a file of the package."""
        self._read, self._write = read, write
        self._names: dict[tuple[int, float], str] = {}
        self._alpha: dict[str, bool] = {}

    def add(self, slot: str, use: TextureUse, normal_scale: float) -> str:
        """Return the name of the file for a texture; empty if it cannot be decoded."""
        key = (use.image, normal_scale if slot == "normal" else 1.0)
        if key not in self._names:
            data = self._read(use.image)
            if data and key[1] != 1.0:
                data = scaled_normals(data, normal_scale)  # OpenUSD wants maps of the usual scale
            self._names[key] = self._store(slot, data) if data else ""
        return self._names[key]

    def has_alpha(self, name: str) -> bool:
        """Return whether a stored picture has an alpha channel."""
        return self._alpha.get(name, False)

    def _store(self, slot: str, data: bytes) -> str:
        extension = "png" if data[:4] == PNG_MAGIC else "jpg"
        name = next(n for n in _numbered(slot, extension) if n not in self._alpha)
        with Image.open(io.BytesIO(data)) as picture:
            self._alpha[name] = picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info
        self._write(name, data)
        return name


def _numbered(slot: str, extension: str) -> Iterator[str]:
    yield f"{slot}.{extension}"
    number = 1
    while True:
        yield f"{slot}_{number}.{extension}"
        number += 1
