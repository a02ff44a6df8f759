// The page of a version: keys, the switch between photos, model and renders, two models that turn together.
import { bindKeys, toggleForm } from "./keys.js";
import { showPins } from "./pins.js";
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
const assetButtons = [...page.querySelectorAll("[data-show-model], [data-show-render]")];
for (const button of assetButtons) {
  button.addEventListener("click", () => {
    const view = button.dataset.showRender;  // undefined: the model
    for (const image of page.querySelectorAll("[data-render]")) image.hidden = image.dataset.render !== view;
    for (const viewer of page.querySelectorAll("[data-main]")) viewer.hidden = Boolean(view);
    press(assetButtons, button);
  });
}
lockTogether([...page.querySelectorAll("[data-viewer]")]);
makeSpinnable(page);
showPins(page);
