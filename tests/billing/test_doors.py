"""What the doors to the money say when they refuse."""

import pytest

from billing.budgets import BillingUnavailable, BudgetExceeded, KeyInactive, Verdict, json_array
from billing.types import Refusal

REFUSAL = Refusal(
    scope="project",
    period="month",
    cap_nanousd=100,
    posted_nanousd=60,
    held_nanousd=30,
    needed_nanousd=20,
    frees_at=None,
)


def test_refusal_for_money_names_the_scope_and_what_would_still_fit():
    refused = BudgetExceeded(REFUSAL)

    assert (str(refused), refused.affordable_tokens) == ("project", None)
    assert refused.refusal.affordable_nanousd == 10


@pytest.mark.parametrize("reason", ["unknown", "revoked", "suspended"])
def test_refusal_of_a_key_names_the_reason(reason):
    assert str(KeyInactive(reason)) == KeyInactive(reason).reason == reason


def test_who_finds_the_database_away_is_told_to_come_back_in_two_seconds():
    assert BillingUnavailable.retry_after_seconds == 2


def test_verdict_that_admits_says_nothing_else():
    assert Verdict("ok") == Verdict("ok", "", "", 0, 0, 0, 0, None)


def test_items_go_out_as_one_array():
    assert json_array([]) == "[]"
    assert json_array([b'{"a":1}', b"2"]) == '[{"a":1},2]'
