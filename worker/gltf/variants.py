"""Variants of a GLB's materials (KHR_materials_variants): written, named, and one of them selected."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dam_connector.errors import InputError
from worker.gltf.document import Document
from worker.gltf.embedded_textures import image_of_texture
from worker.gltf.json_fields import Row, extension
from worker.gltf.materials import number_list
from worker.gltf.rewriting import GlbRewriter

VARIANTS = "KHR_materials_variants"
MAX_VARIANTS = 1000  # of a model that are read; a file may name more
NAMED = 20  # of them in a message


@dataclass(frozen=True, slots=True)
class MaterialChange:
    """Another base colour of a material."""

    factor: tuple[float, float, float]  # linear
    picture: bytes = b""  # the texture, encoded as JPEG or PNG; empty: none


def write_variants(
    glb: bytes, names: Sequence[str], materials: Sequence[Mapping[int, MaterialChange]]
) -> bytes:
    """Return the GLB with variants.

    Args:
        glb: A GLB without variants.
        names: Of the variants. The first is the model as it is.
        materials: Of each other variant, the changed materials by the index of the one that they replace.
    """
    rewriter = GlbRewriter(glb)
    added = [
        {index: _add_material(rewriter, index, change, name) for index, change in found.items()}
        for name, found in zip(names[1:], materials, strict=True)
    ]
    for primitive in _primitives(rewriter):
        own = primitive.get("material")
        if not isinstance(own, int):
            continue
        variants_of: dict[int, list[int]] = {own: [0]}
        for number, found in enumerate(added, 1):
            variants_of.setdefault(found.get(own, own), []).append(number)
        mappings = [{"material": m, "variants": variants} for m, variants in variants_of.items()]
        _set_extension(primitive, {"mappings": mappings})
    _set_extension(rewriter.json, {"variants": [{"name": n} for n in names]})
    rewriter.use_extension(VARIANTS)
    return rewriter.finish()


def _set_extension(row: Row, value: Row) -> None:
    """Add the extension to an object, whose `extensions` may be no object."""
    extensions = row.get("extensions")
    row["extensions"] = {**(extensions if isinstance(extensions, dict) else {}), VARIANTS: value}


def replace_materials(glb: bytes, changes: Mapping[int, MaterialChange]) -> bytes:
    """Return the GLB with changed materials in place of its own."""
    rewriter = GlbRewriter(glb)
    number_of = {index: _add_material(rewriter, index, change, "") for index, change in changes.items()}
    for primitive in _primitives(rewriter):
        if primitive.get("material") in number_of:
            primitive["material"] = number_of[primitive["material"]]
    return rewriter.finish()


def select_colour(glb: bytes, name: str) -> bytes:
    """Return the GLB in one of its variants, without the others: one file for one SKU.

    Raises:
        InputError: variant.impossible, it has no variant of that name; file.*
    """
    rewriter = GlbRewriter(glb)
    names = colour_names(rewriter.json)
    if name not in names:
        listed = ", ".join(names[:NAMED]) or "none"
        raise InputError("variant.impossible", f"It has no variant {name!r}: {listed}.")
    number = names.index(name)
    for primitive in _primitives(rewriter):
        material = _material_of(primitive, number)
        if material is not None and material < len(_list(rewriter.json, "materials")):
            primitive["material"] = material
        extensions = primitive.get("extensions")
        if isinstance(extensions, dict):
            extensions.pop(VARIANTS, None)
        if not extensions:
            primitive.pop("extensions", None)
    del rewriter.json["extensions"][VARIANTS]
    if not rewriter.json["extensions"]:
        del rewriter.json["extensions"]
    rewriter.drop_extension(VARIANTS)
    _drop_unused(rewriter)
    return rewriter.finish()


def colour_names(document: Row) -> list[str]:
    """Return the names of a glTF's variants, by their numbers: the first `MAX_VARIANTS`.

    What is no variant has an empty name.
    """
    found = _list(extension(document, VARIANTS) or {}, "variants")[:MAX_VARIANTS]
    return [str(v.get("name", "")) if isinstance(v, dict) else "" for v in found]


def _material_of(primitive: Row, number: int) -> int | None:
    """Return the material of a primitive in a variant; None where it keeps its own.

    What contradicts the specification is passed over.
    """
    found = None
    for mapping in _list(extension(primitive, VARIANTS) or {}, "mappings"):
        if isinstance(mapping, dict) and number in _list(mapping, "variants"):
            material = mapping.get("material")
            if isinstance(material, int) and not isinstance(material, bool) and material >= 0:
                found = material
    return found


def _list(row: Row, key: str) -> list[Any]:
    """Return a field that is a list; an empty list where it is none."""
    found = row.get(key)
    return found if isinstance(found, list) else []


def _add_material(rewriter: GlbRewriter, index: int, change: MaterialChange, name: str) -> int:
    """Add a material like another one with a changed base colour; return its index."""
    row = copy.deepcopy(rewriter.json["materials"][index])
    row["name"] = f"{row.get('name') or f'material {index}'} {name}"
    pbr = row.setdefault("pbrMetallicRoughness", {})
    alpha = number_list(pbr.get("baseColorFactor"), (1.0, 1.0, 1.0, 1.0))[3]
    pbr["baseColorFactor"] = [*change.factor, alpha]
    if change.picture:
        data = change.picture
        mime = "image/png" if data[:4] == b"\x89PNG" else "image/jpeg"
        image = rewriter.add_row("images", {"bufferView": rewriter.add_view(data), "mimeType": mime})
        old = rewriter.json["textures"][pbr["baseColorTexture"]["index"]]
        texture = {key: old[key] for key in ("sampler",) if key in old} | {"source": image}
        pbr["baseColorTexture"]["index"] = rewriter.add_row("textures", texture)
    return rewriter.add_row("materials", row)


def _primitives(rewriter: GlbRewriter) -> Iterator[Row]:
    for mesh in _list(rewriter.json, "meshes"):
        if isinstance(mesh, dict):
            yield from (p for p in _list(mesh, "primitives") if isinstance(p, dict))


def _drop_unused(rewriter: GlbRewriter) -> None:
    """Drop the materials, textures and images that no primitive shows any more."""
    document = rewriter.json
    for key, fields in (("materials", "material"), ("textures", "index"), ("images", "source")):
        count = len(_list(document, key))
        holders = [row for row in _holders(document, key, fields) if 0 <= row[fields] < count]
        used = sorted({row[fields] for row in holders})
        number_of = {index: number for number, index in enumerate(used)}
        for row in holders:
            row[fields] = number_of[row[fields]]
        if key in document:
            document[key] = [document[key][index] for index in used]
            if not document[key]:
                del document[key]


def _holders(document: Row, key: str, field: str) -> list[Row]:
    """Return the objects that name a material, texture or image."""
    within = {"materials": "meshes", "textures": "materials", "images": "textures"}[key]
    stack, found = _list(document, within).copy(), []
    while stack:
        row = stack.pop()
        if isinstance(row, dict):
            found += [row] if isinstance(row.get(field), int) else []
            stack += row.values()
        elif isinstance(row, list):
            stack += row
    return found


def material_changes(glb: bytes, other: bytes, name: str) -> dict[int, MaterialChange]:
    """Return how the materials of a GLB differ from those of the same shape in another colour, by index.

    Args:
        glb: The shape.
        other: The same shape in another colour.
        name: Of that colour, for errors.

    Raises:
        InputError: variant.impossible, their meshes differ; file.*
    """
    one, two = Document(glb), Document(other)
    if _shape_of(one) != _shape_of(two):
        raise InputError("variant.impossible", f"{name} has another shape.")
    found: dict[int, MaterialChange] = {}
    for primitive, recoloured in zip(one.primitives, two.primitives, strict=True):
        if primitive.material is None or recoloured.material is None or primitive.material in found:
            continue
        before, after = _base_colour(one, primitive.material), _base_colour(two, recoloured.material)
        if before.picture == after.picture:
            after = MaterialChange(factor=after.factor)  # the texture is shared
        if before.factor != after.factor or after.picture:
            found[primitive.material] = after
    return found


def _shape_of(document: Document) -> list[tuple[bytes, bytes]]:
    return [(p.positions.tobytes(), p.faces.tobytes()) for p in document.primitives]


def _base_colour(document: Document, material: int) -> MaterialChange:
    """Return the base colour of a material."""
    row = document.rows("materials")[material]
    pbr = row.get("pbrMetallicRoughness")
    pbr = pbr if isinstance(pbr, dict) else {}
    red, green, blue, _ = number_list(pbr.get("baseColorFactor"), (1.0, 1.0, 1.0, 1.0))
    info = pbr.get("baseColorTexture")
    index = info.get("index") if isinstance(info, dict) else None
    textures = document.rows("textures")
    image = image_of_texture(textures[index]) if isinstance(index, int) and index < len(textures) else None
    picture = document.image(image, "/textures") if isinstance(image, int) else b""
    return MaterialChange(factor=(red, green, blue), picture=picture)
