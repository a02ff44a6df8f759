"""Sheets in a watched folder: bad photos change no known product, and `remove` counts once."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dam_connector.domain.product import View
from dam_connector.usecases import backfill
from dam_connector.usecases.photo_uploads import upload_photo
from dam_connector.usecases.product_intake import ingest_again
from dam_connector.wiring import Services
from tests.support import PhotoServer, huge_png, picture, rules_json

Poll = Callable[..., None]
BAD = {
    "cut.jpg": b"\0\0\0\x18ftypheic" + bytes(600),
    "page.jpg": b"<!doctype html><html></html>" * 20,
    "tiny.jpg": picture(size=(120, 120)),
    "huge.png": huge_png(),
}


@pytest.fixture
def poll(services: Services, tmp_path: Path, write_rules: Callable[..., None]) -> Poll:
    """Save a sheet of these rows in the watched folder, and poll; without rows only poll."""
    folder = tmp_path / "watched"
    folder.mkdir()
    files = {"front.jpg": picture(ground=200), "back.jpg": picture(ground=210), **BAD}
    for name, data in files.items():
        (folder / name).write_bytes(data)
    connections = rules_json()["connections"]
    sheets = {"adapter": "csv", "path": str(folder)}
    write_rules(connections={**connections, "pim": {**connections["pim"], "sheets": sheets}})
    backfill.poll_pims(services)  # the first one only stores its time

    def poll(*rows: str) -> None:
        services.clock.forward(300)  # type: ignore[attr-defined]
        if rows:
            file, at = folder / "s.csv", services.clock.now().timestamp() - 10
            file.write_text("\n".join(["sku,name,image_url,image_url_back", *rows, ""]))
            os.utime(file, (at, at))
        backfill.poll_pims(services)

    return poll


def stored(services: Services, sku: str = "A1") -> tuple[str, dict[str, str], list[str]]:
    """Return name, pictures and issue codes of a product."""
    record = services.products.get(sku)
    assert record
    return record.product.name, dict(record.sources), [found.code for found in record.issues]


@pytest.mark.parametrize("bad", [*BAD, "none.jpg"])
def test_a_bad_photo_changes_nothing_of_a_known_product_and_flags_it(
    bad: str, poll: Poll, services: Services
) -> None:
    poll("A1,Chair,front.jpg,back.jpg")
    name, pictures, issues = stored(services)
    assert name == "Chair" and set(pictures) == {"front", "back"} and not issues
    poll(f"A1,Armchair,front.jpg,{bad}", "A2,Table,front.jpg,")
    assert stored(services)[:2] == ("Chair", pictures) and stored(services, "A2")[0] == "Table"
    (found,) = services.products.get("A1").issues  # type: ignore[union-attr]
    assert found.message.startswith("The row of the sheet was not taken in: ") and found.code[:7] == "source."
    poll("A1,Armchair,front.jpg,back.jpg")
    assert stored(services) == ("Armchair", pictures, [])


def test_a_new_product_with_a_bad_photo_is_stored_and_flagged(poll: Poll, services: Services) -> None:
    poll("A1,Chair,front.jpg,page.jpg")
    assert stored(services)[2] == ["source.not_an_image"] and set(stored(services)[1]) == {"front"}


def test_a_row_whose_photo_is_away_waits_for_it_and_holds_up_no_other(
    poll: Poll, services: Services, photos: PhotoServer
) -> None:
    photos.files["b.jpg"], photos.statuses["b.jpg"] = picture(ground=190), 503
    poll("A1,Chair,front.jpg,back.jpg")
    rows = (f"A1,Armchair,front.jpg,{photos.url('b.jpg')}", "A2,Table,front.jpg,")
    poll(*rows)
    assert stored(services)[0] == "Chair" and stored(services, "A2")[0] == "Table"
    poll()
    del photos.statuses["b.jpg"]
    poll()
    assert stored(services)[0] == "Armchair" and not stored(services)[2]
    asked = photos.asked["b.jpg"]
    poll()
    assert photos.asked["b.jpg"] == asked


def test_a_photo_that_stays_away_flags_its_product(
    poll: Poll, services: Services, photos: PhotoServer
) -> None:
    photos.statuses["b.jpg"] = 503
    poll("A1,Chair,front.jpg,back.jpg")
    poll(f"A1,Armchair,front.jpg,{photos.url('b.jpg')}")
    for _ in range(8):
        poll()
    asked = photos.asked["b.jpg"]
    poll()
    assert photos.asked["b.jpg"] == asked
    assert stored(services)[0] == "Chair" and stored(services)[2] == ["source.unreachable"]


def test_remove_counts_once(poll: Poll, services: Services) -> None:
    poll("A1,Chair,front.jpg,back.jpg")
    poll("A1,Chair,front.jpg,remove")
    assert set(stored(services)[1]) == {"front"}
    record = services.products.get("A1")
    assert record
    upload_photo(services, record, View.BACK, picture(ground=190), by="ann")
    poll("A1,Chair,front.jpg,remove", "A2,Table,front.jpg,")
    poll("A1,Armchair,front.jpg, REMOVE", "A2,Table,front.jpg,")
    assert stored(services)[0] == "Armchair" and set(stored(services)[1]) == {"front", "back"}
    poll("A1,Armchair,front.jpg,")
    poll("A1,Armchair,front.jpg,remove")
    assert set(stored(services)[1]) == {"front"}


def test_an_older_sheet_flags_nothing(poll: Poll, services: Services, tmp_path: Path) -> None:
    poll("A1,Chair,front.jpg,back.jpg")
    old, at = tmp_path / "watched" / "old.csv", services.clock.now().timestamp() - 60
    old.write_text("sku,name,image_url\nA1,Old,page.jpg\n")
    os.utime(old, (at, at))
    poll()
    assert stored(services)[0] == "Chair" and not stored(services)[2]
    record = services.products.get("A1")
    assert record and ingest_again(services, record).planned == 0
