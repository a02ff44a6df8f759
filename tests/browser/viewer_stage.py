"""A page with a 3D viewer alone, in the light that the pages use: its pictures of a model from any camera."""

import io
from collections.abc import Mapping
from dataclasses import replace
from math import radians, tan

import numpy as np
from flask import render_template_string
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Page, Route

from dam_connector.app import create_app
from dam_connector.wiring import Services
from worker.modeling.camera import Camera

BACKDROP = (255, 0, 255)
NARROW_DEG = 5.0  # the angle of view in place of none: model-viewer has no orthographic camera
PAGE = """<!doctype html><style>body { margin: 0; background: #f0f }
model-viewer { background: none !important; width: 100vw; height: 100vh }
</style>{% from "asset.html" import studio_light %}
<script type="module" src="{{ asset('vendor/model-viewer.min.js') }}"></script>
<model-viewer {{ studio_light() }} interaction-prompt="none"
  shadow-intensity="0" min-field-of-view="5deg" min-camera-orbit="auto 0deg 0m"
  max-camera-orbit="auto 180deg 4000%">
  <div slot="progress-bar"></div></model-viewer>
<script type="module">
import { turnLightWithCamera } from "{{ asset('viewers.js') }}";
turnLightWithCamera(document.querySelector("model-viewer"));
</script>"""
SHOW = """async ([orbit, target, fov, address]) => {
  await customElements.whenDefined("model-viewer");
  const viewer = document.querySelector("model-viewer");
  if (!viewer.src?.endsWith(address)) {
    const loaded = new Promise((done) => viewer.addEventListener("load", done, { once: true }));
    viewer.src = address;
    await loaded;
  }
  Object.assign(viewer, { cameraOrbit: orbit, cameraTarget: target, fieldOfView: fov });
  await viewer.updateComplete;
  viewer.jumpCameraToGoal();
  for (let frame = 0; frame < 6; frame += 1) await new Promise(requestAnimationFrame);
}"""


def open_stage(
    chromium: Browser, services: Services, site: str, models: Mapping[str, bytes], px: int
) -> Page:
    """Return a page with the viewer, `px` wide and high.

    Args:
        chromium: one that draws models.
        services: those of the site.
        site: its address.
        models: the GLBs that can be shown, by name.
        px: the side of its pictures.
    """
    with create_app(services).test_request_context():
        html = render_template_string(PAGE)
    page = chromium.new_page(viewport={"width": px, "height": px}, base_url=site)
    page.route("**/stage", lambda route: route.fulfill(body=html, content_type="text/html"))
    for name, glb in models.items():
        _answer(page, f"**/{name}.glb", glb)
    page.goto("/stage")
    return page


def _answer(page: Page, pattern: str, body: bytes) -> None:
    def fulfil(route: Route) -> None:
        route.fulfill(body=body)

    page.route(pattern, fulfil)


def shown(page: Page, name: str, camera: Camera) -> NDArray[np.uint8]:
    """Return the viewer's picture of a model on BACKDROP, (px, px, 3)."""
    seen = camera if camera.fov else replace(camera, fov=NARROW_DEG)
    distance = seen.half_width / tan(radians(seen.fov or NARROW_DEG) / 2)
    orbit = f"{seen.azimuth}deg {90 - seen.elevation}deg {distance}m"
    target = " ".join(f"{each}m" for each in seen.target)
    page.evaluate(SHOW, [orbit, target, f"{seen.fov}deg", f"/{name}.glb"])
    page.wait_for_timeout(150)
    return np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))
