"""The audit trail: one function, so that every event is written the same way."""

from collections.abc import Mapping

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
