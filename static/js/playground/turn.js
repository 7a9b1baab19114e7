// How one turn of a conversation looks: its text, its tools, its error, and what may be done with it.

import { callout, el, icon, iconButton } from "./dom.js";
import { rich } from "./rich.js";
import { usd } from "./money.js";

const WHO = { user: "You", assistant: "Model", tool: "Tool result" };

export function turnElement(column, turn, at) {
  const made = el("li", { class: "pg-turn", "data-role": turn.role, "aria-busy": turn.state === "streaming" && "true" });
  made.append(head(column, turn, at, made), content(turn));
  if (turn.files?.length) made.append(files(turn));
  if (turn.toolCalls?.length) made.append(...turn.toolCalls.filter(Boolean).map((call) => toolCall(column, turn, call)));
  if (turn.error) made.append(error(column, turn));
  if (turn.role === "assistant") made.append(foot(column, turn));
  return made;
}

function head(column, turn, at, made) {
  const actions = el("span", { class: "pg-turn-actions" });
  if (!column.running) {
    if (turn.text) actions.append(el("button", { type: "button", class: "copy", "data-copy": turn.text, "aria-label": "Copy this turn", title: "Copy" }, icon("copy"), icon("check")));
    actions.append(
      iconButton("Edit this turn", "pencil", () => edit(column, turn, at, made)),
      iconButton("Delete this turn", "trash-2", () => column.remove(at)),
    );
  }
  return el("div", { class: "pg-turn-head" }, el("span", {}, turn.role === "assistant" ? turn.model ?? WHO.assistant : WHO[turn.role]), actions);
}

function content(turn) {
  if (turn.state === "waiting") return el("div", { class: "pg-text" }, el("span", { class: "skeleton pg-skeleton" }), el("span", { class: "sr-only" }, "Waiting for the first token"));
  const box = el("div", { class: "pg-text" });
  if (turn.reasoning) box.append(el("details", { class: "pg-reasoning", open: turn.state === "streaming" && !turn.text }, el("summary", {}, icon("chevron-right"), "Reasoning"), el("div", {}, turn.reasoning)));
  if (turn.role === "assistant" && turn.state !== "streaming") box.append(rich(turn.text));
  else box.append(el("div", { class: "pg-plain" }, turn.text));
  return box;
}

function files(turn) {
  return el("ul", { class: "chips" }, ...turn.files.map((file) => el("li", { class: "chip" }, picture(file), file.name)));
}

/** Return what a file looks like, small. */
export function picture(file) {
  const image = file.part.image_url?.url ?? "";
  return image.startsWith("data:image/") ? el("img", { src: image, alt: "", class: "pg-thumb" }) : icon("audio-lines");
}

function toolCall(column, turn, call) {
  const box = el("div", { class: "pg-tool" }, el("p", { class: "small" }, icon("braces"), " calls ", el("code", {}, call.name)), el("pre", { tabindex: "0" }, el("code", {}, pretty(call.args))));
  const answered = column.turns.some((one) => one.role === "tool" && one.callId === call.id);
  if (column.running || answered || turn.state === "streaming") return box;
  const id = `pg-result-${call.id}`;
  const field = el("textarea", { id, rows: "2", class: "mono", spellcheck: "false" });
  box.append(el("label", { for: id, class: "small" }, `Result of ${call.name}`), field,
    el("button", { type: "button", class: "button button-sm", onclick: () => give(column, turn, call, field.value) }, "Give this result"));
  return box;
}

/** Add a tool's result; the model goes on once every call of the turn has one. */
function give(column, turn, call, text) {
  column.add({ role: "tool", text, callId: call.id });
  const open = turn.toolCalls.filter((one) => !column.turns.some((other) => other.callId === one.id));
  if (!open.length) column.answer();
}

function pretty(json) {
  try {
    return JSON.stringify(JSON.parse(json), null, 2);
  } catch {
    return json;
  }
}

function error(column, turn) {
  const told = turn.error;
  const advice = column.page.advice[told.code];
  const more = [];
  if (advice) more.push(el("p", {}, el("strong", {}, "What to do: "), advice));
  more.push(el("p", {}, el("a", { href: `/docs/errors#${encodeURIComponent(told.code ?? "")}` }, "What this code means"), turn.requestId ? " · " : "",
    turn.requestId ? el("a", { href: column.page.requestUrl(turn.requestId) }, "Why, with the figures") : ""));
  if (turn.raw) more.push(el("details", { class: "chart-data" }, el("summary", {}, "The answer as it came"), el("pre", { tabindex: "0" }, el("code", {}, JSON.stringify(turn.raw, null, 2)))));
  if (!turn.text && turn === column.turns.at(-1) && !column.running) {
    more.push(el("p", {}, el("button", { type: "button", class: "button button-sm", onclick: () => column.again() }, "Try again")));
  }
  const box = callout("danger", told.code ?? "error", el("p", {}, told.message), ...more);
  box.setAttribute("role", "alert");
  return box;
}

function foot(column, turn) {
  const made = el("p", { class: "pg-foot" });
  const add = (text, title) => made.append(el("span", { class: "num", title }, text));
  if (turn.state === "streaming" && turn.meter) {
    const { out, seconds, cost } = turn.meter;
    add(`about ${out.toLocaleString("en")} tokens`);
    if (seconds > 0.2) add(`${Math.round(out / seconds)} a second`);
    if (cost !== null) add(`about ${usd(cost)}`, "Estimated from the text so far; the exact cost comes with the end");
    return made;
  }
  if (turn.state === "stopped") made.append(el("span", { class: "badge badge-warn" }, icon("square"), "Stopped"), turn.isFree ? "" : " what came until then is charged");
  if (turn.usage) {
    add(`${turn.usage.prompt_tokens.toLocaleString("en")} in`);
    add(`${turn.usage.completion_tokens.toLocaleString("en")} out`);
    made.append(el("strong", { class: "num", "data-pg-cost": true }, usd(turn.cost)));
    if (turn.isFree) add("not charged", "What a live call would cost");
  }
  if (turn.firstMs !== undefined) add(`TTFT ${Math.round(turn.firstMs)} ms`);
  if (turn.seconds && turn.usage) add(`${turn.seconds.toFixed(1)} s`);
  if (turn.finish && turn.finish !== "stop") add(`ended: ${turn.finish}`);
  if (turn.ignored) add(`not used: ${turn.ignored}`, "The provider has no word for these");
  if (turn.requestId && turn.state === "done" && !turn.error) made.append(el("a", { href: column.page.requestUrl(turn.requestId) }, "Request"));
  return made;
}

function edit(column, turn, at, made) {
  const id = `pg-edit-${at}`;
  const field = el("textarea", { id, rows: "3" });
  field.value = turn.text;
  const buttons = el("div", { class: "row" },
    el("button", { type: "button", class: "button button-sm button-primary", onclick: () => column.rewrite(at, field.value, false) }, "Save"),
    turn.role === "user" ? el("button", { type: "button", class: "button button-sm", onclick: () => column.rewrite(at, field.value, true) }, "Save and ask again") : "",
    el("button", { type: "button", class: "button button-sm button-quiet", onclick: () => column.draw() }, "Cancel"));
  field.addEventListener("keydown", (event) => {
    if (event.key === "Escape") column.draw();
  });
  made.replaceChildren(el("label", { for: id, class: "sr-only" }, "Text of this turn"), field, buttons);
  field.focus();
}
