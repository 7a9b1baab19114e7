"""The audit's rule for estimates: no less than the client had one progress interval before the last renewal."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from tests.faults import audit
from tests.faults.customers import INPUT_PRICE, OUTPUT_PRICE
from tests.faults.load import Seen
from tests.faults.plan import Happened
from tests.faults.provider import ProviderCall
from tests.faults.world import LEASE_SECONDS

START = 1_000_000.0
RENEWED = START + 10


def swept(*, tokens: int, read_after: float, faults: tuple[Any, ...] = ()) -> Any:
    """
    Return the records of a call that was swept at some tokens; the provider sent one every half a second.

    The client had each so many seconds after it was sent, until the renewal.
    """
    sent = [START + number / 2 for number in range(40)]
    had = [at + read_after for at in sent if at + read_after <= RENEWED]
    event = {
        "request_id": 1,
        "outcome": "lost",
        "basis": "estimated",
        "mode": "live",
        "model": "bounded",
        "key_id": 1,
        "input_tokens": 3,
        "output_tokens": tokens,
        "charge_nanousd": 3 * INPUT_PRICE + tokens * OUTPUT_PRICE,
    }
    lease_until = datetime.fromtimestamp(RENEWED + LEASE_SECONDS, UTC)
    seen = Seen("a", 1, "stream", None, "bounded", "gateway-1.1", START, pieces_at=had)  # type: ignore[arg-type]
    return SimpleNamespace(
        by_label={"a": [event]},
        provider={"a": [ProviderCall("a", "up_1", "bounded", START, pieces_at=sent)]},
        reservations={1: {"lease_until": lease_until, "extensions": 0}},
        seen={"a": seen},
        true_ups={},
        faults=faults,
    )


def texts(records: Any) -> list[str]:
    return [problem.text for problem in audit.amounts(records)]


@pytest.mark.parametrize("tokens", [17, 20, 40])
def test_estimate_of_what_the_client_had_before_the_renewal_is_right(tokens):
    assert texts(swept(tokens=tokens, read_after=0.0)) == []


def test_estimate_below_what_the_client_had_is_too_low():
    [text] = texts(swept(tokens=14, read_after=0.0))

    assert "estimated 14 tokens" in text


def test_estimate_beyond_what_the_provider_sent_is_too_high():
    [text] = texts(swept(tokens=41, read_after=0.0))

    assert "estimated 41 tokens" in text


def test_gateway_that_is_starved_estimates_what_it_could_read():
    assert texts(swept(tokens=5, read_after=6.0)) == []
    assert texts(swept(tokens=3, read_after=6.0)) != []


def test_fault_that_holds_up_a_renewal_makes_a_lower_estimate_right():
    delayed = Happened("", "delay", "database", START + 6, START + 9)

    assert texts(swept(tokens=11, read_after=0.0, faults=(delayed,))) == []
