"""Colour variants on one shape: a GLB with KHR_materials_variants, recoloured from photos or swatches.

The base colour textures and factors of the parts that change are shifted in CIELAB. The shift is corrected
by renders until the variant looks as its photo does. Shape, UVs and all other maps are shared.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.color import deltaE_ciede2000

from dam_connector.domain.issue import Issue, issue
from dam_connector.errors import InputError
from worker.gltf.document import Document, Primitive
from worker.gltf.embedded_textures import image_of_texture
from worker.gltf.json_fields import Row, extension
from worker.gltf.materials import SPECULAR_GLOSSINESS, number_list
from worker.gltf.texture_pictures import texture_picture
from worker.gltf.variants import (
    MaterialChange,
    colour_names,
    replace_materials,
    select_colour,
    write_variants,
)
from worker.imaging.linear_light import to_linear, to_srgb
from worker.imaging.main_colours import (
    MainColours,
    changed_clusters,
    main_clusters,
    main_colours,
    median_of,
    ordered_by,
    recoloured,
    to_hex,
    to_lab,
)
from worker.modeling.camera import named_camera
from worker.modeling.glb_import import read_glb
from worker.modeling.render import Renderer, RenderOptions

F64 = NDArray[np.float64]
U8 = NDArray[np.uint8]
MAX_DE = 6.0  # CIEDE2000 of the median colour: as for a model and its photos
GOOD_DE = 1.0  # no further correction below
CORRECTIONS = 4
NEAR_BLACK = 25.0  # L* of a swatch below which the light on its surface counts
DARKEST = 3.0  # L* of a base colour: below, its weave and grain are lost
RENDER_PX = 160
SAMPLES = 20_000  # points on the surface
PROBE = np.array([60.0, 80.0, -80.0])  # a CIELAB colour that no product has: what changes is seen by it
PROBED_DE = 8.0
JPEG_QUALITY = 92
_BASE, _OTHER = "base", "other"  # names that nobody sees


@dataclass(frozen=True, slots=True)
class WantedColour:
    """The colour that a variant is to have: from a photo of it, or plain."""

    name: str
    colours: MainColours | None = None  # of the product in its photo
    plain: F64 | None = None  # CIELAB of a swatch


@dataclass(frozen=True, slots=True)
class MadeColour:
    """A variant that was made, measured in a render."""

    name: str
    wanted: str  # "#rrggbb"
    measured: str
    de2000: float  # between both
    limit: float = MAX_DE

    def issues(self) -> Iterator[Issue]:
        """Yield variant.colour if the colour differs too much."""
        if self.de2000 > self.limit:
            yield issue(
                "variant.colour",
                f"{self.name or 'The model'}: it is {self.measured}, and its photo or swatch {self.wanted}.",
                measured=f"CIEDE2000 {self.de2000:.1f}",
                limit=f"{self.limit:g}",
            )


def add_variants(glb: bytes, base: str, wanted: list[WantedColour]) -> tuple[bytes, list[MadeColour]]:
    """Return a GLB with a variant for each colour; the first one, `base`, is the model as it is.

    Raises:
        InputError: variant.impossible, the model's colours cannot be shifted; file.*
    """
    document = Document(glb)
    _refuse_what_cannot_shift(document)
    view = _View.of(glb)
    colours = ordered_by(main_colours(_surface_colours(document)), view.lab)
    made, materials = [], []
    for colour in wanted:
        found, result = _fit(glb, document, colours, colour, view)
        made.append(result)
        materials.append(found)
    return write_variants(glb, [base, *(c.name for c in wanted)], materials), made


def recolour(glb: bytes, wanted: WantedColour, max_de: float = MAX_DE) -> tuple[bytes, MadeColour]:
    """Return a GLB in another colour, of the same shape, and what was measured.

    Args:
        glb: The model.
        wanted: The colour.
        max_de: Greatest CIEDE2000 between both.

    Raises:
        InputError: variant.impossible, the model's colours cannot be shifted; file.*
    """
    data, (made,) = add_variants(glb, _BASE, [replace(wanted, name=_OTHER)])
    return select_colour(data, _OTHER), replace(made, name=wanted.name, limit=max_de)


def render_hero(glb: bytes, size: int) -> U8:
    """Return a picture of a GLB from the hero view, (size, size, 3)."""
    model = read_glb(glb)
    camera = named_camera(model.min_corner, model.max_corner, "hero")
    return Renderer(model).render(camera, size)[0]


def _refuse_what_cannot_shift(document: Document) -> None:
    def refuse(reason: str) -> InputError:
        return InputError("variant.impossible", f"{reason}.")

    if colour_names(document.json):
        raise refuse("The model has variants already")
    if any(p.colors is not None and not np.all(p.colors == 1) for p in document.primitives):
        raise refuse("The model has vertex colours")
    if any(extension(row, SPECULAR_GLOSSINESS) for row in document.rows("materials")):
        raise refuse(f"The model has {SPECULAR_GLOSSINESS}")
    for row in document.rows("materials"):
        image = _base_image(document, row)
        if image is not None and not texture_picture(document, image):
            raise refuse("A texture of the model is KTX2")


def _base_image(document: Document, material: Row) -> int | None:
    """Return the index of a material's base colour image, or None."""
    pbr = material.get("pbrMetallicRoughness")
    info = pbr.get("baseColorTexture") if isinstance(pbr, dict) else None
    index = info.get("index") if isinstance(info, dict) else None
    textures = document.rows("textures")
    if not isinstance(index, int) or not 0 <= index < len(textures):
        return None
    image = image_of_texture(textures[index])
    return image if isinstance(image, int) else None


