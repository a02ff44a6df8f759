"""The web GLB: the same model for pages, its mesh packed by Draco and its texture by WebP. AR viewers outside the browser may not
read it; they get the plain GLB."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import DracoPy
import numpy as np
import pygltflib as gltf
from numpy.typing import NDArray
from PIL import Image

from dam_connector.errors import InputError
from worker.gltf.container import read_json
from worker.modeling.glb_export import BinaryBuffer, gltf_material, new_document
from worker.modeling.textured_mesh import TexturedMesh

DRACO, WEBP = "KHR_draco_mesh_compression", "EXT_texture_webp"
POSITION_BITS = 13  # of the longest side: an eighth of a thousandth
UV_BITS = 12
NORMAL_BITS = 9
LEVEL = 10  # smallest
WEBP_QUALITY, WEBP_METHOD = (
    80,
    5,
)  # method 6 saves a hundredth more and takes two thirds longer; 2, at a like SSIM, is a tenth larger


@dataclass(frozen=True, slots=True)
class PackedMesh:
    """What is inside a Draco stream. extent: width, height, depth in metres."""

    triangles: int
    extent: NDArray[np.float64]


def write_web_glb(model: TexturedMesh, name: str, extras: Mapping[str, str] | None = None) -> bytes:
    """The model as a small GLB: one node, one mesh, one material."""
    doc = new_document(extras)
    blob = BinaryBuffer(doc)
    textured = model.has_pictures
    stream = DracoPy.encode(
        model.positions,
        model.faces,
        quantization_bits=POSITION_BITS,
        compression_level=LEVEL,
        tex_coord=model.uvs.astype(np.float64) if textured else None,
        normals=model.normals.astype(np.float64),
        tex_coord_quantization_bits=UV_BITS,
        normal_quantization_bits=NORMAL_BITS,
    )
    back = DracoPy.decode(stream)
    ids = {attribute["attribute_type"]: attribute["unique_id"] for attribute in back.attributes}
    kinds = DracoPy.AttributeType
    named = {
        "POSITION": ids[kinds.POSITION],
        "NORMAL": ids[kinds.NORMAL],
        **({"TEXCOORD_0": ids[kinds.TEX_COORD]} if textured else {}),
    }
    points = np.asarray(back.points, np.float32)
    accessors = [
        gltf.Accessor(
            componentType=gltf.FLOAT,
            count=len(points),
            type=gltf.VEC3,
            min=points.min(0).tolist(),
            max=points.max(0).tolist(),
        ),
        gltf.Accessor(componentType=gltf.FLOAT, count=len(points), type=gltf.VEC3),
        gltf.Accessor(componentType=gltf.UNSIGNED_INT, count=len(back.faces) * 3, type=gltf.SCALAR),
    ]
    if textured:
        accessors.append(gltf.Accessor(componentType=gltf.FLOAT, count=len(points), type=gltf.VEC2))
    for accessor in accessors:
        accessor.byteOffset = None  # they have no view of their own
    doc.accessors.extend(accessors)
    attributes = gltf.Attributes(POSITION=0, NORMAL=1, TEXCOORD_0=3 if textured else None)
    draco = {DRACO: {"bufferView": blob.add_view(stream), "attributes": named}}
    doc.extensionsUsed, doc.extensionsRequired = [DRACO], [DRACO]
    doc.materials.append(
        gltf_material(
            model, name, lambda data: blob.add_picture(_webp(data), mime="image/webp", extension=WEBP)
        )
    )
    if textured:
        doc.extensionsUsed.append(WEBP)
        doc.extensionsRequired.append(WEBP)
    doc.meshes.append(
        gltf.Mesh(
            name=name,
            primitives=[gltf.Primitive(attributes=attributes, indices=2, material=0, extensions=draco)],
        )
    )
    return blob.finish(name)


def _webp(texture: bytes) -> bytes:
    out = io.BytesIO()
    with Image.open(io.BytesIO(texture)) as image:
        image.convert("RGB").save(out, "WEBP", quality=WEBP_QUALITY, method=WEBP_METHOD)
    return out.getvalue()


def read_web_glb(data: bytes) -> PackedMesh:
    """What the Draco stream of a web GLB holds.

    Raises: InputError file.unreadable.
    """
    doc: Any = read_json(data)
    try:
        view = doc["bufferViews"][doc["meshes"][0]["primitives"][0]["extensions"][DRACO]["bufferView"]]
        start = 28 + int.from_bytes(data[12:16], "little") + view.get("byteOffset", 0)
        mesh = DracoPy.decode(data[start : start + view["byteLength"]])
        return PackedMesh(triangles=len(mesh.faces), extent=np.ptp(np.asarray(mesh.points, float), axis=0))
    except (KeyError, IndexError, TypeError, ValueError, DracoPy.FileTypeException) as error:
        raise InputError(
            "file.unreadable", f"The web GLB cannot be read ({type(error).__name__})."
        ) from error
