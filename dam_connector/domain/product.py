"""Products: the PIM's record, and the photos that assets are made from.

The field names of `Product` and `Dimensions` are stored with products and hashed by `planning.input_hash`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from dam_connector.domain.brought_model import BROUGHT_MODEL
from dam_connector.domain.ids import Sha256, Sku
from dam_connector.domain.row_request import RowRequest

SWATCH = "swatch"  # the key of a picture of the colour alone among fetched pictures
INSPIRATION = "inspiration"  # the inspiration image's key among fetched pictures, which are keyed by view
MIN_SPIN_FRAMES, MAX_SPIN_FRAMES = 8, 72
MIN_WALK_PHOTOS, MAX_WALK_PHOTOS = 12, 72  # 20 to 60 are recommended
_COLOUR_CODE = re.compile(r"#[0-9a-fA-F]{6}")
_SPIN_KEY = re.compile(r"spin-\d+")  # a spin frame's key among fetched pictures, e.g. `spin-07`
TRANSLATED_FIELDS = ("name", "description", "color", "material")
SIGNATURE_BYTES = 16  # how many first bytes `picture_mime` needs
_SIGNATURES = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG": "image/png",
    b"RIFF": "image/webp",
    b"II*\x00": "image/tiff",
    b"MM\x00*": "image/tiff",
}


class View(StrEnum):
    """Which side of the product a photo shows; left and right are the product's own, seen from the front."""

    FRONT = "front"
    BACK = "back"
    LEFT = "left"
    RIGHT = "right"
    TOP = "top"
    HERO = "hero"
    DETAIL = "detail"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceImage:
    """A product photo that assets are made from."""

    view: View
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimensions:
    """The product's size in metres; None where the PIM does not give it."""

    width_m: float | None = None
    height_m: float | None = None
    depth_m: float | None = None

    @property
    def complete(self) -> bool:
        """Return True if the size is known on all three axes."""
        return None not in (self.width_m, self.height_m, self.depth_m)


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """The PIM's record of one SKU."""

    sku: Sku
    name: str = ""
    category: str = ""
    brand: str = ""
    color: str = ""
    material: str = ""
    description: str = ""
    style_tags: str = ""  # words for its style, with commas
    dimensions: Dimensions = Dimensions()
    images: tuple[SourceImage, ...] = ()
    spin_images: tuple[str, ...] = ()  # URLs of a spin's frames: equal steps of a full turn, the front first
    inspiration_image: str = ""  # URL of a picture whose colours lifestyle renditions take on
    model_url: str = ""  # of a model that was made elsewhere; model deliverables are made from it
    parent: str = ""  # what products share that differ in colour alone, e.g. the code of their model
    swatch: str = ""  # its colour: "#rrggbb", or the URL of a picture of the cloth or paint alone
    live_from: datetime | None = None  # an embargo: no asset of it goes live before this time
    live_until: datetime | None = None  # its expiry: at this time all its assets go offline
    # texts in other languages: by locale, e.g. "de" or "de-AT", those of `TRANSLATED_FIELDS` that differ
    translations: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)  # further fields of the PIM, e.g. "ean"
    request: RowRequest = RowRequest()  # what the row of an uploaded sheet asks for

    def with_request(self, request: RowRequest) -> "Product":
        """Return the product with another request."""
        return replace(self, request=request)

    @property
    def swatch_url(self) -> str:
        """Return the address of the swatch's picture; empty if the swatch is a code, or there is none."""
        return "" if is_colour_code(self.swatch) else self.swatch

    def in_locale(self, locale: str) -> "Product":
        """Return the product with its texts in a locale, else in its language, else as they are.

        Args:
            locale: e.g. "de" or "de-AT"; empty: the texts as they are.
        """
        language, texts = locale.partition("-")[0], dict[str, str]()
        of_language = [known for known in sorted(self.translations) if known.startswith(f"{language}-")]
        for known in (*of_language[:1], language, locale) if locale else ():
            texts |= self.translations.get(known, {})
        return replace(self, **{name: text for name, text in texts.items() if text})  # type: ignore[arg-type]

    def image(self, *views: View) -> SourceImage | None:
        """Return the photo of the first of these views that the product has, or None."""
        return next((i for view in views for i in self.images if i.view == view), None)


def is_colour_code(text: str) -> bool:
    """Return whether a text is a colour as `#rrggbb`."""
    return _COLOUR_CODE.fullmatch(text) is not None


def spin_key(number: int) -> str:
    """Return the key of a spin frame among fetched pictures; the first frame has the number 1."""
    return f"spin-{number:02d}"


def is_spin_key(key: str) -> bool:
    """Return whether a key among fetched pictures is that of a spin frame."""
    return _SPIN_KEY.fullmatch(key) is not None


def spin_frames(sources: Mapping[str, Sha256]) -> dict[str, Sha256]:
    """Return the spin frames among fetched pictures, by key, in the order of the spin."""
    return {key: sources[key] for key in sorted(sources) if is_spin_key(key)}


def named_photos(sources: Mapping[str, Sha256]) -> dict[str, Sha256]:
    """Return the photos among fetched pictures, by view."""
    others = (INSPIRATION, SWATCH, BROUGHT_MODEL)
    return {k: sha for k, sha in sources.items() if k not in others and not is_spin_key(k)}


def picture_mime(head: bytes) -> str:
    """Return the MIME type of a picture by its first bytes, or an empty string if they are of no picture.

    Args:
        head: At least the first `SIGNATURE_BYTES` bytes of the file.
    """
    return next(
        (mime for signature, mime in _SIGNATURES.items() if head.startswith(signature)),
        "image/avif" if head[4:8] == b"ftyp" else "",
    )
