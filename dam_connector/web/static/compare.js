// Versions beside each other: models turn together; two pictures can be laid over each other, with a slider.
import { lockTogether, makeSpinnable } from "./viewers.js";

const comparison = document.querySelector("[data-comparison]");
lockTogether([...comparison.querySelectorAll("[data-viewer]")]);
makeSpinnable(comparison);

const button = document.querySelector("[data-overlay]");
if (button) {
  const panes = [...comparison.querySelectorAll(".pane")];
  const [lower, upper] = panes.map((pane) => pane.querySelector("img.fit"));
  const upperFrame = upper.parentElement;
  const slider = document.createElement("input");
  Object.assign(slider, { type: "range", min: 0, max: 100, value: 50, className: "wipe" });
  slider.setAttribute("aria-label", "How much of the second picture is shown");
  const wipe = () => { upper.style.clipPath = `inset(0 0 0 ${100 - slider.value}%)`; };
  slider.addEventListener("input", wipe);
  button.hidden = false;
  button.addEventListener("click", () => {
    const isOn = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(isOn));
    comparison.classList.toggle("overlay", isOn);
    if (isOn) {
      lower.parentElement.append(upper, slider);
      wipe();
      slider.focus();
    } else {
      upperFrame.append(upper);
      upper.style.clipPath = "";
      slider.remove();
    }
  });
}
