// The AR page: the poster is there already; the viewer comes after it, and only where it can work.
import { offerColours, turnLightWithCamera } from "./viewers.js";

const viewer = document.getElementById("model");
const { src, plain, decoder, script } = viewer.dataset;
const decoderFiles = viewer.hasAttribute("data-packed") ? ["draco_wasm_wrapper.js", "draco_decoder.wasm"] : [];

const hasWebGL = () => {
  try {
    return Boolean(document.createElement("canvas").getContext("webgl2"));
  } catch {
    return false;
  }
};

// Show the pictures, and words for it, in place of the 3D view.
const showPictures = () => document.body.classList.add("no-3d");

// Wait for the poster: the viewer's script must not take its share of a slow line.
const posterShown = () => {
  const poster = viewer.querySelector(".poster");
  if (!poster || poster.complete) return Promise.resolve();
  return new Promise((done) => {
    poster.addEventListener("load", done, { once: true });
    poster.addEventListener("error", done, { once: true });
  });
};

const inView = () => new Promise((done) => {
  new IntersectionObserver(([entry], observer) => {
    if (!entry.isIntersecting) return;
    observer.disconnect();
    done();
  }).observe(viewer);
});

// The link that opens Scene Viewer, which reads plain GLBs only.
// https://developers.google.com/ar/develop/scene-viewer
const sceneViewerAddress = () => {
  const params = new URLSearchParams({
    file: new URL(plain, location.href).href,
    mode: "ar_preferred",
    resizable: "false",
    title: document.querySelector("h1").textContent,
  });
  return `intent://arvr.google.com/scene-viewer/1.2?${params}#Intent;scheme=https;`
    + "package=com.google.android.googlequicksearchbox;action=android.intent.action.VIEW;"
    + `S.browser_fallback_url=${encodeURIComponent(location.href)};end;`;
};

// Put each size beside its edge of the model's box: the width below the front, the depth below the right side,
// the height at the left edge of the front.
const placeSizes = () => {
  const size = viewer.getDimensions();
  const middle = viewer.getBoundingBoxCenter();
  const [left, right] = [middle.x - size.x / 2, middle.x + size.x / 2];
  const [bottom, front] = [middle.y - size.y / 2, middle.z + size.z / 2];
  const places = {
    width: [middle.x, bottom, front],
    height: [left, middle.y, front],
    depth: [right, bottom, middle.z],
  };
  for (const label of viewer.querySelectorAll(".size")) {
    viewer.updateHotspot({ name: label.slot, position: places[label.dataset.axis].map((x) => `${x}m`).join(" ") });
  }
};

const showSizes = (button) => {
  const isOn = button.getAttribute("aria-expanded") !== "true";
  button.setAttribute("aria-expanded", String(isOn));
  [button.textContent, button.dataset.hide] = [button.dataset.hide, button.textContent];
  for (const label of viewer.querySelectorAll(".size")) label.hidden = !isOn;
};

const start = async () => {
  await posterShown();
  await inView();
  self.ModelViewerElement = { dracoDecoderLocation: decoder };
  const loading = import(script);
  // beside the script and after it, so that the viewer finds them in the cache
  const files = [...decoderFiles.map((name) => decoder + name), viewer.getAttribute("environment-image"), src];
  for (const file of files) fetch(file, { priority: "low" }).catch(() => {});
  viewer.addEventListener("load", () => {
    viewer.querySelector(".ar").hidden = false;
    const link = document.getElementById("scene-viewer");
    if (/android/i.test(navigator.userAgent) && !viewer.canActivateAR) {
      link.href = sceneViewerAddress();
      link.hidden = false;
    }
    placeSizes();
    const button = document.getElementById("sizes");
    if (button) {
      button.hidden = false;
      button.addEventListener("click", () => showSizes(button));
    }
  }, { once: true });
  viewer.addEventListener("error", showPictures);
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) viewer.removeAttribute("auto-rotate");
  turnLightWithCamera(viewer);
  offerColours(viewer);
  await loading;
  viewer.src = src;
};

if (hasWebGL()) start().catch(showPictures);
else showPictures();
