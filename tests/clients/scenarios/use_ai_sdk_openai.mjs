// The AI SDK with @ai-sdk/openai, which calls /v1/responses unless told otherwise.
import { createOpenAI } from "@ai-sdk/openai";
import { generateText } from "ai";
import { features } from "./ai_sdk.mjs";
import * as s from "./scenario.mjs";

const provider = (apiKey) => createOpenAI({ baseURL: s.BASE_URL, apiKey });

await s.run({
  ...features((key, model) => provider(key).chat(model)),
  responses: async () => {
    const { text } = await generateText({ model: provider(s.KEY)(s.MODEL), prompt: s.QUESTION });
    s.equal(text, s.ANSWER);
    const again = features((key, model) => provider(key)(model));
    for (const feature of ["streaming", "tools", "structured", "vision"]) await again[feature]();
  },
});
