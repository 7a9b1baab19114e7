// What every scenario of Node uses: where the gateway is, and one JSON line for each feature tried.
import assert from "node:assert/strict";

const env = process.env;
export const BASE_URL = env.EXERATI_BASE_URL;
export const ROOT_URL = BASE_URL.replace(/\/v1$/, "");
export const KEY = env.EXERATI_KEY;
export const POOR_KEY = env.EXERATI_POOR_KEY; // of an organization without credit
export const WRONG_KEY = "sk-live-of-nobody";
export const MODEL = env.EXERATI_MODEL;
export const BUSY_MODEL = env.EXERATI_BUSY_MODEL; // turns the first call away
export const EMBEDDING_MODEL = env.EXERATI_EMBEDDING_MODEL;
export const NO_MODEL = "no-such-model";

export const QUESTION = "What is the capital of France?";
export const ANSWER = "Hello world";
export const WEATHER = "What is the weather in Paris?";
export const WEATHER_ANSWER = "It is 21 degrees in Paris.";
export const PICTURE_ANSWER = "I see a picture.";
export const PNG =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";
export const PICTURE = `data:image/png;base64,${PNG}`;
export const PARAMETERS = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
export const equal = assert.deepEqual;

// Call, and assert that it fails with this class and these attributes.
export async function fails(call, kind, attributes) {
  const error = await call().then(
    () => assert.fail(`${kind.name} was not thrown`),
    (error) => error.lastError ?? error,
  );
  assert.ok(kind.isInstance ? kind.isInstance(error) : error instanceof kind, String(error?.stack));
  for (const [name, wanted] of Object.entries(attributes)) equal(error[name], wanted);
}

// Try the functions in order, each named for its feature; a failure of one does not stop the others.
export async function run(features) {
  for (const [feature, attempt] of Object.entries(features)) {
    let line = { feature, ok: true };
    try {
      await attempt();
    } catch (error) {
      line = { feature, ok: false, error: String(error.stack).slice(0, 3000) };
    }
    console.log(JSON.stringify(line));
  }
}
