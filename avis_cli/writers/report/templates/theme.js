// Dark or light: what the system prefers, until the button says otherwise.

const dark = matchMedia("(prefers-color-scheme: dark)");
const root = document.documentElement;
const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
const themeButton = document.getElementById("theme");

function nameTheme() {
  themeButton.textContent = isDark() ? "Light" : "Dark";
  themeButton.setAttribute("aria-label", `Switch to ${isDark() ? "light" : "dark"} colours`);
}

function remembered(value) {
  // pages opened from disk may have no storage
  try {
    if (value) localStorage.setItem("avis-theme", value);
    return localStorage.getItem("avis-theme");
  } catch {
    return null;
  }
}

const chosen = remembered();
if (chosen === "dark" || chosen === "light") root.dataset.theme = chosen;
themeButton.addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  remembered(root.dataset.theme);
  nameTheme();
});
dark.addEventListener("change", nameTheme);
nameTheme();
