"""USDZ packages for Quick Look, by usd-core: one mesh, one UsdPreviewSurface, metres, Y up."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from pxr import Gf, Sdf, Tf, Usd, UsdGeom, UsdShade, UsdUtils, Vt

from worker.modeling.textured_mesh import TexturedMesh

PNG_MAGIC = b"\x89PNG"
_SHADER_INPUTS = {  # for each picture: inputs of the surface, their types, and the picture's channels
    "base": [("diffuseColor", Sdf.ValueTypeNames.Color3f, "rgb")],
    "normal": [("normal", Sdf.ValueTypeNames.Normal3f, "rgb")],
    "metallic_roughness": [
        ("roughness", Sdf.ValueTypeNames.Float, "g"),
        ("metallic", Sdf.ValueTypeNames.Float, "b"),
    ],
    "occlusion": [("occlusion", Sdf.ValueTypeNames.Float, "r")],
    "emissive": [("emissiveColor", Sdf.ValueTypeNames.Color3f, "rgb")],
}


def write_usdz(model: TexturedMesh, name: str) -> bytes:
    """Return a mesh as a USDZ package. name: the SKU that the package carries."""
    with tempfile.TemporaryDirectory(prefix="usdz-") as folder:
        layer, package = Path(folder) / "model.usdc", Path(folder) / "model.usdz"
        pictures = {}
        for slot, data in {
            **({} if model.texture is None else {"base": model.texture}),
            **model.maps,
        }.items():
            pictures[slot] = f"{slot}.{'png' if data[:4] == PNG_MAGIC else 'jpg'}"
            (Path(folder) / pictures[slot]).write_bytes(data)
        _write_layer(model, name, str(layer), pictures)
        if not UsdUtils.CreateNewARKitUsdzPackage(Sdf.AssetPath(str(layer)), str(package)):
            raise RuntimeError("usd-core could not write the package")
        return package.read_bytes()


def read_usdz_sku(data: bytes) -> str:
    """Return the SKU that a package carries; empty if it carries none or cannot be opened."""
    with open_usdz(data) as stage:
        prim = stage.GetDefaultPrim() if stage else None  # valid only as long as its stage
        return str(prim.GetCustomDataByKey("sku") or "") if prim else ""


@contextmanager
def open_usdz(data: bytes) -> Iterator[Usd.Stage | None]:
    """Open a package as a USD stage for the length of the context; None if OpenUSD cannot open it.

    OpenUSD reads files only, so the bytes are written to a temporary one.
    """
    with tempfile.TemporaryDirectory(prefix="usdz-") as folder:
        package = Path(folder) / "model.usdz"
        package.write_bytes(data)
        try:
            stage = Usd.Stage.Open(str(package))
        except Tf.ErrorException:
            stage = None
        yield stage


def _write_layer(model: TexturedMesh, name: str, path: str, pictures: Mapping[str, str]) -> None:
    stage = Usd.Stage.CreateNew(path)
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    root = UsdGeom.Xform.Define(stage, "/Product")
    root.GetPrim().SetCustomDataByKey("sku", name)
    stage.SetDefaultPrim(root.GetPrim())
    mesh = UsdGeom.Mesh.Define(stage, "/Product/Mesh")
    mesh.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(model.positions)))
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray.FromNumpy(np.full(len(model.faces), 3, np.int32)))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(model.faces.astype(np.int32).ravel()))
    mesh.CreateNormalsAttr(Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(model.normals)))
    mesh.SetNormalsInterpolation(UsdGeom.Tokens.vertex)
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    mesh.CreateExtentAttr([Gf.Vec3f(*map(float, model.min_corner)), Gf.Vec3f(*map(float, model.max_corner))])
    st = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar(
        "st", Sdf.ValueTypeNames.TexCoord2fArray, UsdGeom.Tokens.vertex
    )
    st.Set(Vt.Vec2fArray.FromNumpy(np.ascontiguousarray(model.uvs * [1, -1] + [0, 1], np.float32)))
    UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim()).Bind(_material(stage, model, pictures))
    stage.GetRootLayer().Save()


def _material(stage: Usd.Stage, model: TexturedMesh, pictures: Mapping[str, str]) -> UsdShade.Material:
    material = UsdShade.Material.Define(stage, "/Product/Material")
    surface = UsdShade.Shader.Define(stage, "/Product/Material/Surface")
    surface.CreateIdAttr("UsdPreviewSurface")
    surface.CreateInput("roughness", Sdf.ValueTypeNames.Float).Set(model.roughness)
    surface.CreateInput("metallic", Sdf.ValueTypeNames.Float).Set(model.metallic)
    surface.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).Set(Gf.Vec3f(*model.color[:3]))
    if pictures:
        reader = UsdShade.Shader.Define(stage, "/Product/Material/Reader")
        reader.CreateIdAttr("UsdPrimvarReader_float2")
        reader.CreateInput("varname", Sdf.ValueTypeNames.String).Set("st")
        uv_reader = reader.CreateOutput("result", Sdf.ValueTypeNames.Float2)
        for slot, file in pictures.items():
            node = _texture_node(stage, slot, file, uv_reader)
            if slot == "metallic_roughness":
                node.CreateInput("scale", Sdf.ValueTypeNames.Float4).Set(
                    Gf.Vec4f(1, model.roughness, model.metallic, 1)
                )
            for name, kind, channel in _SHADER_INPUTS[slot]:
                source = node.CreateOutput(
                    channel, Sdf.ValueTypeNames.Float3 if channel == "rgb" else Sdf.ValueTypeNames.Float
                )
                surface.CreateInput(name, kind).ConnectToSource(source)
    material.CreateSurfaceOutput().ConnectToSource(surface.CreateOutput("surface", Sdf.ValueTypeNames.Token))
    return material


def _texture_node(stage: Usd.Stage, slot: str, file: str, uv_reader: UsdShade.Output) -> UsdShade.Shader:
    node = UsdShade.Shader.Define(stage, f"/Product/Material/{slot.title().replace('_', '')}")
    node.CreateIdAttr("UsdUVTexture")
    node.CreateInput("file", Sdf.ValueTypeNames.Asset).Set(Sdf.AssetPath(f"./{file}"))
    node.CreateInput("sourceColorSpace", Sdf.ValueTypeNames.Token).Set(
        "sRGB" if slot in ("base", "emissive") else "raw"
    )
    node.CreateInput("st", Sdf.ValueTypeNames.Float2).ConnectToSource(uv_reader)
    if slot == "normal":  # from 0 to 1 in the picture to -1 to 1
        node.CreateInput("scale", Sdf.ValueTypeNames.Float4).Set(Gf.Vec4f(2, 2, 2, 1))
        node.CreateInput("bias", Sdf.ValueTypeNames.Float4).Set(Gf.Vec4f(-1, -1, -1, 0))
    return node
