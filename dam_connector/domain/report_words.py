"""Words for the short names in reports: facts, checks, places, provenance."""

import re
from collections.abc import Iterator, Mapping
from math import isfinite

from dam_connector.domain.issue import Issue
from dam_connector.domain.issue_codes import IssueCode
from dam_connector.domain.version import SOURCE_MARK

Fact = str | int | float | bool | None

# By fact: its name for people, and its unit: a share, px, a factor, a colour difference, a net, or none.
FACT_TEXTS: Mapping[str, tuple[str, str]] = {
    "family": ("Shape", "family"),
    "confidence": ("Probably good", "share"),
    "views": ("Made from the photos", ""),
    "view": ("Made from the photo", ""),
    "spin_frames": ("Frames of the spin", ""),
    "walk_photos": ("Photos of the walk", ""),
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
    "mask_corrected": ("Mask corrected", ""),
    "cutout_net": ("Cut out with the net", "net"),
    "scale": ("Product enlarged", "factor"),
    "set": ("Set of the scene", ""),
    "pose": ("Pose in the scene", ""),
    "scene_size_from": ("Scale of the scene from", ""),
    "prompt_words": ("Words of the prompt that were followed", ""),
    "upscaled": ("Enlarged afterwards", "factor"),
    "candidates": ("Pictures of the provider", ""),
    "product_found": ("Product found in the provider's picture", ""),
    "product_de2000": ("Colour difference of the product", "colour"),
    "pattern_alike": ("Pattern alike", "share"),
    "lettering_alike": ("Lettering alike", "share"),
    "stretch": ("Product stretched", "factor"),
    "bytes": ("GLB", "bytes"),
    "web_steps": ("Steps to the web model's budget", ""),
    "web_ssim": ("Web model alike, of 1 (SSIM)", ""),
}
# By fact: how it is called where another fact is there too, which changes its meaning.
_CHANGED_TEXTS: Mapping[tuple[str, str], str] = {
    ("cutout_confidence", "mask_corrected"): "Cut-out probably usable before it was corrected",
    ("confidence", "spin_frames"): "Score of the capture, by rules of thumb",
    ("confidence", "walk_photos"): "Score of the capture, by rules of thumb",
}
_CAPTURE_POINTERS = ("/spin_images", "/walk_images")  # of issues whose confidence is such a score
_SUFFIXES = {  # of facts about one format, e.g. `jpeg_bytes`
    "_de2000": ("{}: colour difference to the picture", "colour"),
    "_bytes": ("{} file", "bytes"),
    "_triangles": ("{}: triangles", ""),
}
_UNIT_TEXTS = {"px": " px", "colour": " (CIEDE2000)"}
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
# By code of an issue: the share that it measures; the limit is the least that is wanted.
_SHARES: Mapping[IssueCode, str] = {
    "cutout.uncertain": "Cut-out probably usable",
    "cutout.corrected": "Cut-out probably usable before",
    "model.view_left_out": "Cut-out probably usable",
    "model.low_confidence": "Model probably good",
    "model.below_threshold": "Model probably good",
}
# By code of an issue: the things that it counts, where its values are bare numbers.
_COUNTED: Mapping[IssueCode, str] = {
    "geometry.not_watertight": "edges",
    "geometry.non_manifold": "edges",
    "geometry.winding": "edges",
    "geometry.degenerate_faces": "faces",
    "geometry.duplicate_faces": "faces",
    "geometry.components": "parts",
    "geometry.floating": "parts",
    "geometry.inner": "parts",
    "geometry.normals": "normals",
    "file.triangles": "triangles",
    "file.too_complex": "nodes",
    "file.materials": "materials",
    "file.stream": "vertices",
    "lod.differs": "triangles",
    "uv.overlap": "triangles",
    "uv.inverted": "triangles",
    "uv.empty": "triangles",
    "web.differs": "triangles",
    "source.several_objects": "objects",
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
        changed = (text for (fact, other), text in _CHANGED_TEXTS.items() if fact == key and other in facts)
        if key == "scale" and isinstance(value, float) and value < 1:
            name = "Product reduced to"
        yield next(changed, name), _fact_value(value, unit)


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
        if unit == "net":
            return text.removesuffix(".onnx")
        return text.upper() if unit == "format" else f"{text} px" if unit == "px" and text else text
    if not isfinite(value):
        return str(value)
    if unit == "share":
        return f"{value * 100:.0f} %"
    if unit == "factor":
        return f"{value:g} ×"
    if unit == "bytes":
        return f"{value / 1e6:.2f} MB" if value >= 1e6 else f"{value / 1e3:.0f} kB"
    return f"{value:,}{_UNIT_TEXTS.get(unit, '')}"


def measured_text(text: str) -> str:
    """Return a measured value of a report for people, e.g. `colour differs by 1.5 (CIEDE2000)`."""
    text = re.sub(r"(?<=\d) x\b", " ×", text)
    text = re.sub(r"\boutline (?=[\d.]+ %)", "outline agrees to ", text)
    text = re.sub(r"\bproportions (?=[-+\d.]+ %)", "proportions differ by ", text)
    text = re.sub(r"\bcolour ([\d.]+)\b", r"colour differs by \1 (CIEDE2000)", text)
    text = re.sub(r"\bCIEDE2000 ([\d.]+)|([\d.]+) CIEDE2000\b", r"colour difference \1\2 (CIEDE2000)", text)
    return re.sub(r"\bSSIM ([\d.]+)", r"alike to \1 of 1 (SSIM)", text)


def finding_measure(found: Issue) -> str:
    """Return the measured value and the limit of an issue as a sentence; empty if nothing was measured."""
    if not found.measured:
        return ""
    measured, limit = _share(found.measured), _share(found.limit)
    if found.code in _SHARES and measured:
        is_score = found.pointer in _CAPTURE_POINTERS
        name = (
            "Score of the capture, by rules of thumb and no probability" if is_score else _SHARES[found.code]
        )
        return f"{name}: {measured}{f'; at least {limit} is wanted' if limit else ''}."
    unit = _COUNTED.get(found.code, "")
    texts = [_with_unit(text, unit) for text in (found.measured, found.limit) if text]
    return f"Measured: {', limit: '.join(texts)}."


def _share(text: str) -> str:
    """Return a share in per cent, e.g. `50 %` for `0.5`; empty for what is no share."""
    return f"{float(text) * 100:.0f} %" if re.fullmatch(r"[01](\.\d+)?", text) else ""


def _with_unit(text: str, unit: str) -> str:
    if not re.fullmatch(r"\d+", text):
        return measured_text(text)
    return f"{int(text):,} {unit.removesuffix('s') if text == '1' else unit}" if unit else f"{int(text):,}"


def check_text(name: str) -> str:
    """Return the name of a check for people, e.g. `texture coordinates` for `uvs`."""
    return CHECK_TEXTS.get(name, name)


def provenance_text(key: str) -> str:
    """Return the name of a line of a provenance, e.g. `front photo (SHA-256)` for `source_front`."""
    if key in PROVENANCE_TEXTS:
        return PROVENANCE_TEXTS[key]
    if key.startswith(SOURCE_MARK):
        return f"{key.removeprefix(SOURCE_MARK)} photo (SHA-256)"
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
