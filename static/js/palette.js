// Ctrl or Cmd and K: go to a page, a model, a key or a request by typing.

import { el, icon } from "./playground/dom.js";

const dialog = document.getElementById("palette");
const field = document.getElementById("palette-search");
const list = document.getElementById("palette-list");
const PAUSE_MS = 120;
let active = 0;
let asking;
let timer;

document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey && event.key.toLowerCase() === "k") {
    event.preventDefault();
    open();
  }
});
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-palette-open]")) open();
  if (event.target === dialog) dialog.close();
});

function open() {
  if (dialog.open) return;
  for (const other of document.querySelectorAll("dialog[open]")) other.close();
  field.value = "";
  dialog.showModal();
  show(pages(""));
}

/** The pages are those of the rail, so that one with its own rights is found only by those who see it. */
function pages(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return [...document.querySelectorAll("#rail nav a[href], #rail .rail-end a[href]")]
    .map((link) => ({ label: [...link.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE).map((node) => node.textContent).join("").trim(), note: "Page", icon: "arrow-right", href: link.href }))
    .filter((page) => words.every((word) => page.label.toLowerCase().includes(word)));
}

field.addEventListener("input", () => {
  const text = field.value.trim();
  show(pages(text));
  clearTimeout(timer);
  if (text) timer = setTimeout(() => ask(text), PAUSE_MS);
});

async function ask(text) {
  asking?.abort();
  asking = new AbortController();
  try {
    const answer = await fetch(`${dialog.dataset.url}?q=${encodeURIComponent(text)}`, { signal: asking.signal });
    if (answer.ok && text === field.value.trim()) show([...pages(text), ...(await answer.json()).found], text);
  } catch (error) {
    if (error.name !== "AbortError") show(pages(text));
  }
}

function show(found, text = "") {
  list.replaceChildren(...found.map((one, at) => el("li", {
    role: "option", class: "menu-item", id: `palette-${at}`, "aria-selected": "false", onclick: () => location.assign(one.href),
  }, icon(one.icon), el("span", { class: "truncate" }, one.label), el("small", { class: "muted row-end" }, one.note))));
  if (!found.length && text) list.append(el("li", { class: "menu-label" }, "Nothing of that name"));
  move(0);
}

function move(to) {
  const options = list.querySelectorAll("[role=option]");
  active = options.length ? (to + options.length) % options.length : -1;
  options.forEach((option, at) => option.setAttribute("aria-selected", String(at === active)));
  if (active < 0) return field.removeAttribute("aria-activedescendant");
  field.setAttribute("aria-activedescendant", options[active].id);
  options[active].scrollIntoView({ block: "nearest" });
}

field.addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    move(active + (event.key === "ArrowDown" ? 1 : -1));
  } else if (event.key === "Enter") {
    event.preventDefault();
    list.querySelectorAll("[role=option]")[active]?.click();
  }
});
