// Set the theme that was chosen last, before the page is painted.
try {
  document.documentElement.dataset.theme = localStorage.getItem("theme") || "";
} catch { /* storage is off: the theme of the system */ }
