"""`ledger verify` over invoices: sound books pass, and each kind of damage is found by its own invariant."""

from datetime import timedelta

import pytest
from django.db import connection

from billing.verification.verify import INVARIANTS
from billing.verification.verify_invoices import INVARIANTS as OF_INVOICES
from tests.billing.owing import (
    DECEMBER,
    DOLLAR,
    NOVEMBER,
    assert_books_balance,
    close_month,
    make_debtor,
    use,
)

pytestmark = pytest.mark.django_db

# Rows that the ledger knows nothing of.
REFUNDED = """
    INSERT INTO billing_invoicerefund (stripe_id, invoice_id, net_cents, tax_cents, state, created_at)
    SELECT 're_1', uuid, {cents}, 0, 'done', now() FROM billing_invoice
"""
DISPUTED = """
    INSERT INTO billing_invoicedispute (stripe_id, invoice_id, status, withdrawn_cents, reinstated_cents,
        lost_net_cents, lost_tax_cents, fee_cents, created_at)
    SELECT 'dp_1', uuid, 'lost', 1, {back}, {lost}, 0, 0, now() FROM billing_invoice
"""
DAMAGE = {
    "unbilled": "UPDATE billing_usageevent SET postpaid = false WHERE invoice_line_id IS NULL",
    "cents": "UPDATE billing_invoice SET net_cents = net_cents + 1",
    "invoice lines": "UPDATE billing_invoicepart SET amount_nanousd = amount_nanousd + 1",
    "one payer": "UPDATE billing_usageevent SET postpaid = false WHERE invoice_line_id IS NOT NULL",
    "periods": "UPDATE billing_billingperiod SET period_start = period_end - interval '1 h' WHERE state = 'open'",
    "receivable": "UPDATE billing_invoice SET state = 'paid'",
    "invoice money back": REFUNDED.format(cents=1),
}
MORE_DAMAGE = (
    ("invoice lines", "UPDATE billing_invoiceshare SET charge_nanousd = charge_nanousd - 1"),
    ("invoice lines", "UPDATE billing_invoiceline SET requests = requests + 1"),
    ("invoice lines", "UPDATE billing_invoiceline SET service_tier = 'flex'"),
    ("invoice lines", "UPDATE billing_usageevent SET invoice_line_id = NULL"),
    ("cents", "UPDATE billing_invoice SET carry_after_nanousd = 6"),
    ("periods", "UPDATE billing_billingperiod SET state = 'closing' WHERE state = 'sealed'"),
    ("periods", "UPDATE billing_billingperiod SET period_end = period_end + interval '1 minute'"),
    ("receivable", "UPDATE billing_invoice SET tax_cents = 7"),
    ("invoice money back", DISPUTED.format(back=0, lost=0)),
    ("invoice money back", DISPUTED.format(back=0, lost=1)),
)


@pytest.fixture
def books():
    payer = make_debtor()
    use(payer, 3 * DOLLAR + 5, at=NOVEMBER + timedelta(days=3))
    close_month(payer.organization)
    use(payer, 2 * DOLLAR, at=DECEMBER + timedelta(days=3))
    assert_books_balance()


@pytest.mark.parametrize(("name", "statement"), [*DAMAGE.items(), *MORE_DAMAGE])
def test_damage_to_invoices_is_found(books, name, statement):
    [invariant] = [each for each in INVARIANTS if each.name == name]
    with connection.cursor() as cursor:
        cursor.execute(statement)

        cursor.execute(invariant.broken)
        assert cursor.fetchall() != []


def test_every_invariant_of_invoices_has_its_damage():
    assert set(DAMAGE) == {name for name, *_ in OF_INVOICES}
