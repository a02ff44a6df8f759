"""Sites that the browser tests of a module share, and a page of a person who is logged in there."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

import worker.jobs
from dam_connector.store.users import UserRole
from dam_connector.wiring import Services
from tests.browser.conftest import add_chair_and_flagged_product, logged_in_page, served
from tests.conftest import drain_queues, open_services
from tests.support import PhotoServer, TestClock, rules_json


@contextmanager
def shared_site(
    queue_url: str, migrated_sqlite: Path, folder: Path, deliverables: list[dict]
) -> Iterator[tuple[Services, str]]:
    """Serve the application with a chair in review and a flagged product; yield services and address."""
    photos = PhotoServer()
    photos.start()
    with open_services(
        folder,
        clock=TestClock(),
        queue_url=queue_url,
        allow_hosts=photos.host,
        migrated_sqlite=migrated_sqlite,
    ) as services:
        services.settings.plugin_json.write_text(json.dumps(rules_json(deliverables=deliverables)))
        add_chair_and_flagged_product(services, photos)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(worker.jobs, "services", lambda: services)
            drain_queues(queue_url)
        for site in served(services):
            yield services, site
    photos.stop()


@contextmanager
def page_of_ann(chromium: Browser, services: Services, site: str) -> Iterator[tuple[Page, list[str]]]:
    """Yield the page of an admin, and the messages on its console."""
    link = "/login/link/" + services.users.add_login_link(services.users.add("ann", UserRole.ADMIN))
    with logged_in_page(chromium, site, link) as opened:
        yield opened
