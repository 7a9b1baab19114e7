// One call: sends it under the session, reads the answer as it comes, and fills in the turn.

import { events } from "./sse.js";
import { aboutTokens, estimate } from "./money.js";
import { say } from "./dom.js";

const SENTENCE = /[^.!?]*[.!?]+(?=\s|$)/g;

/** Fill `turn` from the answer to `body`; an error becomes part of the turn. */
export async function ask(address, body, turn, { token, signal, model, onchange }) {
  const started = performance.now();
  const inputTokens = aboutTokens(JSON.stringify(body.messages));
  turn.started = started;
  const speak = speaker();
  turn.tick = () => {
    const out = aboutTokens(turn.text + turn.reasoning);
    turn.meter = { out, seconds: (performance.now() - started) / 1000, cost: estimate(model, inputTokens, out) };
  };
  try {
    const answer = await fetch(address, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRFToken": token },
      body: JSON.stringify(body),
      signal,
    });
    turn.requestId = answer.headers.get("x-request-id") ?? "";
    turn.ignored = answer.headers.get("x-exerati-ignored-params") ?? "";
    if (!answer.headers.get("content-type")?.includes("json") && !answer.headers.get("content-type")?.includes("event-stream")) {
      throw new Error(answer.redirected ? "You are signed out. Load the page and sign in again." : `The server answered ${answer.status}.`);
    }
    if (answer.headers.get("content-type").includes("event-stream")) await stream(answer, turn, { onchange, speak, started });
    else whole(await answer.json(), answer.status, turn);
  } catch (error) {
    if (error.name === "AbortError") turn.state = "stopped";
    else turn.error = { code: "connection", message: error.message };
  }
  turn.seconds = (performance.now() - started) / 1000;
  if (turn.state !== "stopped") turn.state = "done";
  speak.rest(turn.error ? `Error: ${turn.error.message}` : turn.state === "stopped" ? "Stopped" : "");
}

async function stream(answer, turn, { onchange, speak, started }) {
  turn.state = "streaming";
  for await (const data of events(answer.body)) {
    if (data === "[DONE]") return;
    const chunk = JSON.parse(data);
    if (chunk.error) {
      turn.error = chunk.error;
      turn.raw = chunk;
      return;
    }
    const choice = chunk.choices?.[0];
    if (choice?.delta) take(choice.delta, turn, speak);
    if (choice?.finish_reason) turn.finish = choice.finish_reason;
    if (turn.firstMs === undefined && (turn.text || turn.reasoning || turn.toolCalls.length)) turn.firstMs = performance.now() - started;
    if (chunk.usage) use(chunk.usage, turn);
    turn.tick();
    onchange();
  }
}

function take(delta, turn, speak) {
  if (delta.content) {
    turn.text += delta.content;
    speak.more(delta.content);
  }
  turn.reasoning += delta.reasoning_content ?? delta.reasoning ?? "";
  for (const call of delta.tool_calls ?? []) {
    const known = (turn.toolCalls[call.index ?? turn.toolCalls.length] ??= { id: "", name: "", args: "" });
    known.id ||= call.id ?? "";
    known.name += call.function?.name ?? "";
    known.args += call.function?.arguments ?? "";
  }
}

function whole(body, status, turn) {
  if (body.error || status >= 400) {
    turn.error = body.error ?? { code: String(status), message: "The server gave no reason." };
    turn.raw = body;
    return;
  }
  const choice = body.choices[0];
  turn.text = choice.message.content ?? "";
  turn.reasoning = choice.message.reasoning_content ?? choice.message.reasoning ?? "";
  turn.toolCalls = (choice.message.tool_calls ?? []).map((call) => ({ id: call.id, name: call.function.name, args: call.function.arguments }));
  turn.finish = choice.finish_reason;
  use(body.usage, turn);
}

function use(usage, turn) {
  turn.usage = usage;
  turn.cost = usage.cost ?? 0;
}

/** Speak whole sentences to screen readers, not every token. */
function speaker() {
  let waiting = "";
  return {
    more(text) {
      waiting += text;
      const whole = waiting.match(SENTENCE);
      if (!whole || !/[.!?]\s/.test(waiting)) return;
      const spoken = whole.join("");
      say(spoken.trim());
      waiting = waiting.slice(waiting.indexOf(whole.at(-1)) + whole.at(-1).length);
    },
    rest(text) {
      say(`${waiting} ${text}`.trim());
      waiting = "";
    },
  };
}
