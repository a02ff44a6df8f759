// The page of a version: keys, the switch between photos, model and renders, two models that turn together.
import { bindKeys, toggleForm } from "./keys.js";
import { addTools } from "./measure.js";
import { showPins } from "./pins.js";
import { showMask } from "./touch-up.js";
import { lockTogether, makeSpinnable, stopTurning } from "./viewers.js";

const page = document.querySelector("[data-review]");
const go = (address) => {
  if (address) location.href = address;
  return Boolean(address);
};
const click = (selector) => {
  const target = page.querySelector(selector);
  if (target?.matches("summary")) toggleForm(target.parentElement);
  else target?.click();
  return Boolean(target);
};
const isInViewer = (event) => event.target.closest("model-viewer");  // there the arrows turn the model
bindKeys({
  ...Object.fromEntries([..."argp"].map((key) => [key, () => click(`[data-key="${key}"]`)])),
  m: () => click("[data-tool=measure]"),
  x: () => click("[data-tool=box]"),
  t: () => click("[data-show-mask]"),
  c: () => click(".strip a:not([aria-current])"),
  b: () => click("[data-back]"),
  j: () => go(page.dataset.next),
  k: () => go(page.dataset.previous),
  ArrowRight: (event) => !isInViewer(event) && go(page.dataset.next),
  ArrowLeft: (event) => !isInViewer(event) && go(page.dataset.previous),
});

const press = (buttons, pressed) => {
  buttons.forEach((button) => button.setAttribute("aria-pressed", String(button === pressed)));
};
const photoButtons = [...page.querySelectorAll("[data-show-photo]")];
for (const button of photoButtons) {
  button.addEventListener("click", () => {
    for (const image of page.querySelectorAll("[data-view]")) {
      image.hidden = image.dataset.view !== button.dataset.showPhoto;
    }
    press(photoButtons, button);
    turnTo(button.dataset.orbit);
    assetButtons.find((each) => each.getAttribute("aria-pressed") === "true")?.click();
  });
}
// Turn the model to the camera of a photo, as the likeness check found it.
const turnTo = (orbit) => {
  const viewer = page.querySelector("[data-main][data-viewer]");
  if (!viewer || !orbit) return;
  stopTurning(viewer);
  viewer.cameraOrbit = orbit;
};
// A frame takes the shape of the photo in it.
const photos = page.querySelector("[data-photos]");
const takeShape = (image) => {
  if (image.naturalWidth) photos.style.setProperty("--shape", image.naturalWidth / image.naturalHeight);
};
for (const image of photos?.querySelectorAll("img") ?? []) {
  if (image.complete) takeShape(image);
  else image.addEventListener("load", () => takeShape(image), { once: true });
}
// Photo, model and difference of the likeness check are the thirds of one picture for each photo.
const compared = page.querySelector("[data-compared]");
let shownPart = "";  // of that picture: 0, 1, 2; empty: the model itself or a render of it
const showPart = (part) => {
  if (!compared) return;
  const photo = photoButtons.find((button) => button.getAttribute("aria-pressed") === "true");
  shownPart = photo?.dataset.evidence ? part : "";
  compared.hidden = shownPart === "";
  if (compared.hidden) return;
  compared.style.backgroundImage = `url("${photo.dataset.evidence}")`;
  compared.style.backgroundPosition = `${Number(part) * 50}% 0`;
  compared.setAttribute("aria-label", `${["Photo", "Model", "Difference"][part]}, ${photo.dataset.showPhoto}`);
};
const assetButtons = [...page.querySelectorAll("[data-show-model], [data-show-part], [data-show-render]")];
for (const button of assetButtons) {
  button.addEventListener("click", () => {
    const { showRender: view, showPart: part = "" } = button.dataset;  // neither: the model
    for (const image of page.querySelectorAll("[data-render]")) image.hidden = image.dataset.render !== view;
    showPart(part);
    for (const viewer of page.querySelectorAll("[data-main]")) viewer.hidden = Boolean(view) || shownPart !== "";
    // a photo that was not compared with the model has no parts: the model stays
    const hasPart = part === "" || shownPart !== "";
    press(assetButtons, hasPart ? button : page.querySelector("[data-show-model]"));
  });
}
const parts = [...page.querySelectorAll("[data-show-model], [data-show-part]")];
if (compared) {
  bindKeys({
    d: () => parts[(parts.findIndex((each) => each.getAttribute("aria-pressed") === "true") + 1) % parts.length].click(),
  });
}
lockTogether([...page.querySelectorAll("[data-viewer]")]);
makeSpinnable(page);
showPins(page);
addTools(page);
showMask(page);
