// What every page may do better with JavaScript; each part works without.
for (const button of document.querySelectorAll("[data-theme-switch]")) {
  button.addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch { /* not remembered, then */ }
  });
}
for (const message of document.querySelectorAll("[data-vanish]")) {
  setTimeout(() => message.remove(), Number(message.dataset.vanish) * 1000);
}
for (const message of document.querySelectorAll(".message:not([data-vanish])")) setTimeout(() => message.remove(), 8000);

// In a grid the arrow keys, J and K walk from card to card.
const cards = [...document.querySelectorAll("[data-grid] a")];
if (cards.length) {
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = { j: 1, ArrowRight: 1, k: -1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const at = cards.indexOf(document.activeElement);
    cards[Math.min(cards.length - 1, Math.max(0, at + step))].focus();
    event.preventDefault();
  });
}
