// The request as code in three languages, with the reader's base URL; attached files become a placeholder.

/** Return {curl, python, javascript} of a body. */
export function sources(body, base) {
  const shown = withoutFiles(body);
  return { curl: curl(shown, base), python: python(shown, base), javascript: javascript(shown, base) };
}

function withoutFiles(value) {
  if (Array.isArray(value)) return value.map(withoutFiles);
  if (value === null || typeof value !== "object") {
    return typeof value === "string" && value.startsWith("data:") ? `${value.slice(0, value.indexOf(","))},…` : value;
  }
  return Object.fromEntries(Object.entries(value).map(([name, inner]) =>
    [name, name === "data" && typeof inner === "string" && inner.length > 80 ? "…" : withoutFiles(inner)]));
}

function curl(body, base) {
  const json = JSON.stringify(body, null, 2).replaceAll("'", "'\\''");
  return [
    `curl ${base}/chat/completions \\`,
    '  -H "Authorization: Bearer $EXERATI_API_KEY" \\',
    '  -H "Content-Type: application/json" \\',
    `  -d '${json}'`,
  ].join("\n");
}

function python(body, base) {
  const fields = Object.entries(body).map(([name, value]) => `    ${name}=${literal(value, 1)},`);
  const read = body.stream
    ? ["for chunk in answer:", "    if chunk.choices:", '        print(chunk.choices[0].delta.content or "", end="")']
    : ["print(answer.choices[0].message.content)"];
  return [
    "import os", "", "from openai import OpenAI", "",
    "client = OpenAI(", `    base_url=${JSON.stringify(base)},`, '    api_key=os.environ["EXERATI_API_KEY"],', ")",
    "answer = client.chat.completions.create(", ...fields, ")", ...read,
  ].join("\n");
}

/** Return a value as Python writes it; JSON's strings are Python's, too. */
function literal(value, depth) {
  if (value === null) return "None";
  if (value === true || value === false) return value ? "True" : "False";
  if (typeof value !== "object") return JSON.stringify(value);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  const inner = Array.isArray(value)
    ? value.map((one) => literal(one, depth + 1))
    : Object.entries(value).map(([name, one]) => `${JSON.stringify(name)}: ${literal(one, depth + 1)}`);
  const flat = `${open}${inner.join(", ")}${close}`;
  if (flat.length <= 72 && !flat.includes("\n")) return flat;
  const pad = "    ".repeat(depth + 1);
  return `${open}\n${inner.map((one) => `${pad}${one},\n`).join("")}${"    ".repeat(depth)}${close}`;
}

function javascript(body, base) {
  const json = JSON.stringify(body, null, 2).replace(/^(\s*)"([A-Za-z_]\w*)":/gm, "$1$2:");
  const read = body.stream
    ? ["for await (const chunk of answer) {", '  process.stdout.write(chunk.choices[0]?.delta?.content ?? "");', "}"]
    : ["console.log(answer.choices[0].message.content);"];
  return [
    'import OpenAI from "openai";', "",
    "const client = new OpenAI({", `  baseURL: ${JSON.stringify(base)},`, "  apiKey: process.env.EXERATI_API_KEY,", "});",
    `const answer = await client.chat.completions.create(${json});`, ...read,
  ].join("\n");
}
