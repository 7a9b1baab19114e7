"""
How an organization pays: in advance or afterwards, how far it may go, and whether it is blocked for a debt.

All changes are made by staff, with a reason, under the wallet's lock: so a call is settled by one plan or the other.
"""

from datetime import datetime

from django.db import transaction

from accounts import audit
from accounts.models import Organization, User
from billing import ledger
from billing.invoices import billing_periods
from billing.models import Adjustment, BillingAccount, DunningStep, Invoice
from exerati.lib.money import NANOUSD_PER_CENT

Plan = BillingAccount.Plan


class NothingToChange(Exception):
    """The organization has this plan already."""


def account(organization: Organization) -> BillingAccount:
    """Return how an organization pays, stored or not."""
    found = BillingAccount.objects.filter(organization=organization).first()
    return found or BillingAccount(organization=organization)


@transaction.atomic
def switch(
    organization: Organization, *, plan: str, reason: str, actor: User | None, now: datetime
) -> BillingAccount:
    """
    Let an organization pay by another plan from now on. Raises NothingToChange.

    To postpaid opens a billing period, to prepaid ends it; its invoice follows, and what is owed by it does not eat
    new credit.
    """
    row = _locked(organization)
    if row.plan == plan:
        raise NothingToChange(plan)
    row.plan = plan
    row.save(update_fields=["plan"])
    if plan == Plan.POSTPAID:
        billing_periods.open_first(organization, now=now)
    else:
        billing_periods.leave(organization, now=now)
    refresh(organization, now=now)
    audit.record(
        organization,
        action="billing.plan_changed",
        actor=actor,
        details={"plan": plan, "reason": reason},
    )
    row.refresh_from_db()
    return row


@transaction.atomic
def change_terms(
    organization: Organization,
    *,
    limit_nanousd: int,
    collection: str,
    days_until_due: int,
    reason: str,
    actor: User | None,
    now: datetime,
) -> BillingAccount:
    """Agree on another credit limit and another way to pay invoices; both hold from now on."""
    row = _locked(organization)
    before = {
        "limit_nanousd": row.agreed_limit_nanousd,
        "collection": row.collection,
        "days_until_due": row.days_until_due,
    }
    row.agreed_limit_nanousd = limit_nanousd
    row.collection, row.days_until_due = collection, days_until_due
    row.save(update_fields=["agreed_limit_nanousd", "collection", "days_until_due"])
    refresh(organization, now=now)
    after = {
        "limit_nanousd": limit_nanousd,
        "collection": collection,
        "days_until_due": days_until_due,
    }
    audit.record(
        organization,
        action="billing.terms_changed",
        actor=actor,
        details={"before": before, "after": after, "reason": reason},
    )
    row.refresh_from_db()
    return row


def refresh(organization: Organization, *, now: datetime) -> None:
    """
    Bring the limit in effect and the block to what the invoices say. Belongs into a transaction.

    An organization is blocked while an invoice is owed whose block has come; so paying it unblocks at once.
    """
    row = _locked(organization)
    row.credit_limit_nanousd = (
        row.agreed_limit_nanousd if row.plan == Plan.POSTPAID else owed_nanousd(organization)
    )
    blocking = DunningStep.objects.filter(
        step=DunningStep.Step.BLOCK,
        done_at__isnull=False,
        invoice__organization=organization,
        invoice__state__in=(Invoice.State.OPEN, Invoice.State.UNCOLLECTIBLE),
    )
    row.blocked_at = (row.blocked_at or now) if blocking.exists() else None
    row.save(update_fields=["credit_limit_nanousd", "blocked_at"])


def owed_nanousd(organization: Organization) -> int:
    """Return what an organization owes for its use: unsealed periods, and open invoices without tax."""
    unsealed = billing_periods.used_nanousd(organization)
    owed = sum(
        (net - credited) * NANOUSD_PER_CENT
        for net, credited in Invoice.objects.filter(
            organization=organization, state__in=(Invoice.State.SEALED, Invoice.State.OPEN)
        ).values_list("net_cents", "credited_cents")
    )
    return max(0, unsealed + owed)


@transaction.atomic
def adjust(
    organization: Organization, *, amount_nanousd: int, reason: str, actor: User | None
) -> Adjustment:
    """Add an amount to the next invoice, or take it off (below zero). It counts for the credit limit at once."""
    row = Adjustment.objects.create(
        organization=organization, amount_nanousd=amount_nanousd, reason=reason, actor=actor
    )
    more = (ledger.Kind.UNBILLED, ledger.Kind.REVENUE, amount_nanousd)
    less = (ledger.Kind.REVENUE, ledger.Kind.UNBILLED, -amount_nanousd)
    ledger.post(
        organization,
        kind="adjustment",
        idempotency_key=f"adjustment:{row.uuid}",
        legs=(more if amount_nanousd > 0 else less,),
        reason=reason,
    )
    audit.record(
        organization,
        action="billing.adjusted",
        actor=actor,
        details={"amount_nanousd": amount_nanousd, "reason": reason},
    )
    return row


def _locked(organization: Organization) -> BillingAccount:
    """Return the row under the wallet's lock, which is taken first everywhere."""
    ledger.lock_wallet(organization.pk)
    row, _ = BillingAccount.objects.get_or_create(organization=organization)
    return row
