// A text field with a list of choices becomes a searchable combobox (ARIA APG); without scripts it is a datalist.

import { el } from "./dom.js";

let number = 0;

/** Let a field choose from [{value, label, note}]; fires "change" on it when one is taken. */
export function combobox(field, choices) {
  number += 1;
  const list = el("ul", { class: "menu pg-options", role: "listbox", id: `pg-options-${number}`, "aria-label": "Models", hidden: true });
  let active = -1;
  field.removeAttribute("list");
  for (const [name, value] of Object.entries({ role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": list.id })) field.setAttribute(name, value);
  field.after(list);

  function open(words) {
    const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
    const found = choices.filter((one) => wanted.every((word) => `${one.value} ${one.label}`.toLowerCase().includes(word)));
    list.replaceChildren(...found.slice(0, 60).map((one, at) => el("li", {
      role: "option", id: `${list.id}-${at}`, class: "menu-item", "aria-selected": "false", "data-value": one.value,
    }, el("span", {}, one.value), el("small", { class: "muted" }, one.note))));
    if (!found.length) list.replaceChildren(el("li", { class: "menu-label" }, "No model of that name"));
    list.hidden = false;
    field.setAttribute("aria-expanded", "true");
    move(found.length && words ? 0 : -1);
  }

  function close() {
    list.hidden = true;
    active = -1;
    field.setAttribute("aria-expanded", "false");
    field.removeAttribute("aria-activedescendant");
  }

  function move(to) {
    const options = list.querySelectorAll("[role=option]");
    active = options.length ? Math.max(-1, Math.min(to, options.length - 1)) : -1;
    options.forEach((option, at) => option.setAttribute("aria-selected", String(at === active)));
    if (active < 0) return field.removeAttribute("aria-activedescendant");
    field.setAttribute("aria-activedescendant", options[active].id);
    options[active].scrollIntoView({ block: "nearest" });
  }

  function take(option) {
    field.value = option.dataset.value;
    close();
    field.dispatchEvent(new Event("change", { bubbles: true }));
  }

  field.addEventListener("focus", () => field.select());
  field.addEventListener("click", () => list.hidden && open(""));
  field.addEventListener("input", () => open(field.value));
  field.addEventListener("blur", () => setTimeout(close, 150));
  list.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    const option = event.target.closest("[role=option]");
    if (option) take(option);
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (list.hidden) open("");
      else move(active + (event.key === "ArrowDown" ? 1 : -1));
      event.preventDefault();
    } else if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      const option = list.querySelectorAll("[role=option]")[active];
      if (!list.hidden && option) take(option);
    } else if (event.key === "Escape" && !list.hidden) {
      event.stopPropagation();
      close();
    }
  });
}