def _pixels(document: Document, image: int, mode: str = "RGB") -> U8:
    with Image.open(io.BytesIO(texture_picture(document, image))) as picture:
        return np.asarray(picture.convert(mode))


def _factor(material: Row) -> F64:
    pbr = material.get("pbrMetallicRoughness")
    found = pbr.get("baseColorFactor") if isinstance(pbr, dict) else None
    return np.array(number_list(found, (1.0, 1.0, 1.0, 1.0))[:3])


def _surface_colours(document: Document) -> F64:
    """Return the base colours of points all over the surface, (n, 3) CIELAB: each part by its area."""
    rows, rng = document.rows("materials"), np.random.default_rng(0)
    shown = [p for p in document.primitives if len(p.faces)]
    areas = [_areas(p) for p in shown]
    total = sum(float(a.sum()) for a in areas) or 1.0
    found, pictures = [], dict[int, U8]()
    for primitive, area in zip(shown, areas, strict=True):
        count = int(SAMPLES * float(area.sum()) / total)
        row = rows[primitive.material] if primitive.material is not None else {}
        image = _base_image(document, row)
        if not count:
            continue
        if image is None or primitive.uvs is None:
            linear = np.broadcast_to(_factor(row), (count, 3))
        else:
            pixels = pictures.setdefault(image, _pixels(document, image))
            faces = primitive.faces[rng.choice(len(area), count, p=area / area.sum())]
            shares = rng.dirichlet((1, 1, 1), count)
            at = (primitive.uvs[faces] * shares[:, :, None]).sum(1) % 1.0
            height, width = pixels.shape[:2]
            texels = pixels[(at[:, 1] * (height - 1)).astype(int), (at[:, 0] * (width - 1)).astype(int)]
            linear = to_linear(texels) * _factor(row)
        found.append(to_srgb(np.asarray(linear, np.float32)))
    return to_lab(np.concatenate(found))


def _areas(primitive: Primitive) -> F64:
    corners = primitive.positions[primitive.faces]
    sides = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return np.asarray(np.linalg.norm(sides, axis=1) + 1e-20, np.float64)


@dataclass(frozen=True, slots=True)
class _View:
    """The model as it is, rendered."""

    lab: F64  # (n, 3) of the pixels that it fills
    inside: NDArray[np.bool_]

    @classmethod
    def of(cls, glb: bytes) -> "_View":
        rgb, alpha = _render(glb)
        return cls(to_lab(rgb)[alpha > 250], alpha > 250)

    def measure(self, glb: bytes) -> F64:
        return to_lab(_render(glb)[0])[self.inside]


