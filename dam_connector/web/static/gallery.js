// Choosing in the gallery: by click, by range, by key; the actions show when there is something to act on.
const filters = document.querySelector("[data-filters]");
filters.addEventListener("change", (event) => { if (event.target.matches("select")) filters.requestSubmit(); });

const grid = document.querySelector("[data-pick]");
if (grid) {
  const ticks = [...grid.querySelectorAll("input[type=checkbox]")];
  const cards = [...grid.querySelectorAll("a.card")];
  const bar = document.querySelector("[data-actions]");
  const all = document.querySelector("[data-all]");
  let last = null;

  const show = () => {
    const chosen = ticks.filter((t) => t.checked).length;
    ticks.forEach((t) => t.closest("li").classList.toggle("chosen", t.checked || Boolean(all?.checked)));
    bar.hidden = chosen === 0 && !all?.checked;
    bar.querySelector("[data-count]").textContent = all?.checked ? "" : `${selected} selected`;
  };
  const choose = (at, on, range) => {
    const from = range && last !== null ? Math.min(last, at) : at;
    for (let i = from; i <= (range && last !== null ? Math.max(last, at) : at); i += 1) ticks[i].checked = on;
    last = at;
    show();
  };

  ticks.forEach((tick, at) => tick.addEventListener("click", (event) => choose(at, tick.checked, event.shiftKey)));
  cards.forEach((card, at) => card.addEventListener("click", (event) => {
    if (!event.shiftKey && !event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    choose(at, event.shiftKey || !ticks[at].checked, event.shiftKey);
  }));
  all?.addEventListener("change", show);

  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]") || event.target.closest("textarea, select, input:not([type=checkbox])")) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const at = Math.max(cards.indexOf(document.activeElement), ticks.indexOf(document.activeElement));
    if ((event.ctrlKey || event.metaKey) && key === "a") {
      ticks.forEach((t) => { t.checked = true; });
      show();
    } else if (event.ctrlKey || event.metaKey || event.altKey) {
      return;
    } else if ((key === "x" || (key === " " && cards.includes(document.activeElement))) && at >= 0) {
      choose(at, event.shiftKey || !ticks[at].checked, event.shiftKey);
    } else if (key === "Escape") {
      ticks.forEach((t) => { t.checked = false; });
      if (all) all.checked = false;
      show();
    } else if (key === "?") {
      document.querySelector("[data-keys]").showModal();
    } else if ("argc".includes(key) && !bar.hidden) {
      const target = bar.querySelector(`[data-key="${key}"]`);
      target?.click();
      if (target?.matches("summary")) target.parentElement.querySelector("input, textarea").focus();
    } else return;
    event.preventDefault();
  });
  const help = bar.querySelector("[data-help]");
  help.hidden = false;
  help.addEventListener("click", () => document.querySelector("[data-keys]").showModal());
  show();
}
