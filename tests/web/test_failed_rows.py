"""Failed rows of a batch: which they are, what its page says of them, and which are tried again."""

import csv
import html
import io
import re
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from dam_connector.domain.product import Product
from dam_connector.store.batch_records import RowState
from dam_connector.store.gallery import GalleryFilter
from dam_connector.store.tables import assets, runs, versions
from dam_connector.usecases import batch_exports, batches, failed_rows
from dam_connector.wiring import Services
from tests.support import PhotoServer, huge_png, picture, rules_json
from tests.web.test_batch_pages import Visitor, checked, hidden


def test_a_batch_offers_to_try_again_what_can_be_tried_and_names_blocked_versions(
    photos: PhotoServer,
    browser_like: Visitor,
    services: Services,
    drain: Callable[[], int],
    write_rules: Callable,
) -> None:
    write_rules(deliverables=[rules_json()["deliverables"][0]])
    photos.files["a.jpg"] = picture()
    client = browser_like("merchandiser")
    sheet = f"sku,title,image_url,category\nA1,Chair,{photos.url('a.jpg')},seating\n,Nameless,x,seating\n"
    page = checked(client, sheet)
    del photos.files["a.jpg"]
    where = client.post("/batches", data=hidden(page)).location
    drain()
    failed = client.get(where).text
    assert "2 failed" in failed and "Try 1 row again" in failed
    assert services.products.get("A1") is None and ">A1</a>" not in failed and "A1" in failed
    photos.files["a.jpg"] = picture()
    client.post(f"{where}/retry")
    drain()
    mended = client.get(where).text
    assert "1 failed" in mended and "1 in review" in mended and "Try" not in mended
    batch = services.batches.page()[0]
    version = services.gallery.page(GalleryFilter(batch=batch.id))[0]
    with services.db.write() as c:
        c.execute(sa.update(versions).where(versions.c.id == version.id).values(state="blocked"))
    blocked = client.get(where).text
    assert "1 version is blocked by an error" in blocked
    assert f"/gallery?batch={batch.id}&amp;state=blocked" in blocked
    assert "2 failed" in blocked  # and so many are listed
    listed = blocked.partition("<h2>Failed rows")[2].partition("</table>")[0]
    assert listed.count("<tr>") == 1 + 2 and "No usable version: blocked" in listed
    assert f'<a href="/products/{services.products.get("A1").id}">A1</a>' in listed


def table_of(page: str, title: str) -> str:
    return page.partition(f"<h2>{title}")[2].partition("</section>")[0]


def test_page_api_file_and_button_agree_on_the_failed_rows(
    photos: PhotoServer,
    browser_like: Visitor,
    api: Visitor,
    services: Services,
    drain: Callable[[], int],
    write_rules: Callable,
) -> None:
    """24 rows fail: 21 by the sheet, one by a photo that is away, one by a blank photo, one by a bug.

    Of one more, a second asset failed.
    """
    one = rules_json()["deliverables"][0]
    naming = {"default": "{sku}_{deliverable}_V{version}_{format:upper}"}
    write_rules(deliverables=[one, {**one, "name": "turned"}], naming=naming)
    photos.files |= {"a.jpg": picture(), "blank.jpg": picture(lambda rgb: None), "away.jpg": picture()}
    client = browser_like("merchandiser")
    good, lines = photos.url("a.jpg"), [f",Nameless,{photos.url('a.jpg')}"] * 21
    lines += [f"{sku},Chair,{photos.url(file)}" for sku, file in [("W1", "away.jpg"), ("B1", "blank.jpg")]]
    lines += [f"X1,Chair,{good}", f"P1,Chair,{good}", f"G1,Chair,{good}"]
    page = checked(client, "\n".join(["sku,title,image_url", *lines, ""]))
    del photos.files["away.jpg"]
    where = client.post("/batches", data=hidden(page)).location
    drain()
    with services.db.write() as c:
        of_product = sa.select(assets.c.id).where(assets.c.sku == "X1")
        c.execute(sa.update(versions).where(versions.c.asset_id.in_(of_product)).values(state="blocked"))
        which = runs.c.deliverable == "turned"
        failed = sa.update(runs).where(runs.c.sku.in_(["X1", "P1"]), which)
        c.execute(failed.values(state="failed", error="make_renditions: ZeroDivisionError: 0"))
    page, batch = client.get(where).text, services.batches.page()[0]
    table, partly = table_of(page, "Failed rows"), table_of(page, "Rows made in part")
    assert "24 failed" in page and table.count("<tr>") == 1 + 20 and "4 more in the file" in table
    assert "Of 24," in table and "2 can be tried again; 22 must be corrected." in " ".join(table.split())
    assert partly.count("<tr>") == 1 + 1 and "P1" in partly and "1 can be tried again" in partly
    assert "Try 3 rows again" in page
    listed = api("admin").get(f"/api/v1/batches/{batch.id}/rows?state=failed&limit=200").json["items"]
    assert len(listed) == 24 and all(row["error"] for row in listed)
    assert [row["sku"] for row in listed[-3:]] == ["W1", "B1", "X1"]
    assert {row["state"] for row in listed} == {"failed"}
    assert client.get(f"{where}/failed_rows.csv").text.count("\n") == 1 + 24
    assert "3 rows are retried" in client.post(f"{where}/retry", follow_redirects=True).text
    assert {run.state for run in services.runs.page(sku="B1")} == {"failed"}  # it would fail again


