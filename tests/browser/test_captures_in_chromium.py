"""Photos taken with a phone: the page that guides a walk or a spin, in Chromium at the size of a phone."""

import base64
import hashlib
import io
import re
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect

from dam_connector.domain.product import Capture
from dam_connector.store.users import UserRole
from dam_connector.usecases import captures, intake
from dam_connector.wiring import Services
from tests.browser.conftest import (
    assert_no_console_messages,
    logged_in_page,
    needs_chromium,
    serious_violations,
    served,
)
from tests.support import product

pytestmark = needs_chromium
SKU = "CH123"
PHONE = {"width": 390, "height": 844}


def jpeg(number: int, *, blurred: float = 0, light: float = 1) -> bytes:
    """A small photo of a patterned floor with a box that is seen from another side each time."""
    random = np.random.default_rng(number)
    rgb = random.integers(60, 190, (60, 80, 3), np.uint8)
    rgb = cv2.resize(rgb, (320, 240), interpolation=cv2.INTER_NEAREST)
    cv2.rectangle(rgb, (60 + 5 * number, 60), (200, 200), (180, 60, 40), -1)
    if blurred:
        rgb = cv2.GaussianBlur(rgb, (0, 0), blurred)
    return cv2.imencode(".jpg", np.clip(rgb * light, 0, 255).astype(np.uint8))[1].tobytes()


def file(number: int, **more: Any) -> dict[str, Any]:
    return {"name": f"{number}.jpg", "mimeType": "image/jpeg", "buffer": jpeg(number, **more)}


@pytest.fixture
def opened(chromium: Browser, services: Services) -> Iterator[tuple[Page, list[str]]]:
    """The page of a merchandiser with a phone, and the words on its console."""
    intake.add_product(services, product(SKU, images={}), by="test")
    link = services.users.add_login_link(services.users.add("ann", UserRole.MERCHANDISER))
    for site in served(services):
        with logged_in_page(chromium, site, f"/login/link/{link}") as (page, messages):
            page.set_viewport_size(PHONE)
            yield page, messages


@pytest.fixture
def page(opened: tuple[Page, list[str]]) -> Iterator[Page]:
    page, messages = opened
    yield page
    assert_no_console_messages([m for m in messages if "Failed to load resource" not in m])  # lost on purpose


def begin(page: Page, services: Services, button: str) -> None:
    page.goto(f"/products/{services.products.get(SKU).id}")
    page.get_by_role("link", name="Take photos all around").click()
    page.get_by_role("button", name=button).click()
    page.locator("[data-ready]").wait_for()


def camera(page: Page) -> Any:
    return page.locator("[data-camera]")


def segments(page: Page, state: str) -> list[int]:
    found = page.locator(f"[data-place].{state}")
    return [int(each.get_attribute("data-place")) for each in found.all()]


def photo_count(services: Services) -> int:
    draft = services.captures.get(SKU, "ann")
    return len(draft.photos) if draft else -1


def test_ring_and_sentence_guide_a_walk_and_a_reload_goes_on(page: Page, services: Services) -> None:
    begin(page, services, "Begin a walk")
    sentence = page.locator("[data-next]")
    expect(sentence).to_contain_text("Low round, photo 1 of 16: in front of the product")
    assert segments(page, "next") == [0] and len(page.locator("[data-place]").all()) == 32
    assert camera(page).get_attribute("capture") == "environment"
    for number in range(3):
        camera(page).set_input_files(file(number))
        expect(page.locator("[data-legend]")).to_contain_text(f"Low round: {number + 1} of 16")
    expect(sentence).to_contain_text("Low round, photo 4 of 16: one step to the right")
    assert (segments(page, "there"), segments(page, "next")) == ([0, 1, 2], [3])
    assert serious_violations(page) == []
    page.reload()
    page.locator("[data-ready]").wait_for()
    expect(sentence).to_contain_text("Low round, photo 4 of 16")
    expect(page.locator("[data-shots] li")).to_have_count(3)
    expect(page.get_by_role("img", name="Photo 3")).to_have_attribute("src", re.compile("^blob:"))
    page.get_by_role("button", name="Remove photo 2").click()
    expect(sentence).to_contain_text("Low round, photo 2 of 16")
    assert segments(page, "there") == [0, 2] and photo_count(services) == 2
    page.locator("[data-files]").set_input_files([file(number) for number in range(20, 34)])
    expect(sentence).to_contain_text("The low round is finished. High round, photo 1 of 16")
    camera(page).set_input_files(file(40))
    expect(page.locator("[data-legend]")).to_have_text("Low round: 16 of 16, finished · High round: 1 of 16")
    expect(page.get_by_role("button", name="Make the model")).to_be_enabled()
    page.get_by_role("button", name="Make the model").click()
    expect(page.get_by_text("The photos are stored.")).to_be_visible()
    expect(page.get_by_role("heading", name="Walk of 17 photos")).to_be_visible()
    assert services.runs.page(sku=SKU, state="queued") and photo_count(services) == -1


