"""What channels ask of pictures, as data: one row a limit, each with its source. A deliverable names the profiles it must satisfy.

Sources marked unconfirmed are secondary; their limits warn until an admin gives the code another severity.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dam_connector.domain.rules import Deliverable


@dataclass(frozen=True, slots=True)
class PictureLimit:
    """One limit. rule: formats, min_px, advised_px, max_px (of the longer side), max_pixels, max_bytes, background (#rrggbb at
    the rim), min_fill, max_fill (of the tighter side), aspect (w:h)."""

    rule: str
    value: int | float | str | tuple[str, ...]
    source: str


_AMAZON = "Amazon product image guide (unconfirmed)"
_GOOGLE = "Google Merchant Center, image_link (unconfirmed)"
_EBAY = "eBay picture policy (unconfirmed)"
_SHOPIFY = "Shopify help, product media (unconfirmed)"
_WALMART = "Walmart image guidelines (unconfirmed)"
_SOCIAL = "Instagram portrait posts (unconfirmed)"
_WEB = "this project's own advice for product pages"

PICTURE_PROFILES: Mapping[str, tuple[PictureLimit, ...]] = {
    "amazon-main": (
        PictureLimit("formats", ("jpeg",), _AMAZON),
        PictureLimit("min_px", 1000, _AMAZON),
        PictureLimit("advised_px", 1600, _AMAZON),
        PictureLimit("max_px", 10_000, _AMAZON),
        PictureLimit("background", "#ffffff", _AMAZON),
        PictureLimit("min_fill", 0.85, _AMAZON),
    ),
    "google-merchant": (
        PictureLimit("formats", ("jpeg", "webp", "png"), _GOOGLE),
        PictureLimit("min_px", 500, _GOOGLE),
        PictureLimit("advised_px", 1500, _GOOGLE),
        PictureLimit("max_pixels", 64_000_000, _GOOGLE),
        PictureLimit("max_bytes", 16_000_000, _GOOGLE),
        PictureLimit("min_fill", 0.75, _GOOGLE),
        PictureLimit("max_fill", 0.90, _GOOGLE),
    ),
    "shopify": (
        PictureLimit("formats", ("jpeg", "webp", "png", "avif"), _SHOPIFY),
        PictureLimit("advised_px", 2048, _SHOPIFY),
        PictureLimit("max_pixels", 20_000_000, _SHOPIFY),
        PictureLimit("max_bytes", 20_000_000, _SHOPIFY),
    ),
    "ebay": (
        PictureLimit("formats", ("jpeg", "png", "webp"), _EBAY),
        PictureLimit("min_px", 500, _EBAY),
        PictureLimit("advised_px", 1600, _EBAY),
        PictureLimit("max_bytes", 12_000_000, _EBAY),
    ),
    "walmart": (
        PictureLimit("formats", ("jpeg", "png"), _WALMART),
        PictureLimit("min_px", 1000, _WALMART),
        PictureLimit("max_bytes", 5_000_000, _WALMART),
        PictureLimit("background", "#ffffff", _WALMART),
    ),
    "social-portrait": (
        PictureLimit("formats", ("jpeg", "png"), _SOCIAL),
        PictureLimit("aspect", "4:5", _SOCIAL),
        PictureLimit("min_px", 1350, _SOCIAL),
        PictureLimit("max_bytes", 8_000_000, _SOCIAL),
    ),
    "web": (
        PictureLimit("formats", ("webp", "avif", "jpeg"), _WEB),
        PictureLimit("max_px", 2560, _WEB),
        PictureLimit("max_bytes", 500_000, _WEB),
    ),
}


def limit_of(profile: str, rule: str) -> int | float | str | tuple[str, ...] | None:
    """The value of a profile's rule, or None where it has none. Raises: KeyError when there is no such profile."""
    return next((limit.value for limit in PICTURE_PROFILES[profile] if limit.rule == rule), None)


def byte_budget(profiles: tuple[str, ...], format: str, own_limit: int) -> int:
    """The fewest bytes that those profiles which take this format, and the admin's own limit, allow."""
    found = [
        value
        for p in profiles
        if format in formats_of(p) and isinstance(value := limit_of(p, "max_bytes"), int)
    ]
    return min([own_limit, *found])


def formats_of(profile: str) -> tuple[str, ...]:
    """The formats that a channel takes. Raises: KeyError when there is no such profile."""
    value = limit_of(profile, "formats")
    return value if isinstance(value, tuple) else ()


def contradictions(deliverable: Deliverable, profile: str) -> Iterator[tuple[str, str]]:
    """What a deliverable asks for that its profile forbids: the field, and what the profile wants."""
    d, taken = deliverable, formats_of(profile)
    if not set(d.formats) & set(taken):
        yield "formats", f"{profile} takes {' or '.join(taken)}"
    for limit in PICTURE_PROFILES[profile]:
        match limit.rule, limit.value:
            case "min_px", int(least) if d.size_px < least:
                yield "size_px", f"{profile} wants at least {least} px"
            case "max_px", int(most) if d.size_px > most:
                yield "size_px", f"{profile} wants at most {most} px"
            case "min_fill", float(least) if d.fill < least:
                yield "fill", f"{profile} wants at least {least:g}"
            case "max_fill", float(most) if d.fill > most:
                yield "fill", f"{profile} wants at most {most:g}"
            case "background", str(colour) if d.background.lower() != colour:
                yield "background", f"{profile} wants {colour}"
            case "aspect", str(aspect) if d.aspect != aspect:
                yield "aspect", f"{profile} wants {aspect}"
