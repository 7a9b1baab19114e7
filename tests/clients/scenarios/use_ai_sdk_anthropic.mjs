// The AI SDK with @ai-sdk/anthropic.
import { createAnthropic } from "@ai-sdk/anthropic";
import { features } from "./ai_sdk.mjs";
import * as s from "./scenario.mjs";

await s.run(
  features((apiKey, model) => createAnthropic({ baseURL: s.BASE_URL, apiKey })(model)),
);
