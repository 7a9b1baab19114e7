"""Spells out how a price came about, line by line and exact to the pico-dollar; pure, for the page of a request."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from msgspec import structs

from billing.pricing import PriceMissing, charge_nanousd, rates_of
from billing.types import Price, Rates, TokenUsage

PICO_PER_NANO = 1000

INPUT_PARTS = (
    ("cache_read", "Cached input"),
    ("cache_write_5m", "Cache write, 5 min"),
    ("cache_write_1h", "Cache write, 1 h"),
    ("audio_input", "Audio input"),
    ("image_input", "Image input"),
)
OUTPUT_PARTS = (
    ("reasoning", "Reasoning"),
    ("audio_output", "Audio output"),
    ("image_output", "Image output"),
)
FEES = (
    ("image", "images", "Images"),
    ("second", "seconds", "Seconds"),
    ("character", "characters", "Characters"),
    ("search", "searches", "Searches"),
    ("call", "calls", "Call"),
)


@dataclass(frozen=True, slots=True)
class Line:
    """A count times a rate: pico-USD per token (`per_million` is then true) or nano-USD per unit."""

    label: str
    count: int
    rate: int
    per_million: bool

    @property
    def picousd(self) -> int:
        """Return the exact product."""
        return self.count * self.rate * (1 if self.per_million else PICO_PER_NANO)

    @property
    def rate_text(self) -> str:
        """Return the rate in USD, per million tokens or per unit."""
        return _usd(Decimal(self.rate).scaleb(-6 if self.per_million else -9))

    @property
    def amount_text(self) -> str:
        """Return the exact product in USD."""
        return _usd(Decimal(self.picousd).scaleb(-12))


@dataclass(frozen=True, slots=True)
class Formula:
    """The lines of one price, their exact sum, and the price after the one rounding, half to even."""

    lines: tuple[Line, ...]
    price_nanousd: int
    service_tier: str = ""

    @property
    def sum_text(self) -> str:
        """Return the exact sum in USD, before rounding."""
        return _usd(Decimal(sum(line.picousd for line in self.lines)).scaleb(-12))

    @property
    def is_rounded(self) -> bool:
        """Say whether the sum had more digits than a nano-dollar has."""
        return sum(line.picousd for line in self.lines) != self.price_nanousd * PICO_PER_NANO


def explain(usage: TokenUsage, *, price: Price, price_nanousd: int) -> Formula | None:
    """
    Return the lines that add up to a stored price, or None where the rates do not give it.

    The tier that the usage names comes first; calls of before tiers were stored find theirs by trying. None is right
    for prices that were estimated on other counts.
    """
    try:
        for tier in (usage.service_tier, "", *price.service_tiers):
            served = structs.replace(usage, service_tier=tier)
            if charge_nanousd(served, price=price) == price_nanousd:
                rates = rates_of(served, price=price)
                return Formula(tuple(_lines(usage, rates)), price_nanousd, tier)
    except PriceMissing:
        return None  # such a call was waived, or priced on what could be counted
    return None


def _lines(usage: TokenUsage, rates: Rates) -> Iterator[Line]:
    yield from _token_lines(usage, rates, INPUT_PARTS, total="input", label="Input")
    yield from _token_lines(usage, rates, OUTPUT_PARTS, total="output", label="Output")
    for rate_name, unit, title in FEES:
        rate = getattr(rates, f"{rate_name}_nanousd")
        if rate and getattr(usage, unit):
            yield Line(title, getattr(usage, unit), rate, per_million=False)


def _token_lines(
    usage: TokenUsage, rates: Rates, parts: tuple[tuple[str, str], ...], *, total: str, label: str
) -> Iterator[Line]:
    """Yield the plain tokens first, then each part that has a rate of its own, as the charge is made."""
    remaining = getattr(usage, f"{total}_tokens")
    lines = []
    for name, title in parts:
        rate = getattr(rates, f"{name}_microusd_per_mtok")
        taken = min(getattr(usage, f"{name}_tokens"), remaining)
        if rate is not None and taken:
            lines.append(Line(title, taken, rate, per_million=True))
            remaining -= taken
    plain = getattr(rates, f"{total}_microusd_per_mtok")
    if remaining and plain is not None:
        yield Line(label, remaining, plain, per_million=True)
    yield from lines


def usage_of(
    counts: Mapping[str, int], details: Mapping[str, int], *, service_tier: str
) -> TokenUsage:
    """Return the usage of a stored event: its columns, and the rare classes of `usage_details`."""
    known: dict[str, Any] = {name: counts[name] for name in _COLUMNS}
    known["service_tier"] = service_tier
    known |= {name: int(count) for name, count in details.items() if name in _FIELDS}
    return TokenUsage(**known)


_COLUMNS = ("input_tokens", "output_tokens", "cache_read_tokens", "reasoning_tokens")
_FIELDS = frozenset(TokenUsage.__struct_fields__) - {*_COLUMNS, "service_tier"}


def _usd(amount: Decimal) -> str:
    """Return an exact amount without trailing zeros, at least two decimals."""
    whole, _, decimals = f"{amount:,f}".partition(".")
    return f"${whole}.{decimals.rstrip('0').ljust(2, '0')}"
