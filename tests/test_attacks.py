"""Every attack of the list has tests that exist, or a reason, and the page tells of them as they are."""

import pytest

from tests import attacks
from tests.attack_list import IDS, PROOFS


def test_every_attack_of_the_list_is_there():
    assert tuple(PROOFS) == IDS


@pytest.mark.parametrize("name", IDS)
def test_an_attack_has_tests_that_exist_or_a_reason(name):
    proof = PROOFS[name]

    assert not attacks.missing(proof)
    assert bool(proof.tests) != bool(proof.reason)


def test_the_page_tells_of_the_tests_as_they_are():
    assert attacks.PAGE.read_text() == attacks.page(), "run python -m tests.attacks --write"
