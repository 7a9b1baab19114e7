"""Every failure case of billing has a test named after it, every invariant its tests and its check."""

import pytest

from billing.verification.verify import INVARIANTS as VERIFIED
from tests.attack_list import Proof
from tests.billing import proofs
from tests.billing.proof_list import CASES, INVARIANTS


def test_all_cases_and_invariants_are_there():
    assert len(CASES) == 24  # deletion is told with the deleted customer there
    assert tuple(INVARIANTS) == tuple(range(1, 15))


@pytest.mark.parametrize("name", CASES)
def test_a_failure_case_has_a_test_named_after_it(name):
    case = CASES[name]

    assert name in case.tests[0].partition("::")[2]
    assert proofs.missing(Proof(case.case, case.tests)) == []


@pytest.mark.parametrize("number", INVARIANTS)
def test_an_invariant_has_tests_and_is_verified_or_says_why_not(number):
    held = INVARIANTS[number]

    assert proofs.missing(Proof(held.rule, held.tests)) == []
    assert held.tests
    assert held.verify or held.instead
    assert set(held.verify) <= {invariant.name for invariant in VERIFIED}


def test_all_that_is_verified_belongs_to_an_invariant():
    named = {name for held in INVARIANTS.values() for name in held.verify}

    assert {invariant.name for invariant in VERIFIED} == named


def test_the_page_tells_of_the_proofs_as_they_are():
    assert proofs.PAGE.read_text() == proofs.page(), "run python -m tests.billing.proofs --write"
