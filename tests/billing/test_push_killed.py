"""
kill -9 before and after every request of a push: a second process ends at one invoice, equal to the ledger.

Each try runs in a child that kills itself (`killed_push.py`). `EXERATI_KILL_POINTS=all` plays every point before and
after its request, with keys alive, expired, and a failure that Stripe keeps under the key; the suite plays the writes.
"""

import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection, transaction
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

ROOT = Path(__file__).resolve().parents[2]
END_SECONDS = 60
REQUESTS = 12  # of a push from the customer to the paid invoice
ALL = os.environ.get("EXERATI_KILL_POINTS") == "all"
MODES = ("alive", "expired", "cached error")
# Every point, mode and moment; in the suite making, filling and paying, done at Stripe and not written down here.
FEW = [(3, "expired", True), (6, "expired", True), (11, "cached error", True)]
TRIES = list(itertools.product(range(1, REQUESTS + 1), MODES, (True, False))) if ALL else FEW


@pytest.fixture(scope="module")
def server():
    with running() as started:
        yield started


@pytest.fixture
def fake(server: FakeStripe, settings) -> FakeStripe:
    server.tell("reset")
    settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE = API_KEY, server.url
    return server


@pytest.fixture(scope="module")
def pushes(server: FakeStripe) -> Iterator["subprocess.Popen[str]"]:
    """The process whose children push and die."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.billing.killed_push"],
        cwd=ROOT,
        env={
            **os.environ,
            "STRIPE_SECRET_KEY": API_KEY,
            "EXERATI_STRIPE_API_BASE": server.url,
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield process
        process.stdin.close()
        process.wait(END_SECONDS)


@pytest.mark.parametrize(("point", "mode", "answered"), TRIES)
def test_killed_push_is_gone_on_with(fake, settings, pushes, point, mode, answered):
    settings.STRIPE_SECRET_KEY = ""  # or the task pushes as soon as it is sealed
    invoice = sealed_invoice(250, 350)
    settings.STRIPE_SECRET_KEY = API_KEY
    give_card(fake, invoice.organization)

    database = connection.settings_dict["NAME"]
    said = {"invoice": str(invoice.pk), "database": database, "point": point, "answered": answered}
    pushes.stdin.write(json.dumps(said) + "\n")
    pushes.stdin.flush()
    assert int(pushes.stdout.readline()) == signal.SIGKILL, "the push has fewer requests than that"

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
