"""Tells an organization that a secret of one of its keys was found in public, once for each place."""

from django.db import transaction

from apikeys.models import KeyLeak
from billing.alerting import alerts
from billing.models import AlertSettings, Notification


@transaction.atomic
def tell(leak_id: int) -> list[Notification]:
    """Store the notification of a leak unless it is there; return what is new. Mail goes out whatever is set."""
    leak = KeyLeak.objects.select_related("key__organization").get(pk=leak_id)
    key = leak.key
    return alerts.tell(
        key.organization,
        AlertSettings(by_mail=True),  # no setting silences this
        kind=Notification.Kind.LEAK,
        occasion=f"leak:{leak.pk}",
        key_id=key.pk,
        details={
            "name": key.name,
            "last4": leak.last4,
            "place": leak.place,
            "source": leak.source,
            "done": leak.done,
        },
    )
