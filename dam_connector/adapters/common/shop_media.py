"""Media of ours at a product in a shop, and how they come to be what a listing says: new ones are added, those that stay keep their place."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from dam_connector.domain.listing import (
    SHOP_MODEL_FORMATS,
    SHOP_PICTURE_FORMATS,
    Listing,
    MediaFile,
    media_files,
)
from dam_connector.errors import ConfigError

T = TypeVar("T")
FORMATS = (*SHOP_PICTURE_FORMATS, *SHOP_MODEL_FORMATS, "web")


def formats_option(options: Mapping[str, Any], default: Sequence[str]) -> tuple[str, ...]:
    """The formats that go to a shop: of pictures the first that there is, of models all. Raises: ConfigError."""
    wanted = options.get("formats", list(default))
    if not isinstance(wanted, list) or (wrong := [f for f in wanted if f not in FORMATS]):
        raise ConfigError(
            f"formats: {wrong[0] if isinstance(wanted, list) else wanted!r} is none of {', '.join(FORMATS)}"
        )
    return tuple(wanted)


def select_media(listing: Listing, chosen: Sequence[str]) -> list[MediaFile]:
    """The files of a listing that go to a shop that takes these formats."""
    return list(
        media_files(
            listing,
            picture_formats=[f for f in chosen if f in SHOP_PICTURE_FORMATS],
            model_formats=[f for f in chosen if f not in SHOP_PICTURE_FORMATS],
        )
    )


def merge_media(theirs: Sequence[T], ours: Sequence[T], *, first: bool) -> list[T]:
    """All media of a product: those that are not ours keep their order. first: ours stand before them."""
    return [*ours, *theirs] if first else [*theirs, *ours]


def ensure_media(
    wanted: Sequence[MediaFile], there: Mapping[str, T], add: Callable[[MediaFile], T]
) -> list[T]:
    """Our media in the listing's order: what is there by its hash, else added."""
    return [there[file.sha256] if file.sha256 in there else add(file) for file in wanted]
