"""Profiles of pictures: the limits that channels set, as data, each with its source.

A deliverable names the profiles that its pictures must satisfy. A source names the vendor's page and the day
on which it was read, or says that only others' accounts of it could be had.
Limits cause warnings unless an admin gives the issue code another severity.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dam_connector.domain.rules import Deliverable


@dataclass(frozen=True, slots=True)
class PictureLimit:
    """One limit of a channel.

    The rules are: `formats`; `min_px`, `advised_px` and `max_px` of the longer side; `max_pixels`;
    `max_bytes`; `background`, the colour at the edge as #rrggbb; `min_fill` and `max_fill`, the share of the
    tighter side that the product fills; `aspect` as "w:h".
    """

    rule: str
    value: int | float | str | tuple[str, ...]
    source: str  # where the limit comes from


_READ = "read 2026-11-29"
_NO_PRIMARY = "behind a login, no primary source could be read; others' accounts of it, 2026-11-29"
_AMAZON = f"Amazon Seller Central, product image guide: {_NO_PRIMARY}"
_GOOGLE = f"Google Merchant Center Help, answer 6324350, {_READ}"
_GOOGLE_FILL = "Google Merchant Center Help, answer 6324350, as others cite it, 2026-11-29"
_GOOGLE_MIN = f"{_GOOGLE}; required from 2027-01-31"
_EBAY_POLICY = f"eBay help, picture policy (4370), {_READ}"
_EBAY_FORMATS = f"eBay Media API, createImageFromFile, {_READ}"
_EBAY_GUIDE = f"eBay developers, catalog best practices, image guidelines, {_READ}"
_SHOPIFY = "Shopify help, product media: could not be read; others' accounts of it agree, 2026-11-29"
_SHOPIFY_PIXELS = "Shopify help, product media: could not be read; others say 20 or 25 megapixels, 2026-11-29"
_WALMART = f"Walmart Marketplace Learn, image guidelines of 2025-07-15, {_READ}"
_WALMART_ZOOM = f"{_WALMART}: the least for zoom"
_INSTAGRAM = f"Instagram API, IG User Media, {_READ}"
_INSTAGRAM_TALLEST = f"{_INSTAGRAM}: the tallest that it takes"
_SOCIAL = "this project's own advice for portrait posts: 1080 x 1350 px"
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
        PictureLimit("min_px", 500, _GOOGLE_MIN),
        PictureLimit("advised_px", 1500, _GOOGLE),
        PictureLimit("max_pixels", 64_000_000, _GOOGLE),
        PictureLimit("max_bytes", 16_000_000, _GOOGLE),
        PictureLimit("min_fill", 0.75, _GOOGLE_FILL),
        PictureLimit("max_fill", 0.90, _GOOGLE_FILL),
    ),
    "shopify": (
        PictureLimit("formats", ("jpeg", "webp", "png", "avif"), _SHOPIFY),
        PictureLimit("advised_px", 2048, _SHOPIFY),
        PictureLimit("max_pixels", 20_000_000, _SHOPIFY_PIXELS),
        PictureLimit("max_bytes", 20_000_000, _SHOPIFY),
    ),
    "ebay": (
        PictureLimit("formats", ("jpeg", "png", "webp", "avif"), _EBAY_FORMATS),
        PictureLimit("min_px", 500, _EBAY_POLICY),
        PictureLimit("advised_px", 1600, _EBAY_GUIDE),
        PictureLimit("max_bytes", 12_000_000, _EBAY_GUIDE),
    ),
    "walmart": (
        PictureLimit("formats", ("jpeg", "png"), _WALMART),
        PictureLimit("min_px", 1500, _WALMART_ZOOM),
        PictureLimit("advised_px", 2200, _WALMART),
        PictureLimit("max_bytes", 5_000_000, _WALMART),
        PictureLimit("background", "#ffffff", _WALMART),
        PictureLimit("aspect", "1:1", _WALMART),
    ),
    "social-portrait": (
        PictureLimit("formats", ("jpeg",), _INSTAGRAM),
        PictureLimit("aspect", "4:5", _INSTAGRAM_TALLEST),
        PictureLimit("min_px", 1350, _SOCIAL),
        PictureLimit("max_bytes", 8_000_000, _INSTAGRAM),
    ),
    "web": (
        PictureLimit("formats", ("webp", "avif", "jpeg"), _WEB),
        PictureLimit("max_px", 2560, _WEB),
        PictureLimit("max_bytes", 500_000, _WEB),
    ),
}


def _limit_value(profile: str, rule: str) -> int | float | str | tuple[str, ...] | None:
    """Return the value of a profile's rule, or None if it has no such rule."""
    return next((limit.value for limit in PICTURE_PROFILES[profile] if limit.rule == rule), None)


def byte_budget(profiles: tuple[str, ...], format: str, own_limit: int) -> int:
    """Return how many bytes a file may have.

    Args:
        profiles: Names of profiles; those that do not accept the format are ignored.
        format: The file's format, e.g. "jpeg".
        own_limit: The admin's own limit, in bytes.
    """
    limits = [
        value
        for p in profiles
        if format in accepted_formats(p) and isinstance(value := _limit_value(p, "max_bytes"), int)
    ]
    return min([own_limit, *limits])


def accepted_formats(profile: str) -> tuple[str, ...]:
    """Return the formats that a profile accepts.

    Raises:
        KeyError: There is no such profile.
    """
    value = _limit_value(profile, "formats")
    return value if isinstance(value, tuple) else ()


def profile_conflicts(deliverable: Deliverable, profile: str) -> Iterator[tuple[str, str]]:
    """Yield the fields of a deliverable that contradict a profile, each with what the profile demands."""
    d, accepted = deliverable, accepted_formats(profile)
    if not set(d.formats) & set(accepted):
        yield "formats", f"{profile} accepts {' or '.join(accepted)}"
    for limit in PICTURE_PROFILES[profile]:
        match limit.rule, limit.value:
            case "min_px", int(least) if d.size_px < least:
                yield "size_px", f"{profile} demands at least {least} px"
            case "max_px", int(most) if d.size_px > most:
                yield "size_px", f"{profile} demands at most {most} px"
            case "min_fill", float(least) if d.fill < least:
                yield "fill", f"{profile} demands at least {least:g}"
            case "max_fill", float(most) if d.fill > most:
                yield "fill", f"{profile} demands at most {most:g}"
            case "background", str(colour) if d.background.lower() != colour:
                yield "background", f"{profile} demands {colour}"
            case "aspect", str(aspect) if d.aspect != aspect:
                yield "aspect", f"{profile} demands {aspect}"
