"""
The form of an API key: make, parse, digest. Pure.

`sk-exr-live-` or `sk-exr-test-`, 43 random base-62 characters (256 bits), then the CRC-32 of all that
in 6 base-62 characters: a mistyped or cut key is refused without a query, and a scanner for leaked
keys that checks the sum finds no false ones.
"""

import hashlib
import hmac
import re
import secrets
import string
import zlib
from dataclasses import dataclass, field
from typing import Literal, cast

Mode = Literal["live", "test"]

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
RANDOM_CHARACTERS = 43
CHECKSUM_CHARACTERS = 6
SHOWN_RANDOM_CHARACTERS = 4  # at the start, after the mode; the last 4 are shown too

# Published, for scanners of leaked secrets.
KEY_REGEX = r"\bsk-exr-(live|test)-[0-9A-Za-z]{49}\b"
_WHOLE_KEY = re.compile(r"sk-exr-(live|test)-[0-9A-Za-z]{49}")


class Malformed(ValueError):
    """The text is no key of ours: wrong form, or a wrong checksum."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made: the secret, to be shown once, and what may be stored of it."""

    secret: str = field(repr=False)
    prefix: str
    last4: str


@dataclass(frozen=True, slots=True)
class ParsedKey:
    """A text that has the form of a key; whether there is such a key only the database knows."""

    secret: str = field(repr=False)
    mode: Mode


def make(mode: Mode) -> NewKey:
    """Return a new key from the system's randomness."""
    lead = f"sk-exr-{mode}-"
    body = lead + "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_CHARACTERS))
    secret = body + _checksum(body)
    return NewKey(secret, prefix=body[: len(lead) + SHOWN_RANDOM_CHARACTERS], last4=secret[-4:])


def parse(text: str) -> ParsedKey:
    """Return the key in the text, which must hold nothing else; raises Malformed, and never repeats the text."""
    match = _WHOLE_KEY.fullmatch(text)
    if match is None:
        raise Malformed("not the form of a key")
    if _checksum(text[:-CHECKSUM_CHARACTERS]) != text[-CHECKSUM_CHARACTERS:]:
        raise Malformed("wrong checksum")
    return ParsedKey(text, mode=cast(Mode, match[1]))


def digest(secret: str, *, pepper: bytes) -> bytes:
    """Return the 32 bytes we store and look up: HMAC-SHA-256 of the secret under the server's pepper."""
    return hmac.digest(pepper, secret.encode(), hashlib.sha256)


def _checksum(body: str) -> str:
    """Return the CRC-32 of the body as 6 base-62 characters, padded with zeros at the front."""
    number = zlib.crc32(body.encode())
    characters = []
    for _ in range(CHECKSUM_CHARACTERS):
        number, place = divmod(number, len(ALPHABET))
        characters.append(ALPHABET[place])
    return "".join(reversed(characters))
