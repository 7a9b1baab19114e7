// Keys: ? lists them, / searches, g then a letter goes to a page of the rail. Can be switched off.

const KEY = "exerati.hotkeys";
const PAGES = { o: "overview", k: "keys", u: "usage", l: "requests", b: "billing" };
const CHORD_MS = 1200;
const dialog = document.getElementById("hotkeys");
const toggle = dialog.querySelector("[data-hotkeys-switch]");
let chordUntil = 0;

try {
  toggle.checked = localStorage.getItem(KEY) !== "off";
} catch {
  // Storage is blocked: the keys are on, and the switch holds for this page.
}

toggle.addEventListener("change", () => {
  try {
    localStorage.setItem(KEY, toggle.checked ? "on" : "off");
  } catch {
    // As above.
  }
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-hotkeys-open]")) dialog.showModal();
});

document.addEventListener("keydown", (event) => {
  if (!toggle.checked || event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  if (document.querySelector("dialog[open]")) return;
  const page = event.timeStamp < chordUntil && PAGES[event.key];
  chordUntil = event.key === "g" ? event.timeStamp + CHORD_MS : 0;
  if (page) go(page);
  else if (event.key === "?") dialog.showModal();
  else if (event.key === "/") search(event);
});

function typing(element) {
  return element.closest("input, textarea, select, [contenteditable]") !== null;
}

function go(page) {
  document.querySelector(`[data-nav="${page}"]`)?.click();
}

function search(event) {
  const field = document.querySelector("#main input[type=search]");
  if (!field) return;
  event.preventDefault();
  field.focus();
  field.select();
}
