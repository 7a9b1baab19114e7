"""The policy: what a call costs by how it ended, and that no usage whatever leaves the bounds."""

import dataclasses
import time
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from apikeys.snapshots import KeySnapshot
from billing import pricing
from billing.price_book import Dated
from billing.types import AttemptRecord, Price, Rates, Tier, TokenBound, TokenUsage
from gateway.open_call import OpenCall
from gateway.rate_limits.limit_types import Allowance, TakeSlot
from gateway.settlement import clamp, settlement
from gateway.snapshot import ModelSnapshot

MODEL = ModelSnapshot(
    name="gpt-4o",
    title="",
    kind="chat",
    owned_by="",
    description="",
    created=0,
    context_tokens=None,
    max_output_tokens=None,
    input_modalities=(),
    output_modalities=(),
    features=(),
    supported_parameters=(),
    deprecated_on=None,
    shutdown_on=None,
    routes=(),
    prices=(),
)
PRICE = Price(1, Rates(input_microusd_per_mtok=100_000, output_microusd_per_mtok=400_000))
BOUND = TokenBound(100, 100)
REPORTED = TokenUsage(input_tokens=10, output_tokens=20)
counts = some.one_of(some.integers(-(10**18), 10**18), some.integers(-5, 300))
rate = some.one_of(some.none(), some.integers(0, 10**9))
rates = some.builds(
    Rates,
    input_microusd_per_mtok=some.integers(0, 10**9),
    output_microusd_per_mtok=some.integers(0, 10**9),
    cache_read_microusd_per_mtok=rate,
    cache_write_5m_microusd_per_mtok=rate,
    cache_write_1h_microusd_per_mtok=rate,
    reasoning_microusd_per_mtok=rate,
    audio_input_microusd_per_mtok=rate,
    audio_output_microusd_per_mtok=rate,
    image_input_microusd_per_mtok=rate,
    image_output_microusd_per_mtok=rate,
    image_nanousd=rate,
    search_nanousd=rate,
    call_nanousd=rate,
)
prices = some.builds(
    Price,
    version_id=some.just(1),
    rates=rates,
    tiers=some.one_of(
        some.just(()),
        some.builds(lambda above, r: (Tier(above, r),), some.integers(0, 300), rates),
    ),
)
usages = some.builds(TokenUsage, *([counts] * 16))
bounds = some.builds(TokenBound, some.integers(0, 300), some.integers(0, 300))


def make_call(*, price=PRICE, bound=BOUND, mode="live", **fields) -> OpenCall:
    call = OpenCall(
        request_id=UUID(int=1),
        public_id="1",
        endpoint="chat.completions",
        key=KeySnapshot(
            digest="", id=1, public_id="", name="", organization_id=1, project_id=1, mode=mode
        ),
        model=MODEL,
        price=price,
        bound=bound,
        upper_nanousd=pricing.upper_bound_nanousd(bound, price=price),
        slot=TakeSlot(1, 1, "1", 1, 1, 1, 1),
        allowance=Allowance("", 0, 0, 0, 0, 0),
        streamed=False,
        sent=True,
        count_input=lambda: 7,
        output_tokens=3,
    )
    for name, value in fields.items():
        setattr(call, name, value)
    return call


def settle(call=None, *, reported=REPORTED, outcome="finished", has_output=True, **fields):
    return settlement(
        call or make_call(),
        reported=reported,
        outcome=outcome,
        status=200,
        has_output=has_output,
        now=time.time(),
        **fields,
    )


@settings(max_examples=200, deadline=None)
@given(usage=usages, price=prices, bound=bounds)
def test_no_usage_whatever_is_charged_more_than_what_was_reserved_or_less_than_nothing(
    usage, price, bound
):
    call = make_call(price=price, bound=bound)

    result = settle(call, reported=usage)

    assert 0 <= result.charge_nanousd <= call.upper_nanousd
    assert result.price_nanousd <= call.upper_nanousd  # the clamped counts alone keep it so
    assert 0 <= result.usage.input_tokens <= bound.input_tokens
    assert 0 <= result.usage.output_tokens <= bound.output_tokens


