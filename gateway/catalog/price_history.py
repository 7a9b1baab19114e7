"""
The history of a model's price: every rate of every version, and which of them each version changed.

Rates stand by service tier and prompt size, as in the prices in force. A rate that a tier takes over unchanged from the
base is not told again. Pure.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from billing.types import Price, Rates
from exerati.drawing import formats
from gateway.catalog.catalog_pages import UNITS

# Name of a rate for a million tokens -> what people call it.
PER_MTOK: Final = {
    "input": "Input",
    "cache_read": "Cached input",
    "cache_write_5m": "Cache write, 5 min",
    "cache_write_1h": "Cache write, 1 h",
    "output": "Output",
    "reasoning": "Reasoning",
    "audio_input": "Audio input",
    "audio_output": "Audio output",
    "image_input": "Image input",
    "image_output": "Image output",
}
# As people read them: what goes in, what comes out, the rest.
ORDER: Final = (
    *(f"{name}_microusd_per_mtok" for name in PER_MTOK),
    *(f"{name}_nanousd" for name in UNITS),
)


@dataclass(frozen=True, slots=True, order=True)
class RateKey:
    """Where a rate stands: service tier, "" the usual one; prompts above so many tokens; its place in ORDER."""

    service_tier: str
    above_input_tokens: int
    place: int

    @property
    def name(self) -> str:
        """Return the name of the rate as price versions have it."""
        return ORDER[self.place]

    @property
    def title(self) -> str:
        """Return what people call it."""
        name = self.name.removesuffix("_microusd_per_mtok").removesuffix("_nanousd")
        words = PER_MTOK[name] if name in PER_MTOK else f"Per {UNITS[name][1]}"
        if self.above_input_tokens:
            words += f", above {self.above_input_tokens:,}"
        return f"{words} ({self.service_tier})" if self.service_tier else words

    def text(self, rate: int) -> str:
        """Return a rate as people read it."""
        if self.name.endswith("_microusd_per_mtok"):
            return formats.price_text(rate)
        return formats.exact_text(rate * UNITS[self.name.removesuffix("_nanousd")][0])


@dataclass(frozen=True, slots=True)
class Cell:
    """One rate of one version as text, "" where the version has none, and what it was before if that changed."""

    text: str
    before: str
    is_changed: bool


def rates_of(price: Price) -> dict[RateKey, int]:
    """Return every rate of a version by where it stands."""
    found: dict[RateKey, int] = {}
    for service_tier, card in (("", price), *sorted(price.service_tiers.items())):
        for above, rates in (
            (0, card.rates),
            *((t.above_input_tokens, t.rates) for t in card.tiers),
        ):
            base = _base(price, service_tier=service_tier, above=above)
            for name, rate in rates.given().items():
                if base is None or getattr(base, name) != rate:
                    found[RateKey(service_tier, above, ORDER.index(name))] = rate
    return found


def _base(price: Price, *, service_tier: str, above: int) -> Rates | None:
    """Return the rates that hold where this place says nothing of its own, None for the base itself."""
    card = price.service_tiers.get(service_tier, price)
    if above:
        return card.rates
    return price.rates if service_tier else None


def columns(prices: Sequence[Price]) -> tuple[RateKey, ...]:
    """Return every rate that any of the versions has, in the order of the price list."""
    return tuple(sorted({key for price in prices for key in rates_of(price)}))


def cells(price: Price, before: Price | None, *, among: Sequence[RateKey]) -> tuple[Cell, ...]:
    """Return a cell for each column, compared with the version before; the first version changes nothing."""
    now, then = rates_of(price), rates_of(before) if before else {}
    return tuple(
        Cell(
            key.text(now[key]) if key in now else "",
            key.text(then[key]) if key in then else "",
            before is not None and now.get(key) != then.get(key),
        )
        for key in among
    )


def changes(price: Price, before: Price) -> Iterator[str]:
    """Yield each rate that differs from the version before: `Input: $1.00, was $2.00`."""
    among = columns([price, before])
    for key, cell in zip(among, cells(price, before, among=among), strict=True):
        if cell.is_changed:
            yield f"{key.title}: {cell.text or 'no longer'}, was {cell.before or 'not there'}"
