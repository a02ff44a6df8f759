"""The web GLB of a model that is kept as it is: textures as WebP, triangles by Draco or meshopt.

For Draco, a primitive with morph targets, a skin, vertex colours or further attributes keeps its vertices
uncompressed.
"""

import io
import math

import DracoPy
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dam_connector.domain.rules import DRACO as DRACO_PACKING
from dam_connector.domain.rules import MESHOPT as MESHOPT_PACKING
from worker.gltf.document import TRIANGLES, Document, LocalMesh
from worker.gltf.json_fields import Row, extension
from worker.gltf.materials import BLEND, MASK
from worker.gltf.mesh_compression import DRACO
from worker.gltf.rewriting import GlbRewriter
from worker.gltf.texture_pictures import texture_picture
from worker.modeling.meshopt_packing import pack_with_meshopt
from worker.modeling.web_packing import (
    COMPRESSION_LEVEL,
    NORMAL_BITS,
    POSITION_BITS,
    UV_BITS,
    WEBP,
    webp,
)

PACKED_ATTRIBUTES = {"POSITION", "NORMAL", "TEXCOORD_0"}
MAX_UV_BITS = 20
JPEG_MAGIC, JPEG_QUALITY = b"\xff\xd8", 92
MAX_NORMAL_DEGREES = 10.0  # of one in a hundred normals of a map
MEASURED_PX = 1024  # side of the part of a map that is measured
MAX_LENGTH_ERROR = 0.05  # of normals
MIN_TRIANGLES = 32  # a stream of fewer is larger than the triangles


def pack_scene(data: bytes, *, geometry: str = DRACO_PACKING, with_webp: bool = True) -> bytes:
    """Return a GLB compressed for web pages: the same nodes, materials and look.

    Args:
        data: The GLB.
        geometry: `draco` compresses plain triangles, `meshopt` all; `plain` leaves them as they are.
        with_webp: Write textures as WebP where that is smaller.

    Returns:
        The packed GLB; the GLB itself where packing would not make it smaller.

    Raises:
        InputError: file.*
    """
    document, rewriter = Document(data), GlbRewriter(data)
    if with_webp:
        _pack_textures(document, rewriter)
    if geometry == DRACO_PACKING:
        _pack_primitives(document, rewriter)
    elif geometry == MESHOPT_PACKING:
        pack_with_meshopt(document, rewriter)
    packed = rewriter.finish()
    return packed if len(packed) < len(data) else data


def _pack_textures(document: Document, rewriter: GlbRewriter) -> None:
    """Replace images by WebP where that is smaller and every texture that has the image can name it so."""
    textures = rewriter.rows("textures")
    transparent, normal_maps = _transparent_images(document), _normal_maps(document)
    for index, row in enumerate(rewriter.rows("images")):
        users = [t for t in textures if t.get("source") == index]
        others = [t for t in textures if index in _extension_sources(t)]
        if not users or others or any(_extension_sources(t) for t in users):
            continue
        stored = document.image(index, "/images")
        picture = texture_picture(document, index)
        if index in normal_maps:
            smaller = packed_normal_map(picture) if picture else b""
        else:
            smaller = webp(picture, keep_alpha=index in transparent) if picture else b""
        if not smaller or len(smaller) >= len(stored):
            continue
        row.pop("uri", None)
        is_jpeg = smaller.startswith(JPEG_MAGIC)
        mime = "image/jpeg" if is_jpeg else "image/webp"
        row |= {"bufferView": rewriter.add_view(smaller), "mimeType": mime}
        if is_jpeg:
            continue
        for texture in users:
            del texture["source"]
            texture.setdefault("extensions", {})[WEBP] = {"source": index}
        rewriter.use_extension(WEBP, required=True)


def _extension_sources(texture: Row) -> list[int]:
    extensions = texture.get("extensions", {})
    return [e["source"] for e in extensions.values() if isinstance(e, dict) and "source" in e]


def _transparent_images(document: Document) -> set[object]:
    """Return the images whose alpha may be shown: all but those that only opaque base colours have."""
    textures = document.rows("textures")
    found, opaque = set[object](), set[object]()
    for material in document.rows("materials"):
        info = (material.get("pbrMetallicRoughness") or {}).get("baseColorTexture")
        index = info.get("index") if isinstance(info, dict) else None
        if isinstance(index, int) and 0 <= index < len(textures):
            is_seen = material.get("alphaMode") in (MASK, BLEND) or material.get("extensions")
            (found if is_seen else opaque).add(textures[index].get("source"))
    return {t.get("source") for t in textures} - opaque | found


def _normal_maps(document: Document) -> set[object]:
    """Return the images that normal textures have."""
    textures = document.rows("textures")
    infos = [material.get("normalTexture") for material in document.rows("materials")]
    indices = [info.get("index") for info in infos if isinstance(info, dict)]
    return {textures[i].get("source") for i in indices if isinstance(i, int) and 0 <= i < len(textures)}


