// Before anything is painted: the theme chosen last time.
try { document.documentElement.dataset.theme = localStorage.getItem("theme") || ""; } catch { /* storage is off: the system's theme */ }
