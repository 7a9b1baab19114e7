"""Celery tasks of billing: thin, idempotent, by name."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from smtplib import SMTPException

from celery import shared_task
from django.utils import timezone

from accounts.models import Organization
from billing import aggregation, closing, lots, retention, stripe_client, stripe_events, wallet
from billing.alerting import alert_mail, alerts, leak_notices
from billing.bodies import stored_bodies
from billing.payments import auto_topups, refunds, topups

logger = logging.getLogger(__name__)


@shared_task(name="billing.grant_trial")
def grant_trial(*, organization_id: int) -> None:
    """Give the trial credit to an organization whose owner has verified an email address."""
    wallet.grant_trial(Organization.objects.get(pk=organization_id))


@shared_task(name="billing.look_after_endings")
def look_after_endings() -> None:
    """End the organizations whose owners want that and in which nothing is open any more."""
    for organization in closing.under_way():
        closing.finish(organization, now=timezone.now())


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


@shared_task(name="billing.tell_leak")
def tell_leak(*, leak_id: int) -> None:
    """Tell an organization of a secret that was found in public."""
    leak_notices.tell(leak_id)


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
    """Find what lost webhooks would have told, and finish what a dead process has begun at Stripe."""
    if not stripe_client.is_on():
        return
    now = timezone.now()
    try:
        stripe_events.poll(now)
    except stripe_client.StripeAway as error:
        logger.warning("Stripe cannot be asked for its events: %s", error.__cause__)
    topups.give_up(now)
    for uuid in topups.undecided(now):
        with _one_alone("top-up %s could not be followed", uuid):
            auto_topups.settle_any(topups.follow(uuid))
    for topup in auto_topups.unfinished(now):
        with _one_alone("automatic top-up %s could not be finished", topup.pk):
            auto_topups.resume(topup)
    for uuid in refunds.requested():
        with _one_alone("refund %s could not be made", uuid):
            refunds.pursue(uuid)


@shared_task(name="billing.fill_wallets")
def fill_wallets() -> None:
    """Charge the saved cards of those whose credit has fallen below their threshold."""
    now = timezone.now()
    for organization_id in auto_topups.due(now) if stripe_client.is_on() else ():
        with _one_alone("the wallet of organization %s could not be filled", organization_id):
            auto_topups.fill(organization_id, now=now)


@shared_task(name="billing.draw_lots")
def draw_lots() -> None:
    """Draw of the credit lots what calls have used, and let those whose time is over expire."""
    for organization_id in lots.waiting():
        with _one_alone("lots of organization %s could not be drawn", organization_id):
            lots.draw(organization_id)
    now = timezone.now()
    for lot_id in wallet.to_expire(now):
        with _one_alone("lot %s could not expire", lot_id):
            wallet.expire(lot_id, now=now)


@shared_task(name="billing.prune_bodies")
def prune_bodies() -> None:
    """Delete the bodies of requests whose time is over."""
    stored_bodies.prune(timezone.now())


@contextmanager
def _one_alone(message: str, which: object) -> Iterator[None]:
    """Let the trouble of one not hold up the others: the task boundary."""
    try:
        yield
    except stripe_client.StripeAway as error:
        logger.warning(f"{message}: Stripe does not answer: %s", which, error.__cause__)  # noqa: G004  ours
    except Exception:
        logger.exception(message, which)
