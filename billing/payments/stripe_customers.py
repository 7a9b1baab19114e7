"""Who an organization is at Stripe: made when it first pays, and made anew where Stripe has deleted it."""

from django.db import transaction
from django.utils import timezone

from accounts.models import Membership, Organization
from billing import stripe_client
from billing.models import StripeCustomer


def ensure(organization: Organization) -> str:
    """
    Return the customer id of an organization, making the customer if need be. Raises StripeAway.

    Safe to be killed anywhere: the row with its generation commits before Stripe is asked, and a customer made by a
    try that died is found again by its key, or, after the key's life, by the organization in its metadata.
    """
    row = _present(organization)
    if row.stripe_id and stripe_client.has_customer(row.stripe_id):
        return row.stripe_id
    if row.stripe_id:
        row = _replace(row)
    email = billing_email(organization)
    made = stripe_client.find_customer(organization_id=organization.public_id, email=email)
    made = made or stripe_client.make_customer(
        organization_id=organization.public_id,
        name=organization.name,
        email=email,
        idempotency_key=f"customer:{organization.public_id}:g{row.generation}",
    )
    StripeCustomer.objects.filter(pk=row.pk, stripe_id="").update(stripe_id=made)
    return made


def billing_email(organization: Organization) -> str:
    """Return where receipts go: the owner who has been a member for the longest time."""
    owner = (
        organization.memberships.filter(role=Membership.Role.OWNER)
        .select_related("user")
        .order_by("created_at", "pk")
        .first()
    )
    return owner.user.email if owner else ""


def _present(organization: Organization) -> StripeCustomer:
    row, _ = StripeCustomer.objects.get_or_create(organization=organization, replaced_at=None)
    return row


@transaction.atomic
def _replace(row: StripeCustomer) -> StripeCustomer:
    """Set a customer aside that Stripe has deleted; one of many who notice wins, the others take its row."""
    now = timezone.now()
    won = StripeCustomer.objects.filter(pk=row.pk, replaced_at=None).update(replaced_at=now)
    if won:
        StripeCustomer.objects.create(organization=row.organization, generation=row.generation + 1)
    return _present(row.organization)
