"""Prices: worked examples by hand, and the promise that no charge passes its bound."""

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec import structs

from billing import pricing
from billing.pricing import PriceMissing, charge_nanousd, rates_for, upper_bound_nanousd
from billing.types import RATE_NAMES, Price, Rates, Tier, TokenBound, TokenUsage

PLAIN = Rates(input_microusd_per_mtok=2_500_000, output_microusd_per_mtok=10_000_000)


def charge(rates: Rates, **usage: Any) -> int:
    return charge_nanousd(TokenUsage(**usage), price=Price(1, rates))


def test_input_and_output_cost_their_rates():
    # 1,000 x $2.50/M + 500 x $10/M = $0.0025 + $0.0050
    assert charge(PLAIN, input_tokens=1_000, output_tokens=500) == 7_500_000


def test_cached_input_is_taken_out_of_the_input():
    rates = replace(PLAIN, cache_read_microusd_per_mtok=250_000)

    # 600 x $2.50/M + 400 x $0.25/M
    assert charge(rates, input_tokens=1_000, cache_read_tokens=400) == 1_500_000 + 100_000


def test_cache_writes_cost_their_rates_by_life():
    rates = replace(
        PLAIN,
        cache_write_5m_microusd_per_mtok=3_125_000,
        cache_write_1h_microusd_per_mtok=5_000_000,
    )

    # 700 x $2.50/M + 200 x $3.125/M + 100 x $5/M
    cost = charge(rates, input_tokens=1_000, cache_write_5m_tokens=200, cache_write_1h_tokens=100)
    assert cost == 1_750_000 + 625_000 + 500_000


def test_reasoning_costs_its_rate_and_the_output_rate_where_it_has_none():
    dear = replace(PLAIN, reasoning_microusd_per_mtok=12_000_000)

    assert charge(PLAIN, output_tokens=100, reasoning_tokens=80) == 1_000_000
    assert charge(dear, output_tokens=100, reasoning_tokens=80) == 200_000 + 960_000


def test_audio_and_image_tokens_cost_their_rates_both_ways():
    rates = replace(
        PLAIN,
        audio_input_microusd_per_mtok=40_000_000,
        audio_output_microusd_per_mtok=80_000_000,
        image_input_microusd_per_mtok=5_000_000,
        image_output_microusd_per_mtok=40_000_000,
    )

    heard = charge(
        rates, input_tokens=100, audio_input_tokens=50, output_tokens=10, audio_output_tokens=10
    )
    seen = charge(
        rates, input_tokens=100, image_input_tokens=100, output_tokens=10, image_output_tokens=4
    )
    assert heard == 125_000 + 2_000_000 + 800_000
    assert seen == 500_000 + 60_000 + 160_000


@pytest.mark.parametrize(
    ("unit", "rate"),
    [
        ("images", "image_nanousd"),
        ("seconds", "second_nanousd"),
        ("characters", "character_nanousd"),
        ("searches", "search_nanousd"),
        ("calls", "call_nanousd"),
    ],
)
def test_unit_costs_its_fee_beside_the_tokens(unit, rate):
    rates = replace(PLAIN, **{rate: 7_001})

    assert charge(rates, input_tokens=4, **{unit: 3}) == 10_000 + 3 * 7_001


def test_audio_paid_by_the_second_is_not_paid_by_the_token_too():
    rates = replace(PLAIN, second_nanousd=66_667)
    heard = {"input_tokens": 384, "audio_input_tokens": 375}

    assert charge(rates, **heard, seconds=4) == 9 * 2_500 + 4 * 66_667
    assert charge(rates, **heard) == 384 * 2_500


def test_unit_fee_alone_needs_no_token_rates():
    assert charge(Rates(image_nanousd=40_000_000), images=2) == 80_000_000


