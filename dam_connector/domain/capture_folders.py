"""Folders of a spin or a walk: which of their files are its pictures, and a note about the others."""

import posixpath
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from dam_connector.domain.picture_names import is_picture_name, natural_order, unread_reason
from dam_connector.domain.product import Capture

# Words in names of what renderers and scanners write beside frames.
MASK_WORDS = {"mask", "masks", "maske", "masken", "matte", "mattes", "alpha", "depth", "thumb", "thumbnail"}
_FORMATS = {".jpeg": ".jpg", ".tiff": ".tif"}  # other endings of a format by the one that counts
MAX_NAMED = 4  # files that a text names
NO_FRAME = "its name says that it is no frame but a mask, a depth or a thumbnail"
TWIN = "it is a second file of the same name"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureFolder:
    """The files in a folder of a spin or a walk."""

    pictures: tuple[str, ...]  # the paths of those that count, in order
    left_out: tuple[tuple[str, str], ...] = ()  # the others, with the reason of each
    problem: str = ""  # why the folder cannot be used; empty: it can

    @property
    def note(self) -> str:
        """Return a note about the files that do not count; nothing where all do."""
        if not self.left_out:
            return ""
        reasons: dict[str, list[str]] = {}
        for path, reason in self.left_out:
            reasons.setdefault(reason, []).append(posixpath.basename(path))
        return f"left out: {'; '.join(f'{named(names)} ({why})' for why, names in reasons.items())}"


def sort_folder(kind: Capture, paths: Iterable[str]) -> CaptureFolder:
    """Return which files of a folder are the pictures of a spin or a walk.

    Files that no decoder of ours reads are left out, and those that are no frames by their names: masks
    beside frames double a frame. A spin of two formats is refused, since one of them is probably no frame.
    """
    listed = sorted(paths, key=natural_order)
    pictures = [path for path in listed if is_picture_name(path)]
    left_out = [(path, f"it {reason}") for path in listed if (reason := unread_reason(path))]
    frames = [path for path in pictures if not MASK_WORDS & _words(path)]
    if frames:
        left_out += [(path, NO_FRAME) for path in pictures if path not in frames]
        pictures = frames
    usual = _usual_format(pictures)
    stems = {posixpath.splitext(path)[0] for path in pictures if _format(path) == usual}
    twins = {p for p in pictures if _format(p) != usual and posixpath.splitext(p)[0] in stems}
    left_out += [(path, TWIN) for path in pictures if path in twins]
    pictures = [path for path in pictures if path not in twins]
    others = [posixpath.basename(path) for path in pictures if _format(path) != usual]
    problem = ""
    if kind is Capture.SPIN and others:
        problem = (
            f"Of the {len(pictures)} pictures in the folder of the spin, {named(others)} are of another "
            "format than the others. Take out what is no frame, or save all frames in one format."
        )
    return CaptureFolder(pictures=tuple(pictures), left_out=tuple(left_out), problem=problem)


def no_frames(addresses: Iterable[str]) -> list[str]:
    """Return the names of those among the addresses of a spin or a walk that are masks or second files."""
    paths = {urlsplit(address).path for address in addresses if "://" in address}
    left_out = sort_folder(Capture.WALK, filter(is_picture_name, paths)).left_out
    return [posixpath.basename(path) for path, _ in left_out]


def named(names: list[str]) -> str:
    """Return names for people, the first few of many."""
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + more


def _words(path: str) -> set[str]:
    return set(re.split(r"[^a-z]+", _stem(path)))


def _stem(path: str) -> str:
    return posixpath.splitext(posixpath.basename(path))[0].casefold()


def _format(path: str) -> str:
    suffix = posixpath.splitext(path)[1].casefold()
    return _FORMATS.get(suffix, suffix)


def _usual_format(paths: list[str]) -> str:
    counts = Counter(map(_format, paths))
    return counts.most_common(1)[0][0] if counts else ""
