// Light, dark, or as the system has it. Not a module: it runs before anything is painted, so that nothing flashes.
"use strict";
{
  const NAMES = { auto: "automatic", light: "light", dark: "dark" };
  const root = document.documentElement;

  const kept = () => {
    try {
      return localStorage.getItem("rotate-theme") in NAMES ? localStorage.getItem("rotate-theme") : "auto";
    } catch {
      return "auto"; // no storage: then every page begins as the system has it
    }
  };

  const show = (theme) => {
    root.dataset.theme = theme;
    const button = document.getElementById("theme");
    if (button) button.textContent = `Theme: ${NAMES[theme]}`;
  };

  const turn = () => {
    const names = Object.keys(NAMES);
    const next = names[(names.indexOf(root.dataset.theme) + 1) % names.length];
    try {
      localStorage.setItem("rotate-theme", next);
    } catch {
      // it holds for this page, then
    }
    show(next);
  };

  show(kept());
  document.addEventListener("DOMContentLoaded", () => {
    show(kept());
    document.getElementById("theme")?.addEventListener("click", turn);
  });
}
