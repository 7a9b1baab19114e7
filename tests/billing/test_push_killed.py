"""
kill -9 before and after every request of a push: a second process ends at one invoice, equal to the ledger.

Each try runs in a child that kills itself. `EXERATI_KILL_POINTS=all` plays every point, with keys alive, expired, and a
failure that Stripe keeps under the key; `test_invoice_push.py` has the same cuts without a process for each.
"""

import os
import signal
import traceback
from typing import Any

import pytest
import requests
from django.db import connections, transaction
from django.utils import timezone

from billing import stripe_client
from billing.invoices import invoice_states
from billing.models import Invoice
from tests.billing.owing import assert_books_balance
from tests.billing.stripe_world import (
    assert_one_invoice_equal_to_ours,
    give_card,
    push,
    sealed_invoice,
)
from tests.fake_stripe.server import API_KEY, FakeStripe, running

pytestmark = pytest.mark.django_db(transaction=True)

REQUESTS = 12  # of a push from the customer to the paid invoice
ALL = os.environ.get("EXERATI_KILL_POINTS") == "all"
POINTS = range(1, REQUESTS + 1) if ALL else ()
MODES = ("alive", "expired", "cached error") if ALL else ("alive", "expired")
MOMENTS = (True, False) if ALL else (True,)


@pytest.fixture(scope="module")
def server():
    with running() as started:
        yield started


@pytest.fixture
def fake(server: FakeStripe, settings) -> FakeStripe:
    server.tell("reset")
    settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE = API_KEY, server.url
    return server


@pytest.mark.parametrize("answered", MOMENTS, ids=["after", "before"][: len(MOMENTS)])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("point", POINTS)
def test_killed_push_is_gone_on_with(fake, settings, point, mode, answered):
    settings.STRIPE_SECRET_KEY = ""  # or the task pushes as soon as it is sealed
    invoice = sealed_invoice(250, 350)
    settings.STRIPE_SECRET_KEY = API_KEY
    give_card(fake, invoice.organization)
    connections.close_all()

    child = os.fork()
    if not child:
        push_until_killed(invoice, point=point, answered=answered)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL, "the push has fewer requests than that"

    if mode == "expired":
        fake.tell("expire_keys")
    if mode == "cached error":
        fake.fault("POST /v1/invoices*", "status", status=500, stored=True)
    for _ in range(4):
        try:
            push(invoice)
        except stripe_client.StripeAway:
            continue
    invoice.refresh_from_db()
    invoice = invoice_states.follow(invoice, now=timezone.now())  # as the poller does

    invoice.refresh_from_db()
    assert (invoice.state, invoice.problem) == ("paid", "")
    assert_one_invoice_equal_to_ours(fake, invoice)
    assert len(fake.objects("customer")) == 1
    assert len(fake.objects("payment_intent")) == 1
    with transaction.atomic():
        assert_books_balance()
    assert Invoice.objects.count() == 1


def push_until_killed(invoice: Invoice, *, point: int, answered: bool) -> None:
    """Push in this process, which ends at its nth request: before it is sent, or once it is answered."""
    stripe_client._client_of.cache_clear()
    sent, ask = 0, requests.Session.request

    def counted(*arguments: Any, **named: Any) -> Any:
        nonlocal sent
        sent += 1
        if sent == point and not answered:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = ask(*arguments, **named)
        if sent == point:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    requests.Session.request = counted  # type: ignore[method-assign]  # of this child alone
    try:
        push(invoice)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)
