"""Words for the short names in reports: facts, checks, places, provenance."""

from collections.abc import Iterator, Mapping
from math import isfinite

Fact = str | int | float | bool | None

# By fact: its name for people, and its unit: a share, px, a factor, or none.
FACT_TEXTS: Mapping[str, tuple[str, str]] = {
    "family": ("Shape", "family"),
    "confidence": ("Probably good", "share"),
    "views": ("Made from the photos", ""),
    "view": ("Made from the photo", ""),
    "spin_frames": ("Frames of the spin", ""),
    "triangles": ("Triangles", ""),
    "vertices": ("Vertices", ""),
    "materials": ("Materials", ""),
    "components": ("Separate parts", ""),
    "kept_as_it_is": ("Left as it came, because of", ""),
    "brought_as": ("Format as it came", "format"),
    "size_m": ("Size of the model, in m", ""),
    "validator": ("Khronos validator", ""),
    "texture_px": ("Largest texture", "px"),
    "width_px": ("Width of the picture", "px"),
    "height_px": ("Height of the picture", "px"),
    "photo_px": ("Size of the photo", "px"),
    "camera": ("Seen from", ""),
    "frames": ("Frames", ""),
    "cutout_confidence": ("Cut-out probably usable", "share"),
    "cutout_net": ("Cut-out with the net", ""),
    "scale": ("Product enlarged", "factor"),
    "set": ("Set of the scene", ""),
    "pose": ("Pose in the scene", ""),
    "scene_size_from": ("Scale of the scene from", ""),
    "prompt_words": ("Words of the prompt that were followed", ""),
    "upscaled": ("Enlarged afterwards", "factor"),
    "candidates": ("Pictures of the provider", ""),
    "product_found": ("Product found in the provider's picture", ""),
    "product_de2000": ("Colour difference of the product", ""),
    "pattern_alike": ("Pattern alike", "share"),
    "lettering_alike": ("Lettering alike", "share"),
    "stretch": ("Product stretched", "factor"),
    "bytes": ("GLB", "bytes"),
    "web_steps": ("Steps to the web model's budget", ""),
    "web_ssim": ("Web model alike (SSIM)", ""),
}
_SUFFIXES = {  # of facts about one format, e.g. `jpeg_bytes`
    "_de2000": ("{}: colour difference to the picture", ""),
    "_bytes": ("{} file", "bytes"),
    "_triangles": ("{}: triangles", ""),
}
_FORMATS = {"web": "Web model"}  # that are no format but a file
FAMILY_TEXTS: Mapping[str, str] = {  # how our own code found a shape
    "hull": "from the outlines",
    "joinery": "fitted from boards and legs",
    "turned": "round, turned about its axis",
    "carcass": "cabinet",
    "slab": "flat body with the outline of the photo",
    "inflation": "soft body with the outline of the photo",
    "sections": "from cross-sections",
    "spin": "from the frames of the spin",
    "walk": "from the photos of a walk around it",
}
CHECK_TEXTS: Mapping[str, str] = {
    "geometry": "mesh",
    "dimensions": "size of the product",
    "uvs": "texture coordinates",
    "conformance": "glTF standard (Khronos validator)",
    "file limits": "limits of the rules",
    "model profiles": "profiles of models",
    "likeness": "likeness to the photos",
    "look": "look as it came",
    "usdz": "USDZ for iOS",
    "web": "web model equals the full one",
    "pictures": "picture files",
    "picture profiles": "profiles of pictures",
    "labels": "labels of origin in the files",
    "names": "file names",
}
PROVENANCE_TEXTS: Mapping[str, str] = {
    "generator": "made by",
    "tool": "program",
    "digital_source_type": "kind of source (IPTC)",
    "facts_sha256": "product facts (SHA-256)",
    "note": "note of the reviewer",
    "original_model": "model as it came",
    "made_from": "rendered from",
    "source_model": "model (SHA-256)",
}


def fact_lines(facts: Mapping[str, Fact]) -> Iterator[tuple[str, str]]:
    """Yield the name and the value of each fact of a report, for people."""
    for key, value in facts.items():
        name, unit = _fact_text(key)
        yield name, _fact_value(value, unit)


def _fact_text(key: str) -> tuple[str, str]:
    if key in FACT_TEXTS:
        return FACT_TEXTS[key]
    for suffix, (text, unit) in _SUFFIXES.items():
        if key.endswith(suffix):
            name = key.removesuffix(suffix)
            return text.format(_FORMATS.get(name, name.upper())), unit
    words = key.replace("_", " ")
    return words[:1].upper() + words[1:], ""


def _fact_value(value: Fact, unit: str) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or isinstance(value, str):
        text = (value or "").replace(" x ", " × ")
        if unit == "family":
            first, comma, rest = text.partition(",")
            return f"{FAMILY_TEXTS.get(first, first)}{comma}{rest}"
        return text.upper() if unit == "format" else f"{text} px" if unit == "px" and text else text
    if not isfinite(value):
        return str(value)
    if unit == "share":
        return f"{value * 100:.0f} %"
    if unit == "factor":
        return f"{value:g} ×"
    if unit == "bytes":
        return f"{value / 1e6:.2f} MB" if value >= 1e6 else f"{value / 1e3:.0f} kB"
    return f"{value:,}{' px' if unit == 'px' else ''}"


def check_text(name: str) -> str:
    """Return the name of a check for people, e.g. `texture coordinates` for `uvs`."""
    return CHECK_TEXTS.get(name, name)


def provenance_text(key: str) -> str:
    """Return the name of a line of a provenance, e.g. `front photo (SHA-256)` for `source_front`."""
    if key in PROVENANCE_TEXTS:
        return PROVENANCE_TEXTS[key]
    if key.startswith("source_"):
        return f"{key.removeprefix('source_')} photo (SHA-256)"
    return key.replace("_", " ")


def place_text(pointer: str) -> str:
    """Return a JSON pointer as words, e.g. `front photo` for `/images/front`, `mesh #2` for `/meshes/2`."""
    parts = [part.replace("_", " ") for part in pointer.strip("/").split("/") if part]
    if not parts:
        return ""
    head, *rest = parts
    if head == "images" and rest and not rest[0].isdigit():
        return "photos" if rest[0] == "any" else f"{rest[0]} photo"
    if head == "files" and rest:
        return pointer.strip("/").partition("/")[2]
    if head == "profiles" and rest:
        return f"profile {rest[0]}"
    if head == "dimensions":
        return rest[0].removesuffix(" m") if rest else "size"
    return " ".join(_counted(parts))


def _counted(parts: list[str]) -> Iterator[str]:
    """Yield the parts of a pointer; `meshes`, `0` becomes `mesh #0`: 3D tools count from 0 on, too."""
    for part, after in zip(parts, [*parts[1:], ""], strict=True):
        if part.isdigit():
            yield f"#{part}"
        elif after.isdigit() and part.endswith("s"):
            yield part.removesuffix("es") if part == "meshes" else part.removesuffix("s")
        else:
            yield part
