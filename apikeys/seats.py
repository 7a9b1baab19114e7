"""
Seats: what a member calls models by from the dashboard, without any key.

Limits, budgets, metering and the request log know every caller as a row of `ApiKey`. A seat is such a row for one
member in one project: same limits, same budgets of project and organization, same usage events, which so name the
member. Nothing can authenticate as it: its hash is random, and `apikeys.authentication` refuses the kind.
"""

import secrets
from datetime import datetime

from accounts.models import Organization, Project, User
from apikeys.models import ApiKey

HASH_BYTES = 32


def take(organization: Organization, *, user: User, project: Project, mode: str) -> ApiKey:
    """Return the member's seat in a project, made on the first use; two first uses at once make one."""
    seat, _ = ApiKey.every.get_or_create(
        kind=ApiKey.Kind.SEAT,
        organization=organization,
        project=project,
        created_by=user,
        mode=ApiKey.Mode(mode),
        defaults={
            "name": name_of(user),
            "key_prefix": "",
            "key_last4": "",
            "key_hash": secrets.token_bytes(HASH_BYTES),
        },
    )
    return seat


def end_all(user: User, *, name: str, now: datetime) -> None:
    """Revoke every seat of somebody who is nobody's member any more, and call them by another name."""
    ApiKey.every.filter(kind=ApiKey.Kind.SEAT, created_by=user).update(revoked_at=now, name=name)


def name_of(user: User) -> str:
    """Return how the seat is called in the request log."""
    return f"Playground, {user.email}"[:120]
