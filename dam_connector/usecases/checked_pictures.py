"""What the check of a sheet saw of its rows' pictures, so that the start notices what has changed since.

Somebody may upload a photo of a product between the two: the row would replace it, or use it in place of the
one that was checked, without a word. Pictures behind addresses are known by their addresses alone.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping

from dam_connector.domain.ids import Sha256
from dam_connector.errors import NotFound, StateConflict
from dam_connector.store.batch_records import NewBatchRow
from dam_connector.usecases.row_pictures import is_taken_in
from dam_connector.usecases.row_texts import rows_text
from dam_connector.usecases.source_images import image_urls
from dam_connector.wiring import Services

MARK_LENGTH = 12  # hexadecimal digits of a hash: a chance of 1 in 10^14


class CheckedPictures:
    """The pictures of rows as a check sees them: one mark for each row that is taken in."""

    def __init__(self, marks: Mapping[str, str] | None = None) -> None:
        """Begin with these marks by line, or none."""
        self._marks = dict(marks or {})

    def add(self, row: NewBatchRow) -> None:
        """Add a row of the check, before its pictures are looked at."""
        if is_taken_in(row):
            self._marks[str(row.line)] = _mark(row)

    def has_changed(self, row: NewBatchRow) -> bool:
        """Return whether a row is to be taken in with other pictures than the check saw."""
        return is_taken_in(row) and self._marks.get(str(row.line)) != _mark(row)

    def store(self, services: Services) -> Sha256:
        """Store the marks; return their id. They are deleted after some days, like uploads."""
        return services.blobs.put(json.dumps(self._marks, sort_keys=True).encode())


def read_checked(services: Services, check: str) -> CheckedPictures:
    """Return what a check saw, by its id.

    Raises:
        StateConflict: there is no such check, or it was deleted meanwhile.
    """
    try:
        return CheckedPictures(json.loads(services.blobs.get(Sha256(check))))
    except (NotFound, ValueError) as error:
        raise StateConflict("the check is no longer stored: check the sheet again") from error


def unchanged(rows: Iterable[NewBatchRow], checked: CheckedPictures) -> Iterator[NewBatchRow]:
    """Yield rows as they are.

    Raises:
        StateConflict: after the last one: some have other pictures than the check saw.
    """
    changed = []
    for row in rows:
        if checked.has_changed(row):
            changed.append(row.line)
        yield row
    if changed:
        which = rows_text(changed, "has", "have")
        raise StateConflict(f"{which} other pictures now than in the check: look at the check again")


def _mark(row: NewBatchRow) -> str:
    pictures = {name: url for name, (url, _) in image_urls(row.product).items()} if row.product else {}
    text = json.dumps([pictures, row.gone], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:MARK_LENGTH]
