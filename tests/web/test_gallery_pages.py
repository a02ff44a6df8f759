"""Gallery, comparison and product pages without JavaScript: filters, one action on many, edits; who may do
what.
"""

import io
import json
import threading
import zipfile
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from dam_connector.domain.codec import to_plain
from dam_connector.domain.issue import Report, issue
from dam_connector.domain.version import VersionState
from dam_connector.domain.version_marks import VersionMarks, version_marks
from dam_connector.store.gallery import GalleryFilter
from dam_connector.store.tables import versions
from dam_connector.usecases import intake
from dam_connector.wiring import Services
from tests.support import PhotoServer, picture, product, rules_json

Visitor = Callable[[str], FlaskClient]


@pytest.fixture
def made(
    services: Services, photos: PhotoServer, drain: Callable[[], int], write_rules: Callable
) -> dict[str, str]:
    """Three chairs in review; the ids of their versions by SKU."""
    write_rules(deliverables=[rules_json()["deliverables"][0]])
    photos.files["a.jpg"] = picture()
    for sku, name, category in (
        ("A1", "Oak Chair", "seating"),
        ("A2", "Pine <i>Chair</i>", "seating"),
        ("A3", "Lamp", "lighting"),
    ):
        intake.add_product(
            services,
            product(sku, name=name, category=category, images={"front": photos.url("a.jpg")}),
            by="test",
        )
    drain()
    return {card.asset.sku: card.id for card in services.gallery.page(GalleryFilter())}


def test_a_doubtful_version_is_marked_wherever_people_look(
    made: dict[str, str], browser_like: Visitor, services: Services
) -> None:
    doubts = (
        issue("model.single_view", "one photo"),
        issue("model.low_confidence", "No photo shows the side."),
        issue("likeness.colour", "The photo is darker."),
    )
    with services.db.write() as c:
        changed = sa.update(versions).where(versions.c.id == made["A1"])
        c.execute(changed.values(report=to_plain(Report(issues=doubts))))
    client = browser_like("viewer")
    record = services.products.get("A1")
    places = ("/review", "/gallery", f"/products/{record.id}", f"/compare?v={made['A1']}&v={made['A2']}")
    for path in (*places, f"/versions/{made['A1']}"):
        page = client.get(path).text
        assert page.count('<span class="doubt">shape is uncertain</span>') == 1, path
        assert page.count("1 more to look at") == 1, path
    assert '<span class="warn">shape is uncertain</span>' in client.get("/products").text


def test_the_gravest_doubt_is_the_mark_and_what_was_accepted_is_none() -> None:
    found = [issue("geometry.floating", "2 parts"), issue("model.low_confidence", "a guess")]
    assert version_marks(found) == VersionMarks(text="shape is uncertain", more=1)
    assert version_marks(found, ["model.low_confidence"]) == VersionMarks(text="floating parts", more=0)
    contradiction = [*found, issue("model.views_disagree", "236 %"), issue("likeness.outline", "48.8 %")]
    assert version_marks(contradiction) == VersionMarks(text="photos or size contradict each other", more=3)
    assert version_marks([issue("uv.overlap", "many")]) == VersionMarks(text="", more=0)


def skus(page: str) -> list[str]:
    return [sku for sku in ("A1", "A2", "A3") if f"Select {sku} " in page]


def test_filters_find_and_keep_their_words(made: dict[str, str], browser_like: Visitor) -> None:
    client = browser_like("viewer")
    assert skus(client.get("/gallery").text) == ["A1", "A2", "A3"]
    assert skus(client.get("/gallery?category=lighting").text) == ["A3"] and skus(
        client.get("/gallery?text=pin").text
    ) == ["A2"]
    assert skus(client.get("/gallery?state=in_review&deliverable=packshot&text=chair").text) == ["A1", "A2"]
    empty = client.get('/gallery?text="><script>&state=rejected').text
    assert "No version fits these filters" in empty and "<script>" not in empty.replace(
        "<script src", ""
    ).replace("<script type", "")
    assert "&lt;i&gt;Chair" in client.get("/gallery").text
    assert client.get("/gallery?batch=none&code=none&channel=none&state=explode&cursor=zz").status_code == 200


def test_strangers_are_sent_to_the_login(client: FlaskClient) -> None:
    for path in ("/gallery", "/products", "/batches", "/compare?v=a&v=b"):
        assert client.get(path).status_code == 302 and "/login" in client.get(path).location
    assert client.post("/gallery/approve").status_code == 401  # before its form is read


