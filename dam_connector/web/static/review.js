// The page of a version: keys, the switch between photos, model and renders, two models that turn together.
import { lockTogether, makeSpinnable } from "./viewers.js";

const page = document.querySelector("[data-review]");
const showKeys = () => document.querySelector("[data-keys]").showModal();

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.target.closest("textarea, input:not([type=checkbox])")) return;
  const reject = page.querySelector("[data-reject]");
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const isInViewer = event.target.closest("model-viewer");  // there the arrows turn the model
  if (reject?.open && /^[1-9]$/.test(key)) {
    page.querySelectorAll("[name=reasons]")[Number(key) - 1]?.click();
  } else if (reject?.open && key === "Enter") {
    page.querySelector("[value=rejected]").click();
  } else if (key === "a" || key === "r" || key === "g") {
    page.querySelector(`[data-key="${key}"]`)?.click();
    if (key === "r") reject?.querySelector("input")?.focus();
  } else if (key === "j" || (key === "ArrowRight" && !isInViewer)) {
    if (page.dataset.next) location.href = page.dataset.next;
  } else if (key === "k" || (key === "ArrowLeft" && !isInViewer)) {
    if (page.dataset.previous) location.href = page.dataset.previous;
  } else if (key === "c") {
    page.querySelector(".strip a:not([aria-current])")?.click();
  } else if (key === "?") {
    showKeys();
  } else return;
  event.preventDefault();
});
page.querySelector("[data-help]")?.addEventListener("click", showKeys);

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
  });
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
