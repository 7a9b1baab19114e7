"""
The arithmetic of invoices: what of a charge falls to each token class, and whole cents of it all. Pure.

Everything is exact: parts add up to their line, cents to the invoice, and what is less than a cent is carried.
"""

from collections.abc import Sequence
from typing import NamedTuple

from exerati.lib.money import NANOUSD_PER_CENT


class Sealed(NamedTuple):
    """Cents of each amount, their sum, and what is carried to the next invoice (0 or more, less than a cent)."""

    cents: list[int]
    total_cents: int
    carry_nanousd: int


def seal(amounts_nanousd: Sequence[int], *, carry_nanousd: int) -> Sealed:
    """
    Return whole cents for amounts and what was carried: the sum is rounded down once, the rest is carried on.

    Each amount gets its whole cents (rounded down), and the cents that are left go to those with the largest rest.
    Raises ValueError where there is nothing to give a carried cent to.
    """
    total, carry = divmod(sum(amounts_nanousd) + carry_nanousd, NANOUSD_PER_CENT)
    whole = [divmod(amount, NANOUSD_PER_CENT) for amount in amounts_nanousd]
    cents = [quotient for quotient, _ in whole]
    left = total - sum(cents)
    if left > len(cents):
        raise ValueError("there is no amount to give the carried cent to")
    by_rest = sorted(range(len(whole)), key=lambda at: (-whole[at][1], at))
    for at in by_rest[:left]:
        cents[at] += 1
    return Sealed(cents, total, carry)


def split(amount: int, weights: Sequence[int]) -> list[int]:
    """
    Return an amount of 0 or more in proportion to weights of 0 or more: what is left goes to the largest rests.

    Where all weights are 0 the first gets it all.
    """
    total = sum(weights)
    if not total:
        return [amount, *([0] * (len(weights) - 1))]
    parts = [divmod(amount * weight, total) for weight in weights]
    shares = [quotient for quotient, _ in parts]
    left = amount - sum(shares)
    by_rest = sorted(range(len(parts)), key=lambda at: (-parts[at][1], at))
    for at in by_rest[:left]:
        shares[at] += 1
    return shares
