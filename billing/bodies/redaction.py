"""
What is taken out of a body before it is stored: credentials, email addresses, card numbers, and files. Pure.

Patterns find what has a form of its own; no pattern finds a name or a street, which the page says, too.
"""

import re
from typing import Final

MOST_CHARACTERS: Final = 262_144  # of a request or an answer; the rest is cut off

_RULES: Final = (
    ("key", re.compile(r"\bsk-[A-Za-z0-9_-]{16,}")),  # ours, OpenAI's, Anthropic's
    ("key", re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")),
    ("key", re.compile(r"\bAIza[A-Za-z0-9_-]{30,}")),
    ("key", re.compile(r"\b(?:gh[pousr]_|github_pat_)[A-Za-z0-9_]{20,}")),
    ("key", re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10,}")),
    ("key", re.compile(r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}")),
    ("key", re.compile(r"\bhf_[A-Za-z0-9]{20,}")),
    ("token", re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}")),
    ("token", re.compile(r"(?i)(?<=\bbearer )[A-Za-z0-9._~+/-]{16,}=*")),
    (
        "private key",
        re.compile(
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*KEY-----|\Z)", re.DOTALL
        ),
    ),
    (
        "email",
        re.compile(r"\b[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b"),
    ),
)
_CARD: Final = re.compile(r"(?<![\d.])\d(?:[ -]?\d){12,18}(?![\d.])")
_FILE: Final = re.compile(r"data:([a-z]+/[a-z0-9.+-]+);base64,[A-Za-z0-9+/=_-]{64,}", re.IGNORECASE)
_LONG_BASE64: Final = re.compile(r'(?<=")[A-Za-z0-9+/]{1024,}={0,2}(?=")')


def redacted(text: str) -> str:
    """Return the text without what the rules find; each is replaced by `[redacted …]`, files by their size."""
    text = _FILE.sub(lambda found: f"[{found[1]} of {len(found[0]):,} characters]", text)
    text = _LONG_BASE64.sub(lambda found: f"[file of {len(found[0]):,} characters]", text)
    for name, pattern in _RULES:
        text = pattern.sub(f"[redacted {name}]", text)
    return _CARD.sub(_card, text)


def cut(text: str) -> str:
    """Return as much as is stored of a text, and how much is missing."""
    if len(text) <= MOST_CHARACTERS:
        return text
    return f"{text[:MOST_CHARACTERS]} [{len(text) - MOST_CHARACTERS:,} more characters were not stored]"


def _card(found: re.Match[str]) -> str:
    digits = [int(one) for one in found[0] if one.isdigit()]
    return "[redacted card number]" if _is_card(digits) else found[0]


def _is_card(digits: list[int]) -> bool:
    """Say whether the digits pass the check that every card number passes (Luhn), and are not all alike."""
    doubled = [
        digit if place % 2 == 0 else digit * 2 - 9 * (digit > 4)
        for place, digit in enumerate(reversed(digits))
    ]
    return sum(doubled) % 10 == 0 and len(set(digits)) > 1
