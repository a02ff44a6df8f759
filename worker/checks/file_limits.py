"""The GLB as a file: bytes, triangles, materials, textures, by pygltflib and the headers of its pictures."""

import io
from collections.abc import Iterator

import pygltflib
from PIL import Image

from dam_connector.catalog.issue import Issue, issue
from dam_connector.catalog.rules import Rules
from dam_connector.errors import InputError
from worker.checks.subject import Subject

_TRIANGLE_MODES = {4: lambda n: n // 3, 5: lambda n: max(0, n - 2), 6: lambda n: max(0, n - 2)}


def check(subject: Subject, rules: Rules) -> Iterator[Issue]:
    """Issues file.*"""
    limits, size = rules.checks, len(subject.glb)
    subject.measured["bytes"] = size
    if size > limits.max_model_bytes:
        yield issue("file.bytes", "The GLB is too large.", measured=f"{size / 1e6:.2f} MB", limit=f"{limits.max_model_bytes / 1e6:.2f} MB")
    try:
        assert subject.document  # a broken header says so by itself
        doc = pygltflib.GLTF2.load_from_bytes(subject.glb)
        assert doc is not None
        triangles = _triangles(doc)
        yield from _materials(subject, doc, rules)
        yield from _textures(subject, doc, rules)
    except InputError as error:
        yield issue(error.issue_code, str(error))
        return
    except Exception as error:  # noqa: BLE001 - pygltflib raises whatever a damaged document makes it trip over
        yield issue("file.unreadable", f"The GLB's JSON does not hold together ({type(error).__name__}).")
        return
    subject.measured["triangles"] = triangles
    if triangles > limits.max_triangles:
        yield issue("file.triangles", "Too many triangles.", measured=triangles, limit=limits.max_triangles)


def _triangles(doc: pygltflib.GLTF2) -> int:
    total = 0
    for mesh in doc.meshes:
        for primitive in mesh.primitives:
            accessor = primitive.indices if primitive.indices is not None else primitive.attributes.POSITION
            count = _TRIANGLE_MODES.get(4 if primitive.mode is None else primitive.mode)
            total += count(doc.accessors[accessor].count) if count and accessor is not None else 0
    return total


def _materials(subject: Subject, doc: pygltflib.GLTF2, rules: Rules) -> Iterator[Issue]:
    subject.measured["materials"] = len(doc.materials)
    if len(doc.materials) > rules.checks.max_materials:
        yield issue("file.materials", "Too many materials.", measured=len(doc.materials), limit=rules.checks.max_materials)
    for number, material in enumerate(doc.materials):
        where = f"/materials/{number}"
        if material.pbrMetallicRoughness is None:
            yield issue("file.not_pbr", "No pbrMetallicRoughness.", pointer=where)
        elif material.pbrMetallicRoughness.baseColorTexture is None:
            yield issue("file.texture_missing", "No base colour texture.", pointer=where)
    if not doc.materials:
        yield issue("file.texture_missing", "No material at all.", pointer="/materials")


def _textures(subject: Subject, doc: pygltflib.GLTF2, rules: Rules) -> Iterator[Issue]:
    blob = doc.binary_blob() or b""
    largest = 0
    for number, image in enumerate(doc.images):
        if image.bufferView is None:
            continue
        view = doc.bufferViews[image.bufferView]
        start = view.byteOffset or 0
        try:
            with Image.open(io.BytesIO(blob[start : start + view.byteLength])) as picture:
                side = max(picture.size)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise InputError("file.unreadable", f"The texture at /images/{number} cannot be read.") from error
        largest = max(largest, side)
        if side > rules.checks.max_texture_px:
            yield issue(
                "file.texture_size",
                "The texture is too large.",
                pointer=f"/images/{number}",
                measured=f"{side} px",
                limit=f"{rules.checks.max_texture_px} px",
            )
    subject.measured["texture_px"] = largest
