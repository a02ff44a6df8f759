"""Errors that people meet on pages: each says what happened and what to do, with a way on."""

import io
import re
from collections.abc import Callable
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dam_connector.errors import AdapterError, ConfigError, StateConflict, StorageUnavailable
from dam_connector.usecases import retries
from dam_connector.web.error_pages import ADVICE
from dam_connector.wiring import Services

Visitor = Callable[[str], FlaskClient]


def main_text(page: str) -> str:
    """The words between the navigation and the end of a page."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page.partition('<main id="main">')[2])).split())


@pytest.mark.parametrize(
    ("address", "status", "words"),
    [
        ("/nowhere", 404, "There is nothing at this address. Check the address."),
        (
            "/compare?v=none",
            404,
            "A comparison needs 2 to 4 versions that exist; select them in the gallery.",
        ),
        ("/guests", 403, "This needs the role admin; your role is viewer. Ask an admin for that role."),
        ("/audit?cursor=x", 403, "Ask an admin"),
    ],
)
def test_a_page_that_cannot_be_shown_says_what_to_do(
    address: str, status: int, words: str, browser_like: Visitor
) -> None:
    answer = browser_like("viewer").get(address)
    assert answer.status_code == status and words in main_text(answer.text)


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (AdapterError("directus", "write", "HTTP 500"), 502, ADVICE[502]),
        (StateConflict("the version is live"), 409, ADVICE[409]),
        (ConfigError("/deliverables: is missing"), 503, ADVICE[503]),
        (RuntimeError("a secret of the code"), 500, "tell an admin what you did, and the time:"),
    ],
)
def test_a_failure_says_what_to_do_and_no_internals(
    error: Exception,
    status: int,
    words: str,
    browser_like: Visitor,
    app: Flask,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    app.config["PROPAGATE_EXCEPTIONS"] = False
    client = browser_like("merchandiser")
    monkeypatch.setattr(retries, "retry_cause", fail)
    answer = client.post("/runs/retry", data={"cause": "x"})
    assert answer.status_code == status and words in main_text(answer.text)
    assert "a secret of the code" not in answer.text


def test_a_form_sent_without_a_login_leads_back_after_it(app: Flask) -> None:
    client = app.test_client()
    referrer = {"Referer": "http://localhost/runs?state=failed"}
    answer = client.post("/runs/retry", data={"cause": "x"}, headers=referrer)
    assert answer.status_code == 401 and "nothing was changed" in answer.text
    assert 'href="/login?next=/runs?state%3Dfailed"' in answer.text
    elsewhere = {"Referer": "http://other.example/runs"}
    assert 'href="/login"' in client.post("/runs/retry", headers=elsewhere).text


def test_what_is_too_large_names_the_limit(browser_like: Visitor) -> None:
    answer = browser_like("merchandiser").post("/runs/retry", data={"cause": "x" * 9_000_000})
    assert answer.status_code == 413
    assert main_text(answer.text).startswith(
        "Too large At most 8.39 MB can be sent here. Send a smaller file"
    )


@pytest.mark.parametrize(
    ("path", "limit"),
    [
        ("/api/v1/products", "At most 8.39 MB can be sent here."),
        ("/api/v1/products/CH123/photos/front", "At most 33.65 MB can be sent here."),
        ("/api/v1/products/CH123/capture/photos", "At most 16.10 MB can be sent here."),
        ("/api/v1/products/CH123/model", "At most 200.10 MB can be sent here."),
        ("/api/v1/uploads", "At most 500.00 MB can be sent here."),
    ],
)
def test_the_api_names_the_limit_of_what_is_too_large(api: Visitor, path: str, limit: str) -> None:
    kind = "application/json" if path.endswith("/products") else "multipart/form-data; boundary=x"
    answer = api("merchandiser").post(
        path,
        input_stream=io.BytesIO(b"--x"),
        content_type=kind,
        environ_overrides={"CONTENT_LENGTH": "999999999"},
    )
    assert answer.status_code == 413 and answer.json["error"]["name"] == "too_large"
    assert answer.json["error"]["message"] == f"{limit} Send a smaller file, or several smaller ones."


def test_a_text_of_a_form_that_is_too_long_names_its_own_limit(api: Visitor) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n' + b"x" * 600_000 + b"\r\n--x--\r\n"
    kind = "multipart/form-data; boundary=x"
    answer = api("merchandiser").post("/api/v1/uploads", data=body, content_type=kind)
    assert answer.status_code == 413
    assert answer.json["error"]["message"] == "The texts of a form may have at most 500 kB. Shorten them."


def test_a_wrong_password_and_a_used_link_say_how_to_get_in(client: FlaskClient) -> None:
    found = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/login").text)
    assert found
    form = {"csrf_token": found[1], "name": "ann", "password": "wrong-password"}
    assert "ask an admin for a login link" in client.post("/login", data=form).text
    assert "Ask an admin for another one" in client.post("/login/link/used", data=form).text
    assert "Go back, reload the page" in client.post("/login", data={"name": "ann"}).text


def test_an_unknown_token_is_called_one(client: FlaskClient) -> None:
    answer = client.get("/api/v1/account", headers={"Authorization": "Bearer damc_gone"})
    assert answer.status_code == 401 and "was revoked or has expired" in answer.json["error"]["message"]
    assert "log in, or send" in client.get("/api/v1/account").json["error"]["message"]


def test_errors_stay_until_they_are_closed(browser_like: Visitor, services: Services) -> None:
    page = browser_like("admin").post("/guests", data={"name": " ", "scope": "sku", "value": "CH123"})
    assert page.status_code == 422 and "give the guest a name" in page.text
    assert 'role="alert" data-stays' in page.text and "data-close" in page.text


def test_a_page_is_shown_while_the_database_is_away(
    browser_like: Visitor, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = browser_like("viewer")

    def away(*_: object, **__: object) -> None:
        raise StorageUnavailable("database", "read", "the disk is full")

    monkeypatch.setattr(services.db, "read", away)
    answer = client.get("/review")
    assert answer.status_code == 503 and answer.headers["Retry-After"] == "5"
    assert "try again in 5 s" in main_text(answer.text)
