"""
Usage x price -> money; the only arithmetic that makes a charge. Pure.

Rates are micro-USD per million tokens, which is the same number as pico-USD per token; sums are made in
pico-USD and rounded once to nano-USD: half even for a charge, up for a bound.
"""

from dataclasses import replace

from billing.types import Price, Rates, TokenBound, TokenUsage
from exerati.lib.money import div_half_even

PICO_PER_NANO = 1000


class PriceMissing(Exception):
    """The price has no rate for something that was used."""

    def __init__(self, rate: str) -> None:
        super().__init__(rate)
        self.rate = rate


def charge_nanousd(usage: TokenUsage, *, price: Price) -> int:
    """
    Return the charge for one call in nano-USD, rounded half even.

    Cached, audio and image tokens are taken out of the plain input (or output) they are counted in. A class
    without a rate of its own costs the plain rate; a unit without a fee costs nothing beyond its tokens. A
    service tier that the price does not name costs the base rates.
    Raises PriceMissing when tokens were used that have no rate at all.
    """
    rates = rates_of(usage, price=price)
    picousd = _input_picousd(usage, rates) + _output_picousd(usage, rates)
    return div_half_even(picousd, PICO_PER_NANO) + _fees_nanousd(usage, rates)


def upper_bound_nanousd(bound: TokenBound, *, price: Price) -> int:
    """
    Return the most that a call within the bound may cost, in nano-USD, rounded up.

    Each token gets the dearest rate it may get: of the classes it may belong to, over every tier the input
    bound can reach and every service tier of the price (`asked` leaves those that were asked for).
    Raises PriceMissing when the bound allows tokens that have no rate.
    """
    return max(_upper(bound, rates) for rates in _possible_rates(bound.input_tokens, price))


def asked(price: Price, *, service_tier: str) -> Price:
    """Return the price for a request of a service tier: its rates, and the base rates it may be served at."""
    tiers = {name: tier for name, tier in price.service_tiers.items() if name == service_tier}
    return replace(price, service_tiers=tiers) if tiers != price.service_tiers else price


def rates_of(usage: TokenUsage, *, price: Price) -> Rates:
    """
    Return the rates that hold for a usage, by the size of its prompt: the longest one where there were several.

    Audio that is paid by the second is not paid by the token too: Mistral leaves it out of the prompt's tokens.
    """
    prompt_tokens = usage.longest_prompt_tokens or usage.input_tokens
    rates = rates_for(prompt_tokens, price=price, service_tier=usage.service_tier)
    if usage.seconds and rates.second_nanousd and rates.audio_input_microusd_per_mtok is None:
        return replace(rates, audio_input_microusd_per_mtok=0)
    return rates


def rates_for(input_tokens: int, *, price: Price, service_tier: str) -> Rates:
    """Return the rates that hold for a request of so many input tokens; service tier "": the base rates."""
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
    picousd = _most_picousd(
        bound.input_tokens,
        (
            (bound.input_tokens, rates.cache_read_microusd_per_mtok),
            (bound.cache_write_5m_tokens, rates.cache_write_5m_microusd_per_mtok),
            (bound.cache_write_1h_tokens, rates.cache_write_1h_microusd_per_mtok),
            (bound.audio_input_tokens, rates.audio_input_microusd_per_mtok),
            (bound.image_input_tokens, rates.image_input_microusd_per_mtok),
        ),
        rates.input_microusd_per_mtok,
        "input",
    ) + _most_picousd(
        bound.output_tokens,
        (
            (bound.output_tokens, rates.reasoning_microusd_per_mtok),
            (bound.audio_output_tokens, rates.audio_output_microusd_per_mtok),
            (bound.image_output_tokens, rates.image_output_microusd_per_mtok),
        ),
        rates.output_microusd_per_mtok,
        "output",
    )
    return -(-picousd // PICO_PER_NANO) + _fees_nanousd(bound, rates)


def _most_picousd(
    total: int, parts: tuple[tuple[int | None, int | None], ...], plain_rate: int | None, name: str
) -> int:
    """Price the dearest classes first, each as far as it may go, and what remains at the plain rate."""
    if not total:
        return 0
    if plain_rate is None:
        raise PriceMissing(name)
    dearer = sorted(
        (
            (rate, total if most is None else most)
            for most, rate in parts
            if rate is not None and rate > plain_rate
        ),
        reverse=True,
    )
    return _split_picousd(total, tuple((most, rate) for rate, most in dearer), plain_rate, name)
