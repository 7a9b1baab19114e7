"""Every recorded usage fits the bound of its request, and its charge what would have been reserved for it."""

from dataclasses import replace
from statistics import median, quantiles

import pytest

from billing import pricing
from billing.types import Price, Rates, Tier, TokenBound
from gateway import tokens
from gateway.catalog import catalog_data
from tests.gateway import recorded
from tests.gateway.recorded_usages import Case, cases

pytestmark = pytest.mark.skipif(not recorded.SHARED.exists(), reason=recorded.MISSING)

# Where the catalog has not the recorded model: every class has a rate, and some are dear.
UNKNOWN = Price(
    0,
    Rates(
        input_microusd_per_mtok=3_000_000,
        output_microusd_per_mtok=15_000_000,
        cache_read_microusd_per_mtok=300_000,
        cache_write_5m_microusd_per_mtok=3_750_000,
        cache_write_1h_microusd_per_mtok=6_000_000,
        audio_input_microusd_per_mtok=32_000_000,
    ),
)

# Numbers put in by hand: "Hello!", with nothing marked, is neither 107 tokens nor written to a cache.
INVENTED = frozenset({"anthropic/messages-cached-b9b9/0"})


def prices():
    """Return the catalog's present prices by model."""
    return {
        model.name: price(model.prices[-1].provider_cost)
        for model in catalog_data.load().models.values()
        if model.kind == "chat"
    }


def price(cost):
    tiers = (
        Tier(tier.above_input_tokens, replace(cost.rates, **tier.rates.given()))
        for tier in cost.tiers
    )
    return Price(0, cost.rates, tiers=tuple(tiers))


PRICES = prices()


def price_of(case: Case) -> Price:
    family = case.call.model.rpartition("/")[2]
    names = [name for name in PRICES if family.startswith(name)]
    return PRICES[max(names, key=len)] if names else UNKNOWN


def bound_of(case: Case) -> TokenBound:
    """Return the bound with the model's maximum of output as it was then, where the request named none."""
    return tokens.chat_bound(
        case.call, context_tokens=None, max_output_tokens=64_000, key_max_output_tokens=None
    )


def test_every_kind_of_traffic_is_among_the_cases():
    providers = {case.name.partition("/")[0] for case in cases()}

    assert len(cases()) >= 190
    assert providers >= {"openai", "anthropic", "gemini", "vertex", "xai", "mistral", "openrouter"}


def test_no_recorded_prompt_is_larger_than_its_bound():
    for case in cases():
        assert case.usage.input_tokens <= bound_of(case).input_tokens, case.name


def test_no_recorded_class_of_tokens_is_larger_than_its_bound():
    for case in cases():
        if case.name in INVENTED:
            continue
        bound = bound_of(case)
        for name in ("cache_write_5m", "cache_write_1h", "audio_input", "image_input"):
            most = getattr(bound, f"{name}_tokens")
            assert most is None or getattr(case.usage, f"{name}_tokens") <= most, (case.name, name)


def test_no_recorded_call_costs_more_than_what_would_have_been_reserved():
    for case in cases():
        rates = price_of(case)
        upper = pricing.upper_bound_nanousd(bound_of(case), price=rates)
        assert pricing.charge_nanousd(case.usage, price=rates) <= upper, case.name


def test_the_tightened_bound_holds_for_recorded_prompts_of_openai():
    compared = 0
    for case in cases():
        if case.name.startswith("openai/"):
            bound = bound_of(case)
            tight = tokens.tighten(bound, call=case.call, model=case.call.model)
            assert case.usage.input_tokens <= tight.input_tokens <= bound.input_tokens, case.name
            compared += 1
    assert compared > 20


def test_bounds_are_not_far_above_what_calls_use():
    """Most of the distance is output that was allowed and not made; the bound of the prompt is what we can help."""
    long_prompts = [
        bound_of(case).input_tokens / case.usage.input_tokens
        for case in cases()
        if case.usage.input_tokens > 500 and not bound_of(case).image_input_tokens
    ]

    assert len(long_prompts) >= 30
    assert median(long_prompts) < 4
    assert quantiles(long_prompts, n=20)[-1] < 9
