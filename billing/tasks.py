"""Celery tasks of billing: thin, idempotent, by name."""

import logging
from smtplib import SMTPException

from celery import shared_task
from django.utils import timezone

from accounts.models import Organization
from billing import (
    aggregation,
    alert_mail,
    alerts,
    retention,
    stored_bodies,
    stripe_client,
    stripe_events,
    topups,
    wallet,
)

logger = logging.getLogger(__name__)


@shared_task(name="billing.grant_trial")
def grant_trial(*, organization_id: int) -> None:
    """Give the trial credit to an organization whose owner has verified an e-mail address."""
    wallet.grant_trial(Organization.objects.get(pk=organization_id))


@shared_task(name="billing.roll_up")
def roll_up() -> None:
    """Add the events that were settled since the last time to the hourly sums."""
    aggregation.roll_up()


@shared_task(name="billing.create_partitions")
def create_partitions() -> None:
    """Make the monthly partitions of usage events before they are needed."""
    aggregation.create_partitions(timezone.now())


@shared_task(name="billing.check_alerts")
def check_alerts() -> None:
    """Look at the organizations whose spending has changed, and send again what mail was lost."""
    now = timezone.now()
    for organization_id in alerts.waiting():
        try:
            alerts.check(organization_id, now=now)
        except Exception:  # the task boundary: one organization's trouble must not silence others
            logger.exception("alerts of organization %s could not be checked", organization_id)
    for notification_id in alerts.to_be_mailed(now):
        mail_notification.delay(notification_id=notification_id)


@shared_task(
    name="billing.mail_notification",
    autoretry_for=(SMTPException, OSError),
    retry_backoff=10,
    max_retries=5,
)
def mail_notification(*, notification_id: int) -> None:
    """Send the mail of one notification, once."""
    alert_mail.send(notification_id)


@shared_task(name="billing.prune_refusals")
def prune_refusals() -> None:
    """Forget refusals of long ago."""
    retention.prune_refusals(timezone.now())


@shared_task(name="billing.prune_reservations")
def prune_reservations() -> None:
    """Forget reservations that ended long ago."""
    retention.prune_reservations(timezone.now())


@shared_task(
    name="billing.apply_stripe_event",
    autoretry_for=(stripe_client.StripeAway,),
    retry_backoff=10,
    max_retries=5,
)
def apply_stripe_event(*, event_id: str) -> None:
    """Do what one event of Stripe calls for."""
    stripe_events.apply(event_id)


@shared_task(name="billing.apply_stripe_events")
def apply_stripe_events() -> None:
    """Apply what was stored and then forgotten, by a worker that died for one."""
    for event_id in stripe_events.waiting() if stripe_client.is_on() else ():
        try:
            stripe_events.apply(event_id)
        except Exception:  # the task boundary: one event must not hold up the others
            logger.exception("event %s of Stripe could not be applied", event_id)


@shared_task(name="billing.poll_stripe")
def poll_stripe() -> None:
    """Find what lost webhooks would have told: new events, and top-ups that are still open."""
    if not stripe_client.is_on():
        return
    now = timezone.now()
    try:
        stripe_events.poll(now)
    except stripe_client.StripeAway as error:
        logger.warning("Stripe cannot be asked for its events: %s", error.__cause__)
    for uuid in topups.undecided(now):
        try:
            topups.follow(uuid)
        except Exception:  # the task boundary: one top-up must not hold up the others
            logger.exception("top-up %s could not be followed", uuid)


@shared_task(name="billing.prune_bodies")
def prune_bodies() -> None:
    """Delete the bodies of requests whose time is over."""
    stored_bodies.prune(timezone.now())
