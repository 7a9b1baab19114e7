// Attached files become data URLs inside the request; the server never fetches an address.

const AUDIO = { "audio/wav": "wav", "audio/x-wav": "wav", "audio/wave": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3" };
export const MOST_BYTES = 20 * 1024 * 1024;

/** Return what the file input may offer for what a model can read. */
export function accepted(inputs) {
  return [...(inputs.includes("image") ? ["image/png", "image/jpeg", "image/webp", "image/gif"] : []),
    ...(inputs.includes("audio") ? Object.keys(AUDIO) : [])].join(",");
}

/** Return {name, part} of a file; rejects with what is wrong with it. */
export async function attach(file) {
  if (file.size > MOST_BYTES) throw new Error(`${file.name} is larger than 20 MB.`);
  const address = await dataUrl(file);
  if (file.type.startsWith("image/")) return { name: file.name, part: { type: "image_url", image_url: { url: address } } };
  const format = AUDIO[file.type];
  if (!format) throw new Error(`${file.name} is neither an image nor WAV or MP3.`);
  return { name: file.name, part: { type: "input_audio", input_audio: { data: address.slice(address.indexOf(",") + 1), format } } };
}

function dataUrl(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => resolve(reader.result));
    reader.addEventListener("error", () => reject(new Error(`${file.name} cannot be read.`)));
    reader.readAsDataURL(file);
  });
}