def test_many_are_approved_rejected_and_taken_back(
    made: dict[str, str], browser_like: Visitor, services: Services
) -> None:
    client = browser_like("reviewer")
    done = client.post(
        "/gallery/approve",
        data={"v": [made["A1"], made["A2"], "ver_none"], "category": "seating"},
        follow_redirects=True,
    )
    assert "2 approved, 1 not in review." in done.text and done.request.args["category"] == "seating"
    assert services.assets.get(made["A1"]).state is VersionState.APPROVED
    assert "2 in review again" in client.post("/gallery/undo", follow_redirects=True).text
    assert (
        "Choose a reason"
        in client.post("/gallery/reject", data={"v": made["A3"]}, follow_redirects=True).text
    )
    told = client.post(
        "/gallery/reject",
        data={"all": "1", "category": "lighting", "reasons": "colour"},
        follow_redirects=True,
    ).text
    assert "1 rejected" in told and services.assets.get(made["A3"]).state is VersionState.REJECTED
    assert services.assets.get(made["A1"]).state is VersionState.IN_REVIEW
    assert "Select some versions first" in client.post("/gallery/approve", follow_redirects=True).text


def test_many_are_commented_on_enlarged_and_made_again(
    made: dict[str, str], browser_like: Visitor, drain: Callable[[], int]
) -> None:
    client = browser_like("reviewer")
    ids = [made["A1"], made["A2"]]
    assert "Write a comment" in client.post("/gallery/comment", data={"v": ids}, follow_redirects=True).text
    assert (
        "2 commented on"
        in client.post(
            "/gallery/comment", data={"v": ids, "comment": "<b>warmer</b>"}, follow_redirects=True
        ).text
    )
    page = client.get(f"/versions/{made['A1']}").text
    assert "&lt;b&gt;warmer&lt;/b&gt;" in page and "<b>warmer" not in page
    client.post(f"/versions/{made['A1']}/comment", data={"comment": "and softer"})
    assert "and softer" in client.get(f"/versions/{made['A1']}").text
    assert (
        "2 being made again"
        in client.post(
            "/gallery/regenerate", data={"v": ids, "regenerate-note": "warmer"}, follow_redirects=True
        ).text
    )
    assert (
        "1 being made with twice"
        in client.post("/gallery/upscale", data={"v": made["A3"]}, follow_redirects=True).text
    )
    assert "being made already" in client.post(f"/versions/{made['A3']}/upscale", follow_redirects=True).text
    drain()
    assert client.get("/gallery").text.count("· V2") == 3


def test_what_is_chosen_is_downloaded_under_its_names(
    made: dict[str, str], browser_like: Visitor, services: Services
) -> None:
    client = browser_like("viewer")
    answer = client.post("/gallery/download", data={"v": [made["A1"], made["A3"]]})
    assert answer.mimetype == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.data)) as package:
        assert package.testzip() is None
        folders = {name.rpartition("/")[0] for name in package.namelist()}
    assert folders == {"seating/A1", "lighting/A3"}
    assert "Select some versions" in client.post("/gallery/download", follow_redirects=True).text


def test_two_to_four_are_compared_under_an_address(made: dict[str, str], browser_like: Visitor) -> None:
    client = browser_like("viewer")
    chosen = client.post("/gallery/compare", data={"v": list(made.values())})
    page = client.get(chosen.location).text
    assert all(sku in page for sku in made) and page.count("<figure") == 3
    rows = page.partition("<tbody>")[2]
    assert rows.count("<td ") == rows.count("data-label=") > 3  # on a phone, each value names its version
    assert (
        "Select 2 to 4" in client.post("/gallery/compare", data={"v": made["A1"]}, follow_redirects=True).text
    )
    for query in ("", "v=a", "v=a&v=b", "&".join(f"v={made['A1']}" for _ in range(5))):
        assert client.get(f"/compare?{query}").status_code == 404


def test_viewers_look_and_change_nothing(
    made: dict[str, str], browser_like: Visitor, services: Services
) -> None:
    client = browser_like("viewer")
    for what in ("approve", "reject", "regenerate", "comment", "upscale", "undo"):
        assert (
            client.post(
                f"/gallery/{what}", data={"v": made["A1"], "comment": "x", "reasons": "colour"}
            ).status_code
            == 403
        )
    record = services.products.get("A1")
    assert (
        client.post(f"/products/{record.id}/edit").status_code
        == client.post(f"/products/{record.id}/again").status_code
        == 403
    )
    assert (
        "Approve" not in client.get("/gallery").text
        and "Save and make" not in client.get(f"/products/{record.id}").text
    )
    assert services.assets.get(made["A1"]).state is VersionState.IN_REVIEW


