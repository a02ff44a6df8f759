// The AR page: the poster is there already; the viewer comes after it, and only where it can work.
import { hasWebGL, offerColours, stopTurning, turnLightWithCamera } from "./viewers.js";

const viewer = document.getElementById("model");
const { src, plain, decoder, script } = viewer.dataset;
// Of the distance at which the model fills the view: room for its sizes, more where the view is narrow.
const wideView = () => (viewer.clientWidth < viewer.clientHeight ? "148%" : "130%");
const decoderFiles = viewer.hasAttribute("data-packed") ? ["draco_wasm_wrapper.js", "draco_decoder.wasm"] : [];

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

// The ends of the line of each size, a little off the model's box: the width before the front, the depth beside the
// right side, the height at the left edge of the front. The third value is the way of the marks at its ends.
const sizeLines = () => {
  const size = viewer.getDimensions();
  const middle = viewer.getBoundingBoxCenter();
  const off = Math.max(size.x, size.y, size.z) * 0.06;
  const [left, right] = [middle.x - size.x / 2, middle.x + size.x / 2];
  const [bottom, top] = [middle.y - size.y / 2, middle.y + size.y / 2];
  const [back, front] = [middle.z - size.z / 2, middle.z + size.z / 2];
  const mark = off / 2;
  return {
    width: [[left, bottom, front + off], [right, bottom, front + off], [0, 0, mark]],
    height: [[left - off, bottom, front], [left - off, top, front], [mark, 0, 0]],
    depth: [[right + off, bottom, back], [right + off, bottom, front], [mark, 0, 0]],
  };
};

const drawSizes = async () => {
  const { addOverlay } = await import("./overlay.js");
  const overlay = addOverlay(viewer);
  const draw = (from, to) => overlay.addLine("size", overlay.addPoint("size", from), overlay.addPoint("size", to));
  const lines = sizeLines();
  for (const label of viewer.querySelectorAll(".size")) {
    const [from, to, way] = lines[label.dataset.axis];
    draw(from, to);
    for (const end of [from, to]) draw(end.map((each, i) => each - way[i]), end.map((each, i) => each + way[i]));
    const position = from.map((each, i) => `${(each + to[i]) / 2}m`).join(" ");
    viewer.updateHotspot({ name: label.slot, position });
  }
  return viewer.querySelector("svg.lines");
};

let lines = null;
const showSizes = async (button) => {
  const isOn = button.getAttribute("aria-expanded") !== "true";
  button.setAttribute("aria-expanded", String(isOn));
  [button.textContent, button.dataset.hide] = [button.dataset.hide, button.textContent];
  stopTurning(viewer);  // lines follow the camera, not a model that turns by itself
  lines ??= await drawSizes();
  lines.classList.toggle("off", !isOn);
  const { theta, phi } = viewer.getCameraOrbit();
  viewer.cameraOrbit = `${theta}rad ${phi}rad ${isOn ? wideView() : "auto"}`;
  for (const label of viewer.querySelectorAll(".size")) label.hidden = !isOn;
};

// Change all lengths between centimetres and inches.
const changeUnits = () => {
  for (const each of document.querySelectorAll("[data-other]")) {
    [each.textContent, each.dataset.other] = [each.dataset.other, each.textContent.trim()];
  }
};

// Count a view or a press of the AR button, where the shop's brand counts: no cookie, nothing about the shopper.
const count = (event) => {
  const address = viewer.dataset.count;
  if (address) fetch(`${address}&event=${event}`, { method: "POST", keepalive: true }).catch(() => {});
};

const start = async () => {
  await posterShown();
  await inView();
  self.ModelViewerElement = { dracoDecoderLocation: decoder };
  const loading = import(script);
  // Into the cache, for the viewer: the model comes after the script, whose start then costs no time of the line.
  const prefetch = (file) => fetch(file, { priority: "low" }).then((answer) => answer.arrayBuffer()).catch(() => {});
  for (const file of [...decoderFiles.map((name) => decoder + name), viewer.getAttribute("environment-image")]) {
    prefetch(file);
  }
  prefetch(script).then(() => prefetch(src));
  viewer.addEventListener("load", () => {
    viewer.querySelector(".ar").hidden = false;
    const link = document.getElementById("scene-viewer");
    if (/android/i.test(navigator.userAgent) && !viewer.canActivateAR) {
      link.href = sceneViewerAddress();
      link.hidden = false;
    }
    const [sizes, units] = ["sizes", "units"].map((id) => document.getElementById(id));
    if (sizes) {
      sizes.hidden = units.hidden = false;
      sizes.addEventListener("click", () => showSizes(sizes));
      units.addEventListener("click", changeUnits);
    }
    count("view");
    for (const each of document.querySelectorAll(".ar")) each.addEventListener("click", () => count("ar"));
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
