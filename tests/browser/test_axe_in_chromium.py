"""axe finds nothing serious on any page, in light and in dark, with records of every kind on them."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page
from werkzeug.routing import RequestRedirect

from dam_connector.app import create_app
from dam_connector.domain.comment import PictureAnchor
from dam_connector.domain.guest_link import GuestScope
from dam_connector.domain.product import Capture
from dam_connector.domain.run import RunState
from dam_connector.domain.version import VersionState
from dam_connector.usecases import captures, comments, guests, intake, webhook_receipt
from dam_connector.wiring import Services
from tests.browser.conftest import assert_no_console_messages, needs_chromium, serious_violations
from tests.browser.sites import page_of_ann, shared_site
from tests.support import SAMPLES, event_body, inbound, product, record, rules_json, signed

pytestmark = needs_chromium
# The rules of axe by colour scheme: only colours differ between the two.
SCHEMES = {"light": (), "dark": ("color-contrast", "link-in-text-block")}
# Answers to GET that are no page: files, data, redirects.
NO_PAGES = {
    *("static", "static_files.static_file", "versions.home", "versions.report", "audit.export"),
    *("batches.events", "batches.failed", "batches.manifest", "batches.now", "batches.package"),
    *("batches.sheet", "batches.status", "files.file", "files.original", "files.source", "guests.photo"),
    *("captures.photo", "files.version_photo"),
    *("sign_on.begin", "sign_on.finish", "viewer.embed_script", "viewer.latest", "viewer.qr"),
    *("api-docs.openapi_json", "feeds.feed", "health.alive", "health.ready", "metrics.show"),
}


@pytest.fixture(scope="module")
def opened(
    chromium: Browser, queue_url: str, migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Services, Page, list[str]]]:
    deliverables = rules_json()["deliverables"][:2]
    with (
        shared_site(queue_url, migrated_sqlite, tmp_path_factory.mktemp("site"), deliverables) as (
            services,
            site,
        ),
        page_of_ann(chromium, services, site) as (page, messages),
    ):
        add_records(services)
        yield services, page, messages


@pytest.fixture
def services(opened: tuple[Services, Page, list[str]]) -> Services:
    return opened[0]


@pytest.fixture
def page(opened: tuple[Services, Page, list[str]]) -> Iterator[Page]:
    _, page, messages = opened
    messages.clear()
    yield page
    assert_no_console_messages([m for m in messages if "Failed to load resource" not in m])  # 401 and 404


def add_records(services: Services) -> None:
    """Add a provider with a cap, a delivery, a failed run, comments, and versions of other states."""
    changes = {"review": {"stages": {"seating": [{"name": "brand", "roles": ["admin"]}]}}}
    raw: dict[str, Any] = rules_json(deliverables=rules_json()["deliverables"][:2], **changes)
    raw["connections"]["provider"] = {"gen": {"adapter": "memory", "max_usd_per_day": 5}}
    services.settings.plugin_json.write_text(json.dumps(raw))
    now = services.clock.now()
    body = event_body(record("NEW1"), at=now)
    webhook_receipt.receive_webhook(services, "main", inbound(body, signed(body, at=now), now))
    intake.add_product(services, product("FAILED", images={"front": "http://127.0.0.1:1/a.jpg"}), by="test")
    for run in services.runs.page(sku="FAILED"):
        leased = services.runs.lease(run.id, "test", 60)
        assert leased
        services.runs.finish(leased, RunState.FAILED, error="the photo cannot be fetched")
    version, other = services.assets.of_product("CH123")
    first = comments.add(services, version, text="@ann softer", by="bob", anchor=PictureAnchor(x=0.3, y=0.3))
    comments.add(services, version, text="yes", by="ann", parent_id=first)
    services.assets.transition(other.id, VersionState.APPROVED)
    captures.begin(services, "CH123", Capture.WALK, by="ann")
    captures.add_photo(services, "CH123", (SAMPLES / "chair-front.jpg").read_bytes(), by="ann")


def guest_secret(services: Services, name: str) -> str:
    _, secret = guests.create(
        services, name=name, scope=GuestScope.SKU, value="CH123", may_decide=True, days=7, by="ann"
    )
    return secret


class Axe:
    """Findings of axe by page, in light and dark, and which pages it has seen."""

    def __init__(self, app: Flask, page: Page) -> None:
        self.page, self._urls = page, app.url_map.bind("127.0.0.1")
        self.found: dict[str, list[str]] = {}
        self.seen: set[str] = set()

    def look(self, name: str) -> None:
        """Look at what the page shows now, e.g. the answer to a form."""
        for scheme, rules in SCHEMES.items():
            self.page.emulate_media(color_scheme=scheme)
            if violations := serious_violations(self.page, rules):
                self.found[f"{name} {scheme}"] = violations
        self.page.emulate_media(color_scheme="light")

    def open(self, address: str) -> None:
        self.page.goto(address)
        if address == "/api/docs":
            self.page.locator(".opblock").first.wait_for()
        try:
            self.seen.add(self._urls.match(address.partition("?")[0])[0])
        except RequestRedirect as redirect:
            raise AssertionError(address) from redirect
        self.look(address)

    def assert_nothing_serious(self) -> None:
        lines = [f"{where}: {each}" for where, those in self.found.items() for each in those]
        assert not lines, "\n".join(lines)


def addresses_of_users(services: Services) -> list[str]:
    version, other = services.assets.of_product("CH123")
    chair, flagged = services.products.get("CH123"), services.products.get("FLAG1")
    assert chair and flagged
    return [
        "/adoption",
        *("/review?welcome=1", "/review?state=approved", "/review?state=rejected"),
        *(f"/versions/{version.id}", f"/versions/{other.id}", f"/versions/{version.id}?with={other.id}"),
        *("/gallery", "/gallery?category=none", f"/compare?v={version.id}&v={other.id}", "/mentions"),
        *("/products", "/products?flagged=1", f"/products/{chair.id}", f"/products/{flagged.id}"),
        *(f"/products/{chair.id}/capture", f"/products/{flagged.id}/capture"),
        *("/batches", "/batches/new", "/runs", "/runs?state=failed", "/deliveries"),
        *(f"/deliveries/{services.inbox.page()[0].id}", "/spend", "/connections", "/rules", "/rules?effect"),
        *("/audit", "/account", "/guests", "/api/docs"),
        *("/needs", "/help", "/help/configuration.md", "/help/connections/directus.md"),
    ]


def forms_and_their_answers(axe: Axe, page: Page) -> None:
    page.goto("/batches/new")
    rows = b"B1,Stool,chair-front.jpg,seating,\nB2,Stool,chair-front.jpg,seating,tall\n"
    sheet = b"sku,title,image_url,category,height\n" + rows
    pictures = io.BytesIO()
    with zipfile.ZipFile(pictures, "w") as package:
        package.write(SAMPLES / "chair-front.jpg", "chair-front.jpg")
    page.locator("[name=file]").set_input_files({"name": "s.csv", "mimeType": "text/csv", "buffer": sheet})
    page.locator("[name=pictures]").set_input_files(
        {"name": "p.zip", "mimeType": "application/zip", "buffer": pictures.getvalue()}
    )
    page.get_by_role("button", name="Check the rows").click()
    page.get_by_text("1 bad").wait_for()
    axe.open(page.url.removeprefix(page.url.split("/batches/")[0]))
    page.get_by_role("button", name="Make 1 product").click()
    page.wait_for_url("**/batches/bat_*")
    axe.open(page.url.removeprefix(page.url.split("/batches/")[0]))
    page.goto("/guests")
    page.get_by_label("Name of the guest").fill("Agency")
    page.get_by_label("Which one").fill("decor")
    page.get_by_role("button", name="Create the link").click()
    page.get_by_text("cannot be shown again").wait_for()
    axe.look("a created guest link")
    page.goto("/account")
    page.get_by_label("What it is for").fill("nightly import")
    page.get_by_role("button", name="Make a token").click()
    page.get_by_text("cannot be shown again").wait_for()
    axe.look("a new API token")
    axe.open("/account")
    page.goto("/connections")
    page.get_by_role("button", name="Test").first.click()
    page.locator(".tested").first.wait_for()
    axe.look("the result of a test")
    page.goto("/nowhere")
    axe.look("an error")


def pages_of_strangers_and_guests(axe: Axe, services: Services, page: Page) -> None:
    version = services.assets.of_product("CH123")[0]
    secret = guest_secret(services, "Blue")
    for address in ("/login", "/login/link/none", "/guest/review", "/ar/NOT-HERE", f"/guest/{secret}"):
        axe.open(address)
    page.get_by_role("button", name="Open the review").click()
    for address in ("/guest/review", f"/guest/versions/{version.id}"):
        axe.open(address)
    page.locator("[data-key=r]").click()
    axe.look("the reasons of a guest")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    page.locator("dialog[open]").wait_for()
    axe.look("the keys of a guest")


def test_on_every_page(chromium: Browser, page: Page, services: Services) -> None:
    app = create_app(services)
    axe = Axe(app, page)
    for address in addresses_of_users(services):
        axe.open(address)
    forms_and_their_answers(axe, page)
    stranger = chromium.new_context(
        base_url=page.url.split("/nowhere")[0], reduced_motion="reduce"
    ).new_page()
    axe.page = stranger
    pages_of_strangers_and_guests(axe, services, stranger)
    stranger.context.close()
    axe.assert_nothing_serious()
    rules = [rule for rule in app.url_map.iter_rules() if "GET" in (rule.methods or ())]
    pages = {rule.endpoint for rule in rules if not rule.endpoint.startswith("api.")} - NO_PAGES
    assert pages == axe.seen  # so that a new page is looked at too
