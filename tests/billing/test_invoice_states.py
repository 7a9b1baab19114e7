"""What Stripe says of an invoice moves ours forwards, in any order, once; then dunning and credit notes."""

import itertools
import random
from datetime import UTC, datetime, timedelta

import pytest
from django.core import mail
from django.db import connection

from billing import plans, stripe_client, stripe_events
from billing.invoices import (
    credit_notes,
    dunning,
    dunning_plan,
    invoice_push,
    invoice_states,
    invoice_tasks,
    stripe_invoices,
)
from billing.models import (
    Adjustment,
    CreditNote,
    DunningStep,
    Invoice,
    LedgerAccount,
    LedgerTransfer,
    StripeEvent,
)
from tests.billing.owing import (
    CENT,
    DECEMBER,
    assert_books_balance,
    balances,
    close_month,
    make_debtor,
    use,
)
from tests.billing.stripe_world import (
    assert_one_invoice_equal_to_ours,
    by_sending,
    give_card,
    push,
    sealed_invoice,
)
from tests.fake_stripe.server import API_KEY, FakeStripe, running

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def server():
    with running() as started:
        yield started


@pytest.fixture
def fake(server: FakeStripe, settings) -> FakeStripe:
    server.tell("reset")
    settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE = API_KEY, server.url
    return server


@pytest.fixture
def unpaid(fake):
    """An open invoice whose card was declined."""
    invoice = sealed_invoice(500)
    give_card(fake, invoice.organization, "pm_card_chargeCustomerFail")
    return push(invoice)


def tell_events(fake, order):
    """Store and apply these events, as the webhooks' receiver does."""
    for event in order:
        StripeEvent.objects.get_or_create(
            event_id=event["id"],
            defaults={
                "kind": event["type"],
                "object_id": event["data"]["object"]["id"],
                "happened_at": datetime.fromtimestamp(event["created"], UTC),
            },
        )
        stripe_events.apply(event["id"])


def invoice_events(fake):
    return [each for each in fake.objects("event") if each["type"].startswith("invoice.")]


def pay_at_stripe(fake, invoice):
    """Pay an invoice as the customer does on Stripe's page."""
    fake.client().v1.invoices.pay(invoice.stripe_id, {"payment_method": "pm_card_visa"})


def run_dunning(now):
    return [dunning.run(step, now=now) for step in dunning_plan.due(now)]


def days_after(invoice, days):
    return invoice.dunning.get(step="notice").due_at + timedelta(days=days)


def test_webhook_replay_or_duplicate_posts_a_payment_once(fake, unpaid):
    pay_at_stripe(fake, unpaid)

    tell_events(fake, invoice_events(fake) * 3)
    for event in invoice_events(fake):  # even if the inbox were to forget that it was applied
        StripeEvent.objects.filter(pk=event["id"]).update(applied_at=None)
        stripe_events.apply(event["id"])

    unpaid.refresh_from_db()
    assert unpaid.state == "paid"
    assert balances(unpaid.organization) == {}
    assert_books_balance()


@pytest.mark.parametrize("seed", range(5))
def test_webhooks_out_of_order_end_in_the_same_state(fake, unpaid, seed):
    pay_at_stripe(fake, unpaid)
    order = invoice_events(fake) * 2
    random.Random(seed).shuffle(order)

    tell_events(fake, order)

    unpaid.refresh_from_db()
    assert (unpaid.state, unpaid.paid_at is not None) == ("paid", True)
    assert_one_invoice_equal_to_ours(fake, unpaid)
    assert_books_balance()


def test_lost_webhooks_are_found_by_the_poller(fake, unpaid):
    pay_at_stripe(fake, unpaid)
    Invoice.objects.update(followed_at=datetime.now(UTC) - timedelta(minutes=11))

    invoice_tasks.look_after_invoices()

    unpaid.refresh_from_db()
    assert unpaid.state == "paid"
    assert_books_balance()


def test_a_paid_invoice_never_goes_back_to_open(fake, unpaid):
    early = stripe_invoices.retrieve(unpaid.stripe_id)
    pay_at_stripe(fake, unpaid)
    invoice_states.follow(unpaid, now=datetime.now(UTC))

    invoice_states.apply(unpaid.pk, early, now=datetime.now(UTC))

    unpaid.refresh_from_db()
    assert unpaid.state == "paid"


def test_event_of_an_invoice_that_is_not_ours_does_nothing(fake, unpaid):
    client = fake.client()
    foreign = client.v1.invoices.create({"customer": unpaid.customer_id})
    client.v1.invoices.add_lines(foreign.id, {"lines": [{"amount": 100, "description": "x"}]})
    client.v1.invoices.finalize_invoice(foreign.id)

    assert invoice_states.follow_stripe(foreign.id) == "not an invoice of ours"


