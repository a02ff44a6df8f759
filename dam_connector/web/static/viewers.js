// What turns: models that turn together, and pictures of a full turn.
const still = matchMedia("(prefers-reduced-motion: reduce)").matches;

export function lockTogether(viewers) {
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
}

export function turnable(root) {
  for (const spin of root.querySelectorAll("[data-spin]")) {
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
}
