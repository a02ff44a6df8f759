"""What a sheet would do: every row read and judged, its pictures looked at, what it makes, costs and takes; before anything is made."""

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice

from dam_connector.domain.completeness import product_issues
from dam_connector.domain.ids import Sha256
from dam_connector.domain.issue import Issue, Severity, issue
from dam_connector.domain.product import INSPIRATION, Product
from dam_connector.domain.row_request import apply_request
from dam_connector.domain.rules import LOCAL, Deliverable
from dam_connector.domain.run import RunKind
from dam_connector.errors import InputError
from dam_connector.ports import GenerationRequest
from dam_connector.store.batches import NewBatchRow, RowState
from dam_connector.usecases.source_images import HELD_PREFIX, check_image_url, image_urls, is_image_url
from dam_connector.wiring import Services
from schemas.sheet import Sheet
from schemas.sheet_row import COLUMNS, guess_columns, read_row

LOOKUP_CHUNK = 500
MAX_SHOWN_ROWS = 200  # rows of each kind that a preview holds
MAX_CHECKED_IMAGES = 2000  # pictures looked at
IMAGE_CHECK_TIME_S = 20.0
IMAGE_CHECK_THREADS = 16
DEFAULT_RUN_S = {
    RunKind.IMAGE: 1.8,
    RunKind.MODEL: 6.5,
}  # CPU-seconds of a run (docs/benchmarks.md), until there are own ones to go by


@dataclass(kw_only=True)
class BatchPreview:
    """What a sheet would do. rows: the first of each kind, by state; makes: versions of each deliverable."""

    mapping: Mapping[str, str]
    counts: dict[RowState, int] = field(
        default_factory=lambda: dict.fromkeys((RowState.WAITING, RowState.FAILED, RowState.UNCHANGED), 0)
    )
    rows: dict[RowState, list[NewBatchRow]] = field(default_factory=dict)
    version_counts: dict[str, int] = field(default_factory=dict)
    billed_counts: dict[str, int] = field(
        default_factory=dict
    )  # by provider, how many it will bill; our own code bills none
    cost_usd: float = 0.0  # of those, by the providers' price lists
    unchecked_rows: int = 0  # good rows at whose pictures nobody looked yet: there were too many
    generation_s: float = 0.0

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def map_columns(sheet: Sheet, overrides: Mapping[str, str]) -> dict[str, str]:
    """Our columns to the sheet's: what the caller says, and the rest by its names.

    Raises: InputError sheet.header when a named column is not there, or none holds the SKU.
    """
    unknown = [
        f"{ours}={theirs}"
        for ours, theirs in overrides.items()
        if ours not in COLUMNS or theirs not in sheet.header
    ]
    if unknown:
        raise InputError(
            "sheet.header",
            f"There is no such column: {', '.join(unknown)}. The sheet has: {', '.join(sheet.header)}.",
        )
    rest = tuple(name for name in sheet.header if name not in overrides.values())
    found = {
        **{ours: theirs for ours, theirs in guess_columns(rest).items() if ours not in overrides},
        **overrides,
    }
    if "sku" not in found:
        raise InputError(
            "sheet.header", f"No column holds the SKU. The sheet has: {', '.join(sheet.header)}.", limit="sku"
        )
    return found


def check_rows(
    services: Services, sheet: Sheet, mapping: Mapping[str, str], pictures: Mapping[str, Sha256]
) -> Iterator[NewBatchRow]:
    """Every row, judged: waiting (good), failed with the reasons, or unchanged. pictures: those beside the sheet, by file name."""
    seen: dict[str, int] = {}
    rows = (_read(line, cells, mapping, pictures, seen, services) for line, cells in sheet.rows)
    while chunk := list(islice(rows, LOOKUP_CHUNK)):
        known = services.products.usable_products([r.sku for r in chunk if r.product])
        for row in chunk:
            same = (
                row.state is RowState.WAITING
                and row.product is not None
                and known.get(row.sku) == row.product
            )
            yield replace(row, state=RowState.UNCHANGED) if same else row


def _read(
    line: int,
    cells: Mapping[str, str],
    mapping: Mapping[str, str],
    pictures: Mapping[str, Sha256],
    seen: dict[str, int],
    services: Services,
) -> NewBatchRow:
    product, wrong = read_row(cells, mapping)
    sku = cells.get(mapping["sku"], "")
    if product is not None:
        product, missing = _with_pictures(product, pictures)
        wrong = [
            *missing,
            *(
                i
                for i in product_issues(product, services.rules.current().products)
                if i.severity is Severity.ERROR
            ),
        ]
    if sku and sku in seen:
        wrong.append(
            issue("row.duplicate", f"{sku} stands in row {seen[sku]} too.", pointer="/sku", measured=sku)
        )
    seen.setdefault(sku, line)
    state = RowState.FAILED if wrong else RowState.WAITING
    told, codes = "; ".join(issue_text(i) for i in wrong), tuple(i.code for i in wrong)
    return NewBatchRow(
        line=line,
        sku=sku,
        cells=cells,
        product=None if wrong else product,
        state=state,
        error=told,
        codes=codes,
    )


