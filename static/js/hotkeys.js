// Keys: ? lists them, / searches, g then a letter goes to a page of the rail, j and k walk the rows of a list, Enter
// opens one, c copies, n makes a new one. All single keys can be switched off.

const KEY = "exerati.hotkeys";
const PAGES = { o: "overview", k: "keys", u: "usage", l: "requests", b: "billing", p: "playground", i: "limits", c: "catalog", d: "docs", t: "team" };
const CHORD_MS = 1200;
const ROWS = "#main .table tbody tr";
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

const ACTIONS = {
  "?": () => dialog.showModal(),
  "/": search,
  j: () => step(1),
  k: () => step(-1),
  c: copy,
  n: () => document.querySelector("#main [data-hotkey-new], #main .page-head .button-primary[href]")?.click(),
};

document.addEventListener("keydown", (event) => {
  if (!toggle.checked || event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  if (document.querySelector("dialog[open]")) return;
  const page = event.timeStamp < chordUntil && PAGES[event.key];
  chordUntil = event.key === "g" ? event.timeStamp + CHORD_MS : 0;
  if (page) go(page);
  else ACTIONS[event.key]?.(event);
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

/** Move the focus to the link of the next or previous row; Enter then opens it, as it does every link. */
function step(by) {
  const links = [...document.querySelectorAll(ROWS)].map((row) => row.querySelector("th a[href], td a[href]")).filter((link) => link?.offsetParent);
  if (!links.length) return;
  const at = links.findIndex((link) => link.closest("tr").contains(document.activeElement));
  const next = links[at < 0 ? (by > 0 ? 0 : links.length - 1) : Math.min(Math.max(at + by, 0), links.length - 1)];
  next.focus();
  next.closest("tr").scrollIntoView({ block: "nearest" });
}

/** Copy what the row in focus has to copy, or else the first thing of the page. */
function copy() {
  const row = document.activeElement.closest("tr");
  (row ?? document.querySelector("#main"))?.querySelector("[data-copy]")?.click();
}
