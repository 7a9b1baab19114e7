"""What a notification of a leaked key says; pure: stored facts in, sentences out."""

from typing import Any

from apikeys import leak_sources
from apikeys.leaks import DAY_CAP_NANOUSD
from apikeys.models import KeyLeak
from billing.alerting.told import Told
from exerati.drawing import formats

Done = KeyLeak.Done
ROTATE = "Rotate the key, and put the new secret where the old one is used."


def told(facts: dict[str, Any]) -> Told:
    """Return what is said of a secret that was found in public."""
    words, what_to_do = _words(facts["done"])
    source = leak_sources.at_the_start(facts["source"])
    place = facts["place"] or "a place that was not named"
    return Told(
        title=f"The key {facts['name']} was found in public",
        text=f"{source} found its secret …{facts['last4']} at {place}. Whoever has read it there can send it. {words}",
        tone="warn" if facts["done"] == Done.REFUSED else "danger",
        what_to_do=f"{what_to_do} Take the secret out of that place, too, its history included.",
    )


def _words(done: str) -> tuple[str, str]:
    """Return what was done, and what is left to do first."""
    return {
        Done.DISABLED: (
            "The key is disabled: its calls are refused.",
            f"{ROTATE} It works again at once.",
        ),
        Done.LIMITED: (
            f"The key works on, and may spend {formats.sum_text(DAY_CAP_NANOUSD)} a day at most.",
            f"{ROTATE} Choose “At once”, then set its budget a day again.",
        ),
        Done.OLD_ENDED: (
            "It was the one before the last rotation, and is refused from now on. The new one works on.",
            "See that nothing uses the old one any more.",
        ),
        Done.REFUSED: (
            "It was refused already, so nothing was changed.",
            "Rotate the key before you enable it again.",
        ),
        Done.TOLD: ("The key works on, as your settings say.", f"{ROTATE} Choose “At once”."),
    }[Done(done)]
