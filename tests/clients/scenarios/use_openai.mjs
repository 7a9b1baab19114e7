// The official `openai` client of npm.
import OpenAI from "openai";
import * as s from "./scenario.mjs";

const client = new OpenAI({ baseURL: s.BASE_URL, apiKey: s.KEY });
const tools = [{ type: "function", function: { name: "get_weather", parameters: s.PARAMETERS } }];
const ask = (content = s.QUESTION, { by = client, ...fields } = {}) =>
  by.chat.completions.create({ model: s.MODEL, messages: [{ role: "user", content }], ...fields });
const text = (answer) => answer.choices[0].message.content;
const by = (apiKey) => client.withOptions({ apiKey });

await s.run({
  whole: async () => {
    const answer = await ask();
    s.equal(text(answer), s.ANSWER);
    s.equal([answer.usage.prompt_tokens, answer.usage.completion_tokens], [9, 4]);
  },
  streaming: async () => {
    let said = "";
    for await (const chunk of await ask(s.QUESTION, { stream: true }))
      said += chunk.choices[0]?.delta.content ?? "";
    s.equal(said, s.ANSWER);
  },
  tools: async () => {
    const asked = { role: "user", content: s.WEATHER };
    const stream = client.chat.completions.stream({ model: s.MODEL, messages: [asked], tools });
    const { message } = (await stream.finalChatCompletion()).choices[0];
    const [call] = message.tool_calls;
    s.equal(JSON.parse(call.function.arguments), { city: "Paris" });
    const messages = [asked, message, { role: "tool", tool_call_id: call.id, content: "21" }];
    s.equal(text(await ask("", { messages, tools })), s.WEATHER_ANSWER);
  },
  structured: async () => {
    const json_schema = { name: "place", strict: true, schema: s.PARAMETERS };
    const answer = await ask(s.QUESTION, { response_format: { type: "json_schema", json_schema } });
    s.equal(JSON.parse(text(answer)), { city: "Paris" });
  },
  vision: async () => {
    const picture = { type: "image_url", image_url: { url: s.PICTURE } };
    s.equal(text(await ask([picture])), s.PICTURE_ANSWER);
  },
  embeddings: async () => {
    const answer = await client.embeddings.create({ model: s.EMBEDDING_MODEL, input: ["a", "b"] });
    s.equal(answer.data.map((item) => item.embedding), [[1, 0], [1, 0]]);
  },
  responses: async () => {
    const answer = await client.responses.create({ model: s.MODEL, input: s.QUESTION });
    s.equal(answer.output_text, s.ANSWER);
  },
  wrong_key: () =>
    s.fails(() => ask(s.QUESTION, { by: by(s.WRONG_KEY) }), OpenAI.AuthenticationError, { status: 401 }),
  no_credit: () =>
    s.fails(() => ask(s.QUESTION, { by: by(s.POOR_KEY) }), OpenAI.RateLimitError, {
      code: "insufficient_quota",
    }),
  no_model: () =>
    s.fails(() => ask(s.QUESTION, { model: s.NO_MODEL }), OpenAI.NotFoundError, {
      code: "model_not_found",
    }),
  retries: async () => s.equal(text(await ask(s.QUESTION, { model: s.BUSY_MODEL })), s.ANSWER),
});