def test_webhook_that_overtakes_the_push_finds_its_invoice(fake):
    invoice = sealed_invoice(500)
    give_card(fake, invoice.organization)
    push(invoice)
    [remote] = fake.objects("invoice")
    Invoice.objects.update(stripe_id="", state="sealed", paid_at=None)
    assert LedgerTransfer.objects.filter(kind="invoice_paid").count() == 1
    # As if the push had died before it wrote anything down.
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE billing_ledgertransfer DISABLE TRIGGER USER")
        cursor.execute("DELETE FROM billing_ledgertransfer WHERE kind = 'invoice_paid'")
        cursor.execute("ALTER TABLE billing_ledgertransfer ENABLE TRIGGER USER")

    assert invoice_states.follow_stripe(remote["id"]) == "paid"
    assert balances(invoice.organization) == {}


def test_payment_failed_runs_through_every_step_of_dunning(fake, unpaid):
    steps = {step.step: step.due_at for step in unpaid.dunning.all()}
    assert list(steps) == ["notice", "retry_3", "retry_5", "retry_7", "block", "write_off"]
    outcomes = {}

    for days in (0, 3, 5, 7, 8, 38):
        [outcomes[days]] = run_dunning(days_after(unpaid, days))
        blocked = plans.account(unpaid.organization).blocked_at is not None
        assert blocked == (days >= 8)

    assert outcomes[0] == "reminded"
    assert {outcomes[days] for days in (3, 5, 7)} == {"failed: Your card was declined."}
    assert (outcomes[8], outcomes[38]) == ("calls are blocked", "given up")
    unpaid.refresh_from_db()
    assert unpaid.state == "uncollectible"
    assert fake.objects("invoice")[0]["status"] == "uncollectible"
    assert fake.objects("invoice")[0]["attempt_count"] == 4
    assert balances(unpaid.organization) == {}
    assert_books_balance()


def test_a_step_of_dunning_is_done_once(fake, unpaid):
    moment = days_after(unpaid, 3)
    step = unpaid.dunning.get(step="retry_3")

    first = dunning.run(step.pk, now=moment)
    second = dunning.run(step.pk, now=moment + DAY)

    assert first == second
    assert fake.objects("invoice")[0]["attempt_count"] == 2


def test_paying_unblocks_at_once_and_ends_dunning(fake, unpaid):
    for days in (0, 3, 5, 7, 8):
        run_dunning(days_after(unpaid, days))
    assert plans.account(unpaid.organization).blocked_at is not None

    pay_at_stripe(fake, unpaid)
    assert invoice_states.follow_stripe(unpaid.stripe_id) == "paid"

    assert plans.account(unpaid.organization).blocked_at is None
    assert run_dunning(days_after(unpaid, 38)) == ["the invoice is paid"]
    assert_books_balance()


def test_a_retry_with_a_better_card_pays(fake, unpaid):
    give_card(fake, unpaid.organization)

    assert run_dunning(days_after(unpaid, 3)) == ["reminded", "paid"]

    unpaid.refresh_from_db()
    assert unpaid.state == "paid"


def test_an_invoice_that_was_given_up_may_still_be_paid(fake, unpaid):
    for days in (0, 3, 5, 7, 8, 38):
        run_dunning(days_after(unpaid, days))

    pay_at_stripe(fake, unpaid)
    invoice_states.follow_stripe(unpaid.stripe_id)

    unpaid.refresh_from_db()
    assert unpaid.state == "paid"
    assert plans.account(unpaid.organization).blocked_at is None
    house = house_balance("bad_debt")
    assert house == 0
    assert_books_balance()


def house_balance(kind):
    account = LedgerAccount.objects.get(organization=None, kind=kind)
    credits = sum(account.credits.values_list("amount_nanousd", flat=True))
    return credits - sum(account.debits.values_list("amount_nanousd", flat=True))


def test_a_sent_invoice_is_dunned_from_its_due_day_on(fake):
    invoice = push(sealed_invoice(500, payer=by_sending(make_debtor())))
    assert invoice.due_at is not None
    assert dunning_plan.overdue(invoice.due_at - DAY) == []

    [found] = dunning_plan.overdue(invoice.due_at)
    dunning_plan.begin(found, now=invoice.due_at)
    outcomes = [
        outcome for days in (0, 3, 5, 7, 8) for outcome in run_dunning(days_after(invoice, days))
    ]

    assert outcomes == ["reminded"] * 4 + ["calls are blocked"]


