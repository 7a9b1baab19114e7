// Beginnings to choose from: ours, and the reader's own, which stay in this browser.

const KEY = "exerati.presets";

export const OURS = [
  { name: "Summarise a text", system: "Summarise what the user sends in three bullet points. Keep every figure.", message: "Paste a text here.", values: { temperature: "0.2" } },
  {
    name: "Extract data as JSON",
    system: "Extract the order from the message. Use null for what is not there.",
    message: "Hi, this is Dana Reyes. Please send 12 of the blue folders to Elm Street 4, Springfield.",
    format: "json_schema",
    schema: { type: "object", properties: { customer: { type: ["string", "null"] }, item: { type: ["string", "null"] }, quantity: { type: ["integer", "null"] } }, required: ["customer", "item", "quantity"], additionalProperties: false },
  },
  {
    name: "Call a tool",
    message: "What is the weather in Lisbon?",
    tools: [{ type: "function", function: { name: "get_weather", description: "The weather now.", parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] } } }],
  },
  { name: "Translate", system: "Translate what the user sends into plain German. Answer with the translation only.", message: "The invoice is due in thirty days.", values: { temperature: "0" } },
  { name: "Watch a slow stream", model: "sandbox/slow", message: '{"delay_ms": 150, "tokens": 40}', values: {} },
];

export function own() {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? "[]");
  } catch {
    return [];
  }
}

/** Keep a preset under its name in this browser; false where the browser does not let us. */
export function keep(preset) {
  return write([...own().filter((one) => one.name !== preset.name), preset]);
}

export function forget(name) {
  return write(own().filter((one) => one.name !== name));
}

function write(presets) {
  try {
    localStorage.setItem(KEY, JSON.stringify(presets));
    return true;
  } catch {
    return false;
  }
}
