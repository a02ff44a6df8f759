"""The photos on the page of a version: those that it was made from, though the product has others by now."""

from collections.abc import Mapping
from dataclasses import dataclass

from flask import url_for

from dam_connector.domain.ids import Sha256
from dam_connector.domain.product import INSPIRATION, SWATCH, Capture, View, captured_pictures
from dam_connector.domain.version import Version
from dam_connector.store.products import ProductRecord
from dam_connector.web.files import source_address

_VIEWS = (*(view.value for view in View), SWATCH, INSPIRATION)  # in the order of the page


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPhoto:
    """A photo on the page of a version."""

    view: str
    sha256: Sha256
    shown_view: str  # the view that it really shows, by which the report of a model names it
    is_used: bool = False  # the version was made from it
    is_former: bool = False  # it was, and the product has another one, or none, by now
    is_newer: bool = False  # the product has it by now in place of a former one

    @property
    def name(self) -> str:
        """Return its name for people, which no other photo of the page has."""
        return f"{self.view} now" if self.is_newer else self.view


def shown_photos(version: Version, record: ProductRecord | None) -> list[ShownPhoto]:
    """Return the photos for the page of a version, those that it was made from first."""
    used, now = version.sources, record.photos if record else {}
    # by hash: a model names a photo by the view that it really shows
    views = {sha256: view for view, sha256 in used.items()}
    former = {view: sha256 for view, sha256 in used.items() if sha256 not in now.values()}
    found = []
    for view in _VIEWS:
        if view in former:
            found.append(
                ShownPhoto(view=view, sha256=former[view], shown_view=view, is_used=True, is_former=True)
            )
        if view in now:
            found.append(
                ShownPhoto(
                    view=view,
                    sha256=now[view],
                    shown_view=views.get(now[view], "" if view in former else view),
                    is_used=now[view] in views,
                    is_newer=view in former,
                )
            )
    return sorted(found, key=lambda photo: (photo.view in (SWATCH, INSPIRATION), not photo.is_used))


def photo_address(version: Version, record: ProductRecord | None, photo: ShownPhoto) -> str:
    """Return the address of a photo on the page of a version."""
    if photo.is_former or record is None:
        return url_for("files.version_photo", version_id=version.id, view=photo.view)
    return source_address(record, photo.view)


def shown_capture(version: Version, record: ProductRecord | None) -> tuple[Capture | None, list[str], bool]:
    """Return the spin or the walk that a version was made from.

    Returns:
        Its kind, None without one; the addresses of its pictures in order; whether the product has others by
        now.
    """
    facts = version.report.facts or {}
    kind = Capture.SPIN if facts.get("spin_frames") else Capture.WALK if facts.get("walk_photos") else None
    if kind is None:
        return None, [], False
    used = captured_pictures(version.sources, kind)
    now: Mapping[str, Sha256] = captured_pictures(record.sources, kind) if record else {}
    if record and used in ({}, now):
        return kind if now else None, [source_address(record, key) for key in now], False
    addresses = [url_for("files.version_photo", version_id=version.id, view=key) for key in used]
    return kind if used else None, addresses, True
