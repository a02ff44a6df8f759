// Enhancements of every page; each page also works without JavaScript.
import { bindKeys, showKeys } from "./keys.js";
import "./times.js";

const MESSAGE_MS = 8000;

for (const button of document.querySelectorAll("[data-theme-switch]")) {
  button.addEventListener("click", () => {
    const root = document.documentElement;
    const systemIsDark = matchMedia("(prefers-color-scheme: dark)").matches;
    const isDark = root.dataset.theme ? root.dataset.theme === "dark" : systemIsDark;
    root.dataset.theme = isDark ? "light" : "dark";
    try {
      localStorage.setItem("theme", root.dataset.theme);
    } catch { /* storage is off: the choice holds for this page only */ }
  });
}

// On phones the navigation is wider than the screen.
const navigation = document.querySelector(".bar nav");
const here = navigation?.querySelector("[aria-current]");
if (here) {
  const start = here.offsetLeft - navigation.offsetLeft;
  navigation.scrollLeft = start - (navigation.clientWidth - here.offsetWidth) / 2;
}

for (const button of document.querySelectorAll("[data-close]")) {
  button.hidden = false;
  button.addEventListener("click", () => button.parentElement.remove());
}

// On phones the bar of the decision lies at the bottom, as high as its buttons: messages stay above it.
const decision = document.querySelector(".decide");
if (decision) {
  const tell = () => document.body.style.setProperty("--decide", `${decision.offsetHeight}px`);
  new ResizeObserver(tell).observe(decision);
}

for (const message of document.querySelectorAll(".message:not([data-stays])")) {
  const { vanish } = message.dataset;  // seconds
  setTimeout(() => message.remove(), vanish === undefined ? MESSAGE_MS : Number(vanish) * 1000);
}

// In a grid the arrow keys, J and K move the focus from card to card.
const cards = [...document.querySelectorAll("[data-grid] a")];
const move = (step) => {
  if (!cards.length) return false;
  const index = cards.indexOf(document.activeElement);
  cards[Math.min(cards.length - 1, Math.max(0, index + step))].focus();
  return true;
};
if (cards.length) {
  bindKeys({ j: () => move(1), ArrowRight: () => move(1), k: () => move(-1), ArrowLeft: () => move(-1) });
}

// Z takes back the last decision, while its message or the page offers it.
bindKeys({
  z: () => {
    const button = document.querySelector(".message [data-undo]") ?? document.querySelector("[data-undo]");
    button?.click();
    return Boolean(button);
  },
  "?": showKeys,
});
for (const button of document.querySelectorAll("[data-help]")) {
  button.hidden = false;
  button.addEventListener("click", showKeys);
}

// The names that a field suggests follow the choice before it.
for (const choice of document.querySelectorAll("[data-lists]")) {
  choice.addEventListener("change", () => {
    choice.form.elements[choice.dataset.lists].setAttribute("list", `known-${choice.value}`);
  });
}

for (const button of document.querySelectorAll("[data-copy]")) {
  const field = document.getElementById(button.dataset.copy);
  button.hidden = false;
  button.addEventListener("click", async () => {
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
    } catch {  // only pages under https:// and on this machine may write to the clipboard
      if (!document.execCommand("copy")) return;
    }
    button.parentElement.querySelector("[data-copied]").textContent = "Copied.";
  });
}

// A page that answers a form and is not asked for by that form again: to load one with a secret anew would make
// another secret.
const once = document.querySelector("[data-once]");
if (once) history.replaceState(null, "", once.dataset.once);

// A text that is too long is refused with the limit before it is sent; `maxlength` would cut what is pasted.
document.addEventListener("input", ({ target }) => {
  if (!target.dataset?.limit) return;
  const limit = Number(target.dataset.limit);
  const { length } = target.value.trim();
  const [most, count] = [limit, length].map((each) => each.toLocaleString("en"));
  target.setCustomValidity(length > limit ? `At most ${most} characters fit; this text has ${count}.` : "");
});
