// LangChain's @langchain/openai.
import { HumanMessage, ToolMessage } from "@langchain/core/messages";
import { ChatOpenAI, OpenAIEmbeddings } from "@langchain/openai";
import { z } from "zod";
import * as s from "./scenario.mjs";

const configuration = { baseURL: s.BASE_URL };
const chat = (apiKey = s.KEY, model = s.MODEL) => new ChatOpenAI({ apiKey, model, configuration });
const tools = [{ type: "function", function: { name: "get_weather", parameters: s.PARAMETERS } }];
const refused = (status, ...of) => s.fails(() => chat(...of).invoke(s.QUESTION), Error, { status });

await s.run({
  whole: async () => s.equal((await chat().invoke(s.QUESTION)).content, s.ANSWER),
  streaming: async () => {
    let said = "";
    for await (const chunk of await chat().stream(s.QUESTION)) said += chunk.content;
    s.equal(said, s.ANSWER);
  },
  tools: async () => {
    const bound = chat().bindTools(tools);
    const asked = new HumanMessage(s.WEATHER);
    const message = await bound.invoke([asked]);
    const [call] = message.tool_calls;
    s.equal(call.args, { city: "Paris" });
    const result = new ToolMessage({ content: "21", tool_call_id: call.id });
    s.equal((await bound.invoke([asked, message, result])).content, s.WEATHER_ANSWER);
  },
  structured: async () => {
    const schema = z.object({ city: z.string() });
    s.equal(await chat().withStructuredOutput(schema, { method: "jsonSchema" }).invoke(s.QUESTION), {
      city: "Paris",
    });
  },
  vision: async () => {
    const content = [{ type: "image_url", image_url: { url: s.PICTURE } }];
    s.equal((await chat().invoke([new HumanMessage({ content })])).content, s.PICTURE_ANSWER);
  },
  embeddings: async () => {
    const model = new OpenAIEmbeddings({ apiKey: s.KEY, model: s.EMBEDDING_MODEL, configuration });
    s.equal(await model.embedQuery("a"), [1, 0]);
  },
  wrong_key: () => refused(401, s.WRONG_KEY),
  no_credit: () => refused(429, s.POOR_KEY),
  no_model: () => refused(404, s.KEY, s.NO_MODEL),
  retries: async () => s.equal((await chat(s.KEY, s.BUSY_MODEL).invoke(s.QUESTION)).content, s.ANSWER),
});
