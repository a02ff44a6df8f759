// The review page's keys, the switch between photo, model and renders, two models turning together.
import { lockTogether, turnable } from "./viewers.js";
const page = document.querySelector("[data-review]");
const press = (key) => page.querySelector(`[data-key="${key}"]`)?.click();
const viewers = [...page.querySelectorAll("[data-viewer]")];

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.target.closest("textarea, input:not([type=checkbox])")) return;
  const reject = page.querySelector("[data-reject]");
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (reject?.open && /^[1-9]$/.test(key)) {
    page.querySelectorAll("[name=reasons]")[Number(key) - 1]?.click();
  } else if (reject?.open && key === "Enter") {
    page.querySelector("[value=rejected]").click();
  } else if (key === "a" || key === "r" || key === "g") {
    press(key);
    if (key === "r") reject?.querySelector("input")?.focus();
  } else if (key === "j" || (key === "ArrowRight" && !event.target.closest("model-viewer"))) {
    if (page.dataset.next) location.href = page.dataset.next;
  } else if (key === "k" || (key === "ArrowLeft" && !event.target.closest("model-viewer"))) {
    if (page.dataset.before) location.href = page.dataset.before;
  } else if (key === "c") {
    page.querySelector(".strip a:not([aria-current])")?.click();
  } else if (key === "?") {
    document.querySelector("[data-keys]").showModal();
  } else return;
  event.preventDefault();
});
page.querySelector("[data-help]")?.addEventListener("click", () => document.querySelector("[data-keys]").showModal());

const choose = (buttons, chosen) => buttons.forEach((b) => b.setAttribute("aria-pressed", String(b === chosen)));
const photos = [...page.querySelectorAll("[data-show]")];
for (const button of photos) {
  button.addEventListener("click", () => {
    for (const image of page.querySelectorAll("[data-view]")) image.hidden = image.dataset.view !== button.dataset.show;
    choose(photos, button);
  });
}
const turn = page.querySelector("[data-turn]");
const renders = [...page.querySelectorAll("[data-show-render]")];
const made = [turn, ...renders].filter(Boolean);
for (const button of made) {
  button.addEventListener("click", () => {
    const view = button.dataset.showRender;
    for (const image of page.querySelectorAll("[data-render]")) image.hidden = image.dataset.render !== view;
    for (const viewer of page.querySelectorAll("[data-main]")) viewer.hidden = Boolean(view);
    choose(made, button);
  });
}
lockTogether(viewers);
turnable(page);
