"""USDZ for Quick Look, written by usd-core: one mesh, one UsdPreviewSurface, metres, Y up."""

import tempfile
from pathlib import Path

import numpy as np
from pxr import Gf, Sdf, Tf, Usd, UsdGeom, UsdShade, UsdUtils, Vt

from worker.modeling.model import Model


def write_usdz(model: Model, name: str) -> bytes:
    """The model as a USDZ package of the same size and look."""
    with tempfile.TemporaryDirectory(prefix="usdz-") as folder:
        layer, package = Path(folder) / "model.usdc", Path(folder) / "model.usdz"
        texture = None
        if model.texture is not None:
            texture = Path(folder) / ("texture.png" if model.texture[:4] == b"\x89PNG" else "texture.jpg")
            texture.write_bytes(model.texture)
        _write_stage(model, name, str(layer), texture.name if texture else None)
        if not UsdUtils.CreateNewARKitUsdzPackage(Sdf.AssetPath(str(layer)), str(package)):
            raise RuntimeError("usd-core could not write the package")
        return package.read_bytes()


def read_usdz_sku(data: bytes) -> str:
    """The SKU that a package carries, or an empty text when it carries none or cannot be opened."""
    with tempfile.TemporaryDirectory(prefix="usdz-") as folder:
        package = Path(folder) / "model.usdz"
        package.write_bytes(data)
        try:
            stage = Usd.Stage.Open(str(package))
        except Tf.ErrorException:
            return ""
        prim = stage.GetDefaultPrim()  # lives only as long as its stage
        return str(prim.GetCustomDataByKey("sku") or "") if prim else ""


def _write_stage(model: Model, name: str, path: str, texture: str | None) -> None:
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
    mesh.CreateExtentAttr([Gf.Vec3f(*map(float, model.low)), Gf.Vec3f(*map(float, model.high))])
    st = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar("st", Sdf.ValueTypeNames.TexCoord2fArray, UsdGeom.Tokens.vertex)
    st.Set(Vt.Vec2fArray.FromNumpy(np.ascontiguousarray(model.uvs * [1, -1] + [0, 1], np.float32)))
    UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim()).Bind(_material(stage, model, texture))
    stage.GetRootLayer().Save()


def _material(stage: Usd.Stage, model: Model, texture: str | None) -> UsdShade.Material:
    material = UsdShade.Material.Define(stage, "/Product/Material")
    surface = UsdShade.Shader.Define(stage, "/Product/Material/Surface")
    surface.CreateIdAttr("UsdPreviewSurface")
    surface.CreateInput("roughness", Sdf.ValueTypeNames.Float).Set(model.roughness)
    surface.CreateInput("metallic", Sdf.ValueTypeNames.Float).Set(model.metallic)
    colour = surface.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f)
    if texture is None:
        colour.Set(Gf.Vec3f(*model.color[:3]))
    else:
        reader = UsdShade.Shader.Define(stage, "/Product/Material/Reader")
        reader.CreateIdAttr("UsdPrimvarReader_float2")
        reader.CreateInput("varname", Sdf.ValueTypeNames.String).Set("st")
        picture = UsdShade.Shader.Define(stage, "/Product/Material/Texture")
        picture.CreateIdAttr("UsdUVTexture")
        picture.CreateInput("file", Sdf.ValueTypeNames.Asset).Set(Sdf.AssetPath(f"./{texture}"))
        picture.CreateInput("sourceColorSpace", Sdf.ValueTypeNames.Token).Set("sRGB")
        picture.CreateInput("st", Sdf.ValueTypeNames.Float2).ConnectToSource(reader.CreateOutput("result", Sdf.ValueTypeNames.Float2))
        colour.ConnectToSource(picture.CreateOutput("rgb", Sdf.ValueTypeNames.Float3))
    material.CreateSurfaceOutput().ConnectToSource(surface.CreateOutput("surface", Sdf.ValueTypeNames.Token))
    return material
