"""Prefixed public ids: a time-ordered 128-bit number as 26 characters of Crockford base 32."""

import os
import time
from uuid import UUID

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUES = {char: value for value, char in enumerate(ALPHABET)}
LENGTH = 26


def new_uuid() -> UUID:
    """Return a UUID of version 7: 48 bits of Unix milliseconds, then 74 random bits (RFC 9562, 5.7)."""
    millis = time.time_ns() // 1_000_000
    random = int.from_bytes(_randomness.take(10), "big")
    high, low = random >> 62 & 0xFFF, random & ((1 << 62) - 1)
    return UUID(int=millis << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low)


class _Randomness:
    """The system's randomness, fetched in blocks: one system call for hundreds of ids."""

    BLOCK_BYTES = 4096

    def __init__(self) -> None:
        self._block = b""
        self._at = 0

    def take(self, size: int) -> bytes:
        """Return `size` bytes that were never returned before."""
        if self._at + size > len(self._block):
            self._block, self._at = os.urandom(self.BLOCK_BYTES), 0
        self._at += size
        return self._block[self._at - size : self._at]

    def forget(self) -> None:
        """Drop the block, so that a forked process does not repeat its parent's ids."""
        self._block, self._at = b"", 0


_randomness = _Randomness()
os.register_at_fork(after_in_child=_randomness.forget)

_PAIRS = [high + low for high in ALPHABET for low in ALPHABET]


def encode(uuid: UUID) -> str:
    """Return the 26 characters of a UUID; they sort like the UUID itself."""
    number = uuid.int
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(120, -1, -10)])


def decode(text: str) -> UUID:
    """Return the UUID of 26 characters made by `encode`; raises ValueError for anything else."""
    if len(text) != LENGTH or text[0] > "7":
        raise ValueError("not an id")
    number = 0
    for char in text:
        if char not in _VALUES:
            raise ValueError("not an id")
        number = number << 5 | _VALUES[char]
    return UUID(int=number)


def public_id(prefix: str) -> str:
    """Return a new public id such as `org_01jd…`."""
    return f"{prefix}_{encode(new_uuid())}"
