"""Bulk pages: a merchandiser's way without JavaScript: template, check, begin, watch, failed rows back."""

import html
import io
import re
import zipfile
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from dam_connector.usecases import intake
from dam_connector.wiring import Services
from tests.support import MODEL, PhotoServer, picture, product, rules_json

Visitor = Callable[[str], FlaskClient]


@pytest.fixture
def rows(photos: PhotoServer) -> str:
    photos.files["a.jpg"] = picture()
    url = photos.url("a.jpg")
    return (
        f"sku,title,image_url,category\nA1,<b>Chair</b>,{url},seating\n"
        f"A2,Stool,{url},seating\n,Nameless,{url},seating\n"
    )


def checked(client: FlaskClient, text: str, **more: object) -> str:
    answer = client.post(
        "/batches/check",
        data={"file": (io.BytesIO(text.encode()), "autumn.csv"), "name": "Autumn", **more},
        follow_redirects=True,
    )
    assert answer.status_code == 200, answer.text
    return answer.text


def hidden(page: str) -> dict[str, str]:
    """The form's hidden fields, and the columns as chosen."""
    fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page))
    for name, options in re.findall(r'<select name="([^"]+)">(.*?)</select>', page, re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', options)
        fields[name] = chosen.group(1) if chosen else ""
    return fields


def test_from_the_template_to_the_failed_rows(
    rows: str, browser_like: Visitor, services: Services, drain: Callable[[], int], write_rules: Callable
) -> None:
    write_rules(deliverables=[rules_json()["deliverables"][0]])
    client = browser_like("merchandiser")
    assert (
        client.get("/batches/template.csv").data.startswith(b"\xef\xbb\xbfsku,")
        and client.get("/batches/template.xlsx").data[:2] == b"PK"
    )
    assert (
        "No sheet was uploaded yet" in client.get("/batches").text
        and client.get("/batches/template.doc").status_code == 404
    )
    page = checked(client, rows)
    assert (
        "2 good" in page
        and "1 bad" in page
        and "The SKU is missing" in page
        and "&lt;b&gt;Chair" in page
        and "<b>Chair" not in page
    )
    assert not services.batches.page()
    begun = client.post("/batches", data=hidden(page))
    assert begun.status_code == 302
    assert "waiting" in client.get(begun.location).text
    drain()
    watched = client.get(begun.location).text
    assert (
        "2 in review" in watched
        and "1 failed" in watched
        and "/versions/" in watched
        and 'http-equiv="refresh"' not in watched
    )
    back = client.get(f"{begun.location}/failed_rows.csv")
    assert back.data.startswith(b"\xef\xbb\xbfsku,title,image_url,category,error") and "Nameless" in back.text
    assert watched.count("<strong>Stool</strong>") == 1  # a card has the name of its product
    made_already = checked(client, "\n".join(rows.splitlines()[:3]), name="Again")
    assert "All 2 rows are made already" in made_already and "cannot" not in made_already
    again = client.post("/batches", data=hidden(page), follow_redirects=True)
    assert "choose another name" in again.text
    assert "Autumn" in client.get("/batches").text


def test_columns_are_chosen_by_hand_where_their_names_do_not_tell(
    photos: PhotoServer, browser_like: Visitor
) -> None:
    photos.files["a.jpg"] = picture()
    client = browser_like("merchandiser")
    text = f"Nr,Foto,Was,Gruppe\nA1,{photos.url('a.jpg')},Stuhl,seating\n"
    answer = client.post("/batches/check", data={"file": (io.BytesIO(text.encode()), "x.csv")})
    assert answer.status_code == 422 and "No column holds the SKU" in answer.text
    chosen = {
        **hidden(answer.text),
        "map-sku": "Nr",
        "map-image_url": "Foto",
        "map-product_name": "Was",
        "map-category": "Gruppe",
    }
    assert "1 good" in client.post("/batches/check", data=chosen, follow_redirects=True).text


def test_pictures_come_as_a_zip(browser_like: Visitor) -> None:
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("a.jpg", picture())
    package.seek(0)
    client = browser_like("merchandiser")
    page = checked(
        client,
        "sku,name,image_url,category\nA1,Chair,a.jpg,seating\nA2,Chair,b.jpg,seating\n",
        pictures=(package, "p.zip"),
    )
    assert "1 good" in page and "No such file beside the sheet" in page


SIZES_CM = ("0,30", "30", "", "3000")


def test_the_check_doubts_sizes_of_another_unit_and_names_rows_without_any(
    browser_like: Visitor, write_rules: Callable[..., None]
) -> None:
    write_rules(deliverables=[MODEL])
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("a.jpg", picture())
    package.seek(0)
    rows = "".join(f"A{number};Kaktus;a.jpg;garden;{size}\n" for number, size in enumerate(SIZES_CM))
    sheet = f"sku;name;image_url;category;Höhe (cm)\n{rows}"
    page = html.unescape(checked(browser_like("merchandiser"), sheet, pictures=(package, "p.zip")))
    rows = dict(re.findall(r'<tr id="row-(\d+)"(.*?)</tr>', page, re.DOTALL))
    assert "Höhe (cm) 0,30: read as 3 mm; such products usually have about 22 cm" in rows["2"]
    assert "Höhe (cm) 3000: read as 30 m" in rows["5"] and "read as" not in rows["3"] + rows["4"]
    assert "read as" not in page.partition('<ul class="notes">')[2].partition("</ul>")[0]  # once, at its row
    assert "Row 4 has no width, height or depth: the size of the model is guessed" in page


def test_a_damaged_picture_in_a_zip_fails_its_row_before_anything_is_made(browser_like: Visitor) -> None:
    package, whole = io.BytesIO(), picture()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("shop/a.jpg", whole)
        archive.writestr("shop/b.jpg", whole[: len(whole) // 2])
        archive.writestr("shop/unused.jpg", b"")
    package.seek(0)
    rows = "".join(f"{sku},Chair,{name}.jpg,seating\n" for sku, name in [("A1", "a"), ("A2", "b")])
    page = checked(
        browser_like("merchandiser"),
        f"sku,name,image_url,category\n{rows}",
        pictures=(package, "p.zip"),
    )
    assert "1 good" in page and "unused.jpg" not in page
    assert "shop/b.jpg is cut off before its end, wanted: the whole file; copy it again" in page


def test_a_batch_is_paused_resumed_and_cancelled(rows: str, browser_like: Visitor) -> None:
    client = browser_like("merchandiser")
    where = client.post("/batches", data=hidden(checked(client, rows))).location
    for what, word in (
        ("pause", "paused"),
        ("resume", "resumed"),
        ("cancel", "versions made so far are kept"),
        ("resume", "cannot resume"),
    ):
        assert word in client.post(f"{where}/{what}", follow_redirects=True).text
    assert (
        client.post(f"{where}/explode").status_code == 404
        and client.get("/batches/bat_none").status_code == 404
    )


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 no workbook", b"\x00\x01\x02", b"sku,sku\n"])
def test_a_file_that_is_no_sheet_is_reported_on_the_page(data: bytes, browser_like: Visitor) -> None:
    answer = browser_like("merchandiser").post(
        "/batches/check",
        data={"file": (io.BytesIO(data), "x.csv"), "sheet": "../../etc/passwd"},
        follow_redirects=True,
    )
    assert answer.status_code in (200, 422) and "Traceback" not in answer.text
    (problem,) = re.findall(r'role="alert">(.*?)</p>', answer.text, re.DOTALL)
    remedies = ("save it as XLSX or CSV", "Save it as CSV", "Fill in the template", "Begin with the header")
    assert any(remedy in problem for remedy in remedies), problem


def test_viewers_watch_and_change_nothing(browser_like: Visitor) -> None:
    client = browser_like("viewer")
    assert client.get("/batches").status_code == 200
    assert (
        client.get("/batches/new").status_code
        == client.post("/batches").status_code
        == client.post("/batches/check").status_code
        == 403
    )


def test_the_check_says_what_was_ignored_and_made_of_a_sheet(
    photos: PhotoServer, browser_like: Visitor, services: Services
) -> None:
    photos.files["a.jpg"] = picture()
    sheet = f"Autumn list\n\nproduct name,image_url\nOak Stool,{photos.url('a.jpg')}\n"
    page = checked(browser_like("merchandiser"), sheet)
    assert "The table begins in row 3" in page and "Autumn list" in page
    assert "they are made from the names" in page and "1 good" in page


def test_pages_that_wait_for_workers_say_when_none_is_running(
    rows: str,
    photos: PhotoServer,
    browser_like: Visitor,
    services: Services,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = "No worker is running: nothing is made now."
    merchandiser, admin = browser_like("merchandiser"), browser_like("admin")
    checked_page = checked(merchandiser, rows)
    batch = merchandiser.post("/batches", data=hidden(checked_page)).location
    found = product("Z1", images={"front": photos.url("a.jpg")})
    intake.add_product(services, found, by="test")
    places = ("/batches/new", batch, f"/products/{services.products.get('Z1').id}", "/runs", "/review")
    for path in places:
        page = merchandiser.get(path).text
        assert page.count(words) == 1 and "Ask an admin" in page and "dam-worker run" not in page, path
        assert "dam-worker run" in admin.get(path).text, path
    assert words in checked_page and words in merchandiser.get(f"{batch}/now").json["bar"]
    assert "They appear here" not in merchandiser.get(batch).text  # nobody promises pictures
    monkeypatch.setattr(services.queue, "workers", lambda job: 1)
    assert not [path for path in places if words in merchandiser.get(path).text]
    merchandiser.post(f"{batch}/pause")
    monkeypatch.undo()
    assert words not in merchandiser.get(batch).text  # a paused batch waits for a person


def test_rows_say_what_is_wrong_in_the_words_of_their_sheet(
    photos: PhotoServer, browser_like: Visitor, services: Services, drain: Callable[[], int]
) -> None:
    photos.files["a.jpg"] = picture()
    good = photos.url("a.jpg")
    sheet = (
        "Artikelnummer,Titel,Bild,Rückseite,Breite (cm),live until,Kategorie\n"
        f"A1,Stuhl,{good},b.jpg,40,,seating\n"
        f"A2,Stuhl,{good},,breit,,seating\n"
        f"A3,Stuhl,ftp://old.example/a.jpg,,40,,seating\n"
        f"A4,Stuhl,{good},,40,someday,seating\n"
        "A5,Stuhl,http://10.1.2.3/a.jpg,,40,,seating\n"
        f"A6,Stuhl,{good},,900000,,seating\n"
    )
    client = browser_like("merchandiser")
    chosen = {"map-image_url_back": "Rückseite"}
    page = checked(client, sheet, **chosen)
    for words in (
        "Rückseite: No such file",
        "Breite (cm): it is not a size",
        "Bild: it is no address on the web",
        "live until: it is not a date",
        "Breite (cm): it is 9000 m",
        "Use an address of the web that begins with https://",
    ):
        assert words in page, words
    reasons = " ".join(re.findall(r'class="why">(.*?)</td>', page, re.DOTALL))
    for internal in ("/images", "images/", "--pictures", "DAM_CONNECTOR", "image_url", "live_until", "/dim"):
        assert internal not in reasons, internal
    begun = client.post("/batches", data=hidden(page) | chosen)
    assert "Try" not in client.get(begun.location).text  # a sheet's own mistakes are corrected in the sheet


def test_a_name_that_is_taken_is_said_with_the_check(rows: str, browser_like: Visitor) -> None:
    client = browser_like("merchandiser")
    page = checked(client, rows)
    assert "choose another name" not in page
    client.post("/batches", data=hidden(page))
    again = checked(client, rows)
    assert "There is a batch “Autumn” already: choose another name." in again
    assert '<input name="name"' in again and "name" not in hidden(again)
    begun = client.post("/batches", data=hidden(again) | {"name": "Autumn 2"}, follow_redirects=True)
    assert "Autumn 2" in begun.text and begun.request.path.startswith("/batches/bat_")


def test_the_name_of_a_batch_has_visible_characters_only(rows: str, browser_like: Visitor) -> None:
    client = browser_like("merchandiser")
    page = checked(client, rows)
    begun = client.post("/batches", data=hidden(page) | {"name": "Au\ntumn \u202egnp"})
    assert "<h1>Autumn gnp" in client.get(begun.location).text


def test_a_batch_is_running_while_its_products_are_made(rows: str, browser_like: Visitor) -> None:
    client = browser_like("merchandiser")
    place = client.post("/batches", data=hidden(checked(client, rows))).location
    assert '<span class="state running">running</span>' in client.get(place).text


def test_the_check_has_an_address_that_shows_it_again(rows: str, browser_like: Visitor) -> None:
    client = browser_like("merchandiser")
    sheet = {"file": (io.BytesIO(rows.replace("title", "Was").encode()), "autumn.csv"), "name": "Autumn 1"}
    answer = client.post("/batches/check", data={**sheet, "map-product_name": "Was"})
    assert answer.status_code == 303 and answer.location.startswith("/batches/check?")
    for _ in range(2):
        page = client.get(answer.location).text
        assert "2 good" in page and "<h1>Autumn 1</h1>" in page and "data-once" not in page
    assert 'value="Was" selected' in page
    assert client.post("/batches", data=hidden(page)).status_code == 302
    assert "There is a batch “Autumn 1” already" in client.get(answer.location).text
    gone = client.get("/batches/check", query_string={"sheet": "0" * 64})
    assert gone.status_code == 422 and "Choose it again" in gone.text


def test_bad_rows_come_before_the_columns_and_the_columns_before_good_rows(
    rows: str, browser_like: Visitor
) -> None:
    client = browser_like("merchandiser")
    places = [
        checked(client, rows).index(text) for text in ("Make 2 products", "<h2>Bad rows", "<h2>Good rows")
    ]
    page = checked(client, rows)
    columns = page.index("Columns of the sheet")
    assert places == sorted(places) and places[1] < columns < places[2]
    bad = checked(client, "sku,title,image_url\n,Nameless,\n")
    assert bad.index("<h2>Bad rows") < bad.index('<details id="columns" open>') < bad.index("Check again")
    assert 'href="#columns"' in bad  # where all rows are bad, it may be the columns
