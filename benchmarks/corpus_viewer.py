"""Chromium with model-viewer on loopback: pictures of GLBs, compared by SSIM."""

import io
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Error, sync_playwright

from worker.measuring.look_comparison import ssim

ROOT = Path(__file__).parent.parent
VENDOR = ROOT / "dam_connector/web/static/vendor"
MESHOPT_DECODER = ROOT / "worker/vendor/meshopt_decoder.cjs"
SIZE_PX = 256
ORBITS = ("35deg 72deg auto", "215deg 60deg auto")
TIMEOUT_MS = 20_000
LOAD_MS = 60_000  # of one file, with its shaders
SETTLE_MS = 250
FILES_PER_PAGE = 30  # a page that is loaded again compiles its shaders again
PAGE = f"""<!doctype html><style>body {{ margin: 0; background: #fff }}
model-viewer {{ width: {SIZE_PX}px; height: {SIZE_PX}px; --progress-bar-height: 0px }}</style>
<script>
const [dracoDecoderLocation, meshoptDecoderLocation] = ["/vendor/", "/vendor/meshopt.js"];
self.ModelViewerElement = {{ dracoDecoderLocation, meshoptDecoderLocation }};
</script>
<script type="module" src="/vendor/model-viewer.min.js"></script>
<model-viewer interaction-prompt="none" shadow-intensity="0"></model-viewer>"""
SHOW = """async ([address, orbit, limit]) => {
  await customElements.whenDefined("model-viewer");
  const viewer = document.querySelector("model-viewer");
  if (!viewer.src?.endsWith(address)) {
    const loaded = new Promise((done, failed) => {
      viewer.addEventListener("load", done, { once: true });
      viewer.addEventListener("error", () => failed(new Error("not loaded")), { once: true });
      setTimeout(() => failed(new Error("not loaded in time")), limit);
    });
    viewer.src = address;
    await loaded;
    viewer.pause?.();
    viewer.currentTime = 0;
  }
  viewer.cameraOrbit = orbit;
  await viewer.updateComplete;
  viewer.jumpCameraToGoal();
  for (let frame = 0; frame < 6; frame += 1) await new Promise(requestAnimationFrame);
}"""
TYPES = {".js": "text/javascript", ".wasm": "application/wasm", ".glb": "model/gltf-binary"}
U8 = NDArray[np.uint8]


class Viewer:
    """A page with model-viewer."""

    def __init__(self, browser: Browser | None = None) -> None:
        """Prepare a page. browser: a Chromium that runs; None: it starts one of its own."""
        self._browser = browser

    def __enter__(self) -> "Viewer":
        self._files: dict[str, bytes] = {}
        self._shown = 0
        files = self._files

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.removeprefix("/vendor/")
                vendored = {p.name: p for p in VENDOR.iterdir()}.get(name)
                vendored = MESHOPT_DECODER if name == "meshopt.js" else vendored
                data = files.get(self.path) or (vendored.read_bytes() if vendored else None)
                self.send_response(200 if data is not None else 404)
                self.send_header("Content-Type", TYPES.get(Path(self.path).suffix, "text/html"))
                self.end_headers()
                self.wfile.write(data or b"")

            def log_message(self, format: str, *arguments: object) -> None:
                return

        self._stack = ExitStack()
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self._stack.callback(server.server_close)
        self._stack.callback(server.shutdown)
        files["/"] = PAGE.encode()
        browser = self._browser or self._started()
        self._page = browser.new_page(viewport={"width": SIZE_PX, "height": SIZE_PX})
        self._stack.callback(self._page.close)
        self._page.set_default_timeout(TIMEOUT_MS)
        self._address = f"http://127.0.0.1:{server.server_port}/"
        self._page.goto(self._address)
        return self

    def _started(self) -> Browser:
        """Start a Chromium that ends with the page."""
        playwright = self._stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"],
        )
        self._stack.callback(browser.close)
        return browser

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def compare(
        self, before: bytes, after: Sequence[bytes], picture: Path | None = None
    ) -> list[float | None]:
        """Return the worst SSIM of each file against the first one.

        Args:
            before: The GLB to compare with.
            after: The GLBs.
            picture: A file for the pictures: a column for each GLB, a row for each side.

        Returns:
            None for all where the viewer refuses the first one; 0 for one that it refuses alone.
        """
        reference = self._pictures(before)
        if not reference:
            return [None] * len(after)
        columns, found = [reference], list[float | None]()
        for data in after:
            pictures = self._pictures(data)
            values = [ssim(one, two) for one, two in zip(reference, pictures, strict=False)]
            found.append(round(min(values, default=0.0), 4))
            columns.append(pictures or [np.zeros_like(shot) for shot in reference])
        if picture is not None:
            Image.fromarray(np.hstack([np.vstack(column) for column in columns])).save(picture)
        return found

    def _pictures(self, data: bytes) -> list[U8]:
        """Return a picture from each orbit; none where the viewer refuses the file."""
        self._shown += 1
        address = f"/{self._shown}.glb"
        self._files.clear()
        self._files |= {"/": PAGE.encode(), address: data}
        if self._shown % FILES_PER_PAGE == 1:
            self._page.goto(self._address)
        pictures = []
        try:
            for orbit in ORBITS:
                self._page.evaluate(SHOW, [address, orbit, LOAD_MS])
                self._page.wait_for_timeout(SETTLE_MS)
                shot = Image.open(io.BytesIO(self._page.screenshot())).convert("RGB")
                pictures.append(np.asarray(shot, np.uint8))
        except Error:
            self._page.goto(self._address)
            return []
        return pictures
