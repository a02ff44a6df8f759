"""A merchandiser's whole way in a real browser, on real files: template, fill, upload with bad rows, watch,
filter, compare, approve,
download, mend the bad rows, upload again."""

import csv
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from dam_connector.domain.version import VersionState
from dam_connector.store.gallery import GalleryFilter
from dam_connector.store.users import UserRole
from dam_connector.usecases import batches as bulk
from dam_connector.web import batches
from dam_connector.wiring import Services
from tests.browser.conftest import needs_chromium, press, quiet_page, served
from tests.support import SAMPLES, PhotoServer, rules_json

pytestmark = needs_chromium
GOOD = {"C1": "Oak Chair", "C2": "Pine Chair", "L1": "Brass Lamp"}


@pytest.fixture
def site(services: Services, write_rules: Callable, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The application on loopback with nothing in it; batches tell what changed at once."""
    monkeypatch.setattr(batches, "EVENT_INTERVAL_S", 0.1)
    write_rules(deliverables=[rules_json()["deliverables"][0]])
    yield from served(services)


@pytest.fixture
def page(chromium: Browser, site: str, services: Services) -> Iterator[Page]:
    user = services.users.add("mia", UserRole.ADMIN)
    yield from quiet_page(chromium, site, "/login/link/" + services.users.add_login_link(user))


@pytest.fixture
def photos_zip(tmp_path: Path) -> Path:
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w") as package:
        for name in ("chair-front.jpg", "lamp-front.jpg"):
            package.write(SAMPLES / name, f"autumn/{name}")
    return path


def filled(template: Path, tmp_path: Path, photos: PhotoServer) -> Path:
    """The downloaded template with three good rows and three bad ones, as a spreadsheet program would save
    it.
    """
    header = next(csv.reader(template.read_text(encoding="utf-8-sig").splitlines()))
    rows = [
        {
            "sku": "C1",
            "product_name": GOOD["C1"],
            "image_url": "chair-front.jpg",
            "category": "seating",
            "brand": "Norrvik",
        },
        {"sku": "C2", "product_name": GOOD["C2"], "image_url": "chair-front.jpg", "category": "seating"},
        {"sku": "L1", "product_name": GOOD["L1"], "image_url": "lamp-front.jpg", "category": "lighting"},
        {"sku": "", "product_name": "Nameless", "image_url": "lamp-front.jpg", "category": "lighting"},
        {
            "sku": "L2",
            "product_name": "Lost Lamp",
            "image_url": photos.url("gone.jpg"),
            "category": "lighting",
        },
        {
            "sku": "L3",
            "product_name": "Tall Lamp",
            "image_url": "lamp-front.jpg",
            "category": "lighting",
            "height": "tall",
        },
    ]
    out = io.StringIO()
    writer = csv.DictWriter(out, header, delimiter=";", restval="")
    writer.writeheader()
    writer.writerows(rows)
    path = tmp_path / "autumn.csv"
    path.write_bytes(out.getvalue().encode("cp1252"))
    return path


def upload(page: Page, sheet: Path, name: str, pictures: Path) -> None:
    page.goto("/batches/new")
    page.locator("[name=file]").set_input_files(sheet)
    page.locator("[name=name]").fill(name)
    page.locator("[name=pictures]").set_input_files(pictures)
    page.get_by_role("button", name="Check the rows").click()


def the_rows_are_checked(page: Page) -> None:
    expect(page.get_by_text("3 good")).to_be_visible()
    expect(page.get_by_text("3 bad")).to_be_visible()
    for words in ("The SKU is missing", "gone.jpg", "height: it is not a size"):
        expect(page.locator(".why", has_text=words)).to_be_visible()
    expect(page.get_by_text("costs nothing")).to_be_visible()
    page.get_by_role("button", name="Make 3 products").click()


def the_batch_is_watched(page: Page, drain: Callable[[], int]) -> None:
    expect(page.locator("[data-progress]")).to_contain_text("waiting")
    drain()
    expect(page.locator(".grid .card")).to_have_count(3)  # they came by themselves
    expect(page.locator("[data-progress]")).to_contain_text("3 in review")
    expect(page.locator("[data-progress]")).to_contain_text("3 failed")


def two_are_found_and_compared(page: Page) -> None:
    page.get_by_role("link", name="Open in the gallery").click()
    expect(page.locator(".selectable")).to_have_count(3)
    page.get_by_label("Category").select_option("seating")
    expect(page.locator(".selectable")).to_have_count(2)
    page.locator(".tick input").first.click()
    page.locator(".card").nth(1).click(modifiers=["Shift"])
    expect(page.get_by_text("2 selected")).to_be_visible()
    press(page, "c")
    page.wait_for_url("**/compare?**")
    expect(page.locator("figure.pane")).to_have_count(2)
    page.get_by_role("button", name="Over each other").click()
    wipe = page.get_by_label("How much of the second picture is shown")
    wipe.fill("25")
    assert "inset(0px 0px 0px 75%)" in page.locator(".comparison img.fit").nth(1).evaluate(
        "i => getComputedStyle(i).clipPath"
    )


def some_are_approved_and_one_is_rejected(page: Page, services: Services) -> None:
    page.go_back()
    expect(page.get_by_text("2 selected")).to_be_visible()  # as before the comparison
    page.locator(".card").first.focus()
    press(page, "Escape")
    press(page, "x")
    press(page, "ArrowRight")
    press(page, "Shift+X")
    press(page, "a")
    expect(page.get_by_text("2 approved.")).to_be_visible()
    expect(page.locator(".selected")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("2 in review again")).to_be_visible()
    press(page, "Control+a")
    press(page, "a")
    expect(page.get_by_text("2 approved.")).to_be_visible()
    page.goto("/gallery?text=brass")
    page.locator(".tick input").first.check()
    press(page, "r")
    page.get_by_label("colour").check()
    page.locator("[formaction$=reject]").click()
    expect(page.get_by_text("1 rejected.")).to_be_visible()
    states = {card.asset.sku: card.state for card in services.gallery.page(GalleryFilter())}
    assert states == {"C1": VersionState.APPROVED, "C2": VersionState.APPROVED, "L1": VersionState.REJECTED}


def all_are_downloaded(page: Page) -> None:
    page.goto("/gallery")
    press(page, "Control+a")
    with page.expect_download() as package:
        page.get_by_role("button", name="Download").click()
    with zipfile.ZipFile(package.value.path()) as made:
        assert {name.split("/")[0] for name in made.namelist()} == {
            "seating",
            "lighting",
        } and made.testzip() is None


def bad_rows_are_mended_and_uploaded(
    page: Page, photos_zip: Path, drain: Callable[[], int], tmp_path: Path
) -> None:
    with page.expect_download() as failed:
        page.get_by_role("link", name="Download failed_rows.csv").click()
    mended = tmp_path / "mended.csv"
    mended.write_text(mend(Path(failed.value.path()).read_text(encoding="utf-8-sig")), encoding="utf-8")
    upload(page, mended, "Autumn, mended", photos_zip)
    expect(page.get_by_text("3 good")).to_be_visible()
    page.get_by_role("button", name="Make 3 products").click()
    drain()
    expect(page.locator("[data-progress]")).to_contain_text("3 in review")


def test_a_merchandisers_whole_way(
    page: Page,
    services: Services,
    photos: PhotoServer,
    photos_zip: Path,
    drain: Callable[[], int],
    tmp_path: Path,
) -> None:
    page.goto("/batches")
    with page.expect_download() as template:
        page.get_by_role("link", name="CSV").click()
    sheet = filled(Path(template.value.path()), tmp_path, photos)
    upload(page, sheet, "Autumn", photos_zip)
    the_rows_are_checked(page)
    page.wait_for_url("**/batches/bat_*")
    batch_url = page.url
    the_batch_is_watched(page, drain)
    two_are_found_and_compared(page)
    some_are_approved_and_one_is_rejected(page, services)
    all_are_downloaded(page)
    page.goto(batch_url)
    bad_rows_are_mended_and_uploaded(page, photos_zip, drain, tmp_path)
    upload(page, sheet, "Autumn again", photos_zip)
    expect(page.get_by_text("3 made already")).to_be_visible()
    with page.expect_download() as manifest:
        page.goto(batch_url)
        page.get_by_text("Download", exact=True).click()
        page.get_by_role("link", name="Manifest").click()
    records = [json.loads(line) for line in Path(manifest.value.path()).read_text().splitlines()]
    assert [r["status"] for r in records] == ["completed"] * 3 + ["failed"] * 3


def test_the_way_back_from_a_batch_leads_to_the_check(page: Page, photos_zip: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.csv"
    sheet.write_text("sku,name,image_url,category\nC1,Chair,chair-front.jpg,seating\n", encoding="utf-8")
    upload(page, sheet, "Autumn", photos_zip)
    page.get_by_role("button", name="Make 1 product").click()
    page.wait_for_url("**/batches/bat_*")
    page.go_back()
    expect(page.get_by_text("There is a batch “Autumn” already")).to_be_visible()
    taken = page.locator("[name=name]")
    taken.fill("Autumn again")
    page.get_by_text("Columns of the sheet").click()
    page.get_by_role("button", name="Check again").click()
    expect(page.get_by_role("heading", name="Autumn again")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Autumn again")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="Autumn", exact=True)).to_be_visible()


def test_a_cancelled_batch_goes_on_telling_what_it_finishes(
    page: Page, services: Services, photos_zip: Path, drain: Callable[[], int], tmp_path: Path
) -> None:
    sheet = tmp_path / "sheet.csv"
    rows = [f"{sku},Chair,chair-front.jpg,seating\n" for sku in ("C1", "C2", "C3")]
    sheet.write_text("sku,name,image_url,category\n" + "".join(rows), encoding="utf-8")
    upload(page, sheet, "Autumn", photos_zip)
    page.get_by_role("button", name="Make 3 products").click()
    page.wait_for_url("**/batches/bat_*")
    bulk.advance(services, services.batches.page()[0].wake_token)
    expect(page.locator("[data-progress]")).to_contain_text("2 generating")
    page.get_by_text("Cancel the batch …").click()
    with page.expect_event("load"):
        page.get_by_role("button", name="Cancel it for good").click()
    expect(page.get_by_role("button", name="Pause")).to_have_count(0)
    drain()
    expect(page.locator("[data-progress]")).to_contain_text("2 in review")
    expect(page.locator("[data-progress]")).not_to_contain_text("generating")
    expect(page.get_by_role("link", name="upload the sheet again")).to_be_visible()


def test_a_page_shows_that_somebody_else_has_stopped_the_batch(
    page: Page, services: Services, photos_zip: Path, tmp_path: Path
) -> None:
    sheet = tmp_path / "sheet.csv"
    sheet.write_text("sku,name,image_url,category\nC1,Chair,chair-front.jpg,seating\n", encoding="utf-8")
    upload(page, sheet, "Autumn", photos_zip)
    page.get_by_role("button", name="Make 1 product").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    bulk.control(services, services.batches.page()[0], "pause")
    expect(page.get_by_role("button", name="Resume")).to_be_visible()


def mend(text: str) -> str:
    """The failed rows as somebody mends them; the column with the reasons may stay."""
    delimiter = ";"  # that of the sheet that was uploaded
    rows = list(csv.DictReader(io.StringIO(text), delimiter=delimiter))
    for row in rows:
        assert row["error"]
        row.update({"sku": row["sku"] or "N1", "image_url": "lamp-front.jpg", "height": ""})
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
