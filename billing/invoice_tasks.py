"""Celery tasks of invoices: beat only wakes due work, so two beats and many workers do no harm."""

import logging

from celery import shared_task

from billing import billing_periods, invoicing

logger = logging.getLogger(__name__)


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
