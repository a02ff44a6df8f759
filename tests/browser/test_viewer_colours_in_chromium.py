"""The 3D viewer shows the colours of our own renderer: the same GLB, camera and light, by CIEDE2000."""

import io
from collections.abc import Iterator
from dataclasses import replace
from math import radians, tan

import cv2
import numpy as np
import pytest
from flask import Flask, render_template_string
from PIL import Image
from playwright.sync_api import Browser, Page
from skimage.color import deltaE_ciede2000, rgb2lab

from dam_connector.app import create_app
from dam_connector.wiring import Services
from samples.make_photos import assemble
from samples.product_meshes import PRODUCTS
from tests.browser.conftest import WITH_3D, needs_chromium, served, started
from worker.modeling.camera import Camera, named_camera
from worker.modeling.glb_export import write_glb
from worker.modeling.render import Renderer, RenderOptions
from worker.modeling.textured_mesh import TexturedMesh

pytestmark = needs_chromium
SIZE = 160
BACKDROP = (255, 0, 255)
PATCH_PX = 5  # an eye averages too
# a sample's shape in the colours of the products that were shown wrong: lamp shade, vase, black speaker
CASES = {
    "lamp": (0.52, 0.12, 0.09),
    "vase": (0.035, 0.066, 0.178),
    "speaker": (0.012, 0.012, 0.013),
    "bottle": (0.82, 0.82, 0.8),
}
PAGE = """<!doctype html><style>body { margin: 0; background: #f0f }
model-viewer { background: none !important }
</style>{% from "asset.html" import studio_light %}
<script type="module" src="{{ asset('vendor/model-viewer.min.js') }}"></script>
<model-viewer style="width: 160px; height: 160px" {{ studio_light() }} interaction-prompt="none"
  shadow-intensity="0" min-field-of-view="5deg" min-camera-orbit="auto 0deg 0m"
  max-camera-orbit="auto 180deg 400%"></model-viewer>
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


def sample(name: str) -> TexturedMesh:
    return replace(assemble(PRODUCTS[name]())[0], color=(*CASES[name], 1.0))


def fulfil(page: Page, pattern: str, body: bytes) -> None:
    """Answer requests to some addresses with a body."""
    page.route(pattern, lambda route: route.fulfill(body=body))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A Chromium that draws models."""
    yield from started(*WITH_3D)


@pytest.fixture
def viewer(chromium: Browser, services: Services) -> Iterator[Page]:
    """A page with a viewer in the light that the pages use, and the sample models beside it."""
    app: Flask = create_app(services)
    with app.test_request_context():
        html = render_template_string(PAGE)
    for site in served(services):
        page = chromium.new_page(viewport={"width": SIZE, "height": SIZE}, base_url=site)
        page.route("**/colours", lambda route: route.fulfill(body=html, content_type="text/html"))
        for name in CASES:
            fulfil(page, f"**/{name}.glb", write_glb(sample(name), name))
        page.goto("/colours")
        yield page
        page.close()


def shown(page: Page, name: str, camera: Camera) -> np.ndarray:
    """Return the viewer's picture of a model, uint8 (SIZE, SIZE, 3)."""
    distance = camera.half_width / tan(radians(camera.fov or 0) / 2)
    orbit = f"{camera.azimuth}deg {90 - camera.elevation}deg {distance}m"
    target = " ".join(f"{each}m" for each in camera.target)
    page.evaluate(SHOW, [orbit, target, f"{camera.fov}deg", f"/{name}.glb"])
    page.wait_for_timeout(150)
    return np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))


def smoothed_lab(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the colours within a mask, as means over patches."""
    weight = cv2.blur(mask.astype(np.float32), (PATCH_PX, PATCH_PX))
    total = cv2.blur(picture.astype(np.float32) * mask[..., None], (PATCH_PX, PATCH_PX))
    return np.asarray(rgb2lab((total / np.maximum(weight, 1e-3)[..., None])[mask] / 255))


def test_the_viewer_shows_what_the_renderer_shows(viewer: Page) -> None:
    differences = {}
    for name in CASES:
        model = sample(name)
        renderer = Renderer(model)
        for view in ("hero", "-60,12"):
            camera = named_camera(model.min_corner, model.max_corner, view)
            ours, _ = renderer.render(camera, SIZE, RenderOptions(background=None, floor_shadow=False))
            picture = shown(viewer, name, camera)
            both = renderer.silhouette(camera, SIZE) & (picture != BACKDROP).any(-1)
            both = cv2.erode(both.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
            assert both.sum() > 500
            labs = smoothed_lab(ours, both), smoothed_lab(picture, both)
            differences[name, view] = float(deltaE_ciede2000(*labs).mean())
    print(differences)
    assert np.mean(list(differences.values())) < 3 and max(differences.values()) < 6, differences