def test_photos_wait_for_the_connection_and_outlast_a_reload(page: Page, services: Services) -> None:
    begin(page, services, "Begin a walk")
    page.route("**/capture/photos", lambda route: route.abort())
    for number in range(2):
        camera(page).set_input_files(file(number))
    expect(page.locator("[data-sending-text]")).to_contain_text("No connection: 2 photos wait on this phone")
    assert segments(page, "waits") == [0, 1] and photo_count(services) == 0
    expect(page.locator("[data-next]")).to_contain_text("Low round, photo 3 of 16")
    expect(page.get_by_role("button", name="Make the model")).to_be_disabled()
    page.reload()
    expect(page.locator("[data-sending-text]")).to_contain_text("2 photos wait")
    page.unroute("**/capture/photos")
    page.get_by_role("button", name="Try now").click()
    expect(page.locator("[data-legend]")).to_contain_text("Low round: 2 of 16")
    draft = captures.get(services, SKU, by="ann")
    assert [services.blobs.get(photo.sha256) for photo in draft.photos] == [jpeg(0), jpeg(1)]


def test_photos_wait_while_somebody_is_logged_out(page: Page, services: Services) -> None:
    begin(page, services, "Begin a walk")
    cookies = page.context.cookies()
    page.context.clear_cookies()
    camera(page).set_input_files(file(1))
    expect(page.locator("[data-sending-text]")).to_contain_text("You were logged out.")
    assert photo_count(services) == 0
    page.context.add_cookies(cookies)  # type: ignore[arg-type]
    page.reload()
    expect(page.locator("[data-legend]")).to_contain_text("Low round: 1 of 16")
    assert photo_count(services) == 1


def test_photos_of_another_product_wait_for_its_page(page: Page, services: Services) -> None:
    intake.add_product(services, product("OTHER", images={}), by="test")
    begin(page, services, "Begin a walk")
    page.route("**/capture/photos", lambda route: route.abort())
    camera(page).set_input_files(file(1))
    expect(page.locator("[data-sending-text]")).to_contain_text("1 photo waits on this phone")
    captures.begin(services, "OTHER", Capture.WALK, by="ann")
    page.goto(f"/products/{services.products.get('OTHER').id}/capture")
    page.locator("[data-ready]").wait_for()
    expect(page.locator("[data-sending]")).to_be_hidden()
    page.unroute("**/capture/photos")
    page.goto(f"/products/{services.products.get(SKU).id}/capture")
    expect(page.locator("[data-legend]")).to_contain_text("Low round: 1 of 16")


def test_without_a_database_of_the_browser_photos_wait_in_memory(page: Page, services: Services) -> None:
    page.add_init_script("Object.defineProperty(window, 'indexedDB', { get() { throw new Error('off'); } })")
    begin(page, services, "Begin a walk")
    page.route("**/capture/photos", lambda route: route.abort(), times=1)
    camera(page).set_input_files(file(1))
    page.get_by_role("button", name="Try now").click()
    expect(page.locator("[data-legend]")).to_contain_text("Low round: 1 of 16")
    assert photo_count(services) == 1