def issue_text(found: Issue) -> str:
    where = f"{found.pointer.strip('/')}: " if found.pointer else ""
    measured, limit = (
        f" ({found.measured})" if found.measured else "",
        f", wanted: {found.limit}" if found.limit else "",
    )
    return f"{where}{found.message.rstrip('.')}{measured}{limit}"


def _with_pictures(product: Product, pictures: Mapping[str, Sha256]) -> tuple[Product, list[Issue]]:
    """The product with the pictures beside the sheet in the place of their names."""
    images, missing = [], []
    for image in product.images:
        name = image.url.strip()
        if is_image_url(name):
            images.append(image)
        elif name in pictures:
            images.append(replace(image, url=f"{HELD_PREFIX}{pictures[name]}"))
        else:
            missing.append(
                issue(
                    "row.picture",
                    "No such file beside the sheet, and no address.",
                    pointer=f"/images/{image.view}",
                    measured=name[:80],
                )
            )
    return replace(product, images=tuple(images)), missing


def preview_batch(
    services: Services, sheet: Sheet, mapping: Mapping[str, str], pictures: Mapping[str, Sha256]
) -> BatchPreview:
    """What the sheet would do; nothing is made and no product is stored."""
    said = BatchPreview(mapping=mapping)
    look = _Look(services)
    rows = check_rows(services, sheet, mapping, pictures)
    while chunk := list(islice(rows, IMAGE_CHECK_THREADS * 8)):
        for row in look.at(chunk):
            said.counts[row.state] += 1
            if len(kept := said.rows.setdefault(row.state, [])) < MAX_SHOWN_ROWS:
                kept.append(row)
            if row.state is RowState.WAITING and row.product:
                for deliverable in _wanted(services, row.product):
                    said.version_counts[deliverable.name] = (
                        said.version_counts.get(deliverable.name, 0) + deliverable.count
                    )
                    name, usd = _priced(services, deliverable, row.product)
                    if name != LOCAL:
                        said.billed_counts[name] = said.billed_counts.get(name, 0) + deliverable.count
                        said.cost_usd += deliverable.count * usd
    said.unchecked_rows, said.generation_s = look.left_out, estimate_seconds(services, said.version_counts)
    return said


def _priced(services: Services, deliverable: Deliverable, product: Product) -> tuple[str, float]:
    """Who will be asked first to make it, and what that costs in USD by the price list."""
    for name in deliverable.generator:
        if not deliverable.can_use_generator(name, product.category, len(product.images)):
            continue
        usd = (
            0.0
            if name == LOCAL
            else services.provider(name).estimate(
                GenerationRequest(key="", product=product, pictures={}, kind=deliverable.kind)
            )
        )
        most = deliverable.when[name].max_usd if name in deliverable.when else None
        if most is None or usd <= most:
            return name, usd
    return LOCAL, 0.0


def _wanted(services: Services, product: Product) -> Iterator[Deliverable]:
    for deliverable in services.rules.current().deliverables:
        made = apply_request(deliverable, product.request)
        if made and made.is_for_category(product.category):
            yield made


def estimate_seconds(services: Services, version_counts: Mapping[str, int]) -> float:
    """How long making so many takes on the workers that there are, by what such runs took lately, or else usually take."""
    known = {
        d.name: services.runs.average_cpu_seconds(d.name) or DEFAULT_RUN_S[d.kind]
        for d in services.rules.current().deliverables
    }
    return sum(count * known[name] for name, count in version_counts.items()) / max(
        1, services.queue.workers("advance_bulk_run")
    )


class _Look:
    """Looks at the pictures of good rows, many at a time, within bounds."""

    def __init__(self, services: Services) -> None:
        self._services, self._until = services, time.monotonic() + IMAGE_CHECK_TIME_S
        self._found: dict[str, Issue | None] = {}
        self.left_out = 0

    def at(self, rows: list[NewBatchRow]) -> list[NewBatchRow]:
        """The rows, those failed whose pictures cannot be used."""
        wanted = {
            url: where
            for row in rows
            if self._good(row)
            for url, where in _looked_at(row)
            if url not in self._found
        }
        if len(self._found) + len(wanted) > MAX_CHECKED_IMAGES or time.monotonic() > self._until:
            self.left_out += sum(1 for row in rows if self._good(row))
            return rows
        with ThreadPoolExecutor(IMAGE_CHECK_THREADS) as pool:
            self._found.update(
                zip(
                    wanted,
                    pool.map(lambda pair: check_image_url(self._services, *pair), wanted.items()),
                    strict=True,
                )
            )
        return [self._judged(row) if self._good(row) else row for row in rows]

    def _good(self, row: NewBatchRow) -> bool:
        return row.state is RowState.WAITING and row.product is not None

    def _judged(self, row: NewBatchRow) -> NewBatchRow:
        wrong = [found for url, _ in _looked_at(row) if (found := self._found.get(url))]
        if not wrong:
            return row
        return replace(
            row,
            state=RowState.FAILED,
            error="; ".join(issue_text(i) for i in wrong),
            codes=tuple(i.code for i in wrong),
        )


def _looked_at(row: NewBatchRow) -> list[tuple[str, str]]:
    """The pictures without which the row cannot be made."""
    return (
        [pair for name, pair in image_urls(row.product).items() if name != INSPIRATION] if row.product else []
    )