def test_a_product_is_edited(
    made: dict[str, str], browser_like: Visitor, services: Services, drain: Callable[[], int]
) -> None:
    client = browser_like("merchandiser")
    record = services.products.get("A1")
    where = f"/products/{record.id}"
    form = {
        "product_name": "Oak Armchair",
        "category": "seating",
        "width": "40",
        "height": "40",
        "depth": "30",
        "unit": "cm",
        "description": "Soft.",
    }
    form["image_url"] = record.product.images[0].url
    assert (
        "1 next versions are being made"
        in client.post(f"{where}/edit", data=form, follow_redirects=True).text
    )
    changed = services.products.get("A1").product
    assert (changed.name, changed.description, changed.images, changed.dimensions) == (
        "Oak Armchair",
        "Soft.",
        record.product.images,
        record.product.dimensions,
    )
    assert (
        "No asset needs a new version" in client.post(f"{where}/edit", data=form, follow_redirects=True).text
    )
    bad = client.post(f"{where}/edit", data={**form, "width": "wide", "number_of_images": "9"})
    assert bad.status_code == 422 and "width is not a size" in bad.text and 'value="wide"' in bad.text
    drain()
    assert "1 next versions" in client.post(f"{where}/again", follow_redirects=True).text
    assert "being made already" in client.post(f"{where}/again", follow_redirects=True).text
    drain()
    assert [v.number for v in services.assets.of_product("A1")] == [3, 2, 1]


def test_a_batch_sends_its_progress(
    app: Flask,
    services: Services,
    photos: PhotoServer,
    browser_like: Visitor,
    drain: Callable[[], int],
    write_rules: Callable,
) -> None:
    write_rules(deliverables=[rules_json()["deliverables"][0]])
    photos.files["a.jpg"] = picture()
    client = browser_like("merchandiser")
    rows = (
        f"sku,title,image_url,category\nB1,Chair,{photos.url('a.jpg')},seating\n"
        f"B2,Lost,{photos.url('none.jpg')},seating\n"
    )
    sheet = services.blobs.put(rows.encode())
    where = client.post("/batches", data={"sheet": sheet, "name": "autumn"}).location
    assert "2 waiting" in client.get(f"{where}/now").json["bar"]
    drain()
    stream = client.get(f"{where}/events")
    begin, event = stream.text.strip().split("\n\n")
    last = json.loads(event.removeprefix("data: "))
    assert stream.mimetype == "text/event-stream" and begin.startswith("retry")
    assert (
        last["over"]
        and "1 in review" in last["bar"]
        and "1 failed" in last["bar"]
        and "B1" in last["cards"][0]["html"]
    )
    app.extensions["streams"] = threading.Semaphore(0)
    assert client.get(f"{where}/events").status_code == 204  # few listen at once; the others ask
    lines = client.get(f"{where}/manifest.jsonl").text.splitlines()
    assert [json.loads(line)["status"] for line in lines] == ["completed", "failed"]
    assert (
        "B1,Chair" in client.get(f"{where}/status.csv").text
        and client.get(f"{where}/assets.zip").data[:2] == b"PK"
    )


def test_an_edit_keeps_the_texts_in_other_languages(services: Services, browser_like: Visitor) -> None:
    german = {"de": {"name": "Stuhl"}}
    intake.add_product(services, product("A1", translations=german), by="test")
    record = services.products.get("A1")
    assert record
    form = {"product_name": "Mug", "category": "decor", "unit": "cm"}
    assert browser_like("merchandiser").post(f"/products/{record.id}/edit", data=form).status_code == 302
    edited = services.products.get("A1")
    assert edited and edited.product.name == "Mug" and edited.product.translations == german


def test_a_product_offers_to_make_what_is_missing_and_nothing_else(
    made: dict[str, str],
    browser_like: Visitor,
    services: Services,
    photos: PhotoServer,
    drain: Callable[[], int],
    write_rules: Callable,
) -> None:
    client = browser_like("merchandiser")

    def head(sku: str) -> str:
        page = client.get(f"/products/{services.products.get(sku).id}").text
        return page.partition('class="columns"')[0].partition("<main")[2]

    assert "missing asset" not in head("A1") and "Make all again" in head("A1")
    first, second = rules_json()["deliverables"][:2]
    write_rules(deliverables=[first, second])
    assert "Make 1 missing asset" in head("A1")
    client.post(f"/products/{services.products.get('A1').id}/run")
    assert "missing asset" not in head("A1")  # it is under way
    intake.add_product(services, product("N1", name="", images={"front": photos.url("a.jpg")}), by="test")
    assert services.products.get("N1").flagged and "<button" not in head("N1")
    intake.add_product(services, product("N2", images={"front": photos.url("none.jpg")}), by="test")
    drain()
    assert "Fetch the photos again" in head("N2")
    answer = client.post(f"/products/{services.products.get('N2').id}/run", follow_redirects=True)
    assert "Nothing can be made before the errors are corrected" in answer.text
    photos.files["none.jpg"] = picture()
    client.post(f"/products/{services.products.get('N2').id}/run")
    assert not services.products.get("N2").flagged


def test_the_states_of_the_queue_and_their_counts_keep_the_deliverable(
    made: dict[str, str], browser_like: Visitor, services: Services
) -> None:
    client, count = browser_like("reviewer"), len(services.gallery.page(GalleryFilter()))
    chip = '<a href="/review?state=in_review&amp;deliverable={}" aria-current="true">in review {}</a>'
    for name, number in (("packshot", count), ("other", 0)):
        page = client.get(f"/review?deliverable={name}").text
        assert chip.format(name, f'<span class="dim">{number}</span>') in page
