"""One picture that is given as two views: the check of a sheet and the report of each asset say so."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from dam_connector.cli.batches import run_import
from dam_connector.domain.issue import Issue
from dam_connector.wiring import Services
from tests.pipeline.helpers import Drain, newest, send
from tests.support import PhotoServer, picture, record, rules_json

PACKSHOT = {**rules_json()["deliverables"][0], "formats": ["jpeg"]}
MODEL = {"name": "model", "kind": "model", "formats": ["glb"], "texture_px": 512, "max_triangles": 4000}
NAMING = {"default": "{sku}_{deliverable}_V{version}_{format:upper}"}


def shelf(columns: int, size: int = 600, quality: int = 92) -> bytes:
    """A box with stripes, so that photos with other numbers of them are other pictures."""

    def draw(rgb: np.ndarray) -> None:
        cv2.rectangle(rgb, (150, 150), (450, 450), (150, 60, 40), -1)
        for n in range(columns):
            left = 150 + n * 300 // columns
            cv2.rectangle(rgb, (left, 150 + 20 * n), (left + 120 // columns, 430), (40, 60, 150), -1)

    image = Image.open(io.BytesIO(picture(draw, size=(600, 600), format="PNG"))).resize((size, size))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


def same(services: Services, deliverable: str) -> list[Issue]:
    report = newest(services, deliverable).report
    return [found for found in report.issues if found.code == "source.same_picture"]


@pytest.mark.issue("source.same_picture")
@pytest.mark.parametrize("deliverable", [PACKSHOT, MODEL], ids=["packshot", "model"])
def test_each_asset_says_so_whether_or_not_it_uses_the_view(
    deliverable: dict[str, Any],
    services: Services,
    photos: PhotoServer,
    drain: Drain,
    write_rules: Callable[..., None],
) -> None:
    """The right is saved again, smaller; the left and the detail, which no model uses, are the same file."""
    write_rules(deliverables=[deliverable], naming=NAMING)
    photos.files |= {"a.jpg": shelf(3), "again.jpg": shelf(3, 450, 80), "b.jpg": shelf(5)}
    views = {"front": "a.jpg", "right": "again.jpg", "left": "b.jpg", "detail": "b.jpg"}
    send(services, record(images={view: photos.url(name) for view, name in views.items()}))
    drain()
    found = same(services, str(deliverable["name"]))
    pairs = {tuple(sorted(issue.message.partition(" are ")[0].split(" and "))) for issue in found}
    assert pairs == {("front", "right"), ("detail", "left")} and len(found) == 2


def test_photos_of_their_own_are_not_flagged(
    services: Services, photos: PhotoServer, drain: Drain, write_rules: Callable[..., None]
) -> None:
    write_rules(deliverables=[PACKSHOT], naming=NAMING)
    photos.files |= {"a.jpg": shelf(3), "b.jpg": shelf(5), "cut.jpg": shelf(4)[:9000]}
    views = {"front": "a.jpg", "back": "b.jpg", "left": "cut.jpg"}
    send(services, record(images={view: photos.url(name) for view, name in views.items()}))
    drain()
    assert not same(services, "packshot")


def test_the_check_of_a_sheet_names_the_columns(
    services: Services, photos: PhotoServer, tmp_path: Path
) -> None:
    photos.files["a.jpg"] = picture()
    (tmp_path / "p").mkdir()
    for name in ("front.jpg", "copy.jpg"):
        (tmp_path / "p" / name).write_bytes(picture())
    (tmp_path / "p" / "back.jpg").write_bytes(picture(ground=200))
    url, sheet = photos.url("a.jpg"), tmp_path / "s.csv"
    rows = [f"A1,Chair,{url},{url},", "A2,Chair,front.jpg,back.jpg,copy.jpg", "A3,Chair,front.jpg,back.jpg,"]
    rows.append("A4,Chair,front.jpg,remove,remove")
    sheet.write_text("\n".join(["sku,name,Bild,image_url_back,image_url_left", *rows, ""]))
    options: dict[str, Any] = {"name": "x", "owner": "ada", "columns": {}, "pictures": tmp_path / "p"}
    _, preview = run_import(services, sheet, dry_run=True, **options)
    said = "are the same picture; give each view its own photo."
    assert [note for note in preview.notes if "same picture" in note] == [
        f"Row 2: Bild and image_url_back {said}",
        f"Row 3: Bild and image_url_left {said}",
    ]