UNUSABLE = {
    "tiny.jpg": picture(size=(20, 20)),
    "narrow.jpg": picture(size=(199, 400)),
    "huge.png": huge_png(),
    "phone.jpg": b"\0\0\0\x18ftypheic" + bytes(600),
    "page.jpg": b"<!DOCTYPE html><title>Log in</title>" + bytes(600),
    "empty.jpg": b"",
}


def test_rows_whose_photos_cannot_be_used_are_to_be_corrected_and_are_not_tried_again(
    photos: PhotoServer,
    browser_like: Visitor,
    services: Services,
    drain: Callable[[], int],
    write_rules: Callable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A row is tried again whose photo is away, and one that failed by no fault of its photos."""
    write_rules(deliverables=[rules_json()["deliverables"][0]])
    photos.files |= {"a.jpg": picture(), **UNUSABLE}
    good, client = photos.url("a.jpg"), browser_like("merchandiser")
    lines = [f"U{n},Chair,{good},{photos.url(name)}" for n, name in enumerate(UNUSABLE)]
    lines += [f"W1,Chair,{good},{photos.url('away.jpg')}", f"X1,Chair,{good},"]
    lines += [f"W2,Chair,{photos.url('tiny.jpg')},{photos.url('away.jpg')}"]
    page = checked(client, "\n".join(["sku,title,image_url,image_url_back", *lines, ""]))
    where = client.post("/batches", data=hidden(page)).location
    ingest = batches.ingest_product

    def broken(services: Services, product: Product, **more: object) -> object:
        if product.sku == "X1":
            raise RuntimeError("no memory")
        return ingest(services, product, **more)

    with monkeypatch.context() as patched:
        patched.setattr(batches, "ingest_product", broken)
        drain()
    (batch,) = services.batches.page()
    table, bad = " ".join(table_of(client.get(where).text, "Failed rows").split()), len(UNUSABLE) + 1
    assert f"Of {bad + 2}, 2 can be tried again; {bad} must be corrected." in table
    tried = {each.row.sku for each in failed_rows.failed_rows(services, batch) if each.can_retry}
    assert tried == {"W1", "X1"} and failed_rows.retryable_rows(services, batch).total == 2
    photos.files["away.jpg"] = picture()
    assert "2 rows are retried" in client.post(f"{where}/retry", follow_redirects=True).text
    waiting = services.batches.rows(batch.id, state=RowState.WAITING)
    assert {row.sku for row in waiting} == {"W1", "X1"}
    drain()
    after = client.get(where).text
    assert "2 in review" in after and f"{bad} failed" in after and "Try" not in after
    assert f"0 can be tried again; {bad} must be corrected." in " ".join(after.split())
    again = client.post(f"{where}/retry", follow_redirects=True).text
    assert "no row can be retried: correct the failed rows in the sheet and upload it again" in again


def test_the_api_pages_through_rows_of_any_state(
    photos: PhotoServer,
    browser_like: Visitor,
    api: Visitor,
    drain: Callable[[], int],
) -> None:
    photos.files |= {"a.jpg": picture(), "blank.jpg": picture(lambda rgb: None)}
    client, good = browser_like("merchandiser"), photos.url("a.jpg")
    lines = [f"A1,Chair,{good}", f"A2,Stool,{good}", f",Nameless,{good}"]
    lines += [f"A3,Blank,{photos.url('blank.jpg')}", f"A4,Stool,{good}"]
    sheet = "\n".join(["sku,title,image_url", *lines, ""])
    client.post("/batches", data=hidden(checked(client, sheet)))
    drain()
    reader = api("viewer")

    def listed(state: str) -> list[tuple[str, str]]:
        found, cursor = [], ""
        while cursor is not None:
            query = f"limit=1&cursor={cursor}" + (f"&state={state}" if state else "")
            page = reader.get(f"/api/v1/batches/Autumn/rows?{query}").json
            found += [(row["sku"], row["state"]) for row in page["items"]]
            cursor = page["next"]
        return found

    assert listed("failed") == [("", "failed"), ("A3", "failed")]
    assert listed("taken") == [(sku, "taken") for sku in ("A1", "A2", "A4")]
    assert [sku for sku, _ in listed("")] == ["A1", "A2", "", "A3", "A4"]


def test_a_batch_says_how_many_of_its_rows_failed_instead_of_done(
    photos: PhotoServer,
    browser_like: Visitor,
    services: Services,
    drain: Callable[[], int],
    write_rules: Callable,
) -> None:
    write_rules(deliverables=[rules_json()["deliverables"][0]])
    photos.files.update({"good.jpg": picture(), "bad.jpg": picture()[:2000]})
    client = browser_like("merchandiser")
    good, bad = (photos.url(name) for name in ("good.jpg", "bad.jpg"))
    expected = {
        "One": (f"F0,Chair,{bad}", ("failed", "its row failed")),
        "All": (f"F1,Chair,{bad}\nF2,Stool,{bad}\n,Nameless,{good}", ("failed", "all rows failed")),
        "Some": (f"G1,Chair,{good}\nG2,Stool,{bad}\nG3,Bench,{good}", ("partly", "done, 1 of 3 rows failed")),
        "None": (f"H1,Chair,{good}", ("done", "done")),
    }
    begun = {}
    for name, (lines, _) in expected.items():
        page = checked(client, f"sku,title,image_url\n{lines}\n", name=name)
        begun[name] = client.post("/batches", data=hidden(page)).location
    drain()
    listed = client.get("/batches").text
    for name, (_, (colour, words)) in expected.items():
        badge = f'<span class="state {colour}">{words}</span>'
        page = client.get(begun[name]).text
        assert badge in page, name
        assert badge in listed.partition(f"<strong>{name}</strong>")[2].partition("</li>")[0], name
        assert ('data-label="Row" class="num">2<' in page) is (name in ("One", "All"))  # as in the sheet
        if name != "None":
            assert 'class="state done"' not in page, name


def test_a_fault_has_the_same_words_everywhere(
    photos: PhotoServer,
    browser_like: Visitor,
    api: Visitor,
    services: Services,
    drain: Callable[[], int],
    write_rules: Callable,
) -> None:
    """One row is spoiled, one has a blank photo, of one the version is blocked, one failed by a bug."""
    write_rules(deliverables=[rules_json()["deliverables"][0]])
    photos.files |= {"a.jpg": picture(), "blank.jpg": picture(lambda rgb: None)}
    client, good = browser_like("merchandiser"), photos.url("a.jpg")
    lines = [f",Nameless,{good}", f"B1,Blank,{photos.url('blank.jpg')}", f"X1,Chair,{good}", f"X2,Bug,{good}"]
    where = client.post(
        "/batches", data=hidden(checked(client, "\n".join(["sku,title,Bild", *lines, ""])))
    ).location
    drain()
    of_product = sa.select(assets.c.id).where(assets.c.sku.in_(["X1", "X2"]))
    with services.db.write() as c:
        c.execute(sa.update(versions).where(versions.c.asset_id.in_(of_product)).values(state="blocked"))
        failed = sa.update(runs).where(runs.c.sku == "X2")
        c.execute(failed.values(state="failed", error="make_renditions: ZeroDivisionError: 0"))
    batch = services.batches.page()[0]
    texts = [row["error"] for row in csv.DictReader(io.StringIO(batch_exports.failed_csv(services, batch)))]
    assert len(texts) == 4 and texts[1].startswith("Bild: No product was found")
    page = html.unescape(table_of(client.get(where).text, "Failed rows"))
    assert re.findall(r'<td class="why">(.*?)</td>', page, re.DOTALL) == texts
    status = csv.DictReader(io.StringIO("".join(batch_exports.status_csv(services, batch))))
    assert [row["error"] for row in status] == texts
    listed = api("admin").get(f"/api/v1/batches/{batch.id}/rows?state=failed").json["items"]
    coded = [texts[0], f"{texts[1]} (cutout.empty)", texts[2], texts[3]]
    assert [row["error"] for row in listed] == coded
    assert [record["error"] for record in batch_exports.manifest(services, batch)] == coded
