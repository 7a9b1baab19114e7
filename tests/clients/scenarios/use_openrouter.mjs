// OpenRouter's provider for the AI SDK.
import { createOpenRouter } from "@openrouter/ai-sdk-provider";
import { features } from "./ai_sdk.mjs";
import * as s from "./scenario.mjs";

await s.run(
  features((apiKey, model) => createOpenRouter({ baseURL: s.BASE_URL, apiKey }).chat(model)),
);
