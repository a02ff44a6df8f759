"""The web GLB: the same mesh for web pages, compressed by Draco, its textures by WebP.

AR viewers outside the browser cannot always read it; they get the plain GLB.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass

import DracoPy
import numpy as np
import pygltflib as gltf
from numpy.typing import NDArray
from PIL import Image

from dam_connector.errors import InputError
from worker.gltf.document import Document
from worker.modeling.glb_export import BinaryBuffer, gltf_material, new_document
from worker.modeling.textured_mesh import TexturedMesh

DRACO, WEBP = "KHR_draco_mesh_compression", "EXT_texture_webp"
POSITION_BITS = 13  # steps of an eighth of a thousandth of the longest side
UV_BITS = 12
NORMAL_BITS = 9
COMPRESSION_LEVEL = 10  # the smallest files
# Method 6 saves a hundredth more and takes two thirds longer; method 2, at a like SSIM, is a tenth larger.
WEBP_QUALITY, WEBP_METHOD = 80, 5
SMALL_PIXELS = 256 * 256  # palettes and icons are often smaller, and always better, without loss


@dataclass(frozen=True, slots=True)
class PackedMesh:
    """The triangles of a web GLB."""

    triangles: int  # how many
    extent: NDArray[np.float64]  # (3,) width, height and depth in metres


def write_web_glb(model: TexturedMesh, name: str, extras: Mapping[str, str] | None = None) -> bytes:
    """Return a mesh as a compressed GLB: one node, one mesh, one material; arguments as for `write_glb`.

    Raises:
        InputError: geometry.empty, no triangle has an area.
    """
    document = new_document(extras)
    buffer = BinaryBuffer(document, model.wrap)
    textured = model.has_pictures
    stream = _encoded(model)
    decoded = DracoPy.decode(stream)
    ids = {attribute["attribute_type"]: attribute["unique_id"] for attribute in decoded.attributes}
    attribute_types = DracoPy.AttributeType
    attribute_ids = {
        "POSITION": ids[attribute_types.POSITION],
        "NORMAL": ids[attribute_types.NORMAL],
        **({"TEXCOORD_0": ids[attribute_types.TEX_COORD]} if textured else {}),
    }
    points = np.asarray(decoded.points, np.float32)
    accessors = [
        gltf.Accessor(
            componentType=gltf.FLOAT,
            count=len(points),
            type=gltf.VEC3,
            min=points.min(0).tolist(),
            max=points.max(0).tolist(),
        ),
        gltf.Accessor(componentType=gltf.FLOAT, count=len(points), type=gltf.VEC3),
        gltf.Accessor(componentType=gltf.UNSIGNED_INT, count=len(decoded.faces) * 3, type=gltf.SCALAR),
    ]
    if textured:
        accessors.append(gltf.Accessor(componentType=gltf.FLOAT, count=len(points), type=gltf.VEC2))
    for accessor in accessors:
        accessor.byteOffset = None  # their data is in the Draco stream, so they have no buffer view
    document.accessors.extend(accessors)
    attributes = gltf.Attributes(POSITION=0, NORMAL=1, TEXCOORD_0=3 if textured else None)
    draco = {DRACO: {"bufferView": buffer.add_view(stream), "attributes": attribute_ids}}
    document.extensionsUsed, document.extensionsRequired = [DRACO], [DRACO]
    document.materials.append(
        gltf_material(
            model, name, lambda data: buffer.add_picture(webp(data), mime="image/webp", extension=WEBP)
        )
    )
    if textured:
        document.extensionsUsed.append(WEBP)
        document.extensionsRequired.append(WEBP)
    document.meshes.append(
        gltf.Mesh(
            name=name,
            primitives=[gltf.Primitive(attributes=attributes, indices=2, material=0, extensions=draco)],
        )
    )
    return buffer.finish(name)


def _encoded(model: TexturedMesh) -> bytes:
    """Return the triangles of a mesh as a Draco stream."""
    try:
        return DracoPy.encode(
            model.positions,
            model.faces,
            quantization_bits=POSITION_BITS,
            compression_level=COMPRESSION_LEVEL,
            tex_coord=model.uvs.astype(np.float64) if model.has_pictures else None,
            normals=model.normals.astype(np.float64),
            tex_coord_quantization_bits=UV_BITS,
            normal_quantization_bits=NORMAL_BITS,
        )
    except DracoPy.EncodingFailedException as error:  # e.g. a node has the scale 0
        raise InputError("geometry.empty", "No triangle of the model has an area.") from error


def webp(texture: bytes, *, keep_alpha: bool = False) -> bytes:
    """Return an encoded picture as WebP. keep_alpha: keep its alpha channel, without loss."""
    out = io.BytesIO()
    with Image.open(io.BytesIO(texture)) as image:
        has_alpha = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
        mode = "RGBA" if keep_alpha and has_alpha else "RGB"
        # `exact` keeps the colours of transparent pixels, which a viewer mixes in at their border.
        picture = image.convert(mode)
        picture.save(out, "WEBP", quality=WEBP_QUALITY, method=WEBP_METHOD, exact=True)
        if picture.width * picture.height > SMALL_PIXELS:
            return out.getvalue()
        without_loss = io.BytesIO()
        picture.save(without_loss, "WEBP", lossless=True, exact=True)
    return min(without_loss.getvalue(), out.getvalue(), key=len)


def read_web_glb(data: bytes) -> PackedMesh:
    """Return the triangles of a web GLB, decoded.

    Raises:
        InputError: file.*, the file or a stream in it is damaged.
    """
    primitives = [p for p in Document(data).primitives if len(p.faces)]
    if not primitives:
        raise InputError("geometry.empty", "The web GLB holds no triangles.")
    points = np.concatenate([p.positions[np.unique(p.faces)] for p in primitives])
    return PackedMesh(triangles=sum(len(p.faces) for p in primitives), extent=np.ptp(points, axis=0))
