// Models that turn together, and the frames of a spin.
const reducesMotion = matchMedia("(prefers-reduced-motion: reduce)").matches;

// Whether the browser draws 3D here.
export const hasWebGL = () => {
  try {
    return Boolean(document.createElement("canvas").getContext("webgl2"));
  } catch {
    return false;
  }
};

// The three.js scene of a model-viewer, which it does not offer; undefined when a later release has none.
export const modelScene = (viewer) => viewer[
  Object.getOwnPropertySymbols(viewer).find((each) => each.description === "scene")
];

// Turn the light of the studio with the camera, as our own renders do: what faces the viewer is lit alike from every
// side. model-viewer has no attribute for it, so this uses its scene; without that the light stays where it is, at
// the front.
export function turnLightWithCamera(viewer) {
  const turn = () => {
    const scene = modelScene(viewer);
    if (!scene?.environmentRotation) return;
    scene.environmentRotation.y = viewer.getCameraOrbit().theta;
    scene.queueRender();
  };
  viewer.addEventListener("camera-change", turn);
  viewer.addEventListener("load", turn);
}

// Stop a model that turns by itself, and turn it back to its front.
export function stopTurning(viewer) {
  viewer.removeAttribute("auto-rotate");
  viewer.resetTurntableRotation?.();
}

// Offer the colours of a model that has variants (KHR_materials_variants): a button each, where the page has a place.
export function offerColours(viewer) {
  const place = viewer.querySelector("[data-colours]");
  if (!place) return;
  const show = (name) => {
    viewer.variantName = name;
    for (const button of place.children) button.setAttribute("aria-pressed", String(button.textContent === name));
  };
  const offer = () => {
    const names = viewer.availableVariants ?? [];
    place.hidden = names.length < 2;
    if (place.hidden) return;
    place.replaceChildren(...names.map((name) => {
      const button = document.createElement("button");
      Object.assign(button, { type: "button", className: "chip", textContent: name });
      button.addEventListener("click", () => show(name));
      return button;
    }));
    show(names.includes(viewer.variantName) ? viewer.variantName : names[0]);
  };
  viewer.addEventListener("load", offer);
  if (viewer.loaded) offer();
}

// Show the pictures of models that this browser cannot draw: each viewer becomes its poster.
function showPictures(viewers) {
  document.body.classList.add("no-3d");
  for (const viewer of viewers) {
    const still = document.createElement("div");
    still.className = "still";
    if ("main" in viewer.dataset) still.dataset.main = "";
    still.append(...viewer.querySelectorAll("[slot=poster]"));
    viewer.replaceWith(still);
  }
  for (const button of document.querySelectorAll("[data-show-model]")) button.textContent = "picture";
}

// Turn all models when a person turns one.
export function lockTogether(viewers) {
  if (viewers.length && !hasWebGL()) {
    showPictures(viewers);
    return;
  }
  for (const viewer of viewers) {
    customElements.whenDefined("model-viewer").then(() => {
      turnLightWithCamera(viewer);
      offerColours(viewer);
    });
    if (reducesMotion || viewers.length > 1) viewer.removeAttribute("auto-rotate");
    viewer.addEventListener("camera-change", (event) => {
      if (event.detail.source !== "user-interaction") return;
      for (const other of viewers) {
        if (other === viewer) continue;
        other.cameraOrbit = viewer.getCameraOrbit().toString();
        other.jumpCameraToGoal();
      }
    });
  }
}

// Show the frames of each spin by dragging or by its slider.
export function makeSpinnable(root) {
  for (const spin of root.querySelectorAll("[data-spin]")) {
    const frames = [...spin.querySelectorAll("img")];
    const slider = spin.querySelector("input");
    const show = (frame) => {
      const index = ((frame % frames.length) + frames.length) % frames.length;
      frames.forEach((image, i) => { image.hidden = i !== index; });
      slider.value = index;
      spin.dispatchEvent(new Event("frame", { bubbles: true }));
    };
    slider.hidden = false;
    slider.addEventListener("input", () => show(Number(slider.value)));
    let start = null;  // where a drag began
    spin.addEventListener("pointerdown", (event) => {
      if (event.target === slider) return;
      start = { x: event.clientX, frame: Number(slider.value) };
      spin.setPointerCapture(event.pointerId);
    });
    spin.addEventListener("pointermove", (event) => {
      if (!start) return;
      const turned = (event.clientX - start.x) / spin.clientWidth;  // 1: the whole width, a full turn
      show(start.frame - Math.round(turned * frames.length));
    });
    for (const end of ["pointerup", "pointercancel"]) spin.addEventListener(end, () => { start = null; });
    for (const image of frames) image.loading = "eager";
  }
}
