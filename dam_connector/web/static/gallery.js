// Selection in the gallery by click, by range and by key; the actions appear when something is selected.
import { bindKeys, toggleForm } from "./keys.js";

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
    // with this entry of the history: the way back, e.g. from a comparison, finds the selection
    history.replaceState({ selected: ticks.filter((tick) => tick.checked).map((tick) => tick.value), isAll }, "");
  };
  const restore = ({ selected, isAll }) => {
    ticks.forEach((tick) => { tick.checked = selected.includes(tick.value); });
    if (all) all.checked = isAll;
  };
  // Select or deselect a card; with `isRange`, also all cards from the last one.
  const select = (index, isOn, isRange) => {
    const other = isRange && lastIndex !== null ? lastIndex : index;
    for (let i = Math.min(index, other); i <= Math.max(index, other); i += 1) ticks[i].checked = isOn;
    lastIndex = index;
    update();
  };

  ticks.forEach((tick, index) => {
    tick.addEventListener("click", (event) => select(index, tick.checked, event.shiftKey));
  });
  cards.forEach((card, index) => card.addEventListener("click", (event) => {
    if (!event.shiftKey && !event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    select(index, event.shiftKey || !ticks[index].checked, event.shiftKey);
  }));
  all?.addEventListener("change", update);

  // Press the button of an action that waits for a selection; open its form when it has one.
  const act = (key) => {
    const target = actions.hidden ? null : actions.querySelector(`[data-key="${key}"]`);
    if (target?.matches("summary")) toggleForm(target.parentElement);
    else target?.click();
    return Boolean(target);
  };
  const selectFocused = (event) => {
    const index = Math.max(cards.indexOf(document.activeElement), ticks.indexOf(document.activeElement));
    if (index < 0) return false;
    select(index, event.shiftKey || !ticks[index].checked, event.shiftKey);
    return true;
  };
  const selectAll = (isOn) => {
    ticks.forEach((tick) => { tick.checked = isOn; });
    if (all && !isOn) all.checked = false;
    update();
  };
  bindKeys({
    x: selectFocused,
    " ": (event) => cards.includes(document.activeElement) && selectFocused(event),
    "Ctrl+a": () => selectAll(true),
    Escape: () => selectAll(false),
    Enter: (event) => event.target.matches("input"),  // on a tick it would send the form
    ...Object.fromEntries([..."argc"].map((key) => [key, () => act(key)])),
  });
  // What was decided is selected no longer.
  grid.closest("form").addEventListener("submit", ({ submitter }) => {
    if (!submitter?.matches("[data-only-looks]")) history.replaceState(null, "");
  });
  if (history.state?.selected) restore(history.state);
  update();
}
