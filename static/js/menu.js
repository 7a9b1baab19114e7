// Menus made of <details> close on a click outside and on Escape; the summary gets the focus back.

function openMenus() {
  return document.querySelectorAll("details:is(.switcher, .menu-of)[open]");
}

document.addEventListener("click", (event) => {
  for (const menu of openMenus()) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of openMenus()) {
    menu.open = false;
    menu.querySelector("summary").focus();
    event.preventDefault();
  }
});

// An error summary is read first.
document.querySelector("[data-autofocus]")?.focus();
