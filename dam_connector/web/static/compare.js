// Versions beside each other: models turn together; two pictures also lie over each other, with a slider between them.
import { lockTogether, turnable } from "./viewers.js";

const beside = document.querySelector("[data-beside]");
lockTogether([...beside.querySelectorAll("[data-viewer]")]);
turnable(beside);

const button = document.querySelector("[data-over]");
if (button) {
  const [under, over] = [...beside.querySelectorAll(".pane")].map((pane) => pane.querySelector("img.fit"));
  const slider = Object.assign(document.createElement("input"), { type: "range", min: 0, max: 100, value: 50 });
  slider.className = "wipe";
  slider.setAttribute("aria-label", "How much of the second picture is shown");
  const wipe = () => { over.style.clipPath = `inset(0 0 0 ${100 - slider.value}%)`; };
  slider.addEventListener("input", wipe);
  const home = over.parentElement;
  button.hidden = false;
  button.addEventListener("click", () => {
    const on = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(on));
    beside.classList.toggle("over", on);
    if (on) {
      under.parentElement.append(over, slider);
      wipe();
      slider.focus();
    } else {
      home.append(over);
      over.style.clipPath = "";
      slider.remove();
    }
  });
}
