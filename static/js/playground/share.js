// A link that holds the whole state in its fragment, which browsers never send: nothing is stored on the server.

const MARK = "#s=";

/** Return the present address with a state packed into its fragment. */
export async function link(state) {
  const packed = await through(new Blob([JSON.stringify(state)]), new CompressionStream("deflate-raw"));
  const text = btoa(Array.from(packed, (byte) => String.fromCharCode(byte)).join(""));
  return location.origin + location.pathname + MARK + text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Return the state in the address, null where there is none or it is damaged. */
export async function shared() {
  if (!location.hash.startsWith(MARK)) return null;
  try {
    const text = atob(location.hash.slice(MARK.length).replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
    const data = await through(new Blob([bytes]), new DecompressionStream("deflate-raw"));
    return JSON.parse(new TextDecoder().decode(data));
  } catch {
    return null;
  }
}

async function through(blob, stream) {
  return new Uint8Array(await new Response(blob.stream().pipeThrough(stream)).arrayBuffer());
}
