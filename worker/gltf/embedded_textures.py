"""Textures: the pictures inside a GLB, read without trust: size, use and, of base colours, how dark and how bright they are."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from PIL import Image, ImageChops

from dam_connector.errors import InputError
from worker.gltf.document import Document

MAX_PIXELS = 8192 * 8192
STRIP_PX = 512  # looked at together: a picture of one bit a pixel is twenty-four times as large in colours
KTX2 = b"\xabKTX 20\xbb\r\n\x1a\n"
_PICTURES = ("PNG", "JPEG", "WEBP", "AVIF")
BASE_COLOR = "baseColorTexture"
_SOURCES = ("EXT_texture_webp", "EXT_texture_avif", "KHR_texture_basisu")


@dataclass(frozen=True, eq=False, kw_only=True)
class Texture:
    """One picture. uses: what it is taken for, such as baseColorTexture, and by which material."""

    index: int
    data: bytes
    width: int
    height: int
    uses: frozenset[tuple[str, int]]

    @property
    def materials(self) -> list[int]:
        """The materials whose base colour it is."""
        return [material for use, material in self.uses if use == BASE_COLOR]

    @property
    def is_compressed(self) -> bool:
        """Whether it is a KTX2 texture, which graphics cards read and nothing here does."""
        return self.data[:12] == KTX2

    @cached_property
    def brightness_range(self) -> tuple[int, int] | None:
        """The least and the greatest of the pixels' largest channels, 0 to 255; None where the picture cannot be decoded here."""
        if self.is_compressed:
            return None
        try:
            with Image.open(io.BytesIO(self.data), formats=_PICTURES) as picture:
                strips = [
                    _extrema(picture.crop((0, top, picture.width, min(top + STRIP_PX, picture.height))))
                    for top in range(0, picture.height, STRIP_PX)
                ]
            return min(low for low, _ in strips), max(high for _, high in strips)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            return None


def _extrema(picture: Image.Image) -> tuple[int, int]:
    """The least and the greatest of the pixels' largest channels."""
    red, green, blue = picture.convert("RGB").split()
    low, high = ImageChops.lighter(ImageChops.lighter(red, green), blue).getextrema()
    return int(low), int(high)  # type: ignore[arg-type]


def read_textures(document: Document) -> list[Texture]:
    """The pictures that lie in the file. Raises: InputError file.unreadable, file.texture_size with the place."""
    uses = _uses(document)
    found = []
    for index, _ in enumerate(document.rows("images")):
        data = document.image(index, f"/images/{index}")
        if data:
            width, height = _size(data, f"/images/{index}")
            found.append(
                Texture(
                    index=index, data=data, width=width, height=height, uses=frozenset(uses.get(index, ()))
                )
            )
    return found


def _size(data: bytes, where: str) -> tuple[int, int]:
    """Width and height by the header alone."""
    if data[:12] == KTX2 and len(data) >= 28:
        return int.from_bytes(data[20:24], "little"), int.from_bytes(data[24:28], "little")
    try:
        with Image.open(io.BytesIO(data), formats=_PICTURES) as picture:
            size = picture.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(
            "file.unreadable",
            "The texture cannot be read: it is no PNG, JPEG, WebP, AVIF or KTX2.",
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


def _uses(document: Document) -> dict[int, set[tuple[str, int]]]:
    """What each image is used for and by which material, by its index."""
    sources = [_source(row) for row in document.rows("textures")]
    found: dict[int, set[tuple[str, int]]] = {}
    for number, material in enumerate(document.rows("materials")):
        for name, info in _infos(material):
            texture = info.get("index")
            if isinstance(texture, int) and 0 <= texture < len(sources) and isinstance(sources[texture], int):
                found.setdefault(sources[texture], set()).add((name, number))
    return found


def _source(row: dict[str, Any]) -> Any:
    extensions = row.get("extensions") if isinstance(row.get("extensions"), dict) else {}
    assert isinstance(extensions, dict)
    packed = next(
        (
            extensions[n]["source"]
            for n in _SOURCES
            if isinstance(extensions.get(n), dict) and "source" in extensions[n]
        ),
        None,
    )
    return packed if packed is not None else row.get("source")


def _infos(material: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The material's own textures and those of its metallic-roughness part."""
    pbr = material.get("pbrMetallicRoughness")
    for part in (material, pbr if isinstance(pbr, dict) else {}):
        yield from (
            (name, info) for name, info in part.items() if name.endswith("Texture") and isinstance(info, dict)
        )
