"""Media of a product in a shop: the option `formats`, the files to publish, and the order of all media."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from dam_connector.domain.listing import (
    SHOP_MODEL_FORMATS,
    SHOP_PICTURE_FORMATS,
    SHOP_VIDEO_FORMATS,
    Listing,
    MediaFile,
    media_files,
)
from dam_connector.errors import ConfigError
from dam_connector.ports import ShopPicture

T = TypeVar("T")
FORMATS = (*SHOP_PICTURE_FORMATS, *SHOP_MODEL_FORMATS, "web")


def formats_option(options: Mapping[str, Any], default: Sequence[str]) -> tuple[str, ...]:
    """Read the option `formats`: the file formats to publish, e.g. `["jpeg", "glb"]`.

    A picture is published in the first of these formats that it has, a model in all of them. Videos are known
    where the default names them: in shops that take them.

    Raises:
        ConfigError: it is no list, or holds an unknown format.
    """
    names, known = options.get("formats", list(default)), list(dict.fromkeys((*FORMATS, *default)))
    if not isinstance(names, list) or (unknown := [name for name in names if name not in known]):
        raise ConfigError(
            f"formats: {unknown[0] if isinstance(names, list) else names!r} is none of {', '.join(known)}"
        )
    return tuple(names)


def select_media(listing: Listing, formats: Sequence[str]) -> list[MediaFile]:
    """Return the files of a listing to publish in these formats."""
    return list(
        media_files(
            listing,
            picture_formats=[name for name in formats if name in SHOP_PICTURE_FORMATS],
            model_formats=[n for n in formats if n not in (*SHOP_PICTURE_FORMATS, *SHOP_VIDEO_FORMATS)],
            video_formats=[name for name in formats if name in SHOP_VIDEO_FORMATS],
        )
    )


def merge_media(theirs: Sequence[T], ours: Sequence[T], *, first: bool) -> list[T]:
    """Return all media of a product in order: the shop's own and ours, or ours first."""
    return [*ours, *theirs] if first else [*theirs, *ours]


def arrange_media(
    gallery: Sequence[T],
    previous: Sequence[T],
    ours: Sequence[T],
    written: Sequence[T],
    replaced: Mapping[T, T],
    *,
    first: bool,
) -> tuple[list[T], list[T]]:
    """Return all media in the order of the option `place`, and in the order to write.

    They differ where a merchant moved media since we wrote the order: that order stays. A new version takes
    the place of the one before.

    Args:
        gallery: the media that the product has now, in order.
        previous: ours of before, whether the product still has them or not.
        ours: those that it shall have, in the listing's order.
        written: the order that we wrote last; empty if it is not known.
        replaced: a medium of ours -> the one that takes its place.
        first: ours come before the others.
    """
    theirs = [each for each in gallery if each not in previous and each not in ours]
    by_rule = merge_media(theirs, ours, first=first)
    known = list(written) or merge_media(theirs, previous, first=first)
    if [each for each in gallery if each in known] == [each for each in known if each in gallery]:
        return by_rule, by_rule
    arranged = [new for each in gallery if (new := replaced.get(each, each)) in by_rule]
    return by_rule, merge_media(arranged, [each for each in ours if each not in arranged], first=first)


def replaced_media(before: Sequence[T], after: Sequence[T]) -> dict[T, T]:
    """Return the new medium for each one of before that is gone: the one at the same position."""
    pairs = zip(before, after, strict=False)
    return {old: new for old, new in pairs if old not in after and new not in before}


def ensure_media(
    files: Sequence[MediaFile], existing: Mapping[str, T], add: Callable[[MediaFile], T]
) -> list[T]:
    """Return the shop's media of these files, in their order; add those that do not exist.

    Args:
        files: the files to publish.
        existing: the shop's media of earlier files of ours, by SHA-256.
        add: uploads a file and returns the shop's medium.
    """
    return [existing[file.sha256] if file.sha256 in existing else add(file) for file in files]


def shop_picture(url: str) -> ShopPicture:
    """Return a shop's own picture by its address, whose path ends with the name of the file."""
    return ShopPicture(name=unquote(urlsplit(url).path.rpartition("/")[2]), url=url)
