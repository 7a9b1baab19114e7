"""
An invoice reaches Stripe once, however often its push dies on the way and at whatever requests, and however many
workers have it in hand.

`EXERATI_EXAMPLES=200` draws more deaths, `EXERATI_SEEDS=50` more rivals; processes killed for real are in
test_push_killed.py.
"""

import os
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections, transaction
from django.utils import timezone
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from billing import stripe_client
from billing.invoices import billing_periods, invoice_tasks, invoicing
from billing.models import BillingPeriod, Invoice, StripePush
from tests.billing.owing import CENT, assert_books_balance, make_debtor, use
from tests.billing.stripe_world import (
    assert_one_invoice_equal_to_ours,
    give_card,
    push,
    sealed_invoice,
)

EXAMPLES = int(os.environ.get("EXERATI_EXAMPLES", "3"))
SEEDS = int(os.environ.get("EXERATI_SEEDS", "1"))
WRITES = ("customers", "invoices", "invoices/*/add_lines", "invoices/*/finalize", "invoices/*/pay")
DEATHS = st.lists(
    st.tuples(
        st.sampled_from(WRITES),
        st.sampled_from(["cut_before", "cut_after", "kept failure"]),
        st.booleans(),  # whether the keys have expired before the next try
    ),
    max_size=4,
)


@contextmanager
def dying() -> Iterator[None]:
    """Let what is cut stay cut, as for a process that dies of it."""
    retries = stripe_client.RETRIES
    stripe_client.RETRIES = 0
    stripe_client._client_of.cache_clear()
    try:
        yield
    finally:
        stripe_client.RETRIES = retries
        stripe_client._client_of.cache_clear()


def die_at(fake: Any, write: str, how: str) -> None:
    kept = {"kind": "status", "status": 500, "stored": True}
    fake.fault(f"POST /v1/{write}", **(kept if how == "kept failure" else {"kind": how}))


@pytest.mark.django_db
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize="EXERATI_EXAMPLES" not in os.environ,
    phases=[Phase.generate],  # each takes a second or two: what fails is told as it is
)
@given(deaths=DEATHS, cents=st.lists(st.integers(100, 5_000), min_size=1, max_size=3))
def test_a_push_that_dies_anywhere_any_number_of_times_makes_one_invoice(
    fake_stripe: Any, deaths: list[tuple[str, str, bool]], cents: list[int]
) -> None:
    with transaction.atomic():
        fake_stripe.tell("reset")
        invoice = sealed_invoice(*cents)
        for write, how, has_expired in deaths:
            die_at(fake_stripe, write, how)
            with dying():
                try:
                    push(invoice)
                except stripe_client.StripeAway:
                    pass
            fake_stripe.tell("clear_faults")
            if has_expired:
                fake_stripe.tell("expire_keys")
        give_card(fake_stripe, invoice.organization)

        for _ in range(
            len(WRITES)
        ):  # a failure that is kept under a key ends that key, and the next goes on
            invoice = push(invoice)
            if invoice.state == "paid":
                break
            fake_stripe.client().v1.invoices.pay(invoice.stripe_id)

        assert (invoice.state, invoice.problem) == ("paid", "")
        remote = assert_one_invoice_equal_to_ours(fake_stripe, invoice)
        assert remote["amount_paid"] == sum(cents)
        assert len(fake_stripe.objects("customer")) == 1
        assert_books_balance()
        transaction.set_rollback(True)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("seed", range(SEEDS))
def test_any_workers_with_any_of_the_tasks_at_once_are_one_worker(
    seed: int, fake_stripe: Any
) -> None:
    dice = random.Random(seed)
    payer = make_debtor()
    period = BillingPeriod.objects.get()
    charges = [dice.randint(1, 60 * CENT) for _ in range(dice.randint(3, 30))]
    use(payer, *charges, at=period.period_start + timedelta(days=1))
    give_card(fake_stripe, payer.organization)
    BillingPeriod.objects.update(period_end=timezone.now() - timedelta(hours=2))
    tasks: tuple[Callable[[], object], ...] = (
        invoice_tasks.look_for_due_periods,
        invoice_tasks.look_after_invoices,
        close_all,
        push_all,
    )
    workers = [dice.choices(tasks, k=dice.randint(2, 5)) for _ in range(dice.randint(2, 4))]

    at_once(workers)
    for task in tasks:  # what was left to the next beat
        left: list[Exception] = []
        work([task], left)
        assert left == []

    [invoice] = Invoice.objects.exclude(state="zero")
    assert (invoice.state, invoice.problem) == ("paid", "")
    assert invoice.net_cents * CENT + invoice.carry_after_nanousd == sum(charges)
    assert_one_invoice_equal_to_ours(fake_stripe, invoice)
    assert len(fake_stripe.objects("payment_intent")) == 1
    assert set(StripePush.objects.filter(invoice=invoice).values_list("state", flat=True)) == {
        "done"
    }
    with transaction.atomic():
        assert_books_balance()


def close_all() -> None:
    now = timezone.now()
    for period_id in billing_periods.to_close(now):
        invoicing.close(period_id, now=now)


def push_all() -> None:
    for invoice in Invoice.objects.filter(state__in=("sealed", "open")):
        invoice_tasks.push_invoice(invoice_id=str(invoice.pk))


def work(tasks: list[Callable[[], object]], failures: list[Exception]) -> None:
    """Do tasks as a worker does: what a rival has in hand, or a key that is in use, is left to the next beat."""
    for task in tasks:
        try:
            task()
        except (invoicing.Busy, stripe_client.StripeAway):
            continue
        except Exception as error:
            failures.append(error)


def at_once(workers: list[list[Callable[[], object]]]) -> None:
    start, failures = threading.Barrier(len(workers)), list[Exception]()

    def run(tasks: list[Callable[[], object]]) -> None:
        try:
            start.wait()
            work(tasks, failures)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[tasks]) for tasks in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
