"""
A sealed invoice reaches Stripe once, whatever dies on the way: each cut, each stored failure, expired keys, rivals.

The tests are named after the failure cases of postpaid billing.
"""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections, transaction

from billing import ledger, stripe_client
from billing.invoices import billing_periods, invoice_push, invoice_states, invoicing
from billing.models import BillingPeriod, Invoice, StripeCustomer, StripePush
from tests import factories
from tests.billing.owing import (
    CENT,
    assert_books_balance,
    balances,
    close_month,
    make_debtor,
    use,
)
from tests.billing.stripe_world import (
    MID,
    assert_one_invoice_equal_to_ours,
    by_sending,
    give_card,
    push,
    sealed_invoice,
)
from tests.fake_stripe.server import API_KEY, FakeStripe, running

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def server():
    with running() as started:
        yield started


@pytest.fixture
def fake(server: FakeStripe, settings) -> FakeStripe:
    server.tell("reset")
    settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE = API_KEY, server.url
    settings.CELERY_TASK_ALWAYS_EAGER = True
    return server


def test_invoice_is_made_filled_compared_finalized_and_paid(fake):
    invoice = sealed_invoice(250, 350)
    give_card(fake, invoice.organization)

    invoice = push(invoice)

    remote = assert_one_invoice_equal_to_ours(fake, invoice)
    assert (remote["status"], remote["auto_advance"]) == ("paid", False)
    assert (invoice.state, invoice.number) == ("paid", remote["number"])
    assert invoice.hosted_url.endswith(f"/invoices/{remote['id']}")
    assert balances(invoice.organization) == {}
    assert_books_balance()


def test_paying_gives_the_room_of_the_limit_back(fake):
    payer = make_debtor()
    invoice = sealed_invoice(6_000, payer=payer)
    give_card(fake, invoice.organization)

    push(invoice)

    counter = ledger.wallets(payer.organization.pk).get()
    assert counter.credited_nanousd == counter.posted_nanousd == 6_000 * CENT


def test_invoice_terms_send_instead_of_charging(fake):
    payer = by_sending(make_debtor(), days=30)
    invoice = push(sealed_invoice(500, payer=payer))

    assert invoice.state == "open"
    assert invoice.due_at is not None
    assert timedelta(days=29) < invoice.due_at - datetime.now(UTC) < timedelta(days=31)
    assert "invoice.sent" in fake.events()
    assert_books_balance()


def test_tax_by_stripe_is_kept_apart_from_the_net(fake, settings):
    settings.STRIPE_TAX = True
    invoice = sealed_invoice(1_000)
    customer = give_card(fake, invoice.organization)
    fake.client().v1.customers.update(customer, {"address": {"country": "DE"}})

    invoice = push(invoice)

    assert (invoice.net_cents, invoice.tax_cents, invoice.total_cents) == (1_000, 190, 1_190)
    assert invoice.state == "paid"
    assert balances(invoice.organization) == {}
    assert_books_balance()


def test_nothing_is_pushed_where_stripe_is_switched_off(settings):
    settings.STRIPE_SECRET_KEY = ""
    invoice = push(sealed_invoice(500))

    assert (invoice.state, invoice.problem) == ("sealed", "")
    assert not StripePush.objects.exists()


WRITES = {
    "customer": "POST /v1/customers",
    "create": "POST /v1/invoices",
    "lines": "POST /v1/invoices/*/add_lines",
    "finalize": "POST /v1/invoices/*/finalize",
    "pay": "POST /v1/invoices/*/pay",
}


@pytest.mark.parametrize("expire", [False, True], ids=["keys alive", "keys expired"])
@pytest.mark.parametrize("step", WRITES)
def test_crash_between_created_at_stripe_and_recorded(fake, step, expire):
    invoice = sealed_invoice(250, 350)
    if step != "customer":
        give_card(fake, invoice.organization)
    # The work is done, the connection is cut, and the client's own tries find nobody: the process dies.
    fake.fault(WRITES[step], "cut_after")
    with pytest.raises(stripe_client.StripeAway), dying(fake, WRITES[step]):
        push(invoice)
    if expire:
        fake.tell("expire_keys")

    push(invoice)
    if step == "customer":
        give_card(fake, invoice.organization)
        invoice.refresh_from_db()
        assert invoice.state == "open"
    else:
        invoice.refresh_from_db()
        assert invoice.state == "paid"
    assert_one_invoice_equal_to_ours(fake, invoice)
    assert len(fake.objects("customer")) == 1
    assert len(fake.objects("payment_intent")) <= 1
    assert_books_balance()


class dying:
    """The client does not try again: what is cut stays cut for the process."""

    def __init__(self, fake, operation):
        self.retries = stripe_client.RETRIES

    def __enter__(self):
        stripe_client.RETRIES = 0
        stripe_client._client_of.cache_clear()

    def __exit__(self, *error):
        stripe_client.RETRIES = self.retries
        stripe_client._client_of.cache_clear()


@pytest.mark.parametrize("step", [step for step in WRITES if step != "customer"])
def test_cached_failure_under_a_key_ends_its_generation(fake, step):
    invoice = sealed_invoice(250)
    give_card(fake, invoice.organization)
    fake.fault(WRITES[step], "status", status=429, code="lock_timeout", stored=True)

    with dying(fake, ""):
        for _ in range(2):  # the failure, then its repetition
            with pytest.raises(stripe_client.StripeAway):
                push(invoice)
        invoice = push(invoice)

    assert invoice.state == "paid"
    assert_one_invoice_equal_to_ours(fake, invoice)
    name = "lines_0" if step == "lines" else step
    steps = StripePush.objects.filter(step=name).order_by("generation")
    assert [row.state for row in steps] == ["failed", "done"]


