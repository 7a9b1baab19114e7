// The playground: wires the settings, the composer and up to three conversations together.

import { Column } from "./playground/column.js";
import { sources } from "./playground/code.js";
import { el, icon, iconButton, say, toast } from "./playground/dom.js";
import { accepted, attach } from "./playground/files.js";
import { usd } from "./playground/money.js";
import { OURS, forget, keep, own } from "./playground/presets.js";
import { BadJson, body, fromBody, parsed, settings, supports } from "./playground/request.js";
import { link, shared } from "./playground/share.js";
import { picture } from "./playground/turn.js";

const form = document.getElementById("playground");
const data = JSON.parse(document.getElementById("pg-data").textContent);
const find = (selector) => document.querySelector(selector);
const fields = { system: find("#pg-system"), message: find("#pg-message"), format: find("#pg-format"), schema: find("#pg-schema"), tools: find("#pg-tools"), stream: find("#pg-stream"), mode: find("#pg-mode"), files: find("#pg-files") };
const EXAMPLE_SCHEMA = { type: "object", properties: { answer: { type: "string" } }, required: ["answer"], additionalProperties: false };
let attached = [];

const page = {
  models: new Map(data.models.map((model) => [model.name, model])),
  choices: data.models.map((model) => ({ value: model.name, label: `${model.title} ${model.owner}`, note: note(model) })),
  advice: data.advice,
  token: form.elements.csrfmiddlewaretoken.value,
  usd,
  changed,
  requestUrl: (id) => form.dataset.request.replace("req_ID", id),
  callUrl() {
    const query = new URLSearchParams({ mode: fields.mode.value, project: form.elements.project?.value ?? "" });
    return `${form.dataset.call}?${query}`;
  },
  body: (column) => request(column),
  isFree: () => fields.mode.value === "test",
};
const columns = [new Column(page, find(".pg-column"))];

function note(model) {
  const price = model.input_rate === null ? "" : `${usd(model.input_rate / 1e6)} in, ${usd((model.output_rate ?? 0) / 1e6)} out / 1M`;
  return model.is_served ? price : "test only: no provider is on";
}

function request(column, stream = fields.stream.checked) {
  return body({
    model: column.field.value.trim(),
    choice: column.model,
    system: fields.system.value,
    turns: column.turns,
    values: settings(form, data.parameters),
    format: fields.format.value,
    schema: fields.format.value === "json_schema" ? parsed(fields.schema, EXAMPLE_SCHEMA) : null,
    tools: parsed(fields.tools, []),
    stream,
  });
}

/** Show what the chosen models support, and whether something runs. */
function changed() {
  const chosen = columns.map((column) => column.model);
  for (const box of document.querySelectorAll("[data-parameter]")) {
    const without = chosen.filter((model) => !supports(model, box.dataset.parameter));
    box.hidden = without.length === chosen.length;
    const told = box.querySelector(".pg-not-by");
    told.hidden = box.hidden || !without.length;
    told.textContent = without.length ? `Not sent to ${without.map((model) => model.name).join(", ")}` : "";
  }
  const inputs = [...new Set(chosen.flatMap((model) => model?.inputs ?? []))];
  fields.files.accept = accepted(inputs);
  find("[data-pg-attach]").hidden = !fields.files.accept;
  const running = columns.some((column) => column.running);
  find("[data-pg-stop]").hidden = !running;
  find("[data-pg-send]").hidden = running;
  find("[data-pg-compare]").disabled = running || columns.length >= data.most;
  find("[data-pg-schema]").hidden = fields.format.value !== "json_schema";
}

function send() {
  if (columns.some((column) => column.running)) return;
  const text = fields.message.value.trim();
  const last = columns[0].turns.at(-1);
  if (!text && !attached.length && last?.role !== "user" && last?.role !== "tool") {
    fields.message.focus();
    return;
  }
  if (!valid()) return;
  if (text || attached.length) {
    for (const column of columns) column.add({ role: "user", text, files: attached });
  }
  fields.message.value = "";
  attached = [];
  drawAttached();
  for (const column of columns) column.answer();
}

/** Check the two JSON fields and the models; the first that is wrong gets the focus and the reason. */
function valid() {
  for (const field of [fields.tools, fields.schema]) show(field, "");
  try {
    request(columns[0]);
    if (!Array.isArray(parsed(fields.tools, []))) throw new BadJson(fields.tools, "Tools are a JSON list.");
  } catch (error) {
    if (!(error instanceof BadJson)) throw error;
    show(error.field, error.message);
    error.field.focus();
    return false;
  }
  const unknown = columns.find((column) => !column.model);
  if (unknown) {
    toast(`No chat model is called ${unknown.field.value || "that"}.`, "warn");
    unknown.field.focus();
  }
  return !unknown;
}

function show(field, message) {
  const told = document.getElementById(field.getAttribute("aria-describedby"));
  told.hidden = !message;
  told.textContent = message;
  field.setAttribute("aria-invalid", String(Boolean(message)));
}

function drawAttached() {
  const list = find("[data-pg-attached]");
  list.hidden = !attached.length;
  list.replaceChildren(...attached.map((file, at) => el("li", { class: "chip" }, picture(file), file.name, iconButton(`Take ${file.name} off`, "x", () => {
    attached = attached.filter((_, other) => other !== at);
    drawAttached();
  }))));
}

