"""Models that people bring along, and their colours: from the upload in Chromium to the AR page."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from dam_connector.store.users import UserRole
from dam_connector.usecases import intake
from dam_connector.wiring import Services
from tests.browser.conftest import (
    WITH_3D,
    model_is_shown,
    needs_chromium,
    press,
    quiet_page,
    serious_violations,
    served,
)
from tests.support import MODEL, PhotoServer, product
from tests.unit.test_adoption import textured_chair
from tests.unit.test_colour_variants import GREEN, RED, seat
from worker.imaging.main_colours import to_lab
from worker.modeling.colour_variants import WantedColour, add_variants
from worker.modeling.usdz_export import convert_glb

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def chromium(browsers: Callable[..., Browser]) -> Browser:
    """A Chromium that draws models."""
    return browsers(*WITH_3D)


@pytest.fixture
def page(chromium: Browser, services: Services, write_rules: Callable) -> Iterator[Page]:
    """An admin's, of a service that makes models of benches and knows no product yet."""
    write_rules(deliverables=[{**MODEL, "categories": ["bench"]}])
    link = services.users.add_login_link(services.users.add("ann", UserRole.ADMIN))
    for site in served(services):
        yield from quiet_page(chromium, site, f"/login/link/{link}")


def upload_and_open(page: Page, file: Any, drain: Callable[[], int]) -> None:
    """Bring a model on the page of its product, and open its version in the queue."""
    page.get_by_label("GLB, glTF, USDZ").set_input_files(file)
    page.get_by_role("button", name="Make the model from this file").click()
    expect(page.get_by_text("The model is stored.")).to_be_visible()
    drain()
    page.goto("/review")
    page.locator(".card", has_text="model").click()
    assert model_is_shown(page, "model-viewer")


def approve_and_publish(page: Page, services: Services, drain: Callable[[], int]) -> None:
    """Approve the version that is shown by its key, and let its publication run."""
    press(page, "a")
    page.get_by_text("approved").first.wait_for()
    services.clock.forward(60)  # type: ignore[attr-defined]
    services.queue.wake("finish_run", [r.id for r in services.runs.page(state="queued")])
    drain()


def test_from_an_uploaded_model_to_the_ar_page(
    page: Page, services: Services, drain: Callable[[], int]
) -> None:
    size = {"width": 0.92, "height": 1.7, "depth": 0.98, "unit": "m"}
    intake.add_product(services, product("BENCH", category="bench", images={}, dimensions=size), by="test")
    page.goto(f"/products/{services.products.get('BENCH').id}")
    file = {"name": "bench.usdz", "mimeType": "model/vnd.usdz+zip"}
    package = convert_glb(textured_chair(), "BENCH").data
    upload_and_open(page, {**file, "buffer": package}, drain)
    expect(page.locator("a[href^='/originals/']")).to_have_count(1)
    approve_and_publish(page, services, drain)
    page.goto("/ar/BENCH")
    assert model_is_shown(page, "model-viewer")


def test_a_model_with_colours_has_a_choice_for_reviewers_and_shoppers(
    page: Page, services: Services, drain: Callable[[], int]
) -> None:
    green = WantedColour("Green", plain=to_lab(np.array(GREEN, np.uint8)))
    glb, _ = add_variants(seat(RED), "Red", [green])
    record = product("BENCH", category="bench", images={}, dimensions={"height": 0.9, "unit": "m"})
    intake.add_product(services, record, by="test")
    page.goto(f"/products/{services.products.get('BENCH').id}")
    file = {"name": "seat.glb", "mimeType": "model/gltf-binary", "buffer": glb}
    upload_and_open(page, file, drain)
    expect(page.get_by_text("no photo", exact=True)).to_be_visible()
    colours_can_be_chosen(page)
    assert serious_violations(page) == []
    approve_and_publish(page, services, drain)
    page.goto("/ar/BENCH")
    assert model_is_shown(page, "model-viewer")
    colours_can_be_chosen(page)
    assert serious_violations(page) == []


SHARED = {**MODEL, "categories": ["bench"], "formats": ["glb"], "colours": {}, "channels": []}
JOINED = {
    "name": "colours",
    "kind": "model",
    "made_from": "model",
    "categories": ["bench"],
    "formats": ["glb"],
    "channels": ["viewer"],
}


def test_a_glance_at_a_colour_brings_it_to_the_ar_page_of_its_shape(
    page: Page, services: Services, photos: PhotoServer, drain: Callable[[], int], write_rules: Callable
) -> None:
    write_rules(deliverables=[SHARED, JOINED], naming={"default": "{sku}_{deliverable}_V{version}_{format}"})
    photos.files["red.glb"] = seat(RED)
    size = {"width": 0.5, "height": 0.6, "depth": 0.5, "unit": "m"}
    more = {"category": "bench", "parent": "SEAT", "images": {}, "dimensions": size}
    green = "#{:02x}{:02x}{:02x}".format(*GREEN)
    for sku, facts in (
        ("R", {"color": "Red", "model_url": photos.url("red.glb")}),
        ("G", {"color": "Green"}),
    ):
        record = product(sku, **more, **facts, **({"swatch": green} if sku == "G" else {}))
        intake.add_product(services, record, by="test")
    drain()
    for sku in ("R", "G"):
        page.goto("/review")
        page.locator(".card", has_text=f"{sku} · model").click()
        page.wait_for_url("**/versions/**")
        page.wait_for_function("() => document.querySelector('model-viewer')?.loaded", timeout=30_000)
        if sku == "G":
            expect(page.get_by_role("link", name="the approved shape")).to_be_visible()
            expect(page.get_by_role("img", name=f"swatch or photo, {green}")).to_be_visible()
            expect(page.get_by_text("Is this the colour of its swatch or photo?")).to_be_visible()
            assert serious_violations(page) == []
        approve_and_publish(page, services, drain)
    page.goto("/ar/G")
    group = page.get_by_role("group", name="Colours")
    expect(group.get_by_role("button", name="Green")).to_have_attribute(
        "aria-pressed", "true", timeout=30_000
    )
    group.get_by_role("button", name="Red").click()
    expect(group.get_by_role("button", name="Red")).to_have_attribute("aria-pressed", "true")


def colours_can_be_chosen(page: Page) -> None:
    group = page.get_by_role("group", name="Colours")
    expect(group.get_by_role("button")).to_have_text(["Red", "Green"])
    red, green = group.get_by_role("button").all()
    expect(red).to_have_attribute("aria-pressed", "true")
    green.click()
    expect(green).to_have_attribute("aria-pressed", "true")
    expect(red).to_have_attribute("aria-pressed", "false")
    # The scene is asked what it draws: a picture takes seconds without a graphics card.
    page.wait_for_function(
        """() => {
          const viewer = document.querySelector("model-viewer");
          const scene = viewer[Object.getOwnPropertySymbols(viewer).find((s) => s.description === "scene")];
          const drawn = [];
          scene.traverse((node) => { if (node.isMesh) drawn.push(node.material.name); });
          return drawn.some((name) => name.includes("Green"));
        }"""
    )
