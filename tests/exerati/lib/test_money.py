"""Money: exact both ways, or refused."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exerati.lib.money import MAX_NANOUSD, display, div_half_even, parse_usd, usd_text

AMOUNTS = st.integers(-MAX_NANOUSD, MAX_NANOUSD)


@pytest.mark.parametrize(
    ("text", "nanousd"),
    [
        ("12.50", 12_500_000_000),
        ("$3", 3_000_000_000),
        (" 0.000000001 ", 1),
        ("-0.5", -500_000_000),
        ("0", 0),
        ("1e3", 1_000_000_000_000),
        ("9223372036.854775807", MAX_NANOUSD),
    ],
)
def test_amount_is_parsed_exactly(text, nanousd):
    assert parse_usd(text) == nanousd


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "1.2.3",
        "NaN",
        "Infinity",
        "0.0000000001",
        "9223372036.854775808",
        "1,50",
        "1e400",
        "€5",
    ],
)
def test_what_is_no_amount_is_refused(text):
    with pytest.raises(ValueError, match="not an amount"):
        parse_usd(text)


@given(AMOUNTS)
def test_text_is_exact_and_parses_back(nanousd):
    assert parse_usd(usd_text(nanousd)) == nanousd
    assert Decimal(usd_text(nanousd)) * 10**9 == nanousd


@pytest.mark.parametrize(
    ("nanousd", "text"), [(1_500_000, "0.0015"), (0, "0"), (-1, "-0.000000001"), (2 * 10**9, "2")]
)
def test_text_has_no_trailing_zeros(nanousd, text):
    assert usd_text(nanousd) == text


@pytest.mark.parametrize(
    ("nanousd", "text"),
    [
        (0, "$0.00"),
        (1_234_567_891_000_000, "$1,234,567.89"),
        (10_000_000, "$0.01"),
        (-2_500_000_000, "-$2.50"),
        (1_500_000, "$0.0015"),
        (999, "$0.000000999"),
    ],
)
def test_people_see_cents_or_what_is_left_below_one(nanousd, text):
    assert display(nanousd) == text


@given(AMOUNTS, st.integers(1, 10**6))
def test_division_is_the_nearest_integer_and_the_even_one_of_two(numerator, denominator):
    assert div_half_even(numerator, denominator) == round(Fraction(numerator, denominator))