def test_tier_holds_for_the_whole_request_strictly_above_its_bound():
    long_prompt = Rates(input_microusd_per_mtok=5_000_000, output_microusd_per_mtok=15_000_000)
    price = Price(1, PLAIN, tiers=(Tier(200_000, long_prompt), Tier(500_000, Rates(1, 1))))

    def cost(tokens: int) -> int:
        return charge_nanousd(TokenUsage(input_tokens=tokens, output_tokens=10), price=price)

    assert cost(200_000) == 200_000 * 2_500 + 10 * 10_000
    assert cost(200_001) == 200_001 * 5_000 + 10 * 15_000
    assert cost(500_000) == 500_000 * 5_000 + 10 * 15_000
    assert cost(500_001) == 500  # 500,011 pico-USD... rounded


def test_tier_of_a_prompt_that_was_read_several_times_is_that_of_the_longest_reading():
    price = Price(1, PLAIN, tiers=(Tier(100, Rates(5_000_000, 15_000_000)),))

    def cost(longest: int) -> int:
        usage = TokenUsage(input_tokens=500, longest_prompt_tokens=longest)
        return charge_nanousd(usage, price=price)

    assert [cost(longest) for longest in (100, 101, 0)] == [500 * 2_500, 500 * 5_000, 500 * 5_000]


def test_service_tier_has_rates_and_prompt_tiers_of_its_own():
    fast = Price(1, Rates(5_000_000, 20_000_000), tiers=(Tier(100, Rates(6_000_000, 20_000_000)),))
    price = Price(1, PLAIN, service_tiers={"priority": fast})

    def cost(tokens: int, tier: str) -> int:
        return charge_nanousd(TokenUsage(input_tokens=tokens, service_tier=tier), price=price)

    assert [cost(100, tier) for tier in ("", "priority", "unheard of")] == [
        250_000,
        500_000,
        250_000,
    ]
    assert cost(101, "priority") == 606_000


@pytest.mark.parametrize(
    ("picousd", "nanousd"),
    [
        (0, 0),
        (499, 0),
        (500, 0),
        (501, 1),
        (1_499, 1),
        (1_500, 2),
        (2_500, 2),
        (2_501, 3),
        (3_500, 4),
    ],
)
def test_charge_rounds_half_to_even_once(picousd, nanousd):
    assert charge(Rates(input_microusd_per_mtok=1), input_tokens=picousd) == nanousd
    # The same sum out of two classes is still rounded once.
    split = Rates(input_microusd_per_mtok=1, output_microusd_per_mtok=1)
    half = picousd // 2
    assert charge(split, input_tokens=half, output_tokens=picousd - half) == nanousd


@pytest.mark.parametrize("picousd", [1, 500, 999, 1_000])
def test_bound_rounds_up(picousd):
    price = Price(1, Rates(input_microusd_per_mtok=1))

    assert upper_bound_nanousd(TokenBound(picousd), price=price) == 1


@pytest.mark.parametrize(
    ("rates", "usage", "missing"),
    [
        (Rates(output_microusd_per_mtok=1), {"input_tokens": 1}, "input"),
        (Rates(input_microusd_per_mtok=1), {"output_tokens": 1}, "output"),
        (
            Rates(cache_read_microusd_per_mtok=1),
            {"input_tokens": 2, "cache_read_tokens": 1},
            "input",
        ),
    ],
)
def test_used_tokens_without_a_rate_are_an_error_and_never_free(rates, usage, missing):
    with pytest.raises(PriceMissing) as caught:
        charge(rates, **usage)

    assert caught.value.rate == missing


def test_rate_of_zero_is_a_price():
    assert charge(Rates(input_microusd_per_mtok=0), input_tokens=10**9) == 0


@pytest.mark.parametrize("bound", [TokenBound(1, 0), TokenBound(0, 1)])
def test_bound_over_unpriced_tokens_is_an_error(bound):
    with pytest.raises(PriceMissing):
        upper_bound_nanousd(bound, price=Price(1, Rates()))


def test_bound_over_tokens_of_which_only_a_class_is_priced_is_an_error():
    with pytest.raises(PriceMissing) as caught:
        upper_bound_nanousd(TokenBound(1, 0), price=Price(1, Rates(cache_read_microusd_per_mtok=5)))

    assert caught.value.rate == "input"


