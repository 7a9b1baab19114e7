"""What a price version prices: bounds and usage are told in its units, and in no others. Pure."""

from typing import TypeVar

from msgspec.structs import replace

from billing.pricing import PriceMissing
from billing.types import Price, Rates, TokenBound, TokenUsage

Counts = TypeVar("Counts", TokenBound, TokenUsage)


def require(price: Price, *rates: str) -> Rates:
    """
    Return the base rates; raises PriceMissing when none of the named ones is given.

    A unit without a fee costs nothing beside tokens, so a price that names neither would make the call free. Free is
    only what says so by a rate of 0.
    """
    if all(getattr(price.rates, name) is None for name in rates):
        raise PriceMissing(rates[0])
    return price.rates


def priced(counts: Counts, *, rates: Rates) -> Counts:
    """Return the counts without the tokens that have no rate: a model priced by the second reports tokens, too."""
    if rates.input_microusd_per_mtok is None:
        counts = replace(counts, input_tokens=0)
    if rates.output_microusd_per_mtok is None:
        counts = replace(counts, output_tokens=0)
    return counts


def bytes_of(*texts: str | None) -> int:
    """Return the bytes of all texts in UTF-8, which are at least as many as their tokens."""
    return sum(len(text.encode()) for text in texts if text)


def told(usage: TokenUsage | None, *, rates: Rates) -> TokenUsage | None:
    """
    Return a provider's usage in the units of the price, None where it tells nothing of one that has a fee.

    Then what is counted here holds: a model priced by the second whose provider told only tokens is not free.
    """
    if usage is None:
        return None
    fees = (
        (rates.image_nanousd, usage.images),
        (rates.second_nanousd, usage.seconds),
        (rates.character_nanousd, usage.characters),
        (rates.search_nanousd, usage.searches),
        (rates.input_microusd_per_mtok, usage.input_tokens),
    )
    if any(rate is not None and not counted for rate, counted in fees):
        return None
    return priced(usage, rates=rates)
