"""What a customer wants to read on invoices and receipts: purchase order, cost centre."""

from django.db import transaction

from accounts import audit
from accounts.models import Organization, User
from billing.models import BillingAccount


def of(organization: Organization) -> list[tuple[str, str]]:
    """Return what is given, as (name, value)."""
    row = BillingAccount.objects.filter(organization=organization).first()
    if row is None:
        return []
    named = (("Purchase order", row.purchase_order), ("Cost centre", row.cost_centre))
    return [(name, value) for name, value in named if value]


def words(organization: Organization) -> str:
    """Return the same as the end of a description, "" for none."""
    return "".join(f", {name.lower()} {value}" for name, value in of(organization))


@transaction.atomic
def change(
    organization: Organization, *, purchase_order: str, cost_centre: str, actor: User
) -> BillingAccount:
    """Have these printed on what is made from now on; empty leaves one out."""
    row, _ = BillingAccount.objects.get_or_create(organization=organization)
    row.purchase_order, row.cost_centre = purchase_order, cost_centre
    row.save(update_fields=["purchase_order", "cost_centre"])
    audit.record(
        organization,
        action="billing.references_changed",
        actor=actor,
        details={"purchase_order": purchase_order, "cost_centre": cost_centre},
    )
    return row
