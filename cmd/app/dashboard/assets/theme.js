// Before anything is drawn: light or dark, as somebody chose it here.
(() => {
  "use strict";
  try {
    const chosen = localStorage.getItem("tidegate-theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch { /* nothing is kept in this browser */ }
})();