def test_bound_takes_the_dearest_class_tier_and_service_tier():
    fast = Price(1, Rates(4_000_000, 20_000_000))
    price = Price(
        1,
        replace(PLAIN, cache_write_1h_microusd_per_mtok=5_000_000),
        tiers=(Tier(100, Rates(3_000_000, 30_000_000)),),
        service_tiers={"priority": fast},
    )

    # Input at $5/M with output at $10/M; the tier is out of reach; priority is $4/M and $20/M.
    assert upper_bound_nanousd(TokenBound(100, 10), price=price) == max(600_000, 600_000)
    assert upper_bound_nanousd(TokenBound(100, 0), price=price) == 500_000
    assert upper_bound_nanousd(TokenBound(101, 20), price=price) == 303_000 + 600_000
    assert upper_bound_nanousd(TokenBound(0, 10), price=price) == 200_000


def test_bound_gives_the_dearest_rate_only_to_as_many_tokens_as_may_be_of_the_class():
    rates = replace(
        PLAIN, audio_input_microusd_per_mtok=40_000_000, cache_write_1h_microusd_per_mtok=5_000_000
    )
    price = Price(1, rates)

    def upper(**classes: int) -> int:
        return upper_bound_nanousd(TokenBound(100, **classes), price=price)

    assert upper() == 4_000_000
    assert upper(audio_input_tokens=0) == 500_000
    assert upper(audio_input_tokens=0, cache_write_1h_tokens=0) == 250_000
    # 30 x $40/M + 50 x $5/M + 20 x $2.50/M
    assert upper(audio_input_tokens=30, cache_write_1h_tokens=50) == 1_200_000 + 250_000 + 50_000
    assert upper(audio_input_tokens=300, cache_write_1h_tokens=50) == 4_000_000


def test_only_the_service_tier_that_was_asked_for_is_priced():
    price = Price(1, PLAIN, service_tiers={"priority": Price(1, Rates(4_000_000, 20_000_000))})

    plain, fast = (pricing.asked(price, service_tier=tier) for tier in ("", "priority"))

    assert upper_bound_nanousd(TokenBound(100), price=plain) == 250_000
    assert upper_bound_nanousd(TokenBound(100), price=fast) == 400_000
    # What the provider says served is paid, but never a tier that nobody asked for.
    usage = TokenUsage(input_tokens=100, service_tier="priority")
    assert charge_nanousd(usage, price=plain) == 250_000
    assert charge_nanousd(usage, price=fast) == 400_000
    assert charge_nanousd(structs.replace(usage, service_tier="default"), price=fast) == 250_000


def test_rate_names_are_the_fields_of_rates():
    assert set(RATE_NAMES) == {rate.name for rate in fields(Rates)}


AMOUNTS = st.integers(0, 10**8)
COUNTS = st.integers(0, 300_000)
RATES = st.builds(
    Rates,
    input_microusd_per_mtok=AMOUNTS,
    output_microusd_per_mtok=AMOUNTS,
    **{name: st.none() | AMOUNTS for name in RATE_NAMES[2:]},
)
TIERS = st.lists(st.tuples(COUNTS, RATES), max_size=3, unique_by=lambda tier: tier[0]).map(
    lambda tiers: tuple(Tier(above, rates) for above, rates in sorted(tiers, key=lambda t: t[0]))
)
PRICES = st.builds(
    Price,
    version_id=st.just(1),
    rates=RATES,
    tiers=TIERS,
    service_tiers=st.dictionaries(
        st.sampled_from(["flex", "priority"]),
        st.builds(Price, st.just(1), RATES, TIERS),
        max_size=2,
    ),
)
BOUNDS = st.builds(TokenBound, *[COUNTS] * 2, *[st.integers(0, 50)] * 5, *[st.none() | COUNTS] * 6)
INPUT_PARTS = (
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "audio_input_tokens",
    "image_input_tokens",
)
OUTPUT_PARTS = ("reasoning_tokens", "audio_output_tokens", "image_output_tokens")
UNITS = ("images", "seconds", "characters", "searches", "calls")