function compare(model = "") {
  if (columns.length >= data.most) return;
  const element = Column.element(columns.length + 1);
  find("[data-pg-columns]").append(element);
  const column = new Column(page, element);
  column.field.value = model || columns[0].field.value;
  column.turns = columns[0].turns.filter((turn) => turn.role === "user").map((turn) => ({ ...turn }));
  column.draw();
  columns.push(column);
  element.querySelector("[data-pg-close]").addEventListener("click", () => {
    column.stop();
    columns.splice(columns.indexOf(column), 1);
    element.remove();
    changed();
    columns[0].field.focus();
  });
  changed();
  column.field.focus();
}

function clear() {
  for (const column of columns) column.clear();
  fields.message.value = "";
  fields.message.focus();
  say("The conversation is cleared");
}

/** Fill the page from a state: a preset, a shared link or a request of the log. */
function fill({ model, models, system = "", message = "", turns = [], values = {}, tools = [], format = "", schema = null }) {
  const names = models ?? (model ? [model] : []);
  if (names[0]) columns[0].field.value = names[0];
  columns[0].turns = turns.map((turn) => ({ state: "done", toolCalls: [], reasoning: "", ...turn }));
  for (const other of names.slice(1)) compare(other);
  fields.system.value = system;
  fields.message.value = message;
  fields.tools.value = tools.length ? JSON.stringify(tools, null, 2) : "";
  fields.format.value = format;
  fields.schema.value = format === "json_schema" ? JSON.stringify(schema ?? EXAMPLE_SCHEMA, null, 2) : "";
  for (const parameter of data.parameters) {
    const value = values[parameter.name] ?? "";
    form.elements[parameter.name].value = Array.isArray(value) ? value.join("\n") : value;
  }
  columns[0].draw();
  changed();
}

/** Return the state of the page without attached files, which are too large for an address. */
function state() {
  return {
    models: columns.map((column) => column.field.value),
    system: fields.system.value,
    message: fields.message.value,
    turns: columns[0].turns.map(({ role, text, callId, toolCalls }) => ({ role, text, callId, toolCalls })),
    values: settings(form, data.parameters),
    tools: parsed(fields.tools, []),
    format: fields.format.value,
    schema: fields.schema.value ? parsed(fields.schema, null) : null,
  };
}

async function share() {
  if (!valid()) return;
  const address = await link(state());
  const files = columns[0].turns.some((turn) => turn.files?.length) ? " Attached files are not in it." : "";
  try {
    await navigator.clipboard.writeText(address);
    toast(`Link copied. It holds everything; the server stores nothing.${files}`);
  } catch {
    history.replaceState(null, "", address);
    toast(`The link is in the address bar.${files}`);
  }
}

function showCode() {
  if (!valid()) return;
  const written = { ...columns[0], turns: [...columns[0].turns], field: columns[0].field, model: columns[0].model };
  if (fields.message.value.trim()) written.turns.push({ role: "user", text: fields.message.value.trim(), files: attached });
  for (const [language, source] of Object.entries(sources(request(written), form.dataset.base))) {
    find(`[data-pg-source="${language}"]`).textContent = source;
  }
  find("#pg-code").showModal();
}

function drawPresets() {
  const menu = find("[data-pg-presets]");
  const choose = (preset) => el("button", { type: "button", class: "menu-item", onclick: () => {
    fill(preset);
    menu.closest("details").open = false;
    fields.message.focus();
  } }, preset.name);
  const mine = own().map((preset) => el("span", { class: "row pg-own" }, choose(preset), iconButton(`Forget ${preset.name}`, "x", () => {
    forget(preset.name);
    drawPresets();
  })));
  const name = el("input", { id: "pg-preset-name", placeholder: "Name", maxlength: "60" });
  const save = el("button", { type: "button", class: "button button-sm", onclick: () => {
    if (!name.value.trim() || !valid()) return;
    if (keep({ name: name.value.trim(), ...state() })) toast("Kept in this browser.");
    else toast("This browser does not let the page keep anything.", "warn");
    drawPresets();
  } }, "Keep");
  menu.replaceChildren(
    el("span", { class: "menu-label" }, "Begin with"), ...OURS.map(choose),
    ...(mine.length ? [el("hr"), el("span", { class: "menu-label" }, "Yours, in this browser"), ...mine] : []),
    el("hr"), el("label", { class: "menu-label", for: "pg-preset-name" }, "Keep this page as"), el("span", { class: "row pg-keep" }, name, save));
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
form.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    send();
  }
});
find("[data-pg-stop-all]").addEventListener("click", () => columns.forEach((column) => column.stop()));
find("[data-pg-compare]").addEventListener("click", () => compare());
find("[data-pg-clear]").addEventListener("click", clear);
find("[data-pg-share]").addEventListener("click", share);
find("[data-pg-code]").addEventListener("click", showCode);
find("[data-pg-pick]").addEventListener("click", () => fields.files.click());
find("[data-pg-example-tool]").addEventListener("click", () => {
  fields.tools.value = JSON.stringify(OURS[2].tools, null, 2);
});
fields.format.addEventListener("change", () => {
  if (fields.format.value === "json_schema" && !fields.schema.value) fields.schema.value = JSON.stringify(EXAMPLE_SCHEMA, null, 2);
  changed();
});
fields.files.addEventListener("change", async () => {
  for (const file of fields.files.files) {
    try {
      attached.push(await attach(file));
    } catch (error) {
      toast(error.message, "warn");
    }
  }
  fields.files.value = "";
  drawAttached();
});

fields.message.required = false; // an attached file, or a turn that waits for its answer, is enough
drawPresets();
const start = (await shared()) ?? (data.replay?.body ? fromBody(data.replay.body) : null);
if (start) fill(start);
else if (!columns[0].thread.children.length) columns[0].draw();
changed();