@given(usage=usages, bound=bounds)
def test_clamped_usage_is_left_alone_the_second_time(usage, bound):
    once = clamp(usage, bound)

    assert clamp(once, bound) == once


def test_sound_usage_inside_of_the_bound_is_billed_as_it_is():
    usage = TokenUsage(input_tokens=50, output_tokens=60, cache_read_tokens=20, reasoning_tokens=5)

    assert clamp(usage, TokenBound(100, 100)) is usage


@pytest.mark.parametrize(
    ("fields", "basis", "charge"),
    [
        ({}, "reported", 10 * 100 + 20 * 400),
        ({"reported": None}, "counted", 7 * 100 + 3 * 400),
        ({"outcome": "client_left"}, "counted", 7 * 100 + 3 * 400),
        ({"outcome": "failed"}, "counted", 7 * 100 + 3 * 400),
        ({"outcome": "failed", "has_output": False}, "waived", 0),
        ({"outcome": "empty", "has_output": False}, "waived", 0),
    ],
    ids=str,
)
def test_policy(fields, basis, charge):
    result = settle(**fields)

    assert (result.basis, result.charge_nanousd) == (basis, charge)


def test_what_was_never_sent_is_free():
    result = settle(make_call(sent=False), outcome="client_left", reported=None)

    assert (result.basis, result.charge_nanousd, result.provider_cost_nanousd) == ("waived", 0, 0)


def test_test_key_has_a_price_and_no_charge():
    result = settle(make_call(mode="test"))

    assert (result.price_nanousd, result.charge_nanousd) == (9000, 0)


def test_counted_usage_stays_inside_of_the_bound():
    call = make_call(output_tokens=10**9, count_input=lambda: 10**9)

    result = settle(call, reported=None)

    assert (result.usage.input_tokens, result.usage.output_tokens) == (100, 100)


def test_what_the_provider_took_beyond_the_bound_is_our_cost():
    cost = Price(2, Rates(input_microusd_per_mtok=50_000, output_microusd_per_mtok=200_000))
    call = make_call(costs=(Dated(0.0, cost),))
    call.attempts.append(AttemptRecord(1, "openai", "gpt-4o", call.started_at))

    result = settle(call, reported=TokenUsage(input_tokens=10, output_tokens=1000))

    assert result.charge_nanousd == 10 * 100 + 100 * 400
    assert result.provider_cost_nanousd == 10 * 50 + 1000 * 200
    assert result.attempts[0].provider_cost_nanousd == result.provider_cost_nanousd


@pytest.mark.parametrize(
    ("reported", "flag"),
    [
        (REPORTED, ""),
        (None, ""),
        (TokenUsage(input_tokens=-1, output_tokens=5), "negative"),
        (TokenUsage(input_tokens=10, output_tokens=5, cache_read_tokens=11), "inconsistent"),
        (TokenUsage(input_tokens=10, output_tokens=5, reasoning_tokens=6), "inconsistent"),
        (TokenUsage(input_tokens=101, output_tokens=5), "over_bound"),
        (TokenUsage(input_tokens=10, output_tokens=10**9), "over_bound"),
    ],
)
def test_usage_that_had_to_be_corrected_is_flagged(reported, flag):
    result = settle(make_call(), reported=reported)

    assert result.usage_flag == flag


@pytest.mark.parametrize(
    ("bound", "told", "longest"),
    [
        (5_000, TokenUsage(input_tokens=1_500), 1_000),  # several readings: none beyond the context
        (5_000, TokenUsage(input_tokens=1_500, longest_prompt_tokens=800), 800),
        (5_000, TokenUsage(input_tokens=900), 0),
        (1_000, TokenUsage(input_tokens=1_500), 0),  # one reading
    ],
)
def test_no_prompt_of_several_is_longer_than_the_context(bound, told, longest):
    model = dataclasses.replace(MODEL, context_tokens=1_000)
    call = make_call(bound=TokenBound(bound, 100), model=model)

    result = settle(call, reported=told)

    assert result.usage.longest_prompt_tokens == longest


def test_price_beyond_the_reservation_is_flagged():
    assert settle(make_call(upper_nanousd=1), reported=REPORTED).usage_flag == "clamped"