def test_partial_push_goes_on_with_the_lines_that_are_missing(fake):
    payer = make_debtor()
    for n in range(150):
        price = factories.make_price(f"many/{n}", output_microusd_per_mtok=0)
        use(
            payer,
            200 * CENT,
            at=MID,
            model=f"many/{n}",
            price_version=price,
            output_tokens=0,
        )
    invoice = close_month(payer.organization)
    give_card(fake, payer.organization)
    fake.fault(WRITES["lines"], "cut_before", after=1)

    with pytest.raises(stripe_client.StripeAway), dying(fake, ""):
        push(invoice)
    assert len(fake.objects("line_item")) == 100
    fake.tell("expire_keys")

    invoice = push(invoice)
    assert invoice.state == "paid"
    assert_one_invoice_equal_to_ours(fake, invoice)


def test_more_than_250_lines_become_240_and_one(fake):
    payer = by_sending(make_debtor())
    for n in range(260):
        price = factories.make_price(f"many/{n}", output_microusd_per_mtok=0)
        use(
            payer,
            (200 + n) * CENT,
            at=MID,
            model=f"many/{n}",
            price_version=price,
            output_tokens=0,
        )
    invoice = push(close_month(payer.organization))

    assert_one_invoice_equal_to_ours(fake, invoice)
    lines = fake.objects("line_item")
    assert len(lines) == 241
    [other] = [line for line in lines if line["metadata"]["exerati_part"] == "other"]
    assert other["amount"] == sum(range(200, 220))


def test_someone_edits_in_the_dashboard_and_nothing_is_finalized(fake):
    invoice = sealed_invoice(250)
    customer = give_card(fake, invoice.organization)
    fake.fault(WRITES["finalize"], "cut_before")
    with pytest.raises(stripe_client.StripeAway), dying(fake, ""):
        push(invoice)
    [remote] = fake.objects("invoice")
    fake.client().v1.invoice_items.create(
        {"customer": customer, "invoice": remote["id"], "amount": 7, "currency": "usd"}
    )

    invoice = push(invoice)

    assert invoice.state == "sealed"
    assert "3 lines of 257 cents" in invoice.problem
    assert fake.objects("invoice")[0]["status"] == "draft"
    assert invoice_push.unfinished() == []


def test_customer_deleted_at_stripe_is_made_anew_and_the_debt_stays(fake):
    invoice = sealed_invoice(250)
    old = give_card(fake, invoice.organization)
    fake.fault(WRITES["lines"], "cut_before")
    with pytest.raises(stripe_client.StripeAway), dying(fake, ""):
        push(invoice)
    Invoice.objects.update(stripe_id="", customer_id="")  # died before it was written down
    fake.client().v1.customers.delete(old)

    invoice = push(invoice)

    assert invoice.state == "open"
    [remote] = fake.objects("invoice")  # the draft of the deleted customer was thrown away
    assert remote["customer"] != old
    assert StripeCustomer.objects.filter(organization=invoice.organization).count() == 2
    assert_books_balance()


def test_authentication_required_leaves_the_invoice_open_with_its_page(fake):
    invoice = sealed_invoice(250)
    give_card(fake, invoice.organization, "pm_card_authenticationRequired")

    invoice = push(invoice)

    assert invoice.state == "open"
    assert invoice.hosted_url
    assert invoice.dunning.count() == 6


def test_missing_payment_method_leaves_the_invoice_open_with_its_page(fake):
    invoice = push(sealed_invoice(250))

    assert (invoice.state, invoice.problem) == ("open", "")
    assert invoice.dunning.count() == 6


def test_key_from_a_serial_id_is_never_used_for_an_invoice(fake):
    invoice = sealed_invoice(250)
    give_card(fake, invoice.organization)
    push(invoice)

    keys = set(StripePush.objects.values_list("key", flat=True))
    assert all(key.startswith(f"invoice:{invoice.uuid}:") for key in keys)
    asked = {call["idempotency_key"] for call in fake.tell("dump")["calls"]} - {None}
    assert keys <= asked


def test_pushing_a_paid_invoice_again_asks_stripe_for_nothing(fake):
    invoice = sealed_invoice(250)
    give_card(fake, invoice.organization)
    push(invoice)
    before = len(fake.tell("dump")["calls"])

    push(invoice)

    assert len(fake.tell("dump")["calls"]) == before


@pytest.mark.django_db(transaction=True)
def test_three_billers_at_once_make_one_invoice(fake):
    payer = make_debtor()
    use(payer, *([30 * CENT] * 40), at=MID)
    give_card(fake, payer.organization)
    period = BillingPeriod.objects.get()
    now = period.period_end + timedelta(hours=2)
    billing_periods.roll_over(period, now=now)
    start, failures = threading.Barrier(3), []

    def bill():
        try:
            start.wait()
            for _ in range(40):
                try:
                    invoice = invoicing.close(period.pk, now=now)
                    if invoice is not None and invoice.state != "closing":
                        push(invoice)
                        return
                except (invoicing.Busy, stripe_client.StripeAway):
                    continue
        except Exception as error:
            failures.append(error)
        finally:
            connections.close_all()

    billers = [threading.Thread(target=bill) for _ in range(3)]
    for biller in billers:
        biller.start()
    for biller in billers:
        biller.join()

    assert failures == []
    invoice = Invoice.objects.get()
    invoice_states.follow(invoice, now=now)
    invoice.refresh_from_db()
    assert (invoice.state, invoice.net_cents) == ("paid", 1_200)
    assert_one_invoice_equal_to_ours(fake, invoice)
    assert len(fake.objects("payment_intent")) == 1
    with transaction.atomic():
        assert_books_balance()
