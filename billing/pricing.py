"""
Usage x price -> money; the only arithmetic that makes a charge. Pure.

Rates are micro-USD per million tokens, which is the same number as pico-USD per token; sums are made in
pico-USD and rounded once to nano-USD: half even for a charge, up for a bound.
"""

from billing.types import Price, Rates, TokenBound, TokenUsage
from exerati.lib.money import div_half_even

PICO_PER_NANO = 1000


class PriceMissing(Exception):
    """The price has no rate for something that was used."""

    def __init__(self, rate: str) -> None:
        super().__init__(rate)
        self.rate = rate


def charge_nanousd(usage: TokenUsage, *, price: Price, service_tier: str = "") -> int:
    """
    Return the charge for one call in nano-USD, rounded half even.

    Cached, audio and image tokens are taken out of the plain input (or output) they are counted in. A class
    without a rate of its own costs the plain rate; a unit without a fee costs nothing beyond its tokens.
    Raises PriceMissing when tokens were used that have no rate at all.
    """
    rates = rates_for(usage.input_tokens, price=price, service_tier=service_tier)
    picousd = _input_picousd(usage, rates) + _output_picousd(usage, rates)
    return div_half_even(picousd, PICO_PER_NANO) + _fees_nanousd(usage, rates)


def upper_bound_nanousd(bound: TokenBound, *, price: Price) -> int:
    """
    Return the most that a call within the bound may cost, in nano-USD, rounded up.

    It takes the dearest rate an input (output) token may get, over every tier the input bound can reach and
    every service tier. Raises PriceMissing when the bound allows tokens that have no rate.
    """
    return max(_upper(bound, rates) for rates in _possible_rates(bound.input_tokens, price))


def rates_for(input_tokens: int, *, price: Price, service_tier: str = "") -> Rates:
    """Return the rates that hold for a request of so many input tokens."""
    chosen = price.service_tiers.get(service_tier, price)
    rates = chosen.rates
    for tier in chosen.tiers:
        if input_tokens > tier.above_input_tokens:
            rates = tier.rates
    return rates


def _input_picousd(usage: TokenUsage, rates: Rates) -> int:
    parts = (
        (usage.cache_read_tokens, rates.cache_read_microusd_per_mtok),
        (usage.cache_write_5m_tokens, rates.cache_write_5m_microusd_per_mtok),
        (usage.cache_write_1h_tokens, rates.cache_write_1h_microusd_per_mtok),
        (usage.audio_input_tokens, rates.audio_input_microusd_per_mtok),
        (usage.image_input_tokens, rates.image_input_microusd_per_mtok),
    )
    return _split_picousd(usage.input_tokens, parts, rates.input_microusd_per_mtok, "input")


def _output_picousd(usage: TokenUsage, rates: Rates) -> int:
    parts = (
        (usage.reasoning_tokens, rates.reasoning_microusd_per_mtok),
        (usage.audio_output_tokens, rates.audio_output_microusd_per_mtok),
        (usage.image_output_tokens, rates.image_output_microusd_per_mtok),
    )
    return _split_picousd(usage.output_tokens, parts, rates.output_microusd_per_mtok, "output")


def _split_picousd(
    total: int, parts: tuple[tuple[int, int | None], ...], plain_rate: int | None, name: str
) -> int:
    """Price each part at its own rate and what remains of the total at the plain rate."""
    picousd, remaining = 0, total
    for tokens, rate in parts:
        if tokens and rate is not None:
            taken = min(tokens, remaining)
            picousd += taken * rate
            remaining -= taken
    if not remaining:
        return picousd
    if plain_rate is None:
        raise PriceMissing(name)
    return picousd + remaining * plain_rate


def _fees_nanousd(used: TokenUsage | TokenBound, rates: Rates) -> int:
    return (
        used.images * (rates.image_nanousd or 0)
        + used.seconds * (rates.second_nanousd or 0)
        + used.characters * (rates.character_nanousd or 0)
        + used.searches * (rates.search_nanousd or 0)
        + used.calls * (rates.call_nanousd or 0)
    )


def _possible_rates(input_tokens: int, price: Price) -> list[Rates]:
    possible = []
    for chosen in (price, *price.service_tiers.values()):
        possible.append(chosen.rates)
        possible.extend(
            tier.rates for tier in chosen.tiers if input_tokens > tier.above_input_tokens
        )
    return possible


def _upper(bound: TokenBound, rates: Rates) -> int:
    picousd = bound.input_tokens * _dearest_input(
        rates, bound
    ) + bound.output_tokens * _dearest_output(rates, bound)
    return -(-picousd // PICO_PER_NANO) + _fees_nanousd(bound, rates)


def _dearest_input(rates: Rates, bound: TokenBound) -> int:
    return _dearest(
        "input" if bound.input_tokens else "",
        rates.input_microusd_per_mtok,
        rates.cache_read_microusd_per_mtok,
        rates.cache_write_5m_microusd_per_mtok,
        rates.cache_write_1h_microusd_per_mtok,
        rates.audio_input_microusd_per_mtok,
        rates.image_input_microusd_per_mtok,
    )


def _dearest_output(rates: Rates, bound: TokenBound) -> int:
    return _dearest(
        "output" if bound.output_tokens else "",
        rates.output_microusd_per_mtok,
        rates.reasoning_microusd_per_mtok,
        rates.audio_output_microusd_per_mtok,
        rates.image_output_microusd_per_mtok,
    )


def _dearest(needed: str, plain: int | None, *others: int | None) -> int:
    if needed and plain is None:
        raise PriceMissing(needed)
    return max(rate for rate in (plain, 0, *others) if rate is not None)
