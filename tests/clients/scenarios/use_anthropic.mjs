// The official `@anthropic-ai/sdk`.
import Anthropic from "@anthropic-ai/sdk";
import * as s from "./scenario.mjs";

const client = new Anthropic({ baseURL: s.ROOT_URL, apiKey: s.KEY });
const tools = [{ name: "get_weather", input_schema: s.PARAMETERS }];
const body = (content, fields) => ({
  model: s.MODEL,
  max_tokens: 50,
  messages: [{ role: "user", content }],
  ...fields,
});
const ask = (content = s.QUESTION, { by = client, ...fields } = {}) =>
  by.messages.create(body(content, fields));
const by = (apiKey) => new Anthropic({ baseURL: s.ROOT_URL, apiKey });

await s.run({
  whole: async () => {
    const message = await ask();
    s.equal(message.content[0].text, s.ANSWER);
    s.equal([message.usage.input_tokens, message.usage.output_tokens], [9, 4]);
  },
  streaming: async () =>
    s.equal(await client.messages.stream(body(s.QUESTION)).finalText(), s.ANSWER),
  tools: async () => {
    const asked = { role: "user", content: s.WEATHER };
    const message = await client.messages.stream(body(s.WEATHER, { tools })).finalMessage();
    const call = message.content.find((block) => block.type === "tool_use");
    s.equal(call.input, { city: "Paris" });
    const result = { type: "tool_result", tool_use_id: call.id, content: "21" };
    const said = { role: "assistant", content: message.content };
    const messages = [asked, said, { role: "user", content: [result] }];
    s.equal((await ask("", { messages, tools })).content[0].text, s.WEATHER_ANSWER);
  },
  structured: async () => {
    const tool_choice = { type: "tool", name: "get_weather" };
    s.equal((await ask(s.QUESTION, { tools, tool_choice })).content[0].input, { city: "Paris" });
  },
  vision: async () => {
    const source = { type: "base64", media_type: "image/png", data: s.PNG };
    s.equal((await ask([{ type: "image", source }])).content[0].text, s.PICTURE_ANSWER);
  },
  wrong_key: () =>
    s.fails(() => ask(s.QUESTION, { by: by(s.WRONG_KEY) }), Anthropic.AuthenticationError, { status: 401 }),
  no_credit: () =>
    s.fails(() => ask(s.QUESTION, { by: by(s.POOR_KEY) }), Anthropic.RateLimitError, { status: 429 }),
  no_model: () =>
    s.fails(() => ask(s.QUESTION, { model: s.NO_MODEL }), Anthropic.NotFoundError, { status: 404 }),
  retries: async () =>
    s.equal((await ask(s.QUESTION, { model: s.BUSY_MODEL })).content[0].text, s.ANSWER),
});
