// Reads a chart's values on hover and with the arrow keys; the text comes from its data table.

function enhance(figure) {
  const frame = figure.querySelector(".chart-focus");
  const buckets = [...figure.querySelectorAll(".chart-bucket")];
  const table = figure.querySelector(".chart-data table");
  if (!frame || !table || "ready" in figure.dataset) return;
  figure.dataset.ready = "";

  const tip = document.createElement("div");
  tip.className = "chart-tip";
  tip.hidden = true;
  tip.setAttribute("role", "status");
  frame.append(tip);
  frame.tabIndex = 0;
  frame.setAttribute("role", "group");
  frame.setAttribute("aria-label", table.querySelector("tbody a") ? "Chart: arrow keys read its values, Enter shows what a value is made of" : "Chart: arrow keys read its values");
  for (const title of frame.querySelectorAll("title")) title.remove(); // the tip says more

  const linkAt = (index) => table.tBodies[0].rows[index]?.querySelector("a");
  let at = -1;
  function show(index) {
    buckets[at]?.removeAttribute("data-on");
    at = Math.max(-1, Math.min(buckets.length - 1, index));
    tip.hidden = at < 0;
    if (at < 0) return;
    buckets[at].setAttribute("data-on", "");
    tip.replaceChildren(...words(table, at));
    place(tip, frame, (at + 0.5) / buckets.length);
  }

  buckets.forEach((bucket, index) => {
    bucket.addEventListener("pointerenter", () => show(index));
    bucket.addEventListener("click", () => linkAt(index)?.click());
  });
  frame.addEventListener("pointerleave", () => show(-1));
  frame.addEventListener("blur", () => show(-1));
  frame.addEventListener("keydown", (event) => {
    if (event.key === "Enter") return linkAt(at)?.click();
    const target = { ArrowRight: at + 1, ArrowLeft: Math.max(0, at - 1), Home: 0, End: buckets.length - 1, Escape: -1 }[event.key];
    if (target === undefined) return;
    event.preventDefault();
    show(target);
  });
}

function words(table, index) {
  const names = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
  const cells = [...table.tBodies[0].rows[index].cells].map((cell) => cell.textContent);
  const head = document.createElement("strong");
  head.textContent = cells[0];
  const lines = names.slice(1).map((name, i) => {
    const line = document.createElement("span");
    line.append(name + " ", Object.assign(document.createElement("b"), { textContent: cells[i + 1] }));
    return line;
  });
  return [head, ...lines];
}

function place(tip, frame, share) {
  const room = frame.clientWidth;
  const x = share * room + (share > 0.5 ? -tip.offsetWidth - 12 : 12);
  tip.style.left = `${Math.max(0, Math.min(room - tip.offsetWidth, x))}px`;
}

function enhanceAll(root) {
  for (const figure of root.querySelectorAll(".chart")) enhance(figure);
}

enhanceAll(document);
document.addEventListener("htmx:load", (event) => enhanceAll(event.target.parentElement ?? document));
