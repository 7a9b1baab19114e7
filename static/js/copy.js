// Copy buttons: data-copy holds the text, or is empty and the code block around it is meant.

const SHOWN_MS = 1500;
const live = document.getElementById("live");

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = sourceOf(button);
  const text = button.dataset.copy || source.textContent;
  if (await write(text)) confirmCopy(button);
  else select(source);
});

function sourceOf(button) {
  const around = button.closest(".code, .copyable, .secret");
  return around?.querySelector("code") ?? button;
}

async function write(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false; // not a secure origin, or the person refused
  }
}

function confirmCopy(button) {
  if ("copied" in button.dataset) return; // it says so already
  const label = button.querySelector("[data-copy-label]");
  const name = label?.textContent;
  button.dataset.copied = "";
  if (label) label.textContent = "Copied";
  live.textContent = "Copied";
  setTimeout(() => {
    delete button.dataset.copied;
    if (label) label.textContent = name;
    live.textContent = "";
  }, SHOWN_MS);
}

function select(element) {
  getSelection().selectAllChildren(element);
  live.textContent = "Selected: press Ctrl or Cmd and C to copy";
}
