"""The formula of a request: its lines add up to the price that was charged."""

import pytest
from msgspec import structs

from billing import price_formula, pricing
from billing.types import Price, Rates, Tier, TokenUsage

RATES = Rates(
    input_microusd_per_mtok=1_000_000,
    output_microusd_per_mtok=4_000_000,
    cache_read_microusd_per_mtok=100_001,
    search_nanousd=10_000_000,
)
PRICE = Price(
    version_id=1,
    rates=RATES,
    tiers=(
        Tier(1_000, Rates(input_microusd_per_mtok=2_000_000, output_microusd_per_mtok=8_000_000)),
    ),
    service_tiers={
        "priority": Price(
            1, Rates(input_microusd_per_mtok=3_000_000, output_microusd_per_mtok=9_000_000)
        )
    },
)


def explained(usage, *, service_tier=""):
    nanousd = pricing.charge_nanousd(structs.replace(usage, service_tier=service_tier), price=PRICE)
    return nanousd, price_formula.explain(usage, price=PRICE, price_nanousd=nanousd)


@pytest.mark.parametrize(
    "usage",
    [
        TokenUsage(input_tokens=412, output_tokens=318),
        TokenUsage(input_tokens=412, cache_read_tokens=137, output_tokens=318, reasoning_tokens=9),
        TokenUsage(input_tokens=999, cache_read_tokens=999, output_tokens=1, searches=2),
        TokenUsage(input_tokens=1_001, cache_read_tokens=5, output_tokens=7),
        TokenUsage(),
    ],
)
def test_the_lines_add_up_to_the_price_before_its_one_rounding(usage):
    nanousd, formula = explained(usage)

    exact = sum(line.picousd for line in formula.lines)
    assert abs(exact - nanousd * 1_000) <= 500
    assert formula.is_rounded == (exact != nanousd * 1_000)


def test_each_class_has_its_line_with_what_is_left_for_the_plain_one():
    _, formula = explained(TokenUsage(input_tokens=412, cache_read_tokens=137, output_tokens=318))

    assert [(line.label, line.count, line.rate_text) for line in formula.lines] == [
        ("Input", 275, "$1.00"),
        ("Cached input", 137, "$0.100001"),
        ("Output", 318, "$4.00"),
    ]
    assert [line.amount_text for line in formula.lines] == [
        "$0.000275",
        "$0.000013700137",
        "$0.001272",
    ]
    assert formula.sum_text == "$0.001560700137"


def test_the_service_tier_is_found():
    _, formula = explained(TokenUsage(input_tokens=10), service_tier="priority")

    assert formula.service_tier == "priority"


def test_a_price_that_the_rates_do_not_give_is_not_explained():
    usage = TokenUsage(input_tokens=412)

    assert price_formula.explain(usage, price=PRICE, price_nanousd=1) is None


def test_tokens_without_any_rate_are_not_explained():
    price = Price(1, Rates(input_microusd_per_mtok=1))

    found = price_formula.explain(TokenUsage(output_tokens=1), price=price, price_nanousd=0)

    assert found is None


def test_the_rare_classes_come_from_the_details_of_an_event():
    counts = {"input_tokens": 9, "output_tokens": 2, "cache_read_tokens": 0, "reasoning_tokens": 1}

    usage = price_formula.usage_of(counts, {"searches": 3, "unheard_of": 1}, service_tier="flex")

    assert usage == TokenUsage(
        input_tokens=9, output_tokens=2, reasoning_tokens=1, searches=3, service_tier="flex"
    )


def test_the_tier_that_is_known_explains_a_price_that_another_tier_gives_too():
    same = Price(1, Rates(input_microusd_per_mtok=1_000))
    price = Price(1, same.rates, service_tiers={"flex": same, "priority": same})
    usage = TokenUsage(input_tokens=2, service_tier="priority")

    found = price_formula.explain(usage, price=price, price_nanousd=2)

    assert found is not None
    assert found.service_tier == "priority"
