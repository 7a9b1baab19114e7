// The request that the page stands for: settings and one column's turns in, the JSON body out.

const NUMBERS = new Set(["number"]);

export class BadJson extends Error {
  constructor(field, message) {
    super(message);
    this.field = field;
  }
}

/** Return the JSON of a text field, `empty` where it is blank; throws BadJson. */
export function parsed(field, empty) {
  const text = field.value.trim();
  if (!text) return empty;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new BadJson(field, `This is no JSON: ${error.message}.`);
  }
}

export function supports(model, name) {
  if (!model) return true;
  const known = model.parameters;
  if (name === "max_completion_tokens") return known.includes(name) || known.includes("max_tokens");
  return known.includes(name);
}

/** Return the values that are set: numbers, choices, and lists of lines. */
export function settings(form, parameters) {
  const set = {};
  for (const parameter of parameters) {
    const value = form.elements[parameter.name].value.trim();
    if (!value) continue;
    if (NUMBERS.has(parameter.kind)) set[parameter.name] = Number(value);
    else if (parameter.kind === "lines") set[parameter.name] = value.split("\n").filter(Boolean).slice(0, 4);
    else set[parameter.name] = value;
  }
  return set;
}

/** Return the body of a call; what the model does not support is left out. */
export function body({ model, choice, system, turns, values, format, schema, tools, stream }) {
  const made = { model, messages: messages(system, turns) };
  for (const [name, value] of Object.entries(values)) if (supports(choice, name)) made[name] = value;
  if (tools.length && supports(choice, "tools")) made.tools = tools;
  if (format && supports(choice, "response_format")) {
    made.response_format = format === "json_schema"
      ? { type: format, json_schema: { name: "answer", strict: true, schema } }
      : { type: format };
  }
  if (stream) Object.assign(made, { stream: true, stream_options: { include_usage: true } });
  return made;
}

function messages(system, turns) {
  const found = system.trim() ? [{ role: "system", content: system }] : [];
  return found.concat(turns.filter((turn, at) => !failed(turn) && !isGivenUp(turns, at)).map(message));
}

/** Whether an answer came to nothing but its error. */
export function failed(turn) {
  return Boolean(turn?.error && !turn.text);
}

/** Whether a message failed and another was written after it: it is not sent, and paid for, once more. */
function isGivenUp(turns, at) {
  return turns[at].role === "user" && failed(turns[at + 1]) && turns.length > at + 2;
}

function message(turn) {
  if (turn.role === "tool") return { role: "tool", tool_call_id: turn.callId, content: turn.text };
  if (turn.role === "assistant") {
    const made = { role: "assistant", content: turn.text };
    if (turn.toolCalls?.length) {
      made.tool_calls = turn.toolCalls.map(({ id, name, args }) => ({ id, type: "function", function: { name, arguments: args } }));
    }
    return made;
  }
  if (!turn.files?.length) return { role: "user", content: turn.text };
  const parts = turn.text ? [{ type: "text", text: turn.text }] : [];
  return { role: "user", content: parts.concat(turn.files.map((file) => file.part)) };
}

/** Return the turns and settings of a body that the API would take, for a shared link or a replay. */
export function fromBody(given) {
  const found = { model: given.model, system: "", turns: [], values: {}, tools: given.tools ?? [], format: "", schema: null };
  for (const one of given.messages ?? []) {
    const text = typeof one.content === "string" ? one.content : (one.content ?? []).map((part) => part.text ?? "").join("");
    if (one.role === "system" || one.role === "developer") found.system += (found.system ? "\n" : "") + text;
    else if (one.role === "tool") found.turns.push({ role: "tool", text, callId: one.tool_call_id });
    else {
      const files = Array.isArray(one.content)
        ? one.content.filter((part) => part.type !== "text").map((part) => ({ name: part.type, part })) : [];
      const toolCalls = (one.tool_calls ?? []).map((call) => ({ id: call.id, name: call.function.name, args: call.function.arguments }));
      found.turns.push({ role: one.role, text, files, toolCalls });
    }
  }
  for (const [name, value] of Object.entries(given)) found.values[name] = value;
  if (given.max_tokens) found.values.max_completion_tokens ??= given.max_tokens;
  if (given.response_format) {
    found.format = given.response_format.type === "text" ? "" : given.response_format.type;
    found.schema = given.response_format.json_schema?.schema ?? null;
  }
  return found;
}
