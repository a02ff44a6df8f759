// Enhancements of every page; each page also works without JavaScript.
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

for (const message of document.querySelectorAll(".message")) {
  const { vanish } = message.dataset;  // seconds
  setTimeout(() => message.remove(), vanish === undefined ? MESSAGE_MS : Number(vanish) * 1000);
}

// In a grid the arrow keys, J and K move the focus from card to card.
const cards = [...document.querySelectorAll("[data-grid] a")];
if (cards.length) {
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = { j: 1, ArrowRight: 1, k: -1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const index = cards.indexOf(document.activeElement);
    cards[Math.min(cards.length - 1, Math.max(0, index + step))].focus();
    event.preventDefault();
  });
}
