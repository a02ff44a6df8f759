"""Faults of picture files that their bytes show without decoding: kind, damage, too many bytes or pixels."""

from dam_connector.domain.issue import Issue, issue
from dam_connector.domain.issue_codes import IssueCode
from dam_connector.domain.picture_damage import picture_damage
from dam_connector.domain.picture_names import is_unread_text
from dam_connector.domain.picture_size import MIN_SIDE_PX, picture_size, size_issue
from dam_connector.domain.product import SIGNATURE_BYTES, picture_mime, unread_kind
from dam_connector.errors import InputError
from dam_connector.settings import Settings

HEAD_BYTES = (
    262_144  # of a stored picture, in which its size is looked for; profiles and previews lie before it
)
SWATCH_POINTER = "/swatch"
_WHOLE_FILE = "the whole file; copy it again from where it opens"
_REMEDIES = {"HEIC": "JPEG; on an iPhone: Settings, Camera, Formats, Most Compatible"}


def check_picture(settings: Settings, data: bytes, pointer: str, *, max_bytes: int = 0) -> None:
    """Raise InputError when a file is no picture that later work can use; see `picture_fault`."""
    if found := picture_fault(settings, data, pointer, max_bytes=max_bytes):
        raise InputError.of_issue(found)


def picture_fault(settings: Settings, data: bytes, pointer: str, *, max_bytes: int = 0) -> Issue | None:
    """Return the issue of a file that is no picture which later work can use, or None.

    Args:
        settings: the limits of bytes and pixels.
        data: the file.
        pointer: the JSON pointer of the field that it is for.
        max_bytes: how many bytes it may have; 0: as the settings say.
    """
    most = max_bytes or settings.max_picture_bytes
    if len(data) > most:
        return bytes_issue(len(data), most, pointer)
    if kind := unread_kind(data[:SIGNATURE_BYTES]):
        limit = _REMEDIES.get(kind, "JPEG, PNG, WebP")
        message = f"The file is {kind}, which is not read."
        return issue("source.not_an_image", message, pointer=pointer, limit=limit)
    if damage := picture_damage(data):
        is_picture = not data or picture_mime(data[:SIGNATURE_BYTES])
        code: IssueCode = "source.damaged" if is_picture else "source.not_an_image"
        return issue(code, f"The file {damage}.", pointer=pointer)
    return pixels_fault(settings, data, pointer)


def pixels_fault(settings: Settings, head: bytes, pointer: str) -> Issue | None:
    """Return the issue of a picture with too many or too few pixels, by its first bytes; else None."""
    return size_fault(settings, picture_size(head), pointer)


def size_fault(settings: Settings, size: tuple[int, int] | None, pointer: str) -> Issue | None:
    """Return the issue of a picture with too many or too few pixels; None too where the size is not known."""
    least = 1 if pointer == SWATCH_POINTER else MIN_SIDE_PX
    return (
        size_issue(size, pointer, max_pixels=settings.max_picture_pixels, min_side_px=least) if size else None
    )


def damage_fault(name: str, damage: str, pointer: str) -> Issue:
    """Return the issue of a damaged file.

    Args:
        name: the name of the file.
        damage: a predicate, see `picture_damage`.
        pointer: the JSON pointer of the field that it is for.
    """
    limit = "" if is_unread_text(damage) else _WHOLE_FILE
    return issue("source.damaged", f"{name} {damage}.", pointer=pointer, limit=limit)


def bytes_issue(count: int, most: int, pointer: str) -> Issue:
    """Return the issue of a picture with too many bytes."""
    return issue(
        "source.too_large",
        "The photo is too large.",
        pointer=pointer,
        measured=f"{count} bytes",
        limit=f"at most {most:,} bytes, e.g. 4000 px on the longer side",
    )
