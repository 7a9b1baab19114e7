"""Live and replayed rating agree: stored counts at the stored price version give the stored price, whatever changes."""

import random
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from billing import price_book
from billing.models import UsageEvent
from billing.pricing import charge_nanousd
from billing.types import TokenUsage
from billing.verification import rerating
from tests import factories
from tests.billing.owing import make_debtor, use

pytestmark = pytest.mark.django_db
CALLS = 40


@pytest.fixture
def calls():
    """Calls of random counts, charged as settlement charges them."""
    payer, dice = make_debtor(), random.Random(20261128)
    price = price_book.price_of(payer.price)
    for number in range(CALLS):
        usage = TokenUsage(
            input_tokens=dice.randrange(300_000),
            output_tokens=dice.randrange(10_000),
            cache_read_tokens=dice.randrange(1_000),
        )
        use(
            payer,
            charge_nanousd(usage, price=price),
            at=timezone.now() - timedelta(minutes=number),
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cache_read_tokens=usage.cache_read_tokens,
        )
    return payer


def test_calls_rated_again_cost_what_they_cost_whatever_the_price_is_now(calls):
    factories.make_price(
        calls.price.model, effective_from=timezone.now(), input_microusd_per_mtok=1
    )

    assert rerating.rerate(1_000) == rerating.Rerating(CALLS, 0, ())


def test_a_call_of_another_price_is_found(calls):
    newest = UsageEvent.objects.latest("occurred_at")
    UsageEvent.objects.filter(pk=newest.pk).update(price_nanousd=newest.price_nanousd + 1)

    assert rerating.rerate(1_000).differ == 1
    assert rerating.rerate(1).examples[0].startswith("req_")
    with pytest.raises(SystemExit):
        call_command("ledger", "rates", stdout=StringIO())


def test_estimates_are_left_out(calls):
    UsageEvent.objects.update(basis="estimated", price_nanousd=1)

    assert rerating.rerate(1_000).checked == 0
