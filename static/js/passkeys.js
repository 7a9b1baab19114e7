// What the browser says when a passkey was not made or not used, in words, beside the button that asked for it.

const WORDS = {
  NotAllowedError: "Nothing happened: it was cancelled, took too long, or this device has no such passkey. Try again.",
  InvalidStateError: "This device has a passkey of your account already.",
  NotSupportedError: "This browser or device cannot do that. Leave out “alone, without the password”, or use another one.",
  SecurityError: "This address cannot have passkeys: they need https, or the name localhost.",
};
const place = document.querySelector("[data-passkey-error]");

document.addEventListener("allauth.error", (event) => {
  const { exception } = event.detail;
  event.preventDefault();
  place.querySelector("[data-passkey-words]").textContent = WORDS[exception.name] ?? `The browser refused: ${exception.message}`;
  place.hidden = false;
});
