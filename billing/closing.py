"""
An organization that its owner ends: nothing is admitted or charged by itself any more, then its last invoice is waited
for, and once nothing is open its name and its people are taken out. The books stay.
"""

import logging
from datetime import datetime

from django.db import transaction
from django.db.models import Value
from django.db.models.functions import Concat

from accounts import audit
from accounts.models import Invitation, Organization, User
from billing import leaving, ledger, plans
from billing.models import BillingAccount, SavedView, StoredBody

logger = logging.getLogger(__name__)

NAME = "Closed organization"
REASON = "the organization is closed"


class IsClosing(Exception):
    """The organization is ending already."""


@transaction.atomic
def begin(organization: Organization, *, actor: User, now: datetime) -> None:
    """
    End an organization: keys, automatic top-ups and its billing period at once, itself once nothing is open.

    Raises IsClosing.
    """
    ledger.lock_wallet(organization.pk)  # no call is admitted between the look and the end
    row, _ = BillingAccount.objects.get_or_create(organization=organization)
    if row.closing_at:
        raise IsClosing
    if row.plan == BillingAccount.Plan.POSTPAID:
        plans.switch(organization, plan="prepaid", reason=REASON, actor=actor, now=now)
    leaving.stop(organization, actor=actor, now=now)
    BillingAccount.objects.filter(organization=organization).update(closing_at=now)
    audit.record(
        organization, action="organization.closing", actor=actor, target=organization.public_id
    )


def since(organization: Organization) -> datetime | None:
    """Return since when an organization is ending, None for one that is not."""
    found = BillingAccount.objects.filter(organization=organization)
    return found.values_list("closing_at", flat=True).first()


def under_way() -> list[Organization]:
    """Return the organizations that are ending, the longest first."""
    found = Organization.objects.filter(
        billing_account__closing_at__isnull=False, billing_account__closed_at=None
    )
    return list(found.order_by("billing_account__closing_at")[:200])


@transaction.atomic
def finish(organization: Organization, *, now: datetime) -> bool:
    """Take name and people out of an organization that is ending, unless something is open; return whether it ended."""
    ledger.lock_wallet(organization.pk)
    ending = BillingAccount.objects.filter(organization=organization, closed_at=None)
    if not ending.exclude(closing_at=None).exists() or leaving.open_matters(organization):
        return False
    ending.update(closed_at=now)
    audit.record(
        organization, action="organization.closed", actor=None, target=organization.public_id
    )
    _take_out_names(organization, now=now)
    return True


def _take_out_names(organization: Organization, *, now: datetime) -> None:
    Organization.objects.filter(pk=organization.pk).update(name=NAME, slug=organization.public_id)
    organization.projects.update(name=Concat(Value("Project "), "public_id"))
    organization.api_keys.update(name="Closed key")
    Invitation.objects.filter(
        organization=organization, accepted_at=None, withdrawn_at=None
    ).update(withdrawn_at=now)
    StoredBody.objects.filter(organization=organization).delete()
    SavedView.objects.filter(organization=organization).delete()
    organization.memberships.all().delete()
