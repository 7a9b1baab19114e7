"""Every recorded case of an API that we speak goes through, and every other one is named with its reason."""

import pytest

from tests.gateway import recorded, recorded_cases
from tests.gateway.recorded_report import DOCUMENT

CASES = list(recorded_cases.cases())
PLAYED = [case for case in CASES if not case.unspoken]
pytestmark = pytest.mark.skipif(not CASES, reason=recorded.MISSING)


@pytest.mark.parametrize("case", PLAYED, ids=lambda case: f"{case.provider}/{case.name}")
def test_a_recorded_case_goes_through(case):
    recorded_cases.run(case)


def test_every_broken_answer_is_one_of_the_collection():
    names = {
        f"{case.provider}/{case.name}/{number}"
        for case in CASES
        for number, _ in enumerate(case.interactions)
    }

    assert set(recorded_cases.BROKEN) <= names


def test_the_published_table_has_every_case():
    text = DOCUMENT.read_text()

    assert f"({recorded.SHARED.parent.name}/{recorded.SHARED.name}" not in text
    assert f"{len(CASES)} cases" in text
    assert f"**{len(PLAYED)} of {len(PLAYED)} cases played pass**" in text
    assert f"{len(CASES) - len(PLAYED)} cases are of APIs that we do not speak" in text
    for case in CASES:
        assert (
            f"| {case.provider} | {case.api} |" in text
            or f"| {case.api} | {case.provider} |" in text
        )