def _render(glb: bytes) -> tuple[U8, U8]:
    model = read_glb(glb)
    camera = named_camera(model.min_corner, model.max_corner, "hero")
    return Renderer(model).render(camera, RENDER_PX, RenderOptions(background=None, floor_shadow=False))


def _fit(
    glb: bytes, document: Document, colours: MainColours, wanted: WantedColour, view: _View
) -> tuple[dict[int, MaterialChange], MadeColour]:
    """Return the changed materials of a variant by index, with their pictures, and what it measures.

    The shift is corrected by how a render of the variant differs from what is wanted. Every surface reflects
    some light, so a render of a near-black swatch is lighter than the swatch: it is compared with the darkest
    that the model can be.
    """
    if wanted.colours is not None:
        clusters, target = changed_clusters(colours, wanted.colours)
    else:
        assert wanted.plain is not None
        clusters, target = main_clusters(colours), wanted.plain
    start = median_of(colours, clusters)

    def made(end: F64) -> dict[int, MaterialChange]:
        return _recoloured_materials(document, colours, clusters, (start, end))

    def measure(end: F64) -> F64:
        return view.measure(replace_materials(glb, made(end)))

    changes = deltaE_ciede2000(measure(PROBE), view.lab) > PROBED_DE
    changes = changes if changes.any() else np.ones_like(changes)
    shown = target
    if wanted.colours is None and target[0] < NEAR_BLACK:  # a photo has the light that its surface reflects
        darkest = np.median(measure(np.array([DARKEST, 0, 0]))[changes], axis=0)
        shown = np.array([max(target[0], darkest[0]), *target[1:]])
    end, best = target.copy(), (np.inf, target, target)
    for _ in range(CORRECTIONS):
        end[0] = np.clip(end[0], DARKEST, 100)
        seen = np.median(measure(end)[changes], axis=0)
        difference = float(deltaE_ciede2000(seen, shown))
        best = min(best, (difference, end, seen), key=lambda found: found[0])
        if difference < GOOD_DE:
            break
        end = end + (shown - seen)
    return made(best[1]), MadeColour(wanted.name, to_hex(target), to_hex(best[2]), round(best[0], 2))


def _recoloured_materials(
    document: Document, colours: MainColours, clusters: NDArray[np.bool_], change: tuple[F64, F64]
) -> dict[int, MaterialChange]:
    """Return the changes of the materials that change, by index."""
    found = {}
    for index, row in enumerate(document.rows("materials")):
        image, factor = _base_image(document, row), _factor(row)
        if image is None:
            before = to_srgb(np.asarray(factor[None, None], np.float32))
            after = recoloured(before, colours, clusters, change)
            if np.any(after != before):
                red, green, blue = (float(v) for v in to_linear(after)[0, 0])
                found[index] = MaterialChange(factor=(red, green, blue))
            continue
        pixels = _pixels(document, image)
        before = to_srgb(to_linear(pixels) * np.asarray(factor, np.float32))
        after = recoloured(before, colours, clusters, change)
        if np.abs(after.astype(np.int16) - before).mean() > 0.5:
            picture = _encoded(document, image, after)
            found[index] = MaterialChange(factor=(1.0, 1.0, 1.0), picture=picture)
    return found


def _encoded(document: Document, image: int, rgb: U8) -> bytes:
    """Return a picture as JPEG, or as PNG with the alpha of the image that it replaces."""
    stored, out = texture_picture(document, image), io.BytesIO()
    with Image.open(io.BytesIO(stored)) as picture:
        has_alpha = picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info
    if has_alpha:
        Image.fromarray(np.dstack([rgb, _pixels(document, image, "RGBA")[..., 3]])).save(out, "PNG")
    else:
        Image.fromarray(rgb).save(out, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return out.getvalue()
