"""
Cents are exact: parts add up to their line, lines to their invoice, invoices to the usage, month after month.

`EXERATI_INVOICES=24000` plays the full form: that many random invoices, a year for each organization.
"""

import os
import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.invoices.invoice_sums import seal, split
from exerati.lib.money import NANOUSD_PER_CENT

INVOICES = int(os.environ.get("EXERATI_INVOICES", "1200"))
MONTHS = 12

amounts = st.lists(st.integers(0, 10**14), min_size=1, max_size=300)
carries = st.integers(0, NANOUSD_PER_CENT - 1)


@given(amounts, carries)
def test_cents_and_carry_are_the_sum_exactly(lines, carry):
    sealed = seal(lines, carry_nanousd=carry)

    assert sealed.total_cents * NANOUSD_PER_CENT + sealed.carry_nanousd == sum(lines) + carry
    assert sum(sealed.cents) == sealed.total_cents
    assert 0 <= sealed.carry_nanousd < NANOUSD_PER_CENT


@given(amounts, carries)
def test_no_line_is_a_cent_or_more_from_its_amount(lines, carry):
    sealed = seal(lines, carry_nanousd=carry)

    for amount, cents in zip(lines, sealed.cents, strict=True):
        assert abs(cents * NANOUSD_PER_CENT - amount) < NANOUSD_PER_CENT


@given(st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=50), carries)
def test_adjustments_below_zero_add_up_too(lines, carry):
    sealed = seal(lines, carry_nanousd=carry)

    assert sum(sealed.cents) == sealed.total_cents
    assert sealed.total_cents * NANOUSD_PER_CENT + sealed.carry_nanousd == sum(lines) + carry


@given(st.integers(0, 10**15), st.lists(st.integers(0, 10**18), min_size=1, max_size=20))
def test_split_gives_all_of_it_in_proportion(amount, weights):
    shares = split(amount, weights)

    assert sum(shares) == amount
    assert all(share >= 0 for share in shares)
    for share, weight in zip(shares, weights, strict=True):
        if any(weights):
            assert abs(share - Fraction(amount * weight, sum(weights))) < 1


def test_the_largest_rests_get_the_cents_that_are_left():
    sealed = seal([4_000_000, 9_000_000, 8_000_000], carry_nanousd=0)

    assert (sealed.cents, sealed.total_cents, sealed.carry_nanousd) == ([0, 1, 1], 2, 1_000_000)


def test_forty_lines_of_less_than_half_a_cent_bill_sixteen_cents():
    assert seal([4_000_000] * 40, carry_nanousd=0).total_cents == 16


def test_a_carried_cent_needs_a_line():
    with pytest.raises(ValueError, match="carried cent"):
        seal([], carry_nanousd=NANOUSD_PER_CENT)


def test_random_invoices_are_exact_every_month():
    dice = random.Random(20261128)
    for _ in range(INVOICES // MONTHS):
        carry = used = billed = 0
        for _ in range(MONTHS):
            lines = [
                dice.randrange(10 ** dice.randrange(1, 13)) for _ in range(dice.randint(1, 60))
            ]
            sealed = seal(lines, carry_nanousd=carry)
            carry = sealed.carry_nanousd
            used, billed = used + sum(lines), billed + sum(sealed.cents)

            assert used == billed * NANOUSD_PER_CENT + carry