def test_an_answer_that_is_lost_makes_no_second_photo(page: Page, services: Services) -> None:
    begin(page, services, "Begin a walk")

    def lose(route: Route) -> None:
        route.fetch()
        route.abort()

    page.route("**/capture/photos", lose, times=1)
    camera(page).set_input_files(file(1))
    page.get_by_role("button", name="Try now").click()
    expect(page.locator("[data-legend]")).to_contain_text("Low round: 1 of 16")
    assert photo_count(services) == 1


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"blurred": 6}, "looks blurred"),
        ({"light": 0.15}, "is very dark"),
        ({"light": 4.0}, "is very bright"),
        ({}, "looks like the one before"),
    ],
)
def test_advice_is_a_word_that_blocks_nothing(
    page: Page, services: Services, wrong: dict[str, Any], said: str
) -> None:
    begin(page, services, "Begin a walk")
    advice = page.locator("[data-advice]")
    camera(page).set_input_files(file(5))
    expect(page.locator("[data-legend]")).to_contain_text("Low round: 1 of 16")
    expect(advice).to_be_hidden()
    camera(page).set_input_files(file(5 if not wrong else 6, **wrong))
    expect(advice).to_contain_text(f"Photo 2 {said}")
    expect(page.locator("[data-legend]")).to_contain_text("Low round: 2 of 16")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Take again", exact=True).click()
    chooser.value.set_files(file(9))
    expect(advice).to_be_hidden()
    sent = f"1-{hashlib.sha256(jpeg(9)).hexdigest()}"
    expect(page.locator("[data-shots] li").nth(1)).to_have_attribute("data-key", sent)
    draft = captures.get(services, SKU, by="ann")
    assert [services.blobs.get(photo.sha256) for photo in draft.photos] == [jpeg(5), jpeg(9)]


def test_what_cannot_be_read_is_refused_in_words(page: Page, services: Services) -> None:
    begin(page, services, "Begin a walk")
    advice = page.locator("[data-advice]")
    heic = {"name": "IMG_1.HEIC", "mimeType": "image/heic", "buffer": b"x"}
    camera(page).set_input_files(heic)
    expect(advice).to_contain_text("HEIC photo, which cannot be read here")
    camera(page).set_input_files({**file(1), "buffer": b"\xff\xd8\xff and no more"})
    expect(advice).to_contain_text("Photo 1 was not taken")
    assert photo_count(services) == 0 and segments(page, "waits") == []


def test_files_that_are_left_out_are_named_and_leave_no_hole(page: Page, services: Services) -> None:
    begin(page, services, "Begin a walk")
    heic = {"name": "2.HEIC", "mimeType": "image/heic", "buffer": b"x"}
    mask = {**file(4), "name": "003_mask.jpg"}
    page.locator("[data-files]").set_input_files([file(1), heic, file(3), mask])
    expect(page.locator("[data-legend]")).to_contain_text("Low round: 2 of 16")
    said = re.compile(r"Left out: 2\.HEIC\..*003_mask\.jpg\. Its name says.*OK", re.DOTALL)
    expect(page.locator("[data-advice]")).to_have_text(said)
    assert segments(page, "there") == [0, 1]


def test_frames_of_a_spin_that_are_chosen_without_a_connection_wait(page: Page, services: Services) -> None:
    begin(page, services, "Begin a spin")
    page.context.set_offline(True)
    page.locator("[data-files]").set_input_files([file(1), file(2), file(3)])
    expect(page.locator("[data-place].waits")).to_have_count(3)
    page.context.set_offline(False)
    expect(page.locator("[data-legend]")).to_contain_text("3 of 24", timeout=20_000)


