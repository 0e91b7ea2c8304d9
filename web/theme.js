// Light or dark: the system's choice until the user makes one.

const KEY = "attackline-theme";

export function restore() {
  try {
    apply(localStorage.getItem(KEY));
  } catch {
    // Storage can be switched off; then the system's choice holds.
  }
}

export function toggle() {
  const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const theme = dark ? "light" : "dark";
  apply(theme);
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // Held until the page is left.
  }
}

function apply(theme) {
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
}
