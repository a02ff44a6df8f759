"""The images inside a GLB, read without trust: size, use and, of base colours, the range of brightness."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from PIL import Image, ImageChops

from dam_connector.errors import InputError
from worker.gltf.document import Document

MAX_PIXELS = 8192 * 8192
STRIP_PX = (
    512  # rows decoded to colours at once: a picture of one bit a pixel needs twenty-four times its memory
)
KTX2_MAGIC = b"\xabKTX 20\xbb\r\n\x1a\n"
BASE_COLOR = "baseColorTexture"
_FORMATS = ("PNG", "JPEG", "WEBP", "AVIF")
_SOURCE_EXTENSIONS = ("EXT_texture_webp", "EXT_texture_avif", "KHR_texture_basisu")
_PILLOW_ERRORS = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)
_Use = tuple[str, int]


@dataclass(frozen=True, eq=False, kw_only=True)
class Texture:
    """One image and its uses."""

    index: int  # in the document's images
    data: bytes  # encoded
    width: int  # pixels
    height: int
    uses: frozenset[_Use]  # the slot, e.g. baseColorTexture, and the index of the material

    @property
    def materials(self) -> list[int]:
        """Return the materials that have it as their base colour."""
        return [material for use, material in self.uses if use == BASE_COLOR]

    @property
    def is_compressed(self) -> bool:
        """Return whether it is a KTX2 texture, which only graphics cards decode."""
        return self.data[:12] == KTX2_MAGIC

    @cached_property
    def brightness_range(self) -> tuple[int, int] | None:
        """Return the least and the greatest of the pixels' largest channels, 0 to 255.

        It is None where the image cannot be decoded.
        """
        if self.is_compressed:
            return None
        try:
            with Image.open(io.BytesIO(self.data), formats=_FORMATS) as picture:
                strips = [
                    _extrema(picture.crop((0, top, picture.width, min(top + STRIP_PX, picture.height))))
                    for top in range(0, picture.height, STRIP_PX)
                ]
            return min(low for low, _ in strips), max(high for _, high in strips)
        except _PILLOW_ERRORS:
            return None


def _extrema(picture: Image.Image) -> tuple[int, int]:
    red, green, blue = picture.convert("RGB").split()
    low, high = ImageChops.lighter(ImageChops.lighter(red, green), blue).getextrema()
    return int(low), int(high)  # type: ignore[arg-type]


def read_textures(document: Document) -> list[Texture]:
    """Return the images inside the file; those outside it are left out.

    Raises:
        InputError: file.unreadable or file.texture_size, with the image's place.
    """
    uses = _uses(document)
    found = []
    for index, _ in enumerate(document.rows("images")):
        where = f"/images/{index}"
        data = document.image(index, where)
        if data:
            width, height = _size(data, where)
            found.append(
                Texture(
                    index=index, data=data, width=width, height=height, uses=frozenset(uses.get(index, ()))
                )
            )
    return found


def _size(data: bytes, where: str) -> tuple[int, int]:
    """Return width and height as the header states them. No pixel is decoded."""
    if data[:12] == KTX2_MAGIC and len(data) >= 28:
        return int.from_bytes(data[20:24], "little"), int.from_bytes(data[24:28], "little")
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
            size = picture.size
    except _PILLOW_ERRORS as error:
        raise InputError(
            "file.unreadable",
            "The texture cannot be read: it is not a PNG, JPEG, WebP, AVIF or KTX2.",
            pointer=where,
        ) from error
    if size[0] * size[1] > MAX_PIXELS:
        raise InputError(
            "file.texture_size",
            "The texture is too large to be opened.",
            pointer=where,
            measured=f"{size[0]} x {size[1]} px",
            limit="8192 x 8192 px",
        )
    return size


def _uses(document: Document) -> dict[int, set[_Use]]:
    """Return the uses of each image, by its index."""
    sources = [image_of_texture(row) for row in document.rows("textures")]
    found: dict[int, set[_Use]] = {}
    for number, material in enumerate(document.rows("materials")):
        for name, info in _texture_infos(material):
            texture = info.get("index")
            if isinstance(texture, int) and 0 <= texture < len(sources) and isinstance(sources[texture], int):
                found.setdefault(sources[texture], set()).add((name, number))
    return found


def image_of_texture(row: dict[str, Any]) -> Any:
    """Return the index of a texture's image: an extension's, where it has one, else its plain one."""
    extensions = row.get("extensions")
    if isinstance(extensions, dict):
        for name in _SOURCE_EXTENSIONS:
            found = extensions.get(name)
            if isinstance(found, dict) and found.get("source") is not None:
                return found["source"]
    return row.get("source")


def _texture_infos(material: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the material's own textures and those of its metallic-roughness part, by slot."""
    pbr = material.get("pbrMetallicRoughness")
    for part in (material, pbr if isinstance(pbr, dict) else {}):
        yield from (
            (name, info) for name, info in part.items() if name.endswith("Texture") and isinstance(info, dict)
        )
