"""Drafts of captures: the photos of a spin or a walk that a person takes now, and which one comes next.

A photo has a place. The places of a walk are those of its low round, then those of its high round; photos
beyond them are welcome. The places of a spin are its frames.
"""

from dataclasses import dataclass
from datetime import datetime

from dam_connector.domain.ids import Sha256
from dam_connector.domain.product import Capture

ROUND_PHOTOS = 16  # of a round around the product: a step is about 22 degrees
WALK_PHOTOS = 2 * ROUND_PHOTOS  # planned for a walk
SPIN_FRAMES = 24  # planned for a spin when nobody says how many
GOOD_WALK_PHOTOS = 20  # fewer make a model too, but a worse one
MAX_PLACES = 72  # of any capture, see `Capture.counts`
_WHOLE = "the whole product in the picture, floor all around it"


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturePhoto:
    """One photo of a draft."""

    place: int  # in the order of the capture; the first one is 0 and shows the front
    sha256: Sha256
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureDraft:
    """The photos of a product that one person has taken so far."""

    id: str
    sku: str
    by: str  # the name of the person
    kind: Capture
    planned: int  # places of its rounds, or frames of a full turn
    begun_at: datetime
    changed_at: datetime
    photos: tuple[CapturePhoto, ...] = ()  # by place

    @property
    def next_place(self) -> int | None:
        """Return the first place without a photo; None if all are taken."""
        taken = {photo.place for photo in self.photos}
        limit = self.planned if self.kind is Capture.SPIN else MAX_PLACES
        return next((place for place in range(limit) if place not in taken), None)

    @property
    def next_text(self) -> str:
        """Return the sentence that names the next step."""
        place = self.next_place
        return self.full_text if place is None or place >= self.planned else self.place_text(place)

    @property
    def full_text(self) -> str:
        """Return the sentence for when all planned photos are there."""
        if self.kind is Capture.SPIN:
            return f"All {self.planned} frames are there. Make the model."
        return (
            f"Both rounds are finished: {self.planned} photos. Make the model, or add some of hidden places."
        )

    @property
    def problem(self) -> str:
        """Return why no model can be made from it yet; empty if one can."""
        count, (least, most) = len(self.photos), self.kind.counts
        if not count:
            return "there are no photos yet"
        if self.kind is Capture.SPIN:
            missing = [str(p + 1) for p in range(self.planned) if p not in {x.place for x in self.photos}]
            if not missing:
                return ""
            some = ", ".join(missing[:5]) + (" ..." if len(missing) > 5 else "")
            return f"{len(missing)} of the {self.planned} frames of a full turn are missing: {some}"
        if least <= count <= most:
            return ""
        return f"a walk needs {least} to {most} photos, better {GOOD_WALK_PHOTOS} or more; there are {count}"

    def place_text(self, place: int) -> str:
        """Return the sentence that says how to take the photo of a planned place."""
        if self.kind is Capture.SPIN:
            return _frame_text(place, self.planned)
        return _walk_text(place)


def _frame_text(place: int, planned: int) -> str:
    where = f"Frame {place + 1} of {planned}"
    if place == 0:
        return f"{where}: the front, the whole product in the picture. Then leave the phone where it is."
    return f"{where}: turn the product on by {round(360 / planned)} degrees, always in the same direction."


def _walk_text(place: int) -> str:
    number, is_high = place % ROUND_PHOTOS + 1, place >= ROUND_PHOTOS
    where = f"{'High' if is_high else 'Low'} round, photo {number} of {ROUND_PHOTOS}"
    if place == 0:
        return f"{where}: in front of the product, the phone a little above its middle, {_WHOLE}."
    if place == ROUND_PHOTOS:
        return f"The low round is finished. {where}: in front again, higher and looking down, {_WHOLE}."
    return f"{where}: one step to the right, {_WHOLE}."
