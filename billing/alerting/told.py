"""A notification in words, as its page and its mail show it; pure."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Told:
    """A notification in words. `used` of `limit` (nano-USD) is its bar; `ends_at` when the budget starts anew."""

    title: str
    text: str
    tone: str
    what_to_do: str
    used: int = 0
    limit: int = 0
    ends_at: datetime | None = None
    is_frozen: bool = False
