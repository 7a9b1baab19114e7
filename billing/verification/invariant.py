"""What `ledger verify` checks: a statement about money, as a query that finds what breaks it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Invariant:
    """
    A statement that must hold. `rows` counts what it is about; `broken` selects what breaks it, a text each.
    """

    name: str
    meaning: str
    rows: str
    broken: str
