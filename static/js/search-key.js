// On public pages `/` goes to the search field, unless single keys are switched off (the dashboard's list of keys).

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || isOff()) return;
  if (event.target.closest("input, textarea, select, [contenteditable]")) return;
  const field = [...document.querySelectorAll("#main input[type=search]")].find((one) => one.offsetParent);
  if (!field) return;
  event.preventDefault();
  field.focus();
  field.select();
});

function isOff() {
  try {
    return localStorage.getItem("exerati.hotkeys") === "off";
  } catch {
    return false; // storage is blocked, and so nothing was switched off
  }
}
