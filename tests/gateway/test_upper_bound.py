"""
Whatever a provider charges for a request within the protocol, it is not more than what was reserved for it.

BOUND_CASES=2000000 python3 manage.py test tests/gateway/test_upper_bound.py -- -n 0   is the full form.
"""

import os
import random
from dataclasses import replace

import pytest
from msgspec import structs

from billing import pricing
from billing.types import TokenBound
from gateway import tokens
from gateway.settlement import clamp
from tests.gateway import priced_calls

CASES = int(os.environ.get("BOUND_CASES", "50000"))
PARTS = 10
MUTANT_CASES = 6_000


def test_settings_of_the_full_form_are_a_number():
    assert CASES >= PARTS


@pytest.mark.parametrize("seed", range(PARTS))
def test_no_usage_within_the_protocol_costs_more_than_its_bound(seed):
    rng = random.Random(seed)

    for number in range(CASES // PARTS):
        asked = priced_calls.request(rng)
        bound = priced_calls.bounded(asked)
        used = priced_calls.usage(rng, asked, tokens.bounded_body(asked.call, bound))
        price = pricing.asked(asked.price, service_tier=asked.call.service_tier)

        upper = pricing.upper_bound_nanousd(bound, price=price)

        where = (seed, number)
        assert used.input_tokens <= bound.input_tokens, where
        assert used.output_tokens <= bound.output_tokens, where
        assert pricing.charge_nanousd(used, price=price) <= upper, where
        assert clamp(used, bound) == used, where  # nothing that a provider may report is cut


# Each forgets one thing that raises a price: (asked, bound, price) -> (bound, price).
def without_choices(asked, bound, price):
    return structs.replace(bound, output_tokens=bound.output_tokens // asked.call.n), price


def without_tiers_by_size(asked, bound, price):
    services = {name: replace(tier, tiers=()) for name, tier in price.service_tiers.items()}
    return bound, replace(price, tiers=(), service_tiers=services)


def without_service_tiers(asked, bound, price):
    return bound, replace(price, service_tiers={})


def without_cache_writes(asked, bound, price):
    return structs.replace(bound, cache_write_5m_tokens=0, cache_write_1h_tokens=0), price


def without_the_hour(asked, bound, price):
    return structs.replace(bound, cache_write_1h_tokens=0), price


def without_reasoning(asked, bound, price):
    rates = replace(price.rates, reasoning_microusd_per_mtok=None)
    return bound, replace(price, rates=rates)


def without_audio(asked, bound, price):
    return structs.replace(bound, audio_input_tokens=0), price


def without_sound(asked, bound, price):
    return structs.replace(bound, audio_output_tokens=0), price


def without_seconds(asked, bound, price):
    return structs.replace(bound, seconds=0), price


def without_images(asked, bound, price):
    return structs.replace(bound, image_input_tokens=0), price


def without_prediction(asked, bound, price):
    output = min(bound.output_tokens, asked.call.n * asked.most)
    return structs.replace(bound, output_tokens=output), price


def by_characters(asked, bound, price):
    text = str(asked.call.body["messages"])
    return structs.replace(bound, input_tokens=min(bound.input_tokens, len(text))), price


def counted_not_bound(asked, bound, price):
    counted = tokens.count_chat(asked.call, model="gpt-4o")
    return structs.replace(bound, input_tokens=min(bound.input_tokens, counted)), price


MUTANTS = [
    without_choices,
    without_tiers_by_size,
    without_service_tiers,
    without_cache_writes,
    without_the_hour,
    without_reasoning,
    without_audio,
    without_sound,
    without_seconds,
    without_images,
    without_prediction,
    by_characters,
    counted_not_bound,
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_bound_that_forgets_something_is_caught(mutant):
    rng = random.Random(mutant.__name__)

    for _ in range(MUTANT_CASES):
        asked = priced_calls.request(rng)
        bound: TokenBound = priced_calls.bounded(asked)
        used = priced_calls.usage(rng, asked, tokens.bounded_body(asked.call, bound))
        price = pricing.asked(asked.price, service_tier=asked.call.service_tier)
        wrong_bound, wrong_price = mutant(asked, bound, price)
        upper = pricing.upper_bound_nanousd(wrong_bound, price=wrong_price)
        if pricing.charge_nanousd(used, price=price) > upper:
            return
    pytest.fail("never caught")
