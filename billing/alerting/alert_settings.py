"""Which alerts an organization wants; every change leaves an audit event."""

from typing import Any

from django.db import transaction

from accounts import audit
from accounts.models import Organization, User
from billing.models import AlertSettings


def of(organization: Organization) -> AlertSettings:
    """Return an organization's settings, the defaults where it has changed nothing; runs one query."""
    found = AlertSettings.objects.filter(organization=organization).first()
    return found or AlertSettings(organization=organization)


@transaction.atomic
def change(organization: Organization, *, actor: User, **values: Any) -> None:
    """Store new values of the settings' fields."""
    AlertSettings.objects.get_or_create(organization=organization)
    stored = AlertSettings.objects.select_for_update().get(organization=organization)
    if changes := audit.set_fields(stored, values):
        stored.save(update_fields=list(changes))
        audit.record(
            organization,
            action="alerts.changed",
            actor=actor,
            target=organization.public_id,
            details=changes,
        )
