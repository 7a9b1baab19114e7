// What a model wrote, as elements: a small part of Markdown. Nothing is ever parsed as HTML, so there is nothing a
// model could write that runs: text becomes text nodes, and links go to http and https only.

import { el } from "./dom.js";

const INLINE = /(`+)([\s\S]+?)\1|\*\*(?=\S)([\s\S]+?\S)\*\*|(?<![\w*])\*(?=[^\s*])([^*\n]*?[^\s*])\*(?!\w)|\[([^\]\n]+)\]\((https?:\/\/[^\s)]+)\)|(https?:\/\/[^\s<>()"']+[^\s<>()"'.,;:!?])/g;
const FENCE = /^\s*(`{3,}|~{3,})\s*([\w+#.-]*)/;
const ITEM = /^(\s*)(?:[-*+]|(\d{1,9})[.)])\s+(.*)$/;

/** Return the text as a fragment. */
export function rich(text) {
  const made = document.createDocumentFragment();
  const lines = text.split(/\r\n|\r|\n/);
  for (let at = 0; at < lines.length;) at = block(lines, at, made);
  return made;
}

function block(lines, at, into) {
  const line = lines[at];
  const fence = FENCE.exec(line);
  if (fence) return codeBlock(lines, at, fence, into);
  if (!line.trim()) return at + 1;
  const heading = /^(#{1,6})\s+(.*)$/.exec(line);
  if (heading) {
    into.append(el("p", { class: "pg-heading", role: "heading", "aria-level": Math.min(heading[1].length + 2, 6) }, ...inline(heading[2])));
    return at + 1;
  }
  if (ITEM.test(line)) return list(lines, at, into);
  let end = at;
  while (end < lines.length && lines[end].trim() && !FENCE.test(lines[end]) && !/^#{1,6}\s/.test(lines[end]) && !(end > at && ITEM.test(lines[end]))) end += 1;
  into.append(el("p", {}, ...inline(lines.slice(at, end).join("\n"))));
  return end;
}

function codeBlock(lines, at, fence, into) {
  let end = at + 1;
  while (end < lines.length && !lines[end].trim().startsWith(fence[1])) end += 1;
  const source = lines.slice(at + 1, end).join("\n");
  into.append(el("div", { class: "code" },
    el("div", { class: "code-head" }, el("span", {}, fence[2] || "text"),
      el("button", { type: "button", class: "copy", "data-copy": "", "aria-label": "Copy code" }, el("span", { "data-copy-label": true }, "Copy"))),
    el("pre", { tabindex: "0" }, el("code", {}, source))));
  return end + 1;
}

function list(lines, at, into) {
  const first = ITEM.exec(lines[at]);
  const made = el(first[2] ? "ol" : "ul", first[2] && first[2] !== "1" ? { start: first[2] } : {});
  let end = at;
  for (; end < lines.length; end += 1) {
    const item = ITEM.exec(lines[end]);
    if (item) made.append(el("li", {}, ...inline(item[3])));
    else if (/^\s+\S/.test(lines[end]) && made.lastChild) made.lastChild.append("\n", ...inline(lines[end].trim()));
    else break;
  }
  into.append(made);
  return end;
}

function inline(text) {
  const found = [];
  let from = 0;
  for (const match of text.matchAll(INLINE)) {
    if (match.index > from) found.push(text.slice(from, match.index));
    const [whole, , code, bold, italic, label, address, bare] = match;
    if (code !== undefined) found.push(el("code", {}, code.trim()));
    else if (bold !== undefined) found.push(el("strong", {}, ...inline(bold)));
    else if (italic !== undefined) found.push(el("em", {}, ...inline(italic)));
    else found.push(link(label ?? bare, address ?? bare));
    from = match.index + whole.length;
  }
  if (from < text.length) found.push(text.slice(from));
  return found;
}

function link(label, address) {
  return el("a", { href: address, rel: "noopener noreferrer nofollow", target: "_blank" }, label);
}
