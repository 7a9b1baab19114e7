// Filter forms apply at once when a choice changes; the Apply button stays for those without JavaScript.

for (const form of document.querySelectorAll("form[data-autosubmit]")) {
  form.querySelector("button[type=submit]").classList.add("sr-only");
  form.addEventListener("change", (event) => {
    if (event.target.name && !event.target.matches("input[type=search]")) form.requestSubmit();
  });
  // An address without empty parameters is one that people can read and share.
  form.addEventListener("formdata", (event) => {
    for (const [name, value] of [...event.formData]) if (!value) event.formData.delete(name);
  });
}
