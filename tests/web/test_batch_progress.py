"""The page of a batch while it is stopped, and its pace."""

import re
from collections.abc import Callable

import pytest
from flask import Flask

from dam_connector.store.batch_records import Batch
from dam_connector.usecases import batches
from dam_connector.web.batch_progress import progress_facts
from dam_connector.wiring import Services
from tests.support import PhotoServer, TestClock, picture, rules_json
from tests.web.test_batch_pages import Visitor, checked, hidden


@pytest.fixture
def sheet(photos: PhotoServer, write_rules: Callable[..., None]) -> Callable[..., str]:
    """A sheet of rows with these SKUs."""
    write_rules(deliverables=[rules_json()["deliverables"][0]])
    photos.files["a.jpg"] = picture()

    def of(*skus: str) -> str:
        rows = [f"{sku},Stool,{photos.url('a.jpg')},seating\n" for sku in skus]
        return "sku,title,image_url,category\n" + "".join(rows)

    return of


def newest(services: Services) -> Batch:
    return services.batches.page()[0]


@pytest.mark.parametrize("action", ["cancel", "pause"])
def test_the_page_of_a_stopped_batch_is_watched_until_what_was_begun_is_finished(
    action: str,
    sheet: Callable[..., str],
    browser_like: Visitor,
    services: Services,
    drain: Callable[[], int],
) -> None:
    client = browser_like("merchandiser")
    where = client.post("/batches", data=hidden(checked(client, sheet("A1", "A2", "A3")))).location
    batches.advance(services, newest(services).wake_token)
    client.post(f"{where}/{action}")
    page = client.get(where).text
    assert "data-events" in page and "2 rows, begun before, are being finished" in page
    stopped = client.get(f"{where}/now").json
    assert not stopped["over"] and stopped["state"] == {"cancel": "cancelled", "pause": "paused"}[action]
    drain()
    over = client.get(f"{where}/now").json
    assert over["over"] and "2 in review" in over["bar"] and "begun before" not in over["bar"]
    assert "data-events" not in client.get(where).text


def test_cancelling_asks_apart_from_the_other_buttons_and_the_page_says_how_to_go_on(
    sheet: Callable[..., str], browser_like: Visitor, services: Services
) -> None:
    client = browser_like("merchandiser")
    where = client.post("/batches", data=hidden(checked(client, sheet("A1", "A2", "A3")))).location
    page = client.get(where).text
    (question,) = re.findall(r"<details class=\"menu\" data-form>(.*?)</details>", page, re.DOTALL)
    assert f'action="{where}/cancel"' in question and "Rows that wait are not made then" in question
    assert "cannot be undone" in question and page.count(f"{where}/cancel") == 1
    assert "upload the sheet again" not in page
    client.post(f"{where}/cancel")
    page = client.get(where).text
    assert "3 rows were cancelled" in page and "upload the sheet again</a> under another name" in page
    assert f"{where}/cancel" not in page
    again = checked(client, sheet("A1", "A2", "A3"), name="Again")
    assert "3 good" in again


def test_versions_of_an_earlier_batch_set_no_pace(
    sheet: Callable[..., str],
    browser_like: Visitor,
    services: Services,
    clock: TestClock,
    drain: Callable[[], int],
    app: Flask,
) -> None:
    client = browser_like("merchandiser")
    client.post("/batches", data=hidden(checked(client, sheet("A1"))))
    drain()
    clock.forward(480)
    client.post("/batches", data=hidden(checked(client, sheet("A1", "A2", "A3"), name="Second")))
    with app.test_request_context():
        assert progress_facts(newest(services))["pace"] == 0.0
    clock.forward(30)
    drain()
    with app.test_request_context():
        assert progress_facts(newest(services))["pace"] == pytest.approx(2 / 30)
