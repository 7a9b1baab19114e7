// The AI SDK with @ai-sdk/openai-compatible.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { embed } from "ai";
import { features } from "./ai_sdk.mjs";
import * as s from "./scenario.mjs";

const provider = (apiKey) =>
  createOpenAICompatible({
    name: "exerati",
    baseURL: s.BASE_URL,
    apiKey,
    supportsStructuredOutputs: true,
  });

await s.run({
  ...features((key, model) => provider(key)(model)),
  embeddings: async () => {
    const model = provider(s.KEY).embeddingModel(s.EMBEDDING_MODEL);
    s.equal((await embed({ model, value: "a" })).embedding, [1, 0]);
  },
});
