"""
Credit into wallets, and what they hold.

The wallet of an organization is a `Budget` row whose cap is all that was credited; charges are posted
to it by the functions in `billing/sql/`. Each credit is a lot, a ledger transfer and that counter, in one
transaction under the wallet's lock.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, QuerySet
from django.db.models.expressions import CombinedExpression
from django.utils import timezone

from accounts import audit
from accounts.models import Organization, User
from billing.models import Budget, CreditLot, LedgerAccount, LedgerTransfer


class IdempotencyConflict(Exception):
    """The idempotency key already stands for another organization or amount."""


@transaction.atomic
def grant(
    organization: Organization,
    *,
    amount_nanousd: int,
    source: CreditLot.Source,
    idempotency_key: str,
    reason: str,
    expires_at: datetime | None = None,
    actor: User | None = None,
) -> CreditLot:
    """
    Give credit that nobody paid for; a repeat of the key returns the first lot and changes nothing.

    The amount is above zero. `actor` is None for the system and for operators at the command line.
    Raises IdempotencyConflict.
    """
    lot, is_new = CreditLot.objects.get_or_create(
        idempotency_key=idempotency_key,
        defaults={
            "organization": organization,
            "source": source,
            "amount_nanousd": amount_nanousd,
            "remaining_nanousd": amount_nanousd,
            "expires_at": expires_at,
        },
    )
    if (lot.organization_id, lot.amount_nanousd) != (organization.pk, amount_nanousd):
        raise IdempotencyConflict(idempotency_key)
    if is_new:
        _post(lot, reason=reason)
        audit.record(
            organization,
            action="wallet.granted",
            actor=actor,
            details={"amount_nanousd": amount_nanousd, "source": source, "reason": reason},
        )
    return lot


def _post(lot: CreditLot, *, reason: str) -> None:
    """Enter a new lot into the ledger and the wallet's counter."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT billing_lock_wallets(%s)", [[lot.organization_id]])  # makes it, too
    Kind = LedgerAccount.Kind
    house, _ = LedgerAccount.objects.get_or_create(organization=None, kind=Kind.PROMO_EXPENSE)
    own, _ = LedgerAccount.objects.get_or_create(organization=lot.organization, kind=Kind.WALLET)
    LedgerTransfer.objects.create(
        idempotency_key=f"grant:{lot.idempotency_key}",
        kind="grant",
        organization=lot.organization,
        debit_account=house,
        credit_account=own,
        amount_nanousd=lot.amount_nanousd,
        reason=reason,
        created_at=timezone.now(),
    )
    _wallets(lot.organization).update(credited_nanousd=F("credited_nanousd") + lot.amount_nanousd)


def grant_trial(organization: Organization) -> CreditLot:
    """Give the trial credit, once for each organization."""
    return grant(
        organization,
        amount_nanousd=settings.TRIAL_CREDIT_NANOUSD,
        source=CreditLot.Source.TRIAL,
        idempotency_key=f"trial:{organization.pk}",
        reason="Trial credit",
        expires_at=timezone.now() + timedelta(days=settings.TRIAL_CREDIT_DAYS),
    )


def balance_nanousd(organization: Organization) -> int:
    """Return what was credited less what was charged."""
    return _sum(organization, F("credited_nanousd") - F("posted_nanousd"))


def available_nanousd(organization: Organization) -> int:
    """Return the balance less what open calls may still cost."""
    free = F("credited_nanousd") - F("posted_nanousd") - F("held_nanousd")
    return _sum(organization, free)


def _sum(organization: Organization, amount: CombinedExpression) -> int:
    """Return an amount of the wallet, 0 where there is none yet."""
    return _wallets(organization).values_list(amount, flat=True).first() or 0


def _wallets(organization: Organization) -> QuerySet[Budget]:
    """Return the wallet's counter: one row, or none before the first credit or call."""
    return Budget.objects.filter(
        scope=Budget.Scope.WALLET, scope_id=organization.pk, model="", period="total"
    )
