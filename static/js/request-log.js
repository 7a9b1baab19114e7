// The request log: live rows by one cheap question every two seconds, and requests in a panel at the side.

const live = document.getElementById("log-live");
const panel = document.getElementById("request-panel");
const panelBody = document.getElementById("request-panel-body");
const MOST_ROWS = 500;
let timer = 0;

live.addEventListener("click", () => (timer ? pause() : start()));
document.addEventListener("visibilitychange", () => {
  if (timer && !document.hidden) ask();
});

function start() {
  live.setAttribute("aria-pressed", "true");
  live.querySelector("span").textContent = "Pause";
  timer = setInterval(ask, 1000 * document.getElementById("log-tail").dataset.seconds);
  ask();
}

function pause() {
  clearInterval(timer);
  timer = 0;
  live.setAttribute("aria-pressed", "false");
  live.querySelector("span").textContent = "Live";
}

async function ask() {
  if (document.hidden) return;
  const tail = document.getElementById("log-tail");
  let answer;
  try {
    answer = await fetch(tail.dataset.url, { headers: { "HX-Request": "true" } });
  } catch {
    return; // the next question may get through
  }
  if (answer.redirected || answer.status >= 400) return pause();
  if (answer.status !== 200 || tail !== document.getElementById("log-tail")) return;
  add(new DOMParser().parseFromString(await answer.text(), "text/html"), tail);
}

/** Put the new rows on top; one that is there already stays once. Our own server's markup, parsed without running. */
function add(fresh, tail) {
  tail.dataset.url = fresh.getElementById("log-tail").dataset.url;
  const rows = document.getElementById("log-rows");
  if (!rows) return location.reload(); // the first request of a page that was empty
  const added = [...fresh.querySelector("template").content.querySelectorAll("tr")].filter((row) => !rows.querySelector(`[data-row="${row.dataset.row}"]`));
  rows.prepend(...added);
  for (const row of added) row.classList.add("log-new");
  while (rows.children.length > MOST_ROWS) rows.lastElementChild.remove();
  document.getElementById("log-news").textContent = added.length === 1 ? "1 new request" : `${added.length} new requests`;
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-panel]");
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  open(link);
});

function open(link) {
  panelBody.replaceChildren(...Array.from({ length: 4 }, () => Object.assign(document.createElement("span"), { className: "skeleton panel-skeleton" })));
  panel.querySelector("[data-panel-page]").href = link.href;
  const row = link.closest("tr");
  for (const other of document.querySelectorAll("tr.log-open")) other.classList.remove("log-open");
  row.classList.add("log-open");
  if (panel.open) history.replaceState({ panel: true }, "", link.href);
  else {
    panel.showModal();
    history.pushState({ panel: true }, "", link.href);
  }
  htmx.ajax("GET", link.href, { target: panelBody, swap: "innerHTML" });
}

panel.addEventListener("close", () => {
  if (history.state?.panel) history.back();
  document.querySelector("tr.log-open a[data-panel]")?.focus();
});
panel.addEventListener("click", (event) => {
  if (event.target === panel) panel.close(); // the backdrop
});
window.addEventListener("popstate", () => {
  if (panel.open) panel.close();
});
panel.addEventListener("keydown", (event) => {
  const step = { j: 1, k: -1 }[event.key];
  if (!step || event.target.closest("input, textarea, select")) return;
  const rows = [...document.querySelectorAll("tr[data-row]")];
  const next = rows[rows.findIndex((row) => row.classList.contains("log-open")) + step];
  if (next) open(next.querySelector("th a[data-panel]"));
});
