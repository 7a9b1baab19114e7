// Remembers the language of code samples, on every page and across visits.

const KEY = "exerati.language";

function choose(language) {
  for (const input of document.querySelectorAll("[data-snippets] input[type=radio]")) {
    if (input.value === language) input.checked = true;
  }
}

try {
  const remembered = localStorage.getItem(KEY);
  if (remembered) choose(remembered);
} catch {
  // Storage is blocked: the first language stays.
}

document.addEventListener("change", (event) => {
  if (!event.target.matches("[data-snippets] input[type=radio]")) return;
  choose(event.target.value);
  try {
    localStorage.setItem(KEY, event.target.value);
  } catch {
    // As above.
  }
});