def test_mails_tell_of_the_invoice_its_failure_and_the_block(
    fake, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        invoice = sealed_invoice(500)
        give_card(fake, invoice.organization, "pm_card_chargeCustomerFail")
    invoice.refresh_from_db()
    with django_capture_on_commit_callbacks(execute=True):
        for days in (0, 8):
            run_dunning(days_after(invoice, days))
    with django_capture_on_commit_callbacks(execute=True):
        pay_at_stripe(fake, invoice)
        invoice_states.follow_stripe(invoice.stripe_id)

    subjects = [message.subject for message in mail.outbox]
    assert [subject.split(" · ")[0] for subject in subjects] == [
        f"Invoice {invoice.number} for $5.00",
        f"The payment of invoice {invoice.number} failed",
        *[f"The payment of invoice {invoice.number} failed"] * 3,
        f"Calls are blocked until invoice {invoice.number} is paid",
        f"Invoice {invoice.number} is paid",
    ]
    assert f"/invoices/{invoice.public_id}/" in mail.outbox[0].body


def test_credit_note_before_payment_lowers_what_is_due(fake, unpaid):
    note = credit_notes.issue(unpaid, net_cents=200, reason="Slow answers", actor=None)

    credit_notes.push(note)
    pay_at_stripe(fake, unpaid)
    invoice_states.follow_stripe(unpaid.stripe_id)

    unpaid.refresh_from_db()
    assert (unpaid.state, unpaid.due_cents) == ("paid", 300)
    assert house_balance("stripe_clearing") == -300 * CENT
    [remote] = fake.objects("credit_note")
    assert (remote["total"], remote["type"]) == (200, "pre_payment")
    assert_books_balance()


def test_credit_note_over_the_whole_invoice_settles_it(fake, unpaid):
    note = credit_notes.issue(unpaid, net_cents=500, reason="All of it", actor=None)
    credit_notes.push(note)

    invoice_states.follow_stripe(unpaid.stripe_id)

    unpaid.refresh_from_db()
    assert (unpaid.state, unpaid.due_cents) == ("paid", 0)
    assert_books_balance()


def test_credit_note_after_payment_comes_off_the_next_invoice(fake):
    payer = make_debtor()
    invoice = sealed_invoice(500, payer=payer)
    give_card(fake, invoice.organization)
    invoice = push(invoice)

    credit_notes.push(credit_notes.issue(invoice, net_cents=200, reason="Slow answers", actor=None))
    use(payer, 900 * CENT, at=DECEMBER + DAY)
    following = close_month(payer.organization)

    assert following.net_cents == 700
    assert Adjustment.objects.get().amount_nanousd == -200 * CENT
    assert fake.objects("credit_note")[0]["type"] == "post_payment"
    assert_books_balance()


def test_credit_note_takes_its_share_of_the_tax(fake, settings):
    settings.STRIPE_TAX = True
    invoice = sealed_invoice(1_000)
    customer = give_card(fake, invoice.organization, "pm_card_chargeCustomerFail")
    fake.client().v1.customers.update(customer, {"address": {"country": "DE"}})
    invoice = push(invoice)

    shares = []
    for cents in (333, 333, 334):
        shares.append(credit_notes.issue(invoice, net_cents=cents, reason="x", actor=None))

    assert [note.tax_cents for note in shares] == [63, 63, 64]
    assert balances(invoice.organization) == {}


@pytest.mark.parametrize("cents", [0, -1, 501])
def test_credit_note_of_more_than_is_left_is_refused(fake, unpaid, cents):
    with pytest.raises(credit_notes.NotCorrectable):
        credit_notes.issue(unpaid, net_cents=cents, reason="x", actor=None)

    assert not CreditNote.objects.exists()


def test_credit_note_reaches_stripe_once_though_its_push_dies(fake, unpaid):
    note = credit_notes.issue(unpaid, net_cents=200, reason="x", actor=None)
    fake.fault("POST /v1/credit_notes", "cut_after")
    fake.fault("POST /v1/credit_notes", "cut_before", times=2)
    for expected in (True, False):
        try:
            credit_notes.push(note)
        except stripe_client.StripeAway:
            assert expected
        fake.tell("expire_keys")

    [found] = credit_notes.to_push() or [CreditNote.objects.get()]
    credit_notes.push(found)

    assert len(fake.objects("credit_note")) == 1
    assert CreditNote.objects.get().stripe_id == fake.objects("credit_note")[0]["id"]


def test_unfinished_work_is_gone_on_with_by_the_look(fake):
    invoice = sealed_invoice(500)
    give_card(fake, invoice.organization)
    assert invoice_push.unfinished() == [invoice]

    invoice_tasks.look_after_invoices()
    invoice_tasks.look_after_invoices()

    invoice.refresh_from_db()
    assert invoice.state == "paid"
    assert invoice_push.unfinished() == []
    assert_one_invoice_equal_to_ours(fake, invoice)


def test_two_beats_close_and_push_once(fake, django_capture_on_commit_callbacks):
    payer = make_debtor(since=datetime(2026, 9, 1, tzinfo=UTC))
    use(payer, 700 * CENT, at=datetime(2026, 9, 10, tzinfo=UTC))
    give_card(fake, payer.organization)

    for _ in itertools.repeat(None, 2):
        with django_capture_on_commit_callbacks(execute=True):
            invoice_tasks.look_for_due_periods()
            invoice_tasks.look_for_due_periods()

    september = Invoice.objects.get(net_cents=700)
    assert september.state == "paid"
    assert Invoice.objects.exclude(pk=september.pk).exclude(state="zero").count() == 0
    assert_one_invoice_equal_to_ours(fake, september)
    assert DunningStep.objects.count() == 0
    assert_books_balance()
