"""A watched folder: sheets that are dropped there, CSV or XLSX, with pictures beside them. Options: `path`, `columns`.

A sheet's rows are products as in a bulk upload; it counts from when it was changed last. What is wrong with one row leaves the others.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from dam_connector.adapters.common.context import AdapterContext, check_options
from dam_connector.adapters.common.mixins import NoWebhooks, ReadOnlyPim
from dam_connector.domain.event import Event, EventKind
from dam_connector.domain.product import Product
from dam_connector.errors import ConfigError, InputError, NotFound, Unavailable, Unsupported
from dam_connector.ports import InboundWebhook, PimCapabilities
from schemas.sheet import read_sheet
from schemas.sheet_row import COLUMNS, guess_columns, read_row

log = structlog.get_logger()
SHEET_SUFFIXES = (".csv", ".tsv", ".txt", ".xlsx")
MAX_SHEET_BYTES = 200_000_000
MAX_IMAGE_BYTES = 100_000_000
IMAGE_URL_PREFIX = "pim:"  # before the connection and the name of a picture that lies beside a sheet


class SheetFolderPim(NoWebhooks, ReadOnlyPim):
    """Products by SKU."""

    vendor = "csv"
    capabilities = PimCapabilities(can_list_changes=True)

    def __init__(self, name: str, root: Path, columns: Mapping[str, str]) -> None:
        self._name, self._root, self._columns = name, root.resolve(), columns

    def normalize(self, inbound: InboundWebhook) -> list[Event]:
        return []

    def fetch(self, ref: str) -> list[Product]:
        raise Unsupported(self.vendor, "fetch", "a sheet is read as a whole")

    def changed_since(self, since: datetime) -> Iterator[Event]:
        try:
            found = [
                (datetime.fromtimestamp(p.stat().st_mtime, UTC), p)
                for p in self._root.iterdir()
                if p.suffix.lower() in SHEET_SUFFIXES and p.is_file()
            ]
        except OSError as error:
            raise Unavailable(
                self.vendor, "changed_since", f"the folder cannot be read ({type(error).__name__})"
            ) from error
        for at, path in sorted(found):
            if at > since and not path.name.startswith((".", "~")):
                yield from self._rows(path, at)

    def fetch_picture(self, name: str) -> bytes:
        path = (self._root / name).resolve()
        if not path.is_relative_to(self._root) or not path.is_file() or path.stat().st_size > MAX_IMAGE_BYTES:
            raise NotFound(self.vendor, "picture", f"there is no {name} beside the sheet")
        return path.read_bytes()

    def _rows(self, path: Path, at: datetime) -> Iterator[Event]:
        """The products of a sheet; what cannot be read is told in the log, with its place."""
        try:
            if path.stat().st_size > MAX_SHEET_BYTES:
                raise InputError("sheet.unreadable", "The file is too large.")
            sheet = read_sheet(path.read_bytes())
            mapping = {
                **guess_columns(tuple(name for name in sheet.header if name not in self._columns.values())),
                **self._columns,
            }
            if mapping.get("sku") not in sheet.header:
                raise InputError(
                    "sheet.header", f"No column holds the SKU. The sheet has: {', '.join(sheet.header)}."
                )
            for line, cells in sheet.rows:
                product, wrong = read_row(cells, mapping)
                if product is None:
                    log.warning(
                        "row_left_out",
                        connection=self._name,
                        sheet=path.name,
                        line=line,
                        why="; ".join(i.message for i in wrong),
                    )
                else:
                    yield Event(kind=EventKind.UPDATED, ref=product.sku, at=at, product=self._placed(product))
        except (InputError, OSError) as error:
            log.warning("sheet_left_out", connection=self._name, sheet=path.name, why=str(error))

    def _placed(self, product: Product) -> Product:
        """The product with addresses for the pictures that lie beside the sheet."""

        def address(url: str) -> str:
            return (
                url
                if not url or "://" in url or url.startswith(("dam:", IMAGE_URL_PREFIX))
                else f"{IMAGE_URL_PREFIX}{self._name}/{url}"
            )

        images = tuple(replace(image, url=address(image.url)) for image in product.images)
        return replace(product, images=images, inspiration_image=address(product.inspiration_image))


def connect(options: Mapping[str, Any], context: AdapterContext) -> SheetFolderPim:
    check_options(options, "path", "columns")
    columns = options.get("columns", {})
    if not isinstance(columns, dict) or (wrong := [name for name in columns if name not in COLUMNS]):
        raise ConfigError(
            f"columns: {wrong[0] if isinstance(columns, dict) else columns!r} is none of our columns; known: {', '.join(COLUMNS)}"
        )
    if not options.get("path"):
        raise ConfigError('path: the folder to watch, such as "/srv/sheets"')
    return SheetFolderPim(context.name, Path(str(options["path"])), {str(k): str(v) for k, v in columns.items()})
