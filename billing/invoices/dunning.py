"""
Invoices that were not paid: told, tried again, then calls are blocked, then the debt is given up; each step is a row.

A step that is done is never done again; paying ends the plan, and unblocks in the same transaction.
"""

from datetime import datetime

from django.db import transaction

from accounts import audit
from billing import ledger, plans, stripe_client
from billing.invoices import invoice_push, invoice_states, stripe_invoices
from billing.models import DunningStep, Invoice
from exerati.lib.queue import enqueue

Step = DunningStep.Step
RETRIES = (Step.RETRY_3, Step.RETRY_5, Step.RETRY_7)


def run(step_id: int, *, now: datetime) -> str:
    """
    Do one step whose day has come; return how it ended. Raises StripeAway, and may be repeated then.

    What happens at Stripe goes first, under a key of the step; then the row is marked, by whoever comes first, and
    only they tell the customer.
    """
    step = DunningStep.objects.select_related("invoice__organization").get(pk=step_id)
    if step.done_at or step.due_at > now:
        return step.outcome
    invoice = step.invoice
    if invoice.stripe_id and stripe_client.is_on():
        invoice = invoice_states.follow(invoice, now=now)
    if not invoice.is_owed or invoice.state == Invoice.State.SEALED:
        return _done(step, f"the invoice is {invoice.state}", now=now)
    if step.step in RETRIES and invoice.collection == "charge":
        failure = invoice_push.charge(invoice, attempt=step.step)
        invoice = invoice_states.follow(invoice, now=now)
        if not failure:
            return _done(step, "paid", now=now)
        return _done(step, f"failed: {failure}", now=now, mail="failed")
    if step.step == Step.BLOCK:
        return _done(step, "calls are blocked", now=now, mail="blocked")
    if step.step == Step.WRITE_OFF:
        _give_up(invoice, now=now)
        return _done(step, "given up", now=now)
    return _done(
        step, "reminded", now=now, mail="failed" if invoice.collection == "charge" else "overdue"
    )


def _give_up(invoice: Invoice, *, now: datetime) -> None:
    key = f"invoice:{invoice.uuid}:give_up:g1"
    if invoice.state == Invoice.State.OPEN:
        try:
            stripe_invoices.give_up(invoice.stripe_id, idempotency_key=key)
        except stripe_client.Refused:
            pass  # paid or given up meanwhile: following tells
    invoice_states.follow(invoice, now=now)


@transaction.atomic
def _done(step: DunningStep, outcome: str, *, now: datetime, mail: str = "") -> str:
    """Mark a step, once; block, unblock and tell with it."""
    ledger.lock_wallet(step.invoice.organization_id)
    waiting = DunningStep.objects.filter(pk=step.pk, done_at=None)
    if not waiting.update(done_at=now, outcome=outcome[:200]):
        return outcome
    plans.refresh(step.invoice.organization, now=now)
    audit.record(
        step.invoice.organization,
        action=f"invoice.dunning_{step.step}",
        actor=None,
        target=step.invoice.public_id,
        details={"outcome": outcome},
    )
    if mail:
        enqueue("billing.mail_invoice", invoice_id=str(step.invoice_id), kind=mail)
    return outcome
