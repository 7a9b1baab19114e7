"""The audit trail: one function that writes every event, and one that says what a change of fields was."""

from collections.abc import Mapping
from datetime import datetime

from django.db.models import Model

from accounts.models import AuditEvent, Organization, User


def record(
    organization: Organization,
    *,
    action: str,
    actor: User | None,
    target: str = "",
    details: Mapping[str, object] | None = None,
) -> AuditEvent:
    """
    Store who did what to which object; call it inside the transaction of the deed.

    `actor` is None for the system and for operators at the command line; `target` is a public id;
    `details` holds plain JSON values and never a secret.
    """
    return AuditEvent.objects.create(
        organization=organization,
        actor=actor,
        action=action,
        target=target,
        details=dict(details or {}),
    )


def set_fields(row: Model, values: Mapping[str, object]) -> dict[str, object]:
    """
    Give fields of a row new values, and return those that differ as details of an event: name to `from` and `to`.

    Nothing is stored: the caller saves these fields, if there are any, and records them.
    """
    changes: dict[str, object] = {}
    for name, value in values.items():
        before = getattr(row, name)
        if value != before:
            setattr(row, name, value)
            changes[name] = {"from": plain(before), "to": plain(value)}
    return changes


def plain(value: object) -> object:
    """Return the value as JSON can hold it."""
    return value.isoformat() if isinstance(value, datetime) else value
