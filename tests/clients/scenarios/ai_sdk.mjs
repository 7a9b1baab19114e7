// The features of Vercel's AI SDK, the same for each of its providers.
import { APICallError, generateText, Output, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import * as s from "./scenario.mjs";

const weather = tool({
  description: "Weather of a city",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => {
    s.equal(city, "Paris");
    return "21";
  },
});

// `chat(key, model)` makes a language model of the provider.
export function features(chat) {
  const ask = (fields, key = s.KEY, name = s.MODEL) =>
    generateText({ model: chat(key, name), prompt: s.QUESTION, ...fields });
  const refused = (statusCode, key, name) =>
    s.fails(() => ask({ maxRetries: 0 }, key, name), APICallError, { statusCode });
  return {
    whole: async () => {
      const { text, usage } = await ask();
      s.equal(text, s.ANSWER);
      s.equal([usage.inputTokens, usage.outputTokens], [9, 4]);
    },
    streaming: async () => {
      let said = "";
      const { textStream } = streamText({ model: chat(s.KEY, s.MODEL), prompt: s.QUESTION });
      for await (const part of textStream) said += part;
      s.equal(said, s.ANSWER);
    },
    tools: async () => {
      const tools = { get_weather: weather };
      const answer = await ask({ prompt: s.WEATHER, tools, stopWhen: stepCountIs(3) });
      s.equal(answer.text, s.WEATHER_ANSWER);
    },
    structured: async () => {
      const schema = z.object({ name: z.string(), people: z.number() });
      const { output } = await ask({ output: Output.object({ schema }) });
      s.equal(output.name, "Paris");
    },
    vision: async () => {
      const picture = { type: "file", mediaType: "image/png", data: s.PNG };
      const messages = [{ role: "user", content: [{ type: "text", text: "What?" }, picture] }];
      s.equal((await ask({ prompt: undefined, messages })).text, s.PICTURE_ANSWER);
    },
    wrong_key: () => refused(401, s.WRONG_KEY),
    no_credit: () => refused(429, s.POOR_KEY),
    no_model: () => refused(404, s.KEY, s.NO_MODEL),
    retries: async () => s.equal((await ask({}, s.KEY, s.BUSY_MODEL)).text, s.ANSWER),
  };
}
