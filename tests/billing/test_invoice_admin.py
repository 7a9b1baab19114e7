"""What staff do about invoices in the admin: each with a reason, which is kept."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEvent
from billing import plans
from billing.invoices import dunning_plan
from billing.models import BillingAccount, CreditNote, DunningStep, Invoice, InvoiceRefund
from tests import factories
from tests.billing.owing import assert_books_balance
from tests.billing.stripe_world import give_card, push, sealed_invoice
from tests.cast import signed_in
from tests.fake_stripe.server import API_KEY, FakeStripe, running

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def server():
    with running() as started:
        yield started


@pytest.fixture
def invoice(server: FakeStripe, settings):
    """An open invoice over $5 without a card."""
    server.tell("reset")
    settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE = API_KEY, server.url
    return push(sealed_invoice(500))


@pytest.fixture
def staff(db):
    return factories.make_user("staff@exerati.example", is_staff=True, is_superuser=True)


def act(staff, invoice, action, *, reason="Asked by the customer", **more):
    return signed_in(staff).post(
        reverse("admin:billing_invoice_changelist"),
        {"action": action, "_selected_action": [str(invoice.pk)], "reason": reason, **more},
        follow=True,
    )


def test_credit_note_with_a_reason(staff, invoice):
    act(staff, invoice, "credit", cents="200")

    note = CreditNote.objects.get()
    assert (note.net_cents, note.reason, note.actor) == (200, "Asked by the customer", staff)
    assert_books_balance()


@pytest.mark.parametrize("action", ["credit", "refund", "go_on", "take_back", "lift_block"])
def test_nothing_is_done_without_a_reason(staff, invoice, action):
    page = act(staff, invoice, action, reason=" ", cents="200").content.decode()

    assert "Give a reason" in page
    assert not CreditNote.objects.exists()
    assert Invoice.objects.get().state == "open"


def test_staff_refund_a_paid_invoice_once_and_never_more_than_was_paid(staff, server, settings):
    server.tell("reset")
    settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE = API_KEY, server.url
    sealed = sealed_invoice(500)
    give_card(server, sealed.organization)
    paid = push(sealed)
    assert paid.state == "paid"

    act(staff, paid, "refund", cents="200")
    page = act(staff, paid, "refund", cents="301").content.decode()

    assert "300 cents of its payment are left" in page
    assert [row["amount"] for row in server.objects("refund")] == [200]
    assert InvoiceRefund.objects.get().cents == 200
    event = AuditEvent.objects.get(action="invoice.refund_asked")
    assert (event.actor, event.details["reason"]) == (staff, "200 cents: Asked by the customer")
    assert_books_balance()


def test_an_invoice_that_nothing_has_paid_is_not_refunded(staff, invoice):
    page = act(staff, invoice, "refund", cents="100").content.decode()

    assert "No payment has paid this invoice" in page


def test_too_large_a_credit_note_says_what_is_left(staff, invoice):
    page = act(staff, invoice, "credit", cents="501").content.decode()

    assert "only 500 cents left" in page


def test_taking_back_ends_the_debt_and_its_calls_are_on_no_other(staff, invoice):
    act(staff, invoice, "take_back")

    invoice.refresh_from_db()
    assert invoice.state == "void"
    assert plans.owed_nanousd(invoice.organization) == 0
    event = invoice.organization.audit_events.get(action="invoice.taken_back")
    assert event.details["reason"] == "Asked by the customer"
    assert_books_balance()


def test_a_lifted_block_admits_calls_for_a_week(staff, invoice):
    now = timezone.now()
    DunningStep.objects.filter(step="block").update(done_at=now)
    plans.refresh(invoice.organization, now=now)
    assert BillingAccount.objects.get().blocked_at is not None

    act(staff, invoice, "lift_block")

    assert BillingAccount.objects.get().blocked_at is None
    step = DunningStep.objects.get(step="block")
    assert step.due_at - now > timedelta(days=6)
    assert step.pk not in dunning_plan.due(now)


def test_a_stopped_invoice_goes_on(staff, invoice):
    Invoice.objects.update(problem="Stripe's draft has 3 lines")

    act(staff, invoice, "go_on")

    assert Invoice.objects.get().problem == ""
    assert "Nothing has stopped this invoice" in act(staff, invoice, "go_on").content.decode()
