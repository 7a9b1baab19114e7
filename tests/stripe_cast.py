"""The stand-in for Stripe as the one our own code talks to."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.fake_stripe.server import API_KEY, FakeStripe, running

WEBHOOK_SECRET = "whsec_of_the_tests"


@pytest.fixture(scope="session")
def stripe_process() -> Iterator[FakeStripe]:
    """Run a stand-in for as long as this worker lives."""
    with running() as started:
        yield started


@pytest.fixture
def fake_stripe(stripe_process: FakeStripe, settings: Any) -> FakeStripe:
    """Return an empty stand-in, with our settings pointing to it."""
    stripe_process.tell("reset")
    settings.STRIPE_SECRET_KEY = API_KEY
    settings.STRIPE_API_BASE = stripe_process.url
    settings.STRIPE_WEBHOOK_SECRET = WEBHOOK_SECRET
    return stripe_process
