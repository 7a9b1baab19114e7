// "Copy page" fetches the Markdown twin; where the clipboard is closed to us, it opens it instead.

const SHOWN_MS = 1500;
const live = document.getElementById("live");

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy-page]");
  if (!button) return;
  try {
    const answer = await fetch(button.dataset.copyPage);
    await navigator.clipboard.writeText(await answer.text());
  } catch {
    location.assign(button.dataset.copyPage);
    return;
  }
  const label = button.querySelector("span");
  label.textContent = live.textContent = "Copied";
  setTimeout(() => {
    label.textContent = "Copy page";
    live.textContent = "";
  }, SHOWN_MS);
});
