// Theme and height of rows: applied at once, then stored as a cookie in the background.

document.addEventListener("submit", (event) => {
  const form = event.target.closest("[data-theme-form], [data-rows-form]");
  const { name, value } = event.submitter ?? {};
  if (!form || !value) return;
  event.preventDefault();

  if (value === "system" || value === "normal") delete document.documentElement.dataset[name];
  else document.documentElement.dataset[name] = value;
  const kind = form.matches("[data-rows-form]") ? "[data-rows-form]" : "[data-theme-form]";
  for (const button of document.querySelectorAll(`${kind} button`)) {
    button.setAttribute("aria-pressed", String(button.value === value));
  }

  const body = new URLSearchParams({ [name]: value });
  fetch(form.action, { method: "POST", body, redirect: "manual" });
});