@st.composite
def usage_within(draw: st.DrawFn, bound: TokenBound) -> TokenUsage:
    """Return a usage that the bound allows; parts may even claim more than the whole, as providers do."""
    used: dict[str, Any] = {name: draw(st.integers(0, getattr(bound, name))) for name in UNITS}
    for total, parts in (("input_tokens", INPUT_PARTS), ("output_tokens", OUTPUT_PARTS)):
        used[total] = draw(st.integers(0, getattr(bound, total)))
        for part in parts:
            most = getattr(bound, part, None)
            used[part] = draw(st.integers(0, used[total] + 5 if most is None else most))
    return TokenUsage(**used)


@given(data=st.data(), price=PRICES, bound=BOUNDS, tier=st.sampled_from(["", "flex", "priority"]))
def test_no_usage_within_the_bound_costs_more_than_the_bound(data, price, bound, tier):
    usage = data.draw(usage_within(bound))

    cost = charge_nanousd(structs.replace(usage, service_tier=tier), price=price)

    assert 0 <= cost <= upper_bound_nanousd(bound, price=price)


def _more(bound: int | None, more: int | None) -> Any:
    """None is any number, which is more than every other."""
    return None if bound is None or more is None else bound + more


@given(price=PRICES, bound=BOUNDS, more=BOUNDS)
def test_larger_bound_never_costs_less(price, bound, more):
    larger = TokenBound(
        *(_more(getattr(bound, f.name), getattr(more, f.name)) for f in structs.fields(TokenBound))
    )

    assert upper_bound_nanousd(larger, price=price) >= upper_bound_nanousd(bound, price=price)


@given(rates=RATES, usage=BOUNDS.flatmap(usage_within), more=st.integers(1, 1_000), data=st.data())
def test_more_of_anything_never_costs_less(rates, usage, more, data):
    name = data.draw(st.sampled_from(["input_tokens", "output_tokens", *UNITS]))
    assume(name != "seconds" or usage.seconds)  # the first second makes tokens of audio free
    larger = structs.replace(usage, **{name: getattr(usage, name) + more})
    price = Price(1, rates)
    assume(rates_for(0, price=price, service_tier="") == rates)

    assert charge_nanousd(larger, price=price) >= charge_nanousd(usage, price=price)


@pytest.mark.parametrize("unit", ["images", "seconds", "characters", "searches", "calls"])
def test_unit_without_a_fee_costs_nothing(unit):
    assert charge(PLAIN, **{unit: 1_000_000}) == 0


def test_audio_paid_by_the_second_is_not_paid_by_the_token():
    by_second = replace(PLAIN, second_nanousd=1_000)

    # 1,000 input tokens of which 600 are audio; 30 seconds
    cost = charge(by_second, input_tokens=1_000, audio_input_tokens=600, seconds=30)

    assert cost == 400 * 2_500 + 30 * 1_000


def test_bound_reaches_a_tier_only_beyond_its_threshold():
    dear = replace(PLAIN, input_microusd_per_mtok=5_000_000)
    price = Price(1, PLAIN, tiers=(Tier(200, dear),))

    assert upper_bound_nanousd(TokenBound(200, calls=0), price=price) == 200 * 2_500
    assert upper_bound_nanousd(TokenBound(201, calls=0), price=price) == 201 * 5_000


@pytest.mark.parametrize("missing", ["input", "output"])
def test_missing_price_says_of_what(missing):
    rates = replace(PLAIN, **{f"{missing}_microusd_per_mtok": None})
    used = {f"{missing}_tokens": 5}

    with pytest.raises(PriceMissing) as of_charge:
        charge(rates, **used)
    with pytest.raises(PriceMissing) as of_bound:
        upper_bound_nanousd(TokenBound(**{"input_tokens": 0, **used}), price=Price(1, rates))

    assert [of_charge.value.rate, of_bound.value.rate] == [missing, missing]
    assert str(of_charge.value) == missing