def test_another_device_may_take_the_place(page: Page, services: Services) -> None:
    begin(page, services, "Begin a walk")
    captures.add_photo(services, SKU, jpeg(7), by="ann", place=0)
    camera(page).set_input_files(file(1))
    expect(page.locator("[data-legend]")).to_contain_text("Low round: 2 of 16")
    draft = captures.get(services, SKU, by="ann")
    assert [services.blobs.get(photo.sha256) for photo in draft.photos] == [jpeg(7), jpeg(1)]


def test_a_spin_from_files_has_as_many_frames_in_the_order_of_their_names(
    page: Page, services: Services
) -> None:
    begin(page, services, "Begin a spin")
    expect(page.locator("[data-next]")).to_contain_text("Frame 1 of 24")
    page.locator("[data-files]").set_input_files([file(number) for number in (10, 11, *range(10))])
    expect(page.locator("[data-legend]")).to_contain_text("Spin: 12 of 12, finished")
    expect(page.locator("[data-next]")).to_have_text("All 12 frames are there. Make the model.")
    assert len(page.locator("[data-place]").all()) == 12
    assert serious_violations(page) == []
    page.get_by_role("button", name="Make the model").first.click()  # the one beside the camera's
    expect(page.get_by_role("heading", name="Spin of 12 frames")).to_be_visible()
    spin = services.products.get(SKU).spin
    assert [services.blobs.get(sha256) for sha256 in spin.values()] == [jpeg(number) for number in range(12)]


def test_waiting_photos_of_an_ended_draft_are_named(page: Page, services: Services) -> None:
    begin(page, services, "Begin a walk")
    captures.cancel(services, SKU, by="ann")
    camera(page).set_input_files(file(1))
    expect(page.locator("[data-sending-text]")).to_contain_text("on another device, and 1 photo was not sent")


def test_a_draft_is_cancelled(page: Page, services: Services) -> None:
    captures.begin(services, SKU, Capture.WALK, by="ann")
    captures.add_photo(services, SKU, jpeg(1), by="ann")
    page.goto(f"/products/{services.products.get(SKU).id}/capture")
    page.get_by_text("Cancel", exact=True).click()
    page.get_by_role("button", name="Remove the photos").click()
    expect(page.get_by_text("Nothing of the product has changed.")).to_be_visible()
    assert photo_count(services) == -1


# A camera that shows a moving pattern. The address of the tests is secure.
FAKE_CAMERA = """
  const canvas = Object.assign(document.createElement("canvas"), { width: 640, height: 480 });
  const context = canvas.getContext("2d");
  let step = 0;
  setInterval(() => {
    step += 1;
    for (let y = 0; y < 24; y += 1) for (let x = 0; x < 32; x += 1) {
      const grey = 60 + ((x * 7 + y * 13 + step * 5) * 37) % 150;
      context.fillStyle = `rgb(${grey} ${grey} ${255 - grey})`;
      context.fillRect(x * 20, y * 20, 20, 20);
    }
  }, 50);
  navigator.mediaDevices.getUserMedia = async () => canvas.captureStream(20);
"""
TURN = """([alpha, beta]) => {
  const name = "ondeviceorientationabsolute" in window ? "deviceorientationabsolute" : "deviceorientation";
  window.dispatchEvent(new DeviceOrientationEvent(name, { alpha, beta, gamma: 0, absolute: true }));
}"""


HOLD = f"(pose) => {{ setInterval(() => ({TURN})(pose), 60); }}"  # still, as long as the page is open


def test_the_live_camera_takes_photos_where_the_phone_is(page: Page, services: Services) -> None:
    page.add_init_script(FAKE_CAMERA)
    begin(page, services, "Begin a walk")
    page.get_by_role("button", name="Live camera").click()
    shutter = page.get_by_role("button", name="Take photo", exact=True)
    shutter.click()
    expect(page.locator("[data-legend]")).to_contain_text("Low round: 1 of 16")
    page.evaluate(TURN, [90, 85])  # the start is where the next photo is to be: one step around
    page.evaluate(TURN, [90 + 45, 85])
    assert segments(page, "under") == [3]
    page.evaluate(TURN, [90 + 45, 55])
    assert segments(page, "under") == [19]
    shutter.click()
    expect(page.locator("[data-legend]")).to_contain_text("High round: 1 of 16")
    assert serious_violations(page) == []
    page.get_by_label("Take each photo by itself").check()
    page.evaluate(HOLD, [90 + 90, 85])
    expect(page.locator("[data-legend]")).to_contain_text("Low round: 2 of 16")
    assert [photo.place for photo in captures.get(services, SKU, by="ann").photos] == [0, 5, 19]


