// Server-sent events from a fetch: bytes in, the data of each event out.

/** Yield the data of each event; lines end at CR, LF or CRLF, and a comment is none. */
export async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  const split = splitter();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    yield* split(value);
  }
  yield* split("\n\n");
}

export function splitter() {
  let rest = "";
  let data = [];
  return function* (text) {
    rest += text;
    for (;;) {
      const end = rest.search(/[\r\n]/);
      // A CR at the very end may be the half of a CRLF.
      if (end < 0 || (rest[end] === "\r" && end === rest.length - 1)) return;
      const line = rest.slice(0, end);
      rest = rest.slice(end + (rest.startsWith("\r\n", end) ? 2 : 1));
      if (line === "") {
        if (data.length) yield data.join("\n");
        data = [];
      } else if (line.startsWith("data:")) {
        data.push(line.slice(line[5] === " " ? 6 : 5));
      }
    }
  };
}
