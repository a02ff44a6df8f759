// The review page's keys, the switch between photo, model and renders, two models turning together.
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

const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
for (const viewer of viewers) {
  if (still || viewers.length > 1) viewer.removeAttribute("auto-rotate");
  viewer.addEventListener("camera-change", (event) => {
    if (event.detail.source !== "user-interaction") return;
    for (const other of viewers) {
      if (other === viewer) continue;
      other.cameraOrbit = viewer.getCameraOrbit().toString();
      other.jumpCameraToGoal();
    }
  });
}

for (const spin of page.querySelectorAll("[data-spin]")) {
  const frames = [...spin.querySelectorAll("img")];
  const angle = spin.querySelector("input");
  const show = (n) => {
    const at = ((n % frames.length) + frames.length) % frames.length;
    frames.forEach((image, i) => { image.hidden = i !== at; });
    angle.value = at;
  };
  angle.hidden = false;
  angle.addEventListener("input", () => show(Number(angle.value)));
  let from = null;
  spin.addEventListener("pointerdown", (event) => {
    if (event.target === angle) return;
    from = { x: event.clientX, at: Number(angle.value) };
    spin.setPointerCapture(event.pointerId);
  });
  spin.addEventListener("pointermove", (event) => {
    if (from) show(from.at - Math.round(((event.clientX - from.x) / spin.clientWidth) * frames.length));
  });
  for (const end of ["pointerup", "pointercancel"]) spin.addEventListener(end, () => { from = null; });
  for (const image of frames) image.loading = "eager";
}
