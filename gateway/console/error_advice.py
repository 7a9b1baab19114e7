"""
What pages say below an error of the gateway: what to do, where its message does not end with that itself.

Sentences of our own (`gateway.error_words`) say it; a provider's words and the checks of a body only say what is
wrong.
"""

from typing import Final

from billing.console.refusal_words import MESSAGE_TELLS_FAULT_ONLY
from gateway.documentation.docs_values import ERROR_WORDS

# What helps on a page is not always what helps a program.
ADVICE: Final = {
    **{code: ERROR_WORDS[code][1].replace("`", "") for code in MESSAGE_TELLS_FAULT_ONLY},
    "no_provider": "In the playground the mode Test needs no provider.",
}


def advice(code: str) -> str:
    """Return what to do about an error, "" where its message says it."""
    return ADVICE.get(code, "")
