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
_COLOUR_CODE = re.compile(r"#[0-9a-fA-F]{6}")
_CAPTURE_KEY = re.compile(r"(spin|walk)-\d+")  # a captured picture's key among fetched ones: `spin-07`
TRANSLATED_FIELDS = ("name", "description", "color", "material")
SIGNATURE_BYTES = 16  # how many first bytes `picture_mime` needs
_SIGNATURES = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG": "image/png",
    b"RIFF": "image/webp",
    b"II*\x00": "image/tiff",
    b"MM\x00*": "image/tiff",
}
# Brands of files that have the same container as AVIF.
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx")
_VIDEO_BRANDS = (
    b"isom",
    b"iso2",
    b"iso4",
    b"iso5",
    b"iso6",
    b"mp41",
    b"mp42",
    b"avc1",
    b"qt  ",
    b"M4V ",
    b"3gp4",
)


class View(StrEnum):
    """Which side of the product a photo shows; left and right are the product's own, seen from the front."""

    FRONT = "front"
    BACK = "back"
    LEFT = "left"
    RIGHT = "right"
    TOP = "top"
    HERO = "hero"
    DETAIL = "detail"


class Capture(StrEnum):
    """A way of taking many pictures of a product all around, from which a model is made."""

    SPIN = "spin"  # a turntable before a fixed camera
    WALK = "walk"  # a person with a phone around a product that stands still

    @property
    def field_name(self) -> str:
        """Return the field of `Product` with its addresses."""
        return f"{self}_images"

    @property
    def counts(self) -> tuple[int, int]:
        """Return how many pictures there are at least and at most; 20 to 60 are recommended for a walk."""
        return (8, 72) if self is Capture.SPIN else (12, 72)

    def key(self, number: int) -> str:
        """Return the key of a picture among fetched ones; the first picture has the number 1."""
        return f"{self}-{number:02d}"


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
    walk_images: tuple[str, ...] = ()  # URLs of the photos of a walk around it, the front first
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

    def captured(self, kind: Capture) -> tuple[str, ...]:
        """Return the addresses of its pictures from a capture; empty if it has none of this kind."""
        return self.spin_images if kind is Capture.SPIN else self.walk_images

    @property
    def has_capture(self) -> bool:
        """Return whether it has a spin or a walk, whose first picture shows its front."""
        return bool(self.spin_images or self.walk_images)

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


def capture_of_key(key: str) -> Capture | None:
    """Return the capture that a key among fetched pictures belongs to, or None."""
    found = _CAPTURE_KEY.fullmatch(key)
    return Capture(found[1]) if found else None


def captured_pictures(sources: Mapping[str, Sha256], kind: Capture) -> dict[str, Sha256]:
    """Return the pictures of a capture among fetched ones, by key, in their order."""
    return {key: sources[key] for key in sorted(sources) if capture_of_key(key) is kind}


def named_photos(sources: Mapping[str, Sha256]) -> dict[str, Sha256]:
    """Return the photos among fetched pictures, by view."""
    others = (INSPIRATION, SWATCH, BROUGHT_MODEL)
    return {k: sha for k, sha in sources.items() if k not in others and not capture_of_key(k)}


def picture_mime(head: bytes) -> str:
    """Return the MIME type of a picture by its first bytes, or an empty string if they are of no picture.

    Args:
        head: At least the first `SIGNATURE_BYTES` bytes of the file.
    """
    return next(
        (mime for signature, mime in _SIGNATURES.items() if head.startswith(signature)),
        "image/avif" if head[4:8] == b"ftyp" and not unread_kind(head) else "",
    )


def unread_kind(head: bytes) -> str:
    """Return `HEIC` or `a video` for a file of this kind by its first bytes; else an empty string."""
    brand = head[8:12] if head[4:8] == b"ftyp" else b""
    if brand in _HEIC_BRANDS:
        return "HEIC"
    return "a video" if brand in _VIDEO_BRANDS or head.startswith(b"\x1aE\xdf\xa3") else ""
