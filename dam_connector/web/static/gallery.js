// Selection in the gallery by click, by range and by key; the actions appear when something is selected.
const filters = document.querySelector("[data-filters]");
filters.addEventListener("change", (event) => {
  if (event.target.matches("select")) filters.requestSubmit();
});

const grid = document.querySelector("[data-selectable]");
if (grid) {
  const ticks = [...grid.querySelectorAll("input[type=checkbox]")];
  const cards = [...grid.querySelectorAll("a.card")];
  const actions = document.querySelector("[data-actions]");
  const all = document.querySelector("[data-all]");
  let lastIndex = null;

  const update = () => {
    const count = ticks.filter((tick) => tick.checked).length;
    const isAll = Boolean(all?.checked);
    ticks.forEach((tick) => tick.closest("li").classList.toggle("selected", tick.checked || isAll));
    actions.hidden = count === 0 && !isAll;
    actions.querySelector("[data-count]").textContent = isAll ? "" : `${count} selected`;
  };
  // Select or deselect a card; with `isRange`, also all cards from the last one.
  const select = (index, isOn, isRange) => {
    const other = isRange && lastIndex !== null ? lastIndex : index;
    for (let i = Math.min(index, other); i <= Math.max(index, other); i += 1) ticks[i].checked = isOn;
    lastIndex = index;
    update();
  };
  const showKeys = () => document.querySelector("[data-keys]").showModal();

  ticks.forEach((tick, index) => {
    tick.addEventListener("click", (event) => select(index, tick.checked, event.shiftKey));
  });
  cards.forEach((card, index) => card.addEventListener("click", (event) => {
    if (!event.shiftKey && !event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    select(index, event.shiftKey || !ticks[index].checked, event.shiftKey);
  }));
  all?.addEventListener("change", update);

  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.closest("textarea, select, input:not([type=checkbox])");
    if (isTyping || document.querySelector("dialog[open]")) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const index = Math.max(cards.indexOf(document.activeElement), ticks.indexOf(document.activeElement));
    const isSelectKey = key === "x" || (key === " " && cards.includes(document.activeElement));
    if ((event.ctrlKey || event.metaKey) && key === "a") {
      ticks.forEach((tick) => { tick.checked = true; });
      update();
    } else if (event.ctrlKey || event.metaKey || event.altKey) {
      return;
    } else if (isSelectKey && index >= 0) {
      select(index, event.shiftKey || !ticks[index].checked, event.shiftKey);
    } else if (key === "Escape") {
      ticks.forEach((tick) => { tick.checked = false; });
      if (all) all.checked = false;
      update();
    } else if (key === "?") {
      showKeys();
    } else if ("argc".includes(key) && !actions.hidden) {
      const target = actions.querySelector(`[data-key="${key}"]`);
      target?.click();
      if (target?.matches("summary")) target.parentElement.querySelector("input, textarea").focus();
    } else return;
    event.preventDefault();
  });
  const help = actions.querySelector("[data-help]");
  help.hidden = false;
  help.addEventListener("click", showKeys);
  update();
}
