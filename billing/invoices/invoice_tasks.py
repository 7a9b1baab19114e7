"""Celery tasks of invoices: beat only wakes due work, so two beats and many workers do no harm."""

import logging
from collections.abc import Callable, Iterable
from datetime import timedelta
from smtplib import SMTPException
from typing import TypeVar
from uuid import UUID

from celery import shared_task

from billing import stripe_client
from billing.invoices import (
    billing_periods,
    credit_notes,
    dunning,
    dunning_plan,
    invoice_mail,
    invoice_push,
    invoice_states,
    invoicing,
)
from billing.models import CreditNote, Invoice

logger = logging.getLogger(__name__)

POLL_EVERY = timedelta(minutes=10)  # how long a lost webhook may go unnoticed
Item = TypeVar("Item")


@shared_task(name="billing.look_for_due_periods")
def look_for_due_periods() -> None:
    """Roll over and end early the periods whose time has come, and start the closing of those that are due."""
    now = billing_periods.database_now()
    while ended := billing_periods.run_out(now):  # again, where more than one month has passed
        for period in ended:
            billing_periods.roll_over(period, now=now)
    for period in billing_periods.too_large():
        billing_periods.end_early(period, now=now)
    for period_id in billing_periods.to_close(now):
        close_period.delay(period_id=period_id)


@shared_task(name="billing.close_period")
def close_period(*, period_id: int) -> None:
    """Make and seal the invoice of one period; another worker that does it already is left to it."""
    try:
        invoicing.close(period_id, now=billing_periods.database_now())
    except invoicing.Busy:
        logger.info("period %s is in another worker's hands", period_id)


@shared_task(
    name="billing.push_invoice",
    autoretry_for=(stripe_client.StripeAway,),
    retry_backoff=10,
    max_retries=5,
)
def push_invoice(*, invoice_id: str) -> None:
    """Bring a sealed invoice to Stripe and take its money, from wherever that was left."""
    invoice = Invoice.objects.select_related("organization", "period").get(pk=UUID(invoice_id))
    invoice_push.push(invoice, now=billing_periods.database_now())


@shared_task(
    name="billing.push_credit_note",
    autoretry_for=(stripe_client.StripeAway,),
    retry_backoff=10,
    max_retries=5,
)
def push_credit_note(*, note_id: str) -> None:
    """Give Stripe its copy of a credit note."""
    credit_notes.push(CreditNote.objects.select_related("invoice").get(pk=UUID(note_id)))


@shared_task(name="billing.look_after_invoices")
def look_after_invoices() -> None:
    """Go on with what a process that died has left, and find what lost webhooks would have told; then dunning."""
    if not stripe_client.is_on():
        return
    now = billing_periods.database_now()
    _each(invoice_push.unfinished(), lambda invoice: invoice_push.push(invoice, now=now))
    _each(
        invoice_states.to_follow(now - POLL_EVERY),
        lambda invoice: invoice_states.follow(invoice, now=now),
    )
    _each(dunning_plan.overdue(now), lambda invoice: dunning_plan.begin(invoice, now=now))
    _each(dunning_plan.due(now), lambda step_id: dunning.run(step_id, now=now))
    _each(credit_notes.to_push(), credit_notes.push)


def _each(items: Iterable[Item], do: Callable[[Item], object]) -> None:
    for item in items:
        try:
            do(item)
        except stripe_client.StripeAway:
            logger.warning("Stripe is away; %s is tried again later", item)
        except Exception:  # the task boundary: one must not hold up the others
            logger.exception("%s could not be gone on with", item)


@shared_task(
    name="billing.mail_invoice",
    autoretry_for=(SMTPException, OSError),
    retry_backoff=10,
    max_retries=5,
)
def mail_invoice(*, invoice_id: str, kind: str) -> None:
    """Send one mail about an invoice."""
    invoice_mail.send(UUID(invoice_id), kind=kind)
