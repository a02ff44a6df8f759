// The one place that decides about keys. A page binds its keys with `bindKeys`; none of them works while somebody
// types, or while a form, menu or dialog is open. There Esc closes, and Ctrl+Enter sends.
const REPEATED = new Set(["j", "k", "ArrowLeft", "ArrowRight"]);  // the keys that may be held down
const FIELDS = "textarea, select, input:not([type=checkbox]), [contenteditable]";
// forms and menus that are open, and a form that waits for a click into a picture
const POPUPS = "details[data-form][open], details.menu[open], form[data-placing]";
const bindings = [];

// Bind keys to actions. Names are those of `KeyboardEvent.key`, letters in lower case, e.g. `a`, `Ctrl+a`. An
// action that returns false leaves the key to the browser.
export const bindKeys = (actions) => { bindings.push(new Map(Object.entries(actions))); };

// Open or close a form; an opened form takes the focus.
export const toggleForm = (form) => {
  form.open = !form.open;
  focusForm(form);
};

export const showKeys = () => document.querySelector("[data-keys]")?.showModal();

const focusForm = (form) => {
  if (!form.open) return;
  for (const other of document.querySelectorAll(POPUPS)) {
    if (other !== form && !other.contains(form)) other.open = false;
  }
  form.querySelector("input:not([type=hidden]), textarea, select")?.focus();
};

const openPopup = () => [...document.querySelectorAll(POPUPS)].at(-1);

const close = (popup) => {
  popup.open = false;
  popup.removeAttribute("data-placing");
  popup.querySelector("summary, textarea").focus();
};

// Return the button that sends what is open, or the form in which somebody types.
const sendButton = (popup, target) => popup?.querySelector("[data-send]")
  ?? target.closest("form:has(textarea)")?.querySelector("button:not([disabled]):not([type=button])");

// Handle a key while a form or menu is open, or somebody types; return whether the key was used.
const handleInForm = (name, popup, target) => {
  if (name === "Escape") {
    if (popup) close(popup);
    else target.blur();
  } else if (name === "Ctrl+Enter") {
    sendButton(popup, target)?.click();
  } else if (popup?.matches("[data-reasons]") && /^[1-9]$/.test(name) && !target.matches(FIELDS)) {
    popup.querySelectorAll("[name=reasons]")[Number(name) - 1]?.click();
  } else return false;
  return true;
};

const keyName = (event) => {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  return event.ctrlKey || event.metaKey ? `Ctrl+${key}` : key;
};

document.addEventListener("keydown", (event) => {
  if (event.isComposing || event.altKey || document.querySelector("dialog[open]")) return;
  const name = keyName(event);
  if (event.repeat && !REPEATED.has(name)) return;
  const popup = openPopup();
  if (popup || event.target.closest(FIELDS)) {
    if (handleInForm(name, popup, event.target)) event.preventDefault();
    return;
  }
  for (const actions of bindings) {
    const action = actions.get(name);
    if (action && action(event) !== false) {
      event.preventDefault();
      return;
    }
  }
});

for (const form of document.querySelectorAll("details[data-form]")) {
  form.addEventListener("toggle", () => {
    if (form.open && !form.contains(document.activeElement.closest("input, textarea, select"))) focusForm(form);
  });
}

// A rejection needs a reason.
for (const form of document.querySelectorAll("[data-reasons]")) {
  const reasons = [...form.querySelectorAll("[name=reasons]")];
  const button = form.querySelector("[data-send]");
  button.addEventListener("click", () => {
    const isMissing = !reasons.some((reason) => reason.checked);
    reasons[0].setCustomValidity(isMissing ? "Choose at least one reason. The note is optional." : "");
    if (isMissing) {
      form.open = true;
      reasons[0].reportValidity();
    }
  });
  for (const reason of reasons) reason.addEventListener("change", () => reasons[0].setCustomValidity(""));
}
