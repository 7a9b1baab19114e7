// Elements without markup strings: everything that comes from outside is set as text.

const sprite = document.querySelector("svg use")?.getAttribute("href").split("#")[0] ?? "";
const SVG = "http://www.w3.org/2000/svg";

/** Make an element; properties that begin with "on" are listeners, `class` and `aria-…` are attributes. */
export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== undefined && child !== ""));
  return made;
}

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", `icon icon-${name}`);
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `${sprite}#${name}`);
  svg.append(use);
  return svg;
}

export function iconButton(label, name, onclick) {
  return el("button", {
    type: "button", class: "button button-quiet button-sm button-icon", "aria-label": label, title: label, onclick,
  }, icon(name));
}

export function callout(tone, title, ...children) {
  return el("div", { class: `callout callout-${tone}` },
    icon(tone === "danger" ? "circle-x" : "info"),
    el("div", {}, el("p", { class: "callout-title" }, title), ...children));
}

/** Say something to screen readers. */
export function say(text) {
  document.getElementById("live").textContent = text;
}

/** Show a short note at the edge of the page, and say it. */
export function toast(text, tone = "ok") {
  const place = document.querySelector(".toasts") ?? document.body.appendChild(el("div", { class: "toasts" }));
  const note = el("div", { class: `toast toast-${tone}` }, icon(tone === "ok" ? "circle-check" : "triangle-alert"), text);
  place.append(note);
  say(text);
  setTimeout(() => note.remove(), 4000);
}
