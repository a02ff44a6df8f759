"""A watched folder as a PIM: sheets (CSV, TSV or XLSX) that are dropped there, with images beside them.

Options: `path`, the folder, e.g. "/srv/sheets"; `columns`, our column -> the sheet's. Facts:
docs/connections/csv.md.

The rows of a sheet are products, as in a bulk upload. They count from the time when the file was last
changed. A row that is wrong is skipped and logged; the others are read.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from dam_connector.adapters.common.context import AdapterContext, check_options
from dam_connector.adapters.common.mixins import NoWebhooks, ReadOnlyPim
from dam_connector.domain.brought_model import MAX_MODEL_BYTES, is_model_name
from dam_connector.domain.capture_folders import sort_folder
from dam_connector.domain.event import Event, EventKind
from dam_connector.domain.picture_names import PictureFinder, is_picture_name
from dam_connector.domain.product import Capture, Product
from dam_connector.domain.unnamed_pictures import is_removal
from dam_connector.errors import BadOutput, ConfigError, InputError, NotFound, Unavailable, Unsupported
from dam_connector.ports import InboundWebhook, PimCapabilities
from schemas.sheet_headers import COLUMNS, guess_columns, identifies_products
from schemas.sheet_rows import read_row, survey_sheet
from schemas.uploads import read_uploaded_sheet

log = structlog.get_logger()
SHEET_SUFFIXES = (".csv", ".tsv", ".txt", ".xlsx")
MAX_SHEET_BYTES = 100_000_000
MAX_IMAGE_BYTES = 100_000_000
MAX_PROBLEMS = 5  # that a test of the connection names
IMAGE_URL_PREFIX = "pim:"  # of an image beside a sheet: `pim:CONNECTION/FILE`


@dataclass(frozen=True, slots=True)
class SheetProblem:
    """A row that is no product, or a sheet that cannot be read."""

    # The line of the row in the sheet; 0: the sheet as a whole.
    line: int
    # Why, for people.
    why: str


class SheetFolderPim(NoWebhooks, ReadOnlyPim):
    """A `Pim` that reads sheets from one folder; references are SKUs."""

    vendor = "csv"
    capabilities = PimCapabilities(can_list_changes=True, keeps_pictures=True)

    def __init__(self, name: str, root: Path, columns: Mapping[str, str]) -> None:
        """Create the adapter.

        Args:
            name: the connection's name.
            root: the folder.
            columns: our column -> the sheet's, for those that are not recognised by their usual names.
        """
        self._name, self._root, self._columns = name, root.resolve(), columns

    def normalize(self, inbound: InboundWebhook) -> list[Event]:
        return []

    def fetch(self, ref: str) -> list[Product]:
        raise Unsupported(self.vendor, "fetch", "a sheet is read as a whole")

    def changed_since(self, since: datetime) -> Iterator[Event]:
        for changed_at, path in self._sheets():
            if changed_at > since:
                yield from self._read(path, changed_at)

    def check_rights(self) -> Iterator[str]:
        """Read each sheet whole; yield a line for each, and refuse those that have mistakes."""
        problems: list[str] = []
        for changed_at, path in self._sheets():
            found = list(self._rows(path, changed_at))
            wrong = [each for each in found if isinstance(each, SheetProblem)]
            problems += [
                f"{path.name}{f' line {each.line}' if each.line else ''}: {each.why}" for each in wrong
            ]
            if len(found) > len(wrong):
                yield f"{path.name} has {len(found) - len(wrong)} products"
        if problems:
            more = f"; and {len(problems) - MAX_PROBLEMS} more" if len(problems) > MAX_PROBLEMS else ""
            raise BadOutput(self.vendor, "read", "; ".join(problems[:MAX_PROBLEMS]) + more)

    def _sheets(self) -> list[tuple[datetime, Path]]:
        """Return when each sheet of the folder was changed, and the sheet, the oldest first."""
        try:
            return sorted(
                (datetime.fromtimestamp(path.stat().st_mtime, UTC), path)
                for path in self._root.iterdir()
                if path.suffix.lower() in SHEET_SUFFIXES
                and not path.name.startswith((".", "~"))
                and path.is_file()
            )
        except OSError as error:
            raise Unavailable(
                self.vendor, "changed_since", f"the folder cannot be read ({type(error).__name__})"
            ) from error

    def fetch_picture(self, name: str) -> bytes:
        """Read an image or a model beside the sheets, by its file name or relative path."""
        path = (self._root / name).resolve() if "\0" not in name else self._root
        if not path.is_relative_to(self._root) or not os.path.isfile(path):  # Path raises for a long name
            path = self._find_picture(name)
        limit = MAX_IMAGE_BYTES if is_picture_name(name) else MAX_MODEL_BYTES
        if path.stat().st_size > limit:
            raise NotFound(self.vendor, "fetch_picture", f"{name} is larger than {limit} bytes")
        return path.read_bytes()

    def _find_picture(self, name: str) -> Path:
        """Find an image or a model whose name differs in case, slashes or folders only."""
        is_kind = is_model_name if is_model_name(name) else is_picture_name
        paths = [path for path in self._root.rglob("*") if is_kind(path.name) and path.is_file()]
        inside = [path for path in paths if path.resolve().is_relative_to(self._root)]
        found = PictureFinder({path.relative_to(self._root).as_posix(): path for path in inside}).find(name)
        if found.file:
            return found.file
        why = f"several files are named {name}: {', '.join(found.paths[:4])}"
        if len(found.paths) < 2:
            why = f"there is no {name} beside the sheet"
        raise NotFound(self.vendor, "fetch_picture", why)

    def _read(self, path: Path, changed_at: datetime) -> Iterator[Event]:
        """Yield the products of a sheet; log a sheet or row that cannot be read."""
        for found in self._rows(path, changed_at):
            if isinstance(found, Event):
                yield found
            else:
                event = "sheet_row_skipped" if found.line else "sheet_skipped"
                log.warning(event, connection=self._name, sheet=path.name, line=found.line, why=found.why)

    def _rows(self, path: Path, changed_at: datetime) -> Iterator["Event | SheetProblem"]:
        """Yield each product of a sheet, and each row that is none; or why the sheet cannot be read."""
        try:
            if path.stat().st_size > MAX_SHEET_BYTES:
                raise InputError("sheet.unreadable", "The file is too large.")
            sheet = read_uploaded_sheet(path.read_bytes())
            unmapped = tuple(name for name in sheet.header if name not in self._columns.values())
            mapping = {**guess_columns(unmapped), **self._columns}
            mapping = {ours: theirs for ours, theirs in mapping.items() if theirs in sheet.header}
            if not identifies_products(mapping):
                raise InputError(
                    "sheet.header", f"No column holds the SKU. The sheet has: {', '.join(sheet.header)}."
                )
            facts = survey_sheet(sheet, mapping)
            for note in (*sheet.notes, *facts.notes):
                log.info("sheet_note", connection=self._name, sheet=path.name, note=note)
            for line, cells in sheet.rows:
                product, issues = read_row(cells, mapping, facts)
                if product is None:
                    yield SheetProblem(line, "; ".join(issue.message for issue in issues))
                else:
                    yield self._event(product, changed_at)
        except (InputError, OSError) as error:
            yield SheetProblem(0, str(error))

    def _event(self, product: Product, at: datetime) -> Event:
        """Return the event of a product, with `pim:` URLs for the files beside the sheet."""
        images = tuple(replace(image, url=self._image_url(image.url)) for image in product.images)
        inspiration_image = self._image_url(product.inspiration_image)
        product = replace(
            product,
            images=images,
            inspiration_image=inspiration_image,
            model_url=self._image_url(product.model_url),
            swatch=self._image_url(product.swatch) if product.swatch_url else product.swatch,
            spin_images=self._captured_urls(Capture.SPIN, product),
            walk_images=self._captured_urls(Capture.WALK, product),
        )
        return Event(kind=EventKind.UPDATED, ref=product.sku, at=at, product=product)

    def _captured_urls(self, kind: Capture, product: Product) -> tuple[str, ...]:
        """Return the URLs of a spin or a walk; those of the pictures in the folder that its cell names."""
        named = product.captured(kind)
        folder = (self._root / named[0]).resolve() if len(named) == 1 else self._root
        if folder == self._root or not folder.is_relative_to(self._root) or not folder.is_dir():
            return tuple(map(self._image_url, named))
        found = sort_folder(kind, (path.name for path in folder.iterdir() if path.is_file()))
        if found.note or found.problem:
            note = found.problem or found.note
            log.warning("capture_files", connection=self._name, folder=named[0], note=note)
        # of a folder without any picture that is read, the other files: their issue says why
        names = found.pictures or [name for name, _ in found.left_out]
        paths = [folder / name for name in names[: kind.counts[1] + 1]]
        return tuple(self._image_url(path.relative_to(self._root).as_posix()) for path in paths)

    def _image_url(self, url: str) -> str:
        if not url or "://" in url or url.startswith(("dam:", IMAGE_URL_PREFIX)) or is_removal(url):
            return url
        return f"{IMAGE_URL_PREFIX}{self._name}/{url}"


def connect(options: Mapping[str, Any], context: AdapterContext) -> SheetFolderPim:
    """Open the adapter.

    Raises:
        ConfigError: an option is wrong.
    """
    check_options(options, "path", "columns")
    columns = options.get("columns", {})
    if not isinstance(columns, dict) or (unknown := [name for name in columns if name not in COLUMNS]):
        raise ConfigError(
            f"columns: {unknown[0] if isinstance(columns, dict) else columns!r} is none of our columns; "
            f"known: {', '.join(COLUMNS)}"
        )
    if not options.get("path"):
        raise ConfigError('path: must be the folder to watch, e.g. "/srv/sheets"')
    root = Path(str(options["path"]))
    return SheetFolderPim(context.name, root, {str(k): str(v) for k, v in columns.items()})