POSES = """async () => {
  const script = document.querySelector("script[src*='capture.js']");
  const address = script.src.replace("capture.js", "capture-pose.js");
  const pose = await import(address);
  const still = Array.from({ length: 8 }, (_, i) => ({ heading: 359.5 + (i % 2), tilt: 3, at: i * 100 }));
  return {
    upright: pose.cameraPose(0, 90, 0),
    east: pose.cameraPose(270, 90, 0),
    down: pose.cameraPose(0, 50, 0),
    sideways: pose.cameraPose(0, 0, -90),
    right: pose.placeAt({ heading: 270, tilt: 0 }, 0, 16),
    high: pose.placeAt({ heading: 350, tilt: 35 }, 0, 16),
    start: pose.startHeading(270, 4, 16),
    steady: pose.isSteady(still, 700),
    early: pose.isSteady(still.slice(5), 700),
    moving: pose.isSteady(still.map((each, i) => ({ ...each, heading: i * 3 })), 700),
  };
}"""


def test_the_pose_of_a_phone_says_where_it_is(page: Page, services: Services) -> None:
    begin(page, services, "Begin a walk")
    found = page.evaluate(POSES)
    assert found["upright"] == pytest.approx({"heading": 0, "tilt": 0}, abs=1e-6)
    assert found["east"]["heading"] == pytest.approx(90)
    assert found["down"] == pytest.approx({"heading": 0, "tilt": 40}, abs=1e-6)
    assert found["sideways"]["tilt"] == pytest.approx(0, abs=1e-6)
    assert found["right"] == pytest.approx({"place": 4, "off": 0, "angle": 90})
    assert found["high"]["place"] == 16 and found["high"]["off"] == pytest.approx(10)
    assert found["start"] == pytest.approx(0)
    assert (found["steady"], found["early"], found["moving"]) == (True, False, False)


SMALL_COPY = """async (base64) => {
  const script = document.querySelector("script[src*='capture.js']");
  const address = script.src.replace("capture.js", "capture-judge.js");
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const { smallCopy } = await import(address);
  const { pixels } = await smallCopy(new Blob([bytes], { type: "image/jpeg" }), 100);
  return [pixels.width, pixels.height];
}"""


def test_small_copies_are_turned_as_the_exif_says(page: Page, services: Services) -> None:
    begin(page, services, "Begin a walk")
    exif, out = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6  # orientation: a quarter turn
    Image.open(io.BytesIO(jpeg(1))).save(out, "jpeg", exif=exif)
    sizes = [page.evaluate(SMALL_COPY, base64.b64encode(d).decode()) for d in (jpeg(1), out.getvalue())]
    assert sizes == [[100, 75], [75, 100]]


def test_a_photo_is_uploaded_by_its_view(page: Page, services: Services) -> None:
    page.goto(f"/products/{services.products.get(SKU).id}")
    page.get_by_text("Upload a photo").click()
    page.get_by_label("It shows the product's").select_option("right")
    page.locator("[name=file][accept*=tiff]").set_input_files(file(1))
    page.get_by_role("button", name="Upload and make").click()
    expect(page.get_by_text("The photo is stored.")).to_be_visible()
    assert list(services.products.get(SKU).sources) == ["right"]
    page.locator("summary", has_text="Edit").click()
    expect(page.get_by_placeholder("uploaded picture")).to_be_visible()
    expect(page.get_by_role("img", name="Uploaded picture: right")).to_be_visible()
    assert serious_violations(page) == []
