"""Words, units and compression of the public pages."""

import gzip
import json

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dam_connector.web.ar_languages import FOLDER, available_languages, load_texts, requested_reader


@pytest.mark.parametrize("language", available_languages())
def test_every_language_has_every_text(language: str) -> None:
    texts = json.loads((FOLDER / f"{language}.json").read_text(encoding="utf-8"))
    assert set(texts) == set(load_texts("en")) and all(texts.values())
    assert texts["model_alt"].count("{name}") == texts["pictures"].count("{name}") == 1


@pytest.mark.parametrize("language", available_languages())
def test_the_button_of_the_units_has_words(language: str) -> None:
    texts = load_texts(language)
    shown = texts["show_in"].format(unit=texts["inches"])
    assert " in in" not in shown.lower().replace("in inches", "") and texts["inches"] in shown


def test_the_languages_of_the_biggest_markets_are_there() -> None:
    assert {"en", "de", "fr", "es", "it", "nl", "pl", "ja", "zh"} <= set(available_languages())


@pytest.mark.parametrize(
    ("accepted", "language", "length"),
    [
        ("de-AT,de;q=0.9,en;q=0.5", "de", "85,2 cm"),
        ("en-US,en;q=0.9", "en", "33.5 in"),
        ("en-GB", "en", "85.2 cm"),
        ("zh-CN", "zh", "85.2 cm"),
        ("sv,nl;q=0.5", "nl", "85,2 cm"),
        ("es-MX", "es", "85,2 cm"),
        ("es-US", "es", "33,5 in"),
        ("sv", "en", "85.2 cm"),
        ("", "en", "85.2 cm"),
        ("\\x00,;q=x", "en", "85.2 cm"),
    ],
)
def test_a_reader_gets_his_language_and_units(app: Flask, accepted: str, language: str, length: str) -> None:
    with app.test_request_context(headers={"Accept-Language": accepted}):
        reader = requested_reader()
        assert (reader.language, reader.length(0.852)) == (language, length)


def test_a_missing_product_is_a_page_for_shoppers_and_json_for_machines(client: FlaskClient) -> None:
    page = client.get("/ar/NONE", headers={"Accept-Language": "fr"})
    assert page.status_code == 404 and "boutique" in page.text and page.headers["Content-Language"] == "fr"
    assert "Accept-Language" in page.headers["Vary"] and "queue" not in page.text
    machine = client.get("/ar/NONE", headers={"Accept": "application/json"})
    assert machine.status_code == 404 and machine.json["error"]["name"] == "not_found"


def test_static_text_is_compressed_and_kept_for_ever(app: Flask, client: FlaskClient) -> None:
    with app.test_request_context():
        address = app.jinja_env.globals["asset"]("app.css")
    plain = client.get(address, buffered=True)
    packed = client.get(address, headers={"Accept-Encoding": "gzip"}, buffered=True)
    assert packed.headers["Content-Encoding"] == "gzip" and gzip.decompress(packed.data) == plain.data
    assert "immutable" in packed.headers["Cache-Control"] and "Accept-Encoding" in packed.headers["Vary"]
    other = client.get(address.replace(address.split("/")[2], "0" * 12), buffered=True)
    assert other.data == plain.data and other.headers["Cache-Control"] == "no-cache"
    assert client.get(address.replace("app.css", "../auth.py")).status_code == 404


@pytest.mark.parametrize(
    ("name", "mime"),
    [
        ("vendor/swagger-ui.css", "text/css"),
        ("vendor/model-viewer.min.js", "text/javascript"),
        ("vendor/draco_decoder.wasm", "application/wasm"),
    ],
)
@pytest.mark.parametrize("encodings", ["br, gzip", "gzip", ""])
def test_packed_files_keep_their_type(
    app: Flask, client: FlaskClient, name: str, mime: str, encodings: str
) -> None:
    with app.test_request_context():
        address = app.jinja_env.globals["asset"](name)
    answer = client.get(address, headers={"Accept-Encoding": encodings}, buffered=True)
    assert answer.status_code == 200 and answer.mimetype == mime


def test_pages_behind_the_login_are_not_compressed(client: FlaskClient) -> None:
    answer = client.get("/login", headers={"Accept-Encoding": "gzip, br"})
    assert answer.status_code == 200 and "Content-Encoding" not in answer.headers


@pytest.mark.parametrize(
    ("query", "theme"),
    [
        ("", "system"),
        ("?embed", "light"),
        ("?embed&theme=system", "system"),
        ("?embed&theme=dark", "dark"),
        ("?theme=light", "light"),
        ('?theme="><script>', "system"),
    ],
)
def test_the_page_follows_the_system_and_a_frame_its_shop(
    client: FlaskClient, query: str, theme: str
) -> None:
    assert f'data-theme="{theme}">' in client.get(f"/ar/NONE{query}").text