def packed_normal_map(picture: bytes) -> bytes:
    """Return a normal map as WebP; where that turns normals too far, as JPEG or WebP that keeps them.

    WebP and the usual JPEG store colour at half the resolution: at the borders of charts, normals of one
    surface reach into another, which then glitters.
    """
    small = webp(picture)
    if _turned_degrees(picture, small) <= MAX_NORMAL_DEGREES:
        return small
    whole, exact = io.BytesIO(), io.BytesIO()
    with Image.open(io.BytesIO(picture)) as image:
        rgb = image.convert("RGB")
        rgb.save(whole, "JPEG", quality=JPEG_QUALITY, subsampling=0)
        rgb.save(exact, "WEBP", lossless=True, exact=True)
    return min(whole.getvalue(), exact.getvalue(), key=len)


def _turned_degrees(before: bytes, after: bytes) -> float:
    """Return the degrees by which one of a hundred normals is turned at least."""
    rows = []
    for data in (before, after):
        with Image.open(io.BytesIO(data)) as image:
            step = max(1, max(image.size) // MEASURED_PX)
            values = np.asarray(image.convert("RGB"))[::step, ::step].reshape(-1, 3) / 127.5 - 1
            rows.append(values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-6))
    cosines = np.clip((rows[0] * rows[1]).sum(1), -1, 1)
    return float(np.degrees(np.arccos(np.percentile(cosines, 1))))


def _pack_primitives(document: Document, rewriter: GlbRewriter) -> None:
    for mesh, row in enumerate(rewriter.rows("meshes")):
        for number, primitive in enumerate(row.get("primitives", [])):
            where = f"/meshes/{mesh}/primitives/{number}"
            attributes = primitive.get("attributes", {})
            if (
                set(attributes) <= PACKED_ATTRIBUTES
                and primitive.get("mode", TRIANGLES) == TRIANGLES
                and not primitive.get("targets")
                and extension(primitive, DRACO) is None
            ):
                local = document.local_mesh(primitive, where)
                if local is not None and len(local.faces) >= MIN_TRIANGLES and _is_whole(local, attributes):
                    _pack_primitive(rewriter, primitive, local)


def _is_whole(local: LocalMesh, attributes: Row) -> bool:
    """Return whether all attributes were read, and Draco keeps them; others are left as they are."""
    read = {"NORMAL": local.normals, "TEXCOORD_0": local.uvs}
    is_read = all(read[name] is not None for name in read if name in attributes)
    return is_read and (local.normals is None or has_unit_normals(local.normals))


def has_unit_normals(normals: NDArray[np.floating]) -> bool:
    """Return whether all normals have a length of 1. Draco makes any other one so, and the look another."""
    lengths = np.linalg.norm(normals, axis=1)
    return bool(np.all(np.abs(lengths - 1) < MAX_LENGTH_ERROR))


def _pack_primitive(rewriter: GlbRewriter, primitive: Row, local: LocalMesh) -> None:
    try:
        stream = DracoPy.encode(
            np.ascontiguousarray(local.positions, np.float32),
            np.ascontiguousarray(local.faces, np.uint32),
            quantization_bits=POSITION_BITS,
            compression_level=COMPRESSION_LEVEL,
            tex_coord=None if local.uvs is None else np.ascontiguousarray(local.uvs, np.float64),
            normals=None if local.normals is None else np.ascontiguousarray(local.normals, np.float64),
            tex_coord_quantization_bits=_uv_bits(local.uvs),
            normal_quantization_bits=NORMAL_BITS,
        )
    except DracoPy.EncodingFailedException:
        return  # no triangle has an area
    decoded = DracoPy.decode(stream)
    if len(decoded.faces) != len(local.faces):
        return  # Draco drops faces without area, and a web GLB has all of its model's
    types = DracoPy.AttributeType
    ids = {a["attribute_type"]: a["unique_id"] for a in decoded.attributes}
    names = {"POSITION": types.POSITION, "NORMAL": types.NORMAL, "TEXCOORD_0": types.TEX_COORD}
    names = {name: kind for name, kind in names.items() if name in primitive["attributes"]}
    points = np.asarray(decoded.points, np.float32)
    for name in names:
        accessor = {"componentType": 5126, "count": len(points), "type": "VEC3"}
        if name == "POSITION":
            accessor |= {"min": points.min(0).tolist(), "max": points.max(0).tolist()}
        elif name == "TEXCOORD_0":
            accessor["type"] = "VEC2"
        primitive["attributes"][name] = rewriter.add_row("accessors", accessor)
    indices = {"componentType": 5125, "count": 3 * len(decoded.faces), "type": "SCALAR"}
    primitive["indices"] = rewriter.add_row("accessors", indices)
    primitive.setdefault("extensions", {})[DRACO] = {
        "bufferView": rewriter.add_view(stream),
        "attributes": {name: ids[kind] for name, kind in names.items()},
    }
    rewriter.use_extension(DRACO, required=True)


def _uv_bits(uvs: NDArray[np.float64] | None) -> int:
    """Return the bits of UVs: as fine in a texture that repeats as in one that does not."""
    if uvs is None or not len(uvs):
        return UV_BITS
    span = float(np.ptp(uvs, axis=0).max())
    return min(MAX_UV_BITS, UV_BITS + max(0, math.ceil(math.log2(max(span, 1e-6)))))
