"""Sheets to judge lifestyle pictures by: each beside its photo, with its scene and its issues.

`python -m benchmarks.scene_sheet --photos DIR --out-dir DIR`. `--photos` has photos and labels.json (name,
half, file, product). Pictures of the first slot are made as the pipeline makes them, from the photo alone;
with `--with-kind`, the record names the kind of product (the label's `product`). Pictures that a warning or
an error holds against the cut-out, the photo or the scene come after the others: whoever judges counts the
others. Printed is how many of each half have no flag.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from dam_connector.domain.ids import Sku
from dam_connector.domain.issue import Severity
from dam_connector.domain.product import Product
from dam_connector.domain.rules import Deliverable, ImagingRules
from dam_connector.domain.run import RunKind
from dam_connector.errors import InputError
from worker.imaging.coils import open_coils
from worker.imaging.composition import Picture
from worker.imaging.cutout import Cutout
from worker.imaging.decode import Photo, decode
from worker.imaging.net_cutout import cut_out_product
from worker.imaging.outline_smoothing import with_smooth_outline
from worker.imaging.photo_quality import source_issues
from worker.imaging.salient_net import SalientNet, find_net
from worker.renditions import RenditionRequest

U8 = NDArray[np.uint8]

MAX_PIXELS, MAX_BYTES = 10**8, 10**7
LIFESTYLE = Deliverable(
    name="lifestyle",
    kind=RunKind.IMAGE,
    formats=("jpeg",),
    style="lifestyle",
    aspect="4:5",
    fill=0.6,
    size_px=1200,
)
CELL_WIDTH, CELL_HEIGHT, CAPTION_HEIGHT = 400, 500, 46
CELLS_ACROSS, ROWS_OF_PAGE = 2, 2
PAPER, INK = 40, (235, 235, 235)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One photo with its lifestyle picture."""

    name: str
    half: str
    photo: U8
    picture: U8 | None  # None: no product was found
    facts: str
    flags: tuple[str, ...]  # codes of warnings and errors


def _request(label: Mapping[str, Any], *, with_kind: bool) -> RenditionRequest:
    product = Product(sku=Sku(label["name"]), name=label["product"] if with_kind else "", category="")
    return RenditionRequest(
        deliverable=LIFESTYLE, product=product, max_pixels=MAX_PIXELS, max_bytes=MAX_BYTES
    )


def make(label: Mapping[str, Any], data: bytes, net: SalientNet | None, *, with_kind: bool) -> Entry:
    """Return the entry of a photo."""
    photo = decode(data, max_pixels=MAX_PIXELS)
    entry = {"name": label["name"], "half": label["half"], "photo": _on_white(photo)}
    try:
        cutout = with_smooth_outline(photo, open_coils(photo, cut_out_product(photo, net)))
    except InputError as error:
        return Entry(**entry, picture=None, facts="", flags=(str(error.issue_code),))
    picture, facts, flags = compose(photo, cutout, _request(label, with_kind=with_kind))
    return Entry(**entry, picture=picture.rgb, facts=facts, flags=flags)


def compose(photo: Photo, cutout: Cutout, request: RenditionRequest) -> tuple[Picture, str, tuple[str, ...]]:
    """Return the picture, its scene in words, and the codes of warnings and errors."""
    issues = list(source_issues(photo, cutout, "front", request.imaging))
    has_person = any(found.code == "source.person" for found in issues)
    plan = request.plan_scene(cutout, view="front", has_person=has_person, photo=photo)
    picture = request.compose(cutout, oblique=False, plan=plan)
    issues += plan.issues("") if plan else ()
    flags = tuple(str(found.code) for found in issues if found.severity is not Severity.INFO)
    return picture, ", ".join(str(fact) for fact in plan.facts.values()) if plan else "", flags


def _on_white(photo: Photo) -> U8:
    if photo.alpha is None:
        return photo.rgb
    share = photo.alpha[..., None].astype(np.float32) / np.float32(255)
    return np.asarray(photo.rgb * share + (1 - share) * 255, np.uint8)


def pages(entries: Sequence[Entry]) -> Iterator[U8]:
    """Yield the pages of a sheet, (h, w, 3); each cell has the photo left and the picture right."""
    on_page = CELLS_ACROSS * ROWS_OF_PAGE
    for first in range(0, len(entries), on_page):
        cells = [_cell(entry) for entry in entries[first : first + on_page]]
        cells += [np.full_like(cells[0], PAPER)] * (on_page - len(cells))
        rows = [np.hstack(cells[at : at + CELLS_ACROSS]) for at in range(0, on_page, CELLS_ACROSS)]
        yield np.vstack(rows)


def _cell(entry: Entry) -> U8:
    cell = np.full((CELL_HEIGHT + CAPTION_HEIGHT, 2 * CELL_WIDTH, 3), PAPER, np.uint8)
    for at, picture in enumerate((entry.photo, entry.picture)):
        if picture is not None:
            fitted = _fitted(picture)
            top, left = (CELL_HEIGHT - fitted.shape[0]) // 2, (CELL_WIDTH - fitted.shape[1]) // 2
            left += at * CELL_WIDTH
            cell[top : top + fitted.shape[0], left : left + fitted.shape[1]] = fitted
    image = Image.fromarray(cell)
    draw = ImageDraw.Draw(image)
    draw.text((6, CELL_HEIGHT + 4), f"{entry.name} ({entry.half}): {entry.facts}", fill=INK, font_size=15)
    draw.text((6, CELL_HEIGHT + 24), " ".join(entry.flags) or "no flag", fill=INK, font_size=15)
    return np.asarray(image, np.uint8)


def _fitted(picture: U8) -> U8:
    height, width = picture.shape[:2]
    scale = min(CELL_WIDTH / width, CELL_HEIGHT / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, size, interpolation=way), np.uint8)


def unflagged(entries: Sequence[Entry]) -> dict[str, str]:
    """Return by half how many pictures have no flag."""
    halves = sorted({entry.half for entry in entries})
    of_halves = {half: [entry for entry in entries if entry.half == half] for half in halves}
    return {
        half: f"{sum(not entry.flags for entry in found)} of {len(found)}"
        for half, found in of_halves.items()
    }


def main() -> None:
    """Make the pictures and write the sheets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--out-dir", type=Path, required=True)
    parser.add_argument("--half", help="Only the photos of this half.")
    parser.add_argument("--with-kind", action="store_true", help="The record names the kind of product.")
    options = parser.parse_args()
    net = find_net(ImagingRules().net)
    labels = [
        label
        for label in json.loads((options.photos / "labels.json").read_text())
        if options.half in (None, label["half"])
    ]
    entries = [
        make(label, (options.photos / label["file"]).read_bytes(), net, with_kind=options.with_kind)
        for label in labels
    ]
    entries.sort(key=lambda entry: (bool(entry.flags), entry.half, entry.name))
    options.out_dir.mkdir(parents=True, exist_ok=True)
    for number, page in enumerate(pages(entries), 1):
        Image.fromarray(page).save(options.out_dir / f"scenes-{number:02}.png")
    print(json.dumps({"without a flag": unflagged(entries)}, indent=2))


if __name__ == "__main__":
    main()
