"""Sites that the browser tests of a module share, and a page of a person who is logged in there."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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
    queue_url: str,
    migrated_sqlite: Path,
    folder: Path,
    deliverables: list[dict],
    *,
    add_products: Callable[[Services, PhotoServer], None] = add_chair_and_flagged_product,
    **rules: Any,
) -> Iterator[tuple[Services, str]]:
    """Serve the application with products in review; yield services and address.

    Args:
        queue_url: of the queue server.
        migrated_sqlite: an empty database.
        folder: for the data of the site.
        deliverables: what is made.
        add_products: adds the products; by default a chair, and one that is flagged.
        rules: further keys of plugin.json.
    """
    photos = PhotoServer()
    photos.start()
    with open_services(
        folder,
        clock=TestClock(),
        queue_url=queue_url,
        allow_hosts=photos.host,
        migrated_sqlite=migrated_sqlite,
    ) as services:
        services.settings.plugin_json.write_text(json.dumps(rules_json(deliverables=deliverables, **rules)))
        add_products(services, photos)
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
