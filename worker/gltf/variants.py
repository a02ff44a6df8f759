"""Variants of a GLB's materials (KHR_materials_variants): written, named, and one of them selected."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dam_connector.errors import InputError
from worker.gltf.json_fields import Row, extension
from worker.gltf.materials import number_list
from worker.gltf.rewriting import GlbRewriter

VARIANTS = "KHR_materials_variants"


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
        primitive.setdefault("extensions", {})[VARIANTS] = {"mappings": mappings}
    rewriter.json.setdefault("extensions", {})[VARIANTS] = {"variants": [{"name": n} for n in names]}
    rewriter.use_extension(VARIANTS)
    return rewriter.finish()


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
        raise InputError("variant.impossible", f"It has no variant {name!r}: {', '.join(names) or 'none'}.")
    for primitive in _primitives(rewriter):
        mappings = (primitive.get("extensions") or {}).pop(VARIANTS, {}).get("mappings", [])
        for mapping in mappings:
            if names.index(name) in mapping.get("variants", []):
                primitive["material"] = mapping["material"]
        if not primitive.get("extensions", True):
            del primitive["extensions"]
    del rewriter.json["extensions"][VARIANTS]
    if not rewriter.json["extensions"]:
        del rewriter.json["extensions"]
    rewriter.drop_extension(VARIANTS)
    _drop_unused(rewriter)
    return rewriter.finish()


def colour_names(document: Row) -> list[str]:
    """Return the names of a glTF's variants."""
    found = (extension(document, VARIANTS) or {}).get("variants")
    return [str(v.get("name", "")) for v in found if isinstance(v, dict)] if isinstance(found, list) else []


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
    for mesh in rewriter.json.get("meshes", []):
        yield from mesh.get("primitives", [])


def _drop_unused(rewriter: GlbRewriter) -> None:
    """Drop the materials, textures and images that no primitive shows any more."""
    document = rewriter.json
    for key, fields in (("materials", "material"), ("textures", "index"), ("images", "source")):
        holders = _holders(document, key, fields)
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
    stack, found = list(document.get(within, [])), []
    while stack:
        row = stack.pop()
        if isinstance(row, dict):
            found += [row] if isinstance(row.get(field), int) else []
            stack += row.values()
        elif isinstance(row, list):
            stack += row
    return found
