"""
Credit into wallets and out of them again, and what they hold.

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

NANOUSD_PER_CENT = 10_000_000
Kind = LedgerAccount.Kind


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
        _enter(
            organization,
            kind="grant",
            idempotency_key=f"grant:{idempotency_key}",
            legs=((Kind.PROMO_EXPENSE, Kind.WALLET, amount_nanousd),),
            reason=reason,
        )
        audit.record(
            organization,
            action="wallet.granted",
            actor=actor,
            details={"amount_nanousd": amount_nanousd, "source": source, "reason": reason},
        )
    return lot


@transaction.atomic
def buy(
    organization: Organization, *, net_cents: int, tax_cents: int, idempotency_key: str
) -> CreditLot:
    """Enter credit that was paid for; its tax is owed to the state. A repeat of the key changes nothing."""
    lot, is_new = CreditLot.objects.get_or_create(
        idempotency_key=idempotency_key,
        defaults={
            "organization": organization,
            "source": CreditLot.Source.PURCHASE,
            "amount_nanousd": net_cents * NANOUSD_PER_CENT,
            "remaining_nanousd": net_cents * NANOUSD_PER_CENT,
        },
    )
    if (lot.organization_id, lot.amount_nanousd) != (
        organization.pk,
        net_cents * NANOUSD_PER_CENT,
    ):
        raise IdempotencyConflict(idempotency_key)
    if is_new:
        _enter(
            organization,
            kind="topup",
            idempotency_key=idempotency_key,
            legs=(
                (Kind.STRIPE_CLEARING, Kind.WALLET, net_cents * NANOUSD_PER_CENT),
                (Kind.STRIPE_CLEARING, Kind.TAX_PAYABLE, tax_cents * NANOUSD_PER_CENT),
            ),
            reason="Credit bought",
        )
    return lot


@transaction.atomic
def take_back(
    lot_key: str, *, kind: str, net_cents: int, tax_cents: int, idempotency_key: str, reason: str
) -> None:
    """
    Take credit that was bought out of its wallet again, with its tax: the money went back to the payer.

    The wallet may go below zero; then nothing is admitted until it is paid up.
    """
    lot = CreditLot.objects.select_for_update().get(idempotency_key=lot_key)
    net = net_cents * NANOUSD_PER_CENT
    _enter(
        lot.organization,
        kind=kind,
        idempotency_key=idempotency_key,
        legs=(
            (Kind.WALLET, Kind.STRIPE_CLEARING, net),
            (Kind.TAX_PAYABLE, Kind.STRIPE_CLEARING, tax_cents * NANOUSD_PER_CENT),
        ),
        reason=reason,
    )
    CreditLot.objects.filter(pk=lot.pk).update(reversed_nanousd=F("reversed_nanousd") + net)


@transaction.atomic
def give_back(
    lot_key: str, *, kind: str, net_cents: int, tax_cents: int, idempotency_key: str, reason: str
) -> None:
    """Put back what `take_back` took: the exact reversal."""
    lot = CreditLot.objects.select_for_update().get(idempotency_key=lot_key)
    net = net_cents * NANOUSD_PER_CENT
    _enter(
        lot.organization,
        kind=kind,
        idempotency_key=idempotency_key,
        legs=(
            (Kind.STRIPE_CLEARING, Kind.WALLET, net),
            (Kind.STRIPE_CLEARING, Kind.TAX_PAYABLE, tax_cents * NANOUSD_PER_CENT),
        ),
        reason=reason,
    )
    CreditLot.objects.filter(pk=lot.pk).update(reversed_nanousd=F("reversed_nanousd") - net)


@transaction.atomic
def pay_dispute_fee(organization: Organization, *, cents: int, idempotency_key: str) -> None:
    """Book what Stripe takes for a dispute; it is our cost and does not come back."""
    _enter(
        organization,
        kind="dispute_fee",
        idempotency_key=idempotency_key,
        legs=((Kind.DISPUTE_FEES, Kind.STRIPE_CLEARING, cents * NANOUSD_PER_CENT),),
        reason="Fee for a dispute",
    )


def _enter(
    organization: Organization,
    *,
    kind: str,
    idempotency_key: str,
    legs: tuple[tuple[str, str, int], ...],
    reason: str,
) -> None:
    """
    Post the legs (debit, credit, nano-USD) and what they move into or out of the wallet, under the wallet's lock.

    Raises IntegrityError for a key that was posted before.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT billing_lock_wallets(%s)", [[organization.pk]])  # makes it, too
    moved = 0
    for leg, (debit, credit, amount) in enumerate(legs):
        if not amount:
            continue
        LedgerTransfer.objects.create(
            idempotency_key=idempotency_key,
            leg=leg,
            kind=kind,
            organization=organization,
            debit_account=_account(organization, debit),
            credit_account=_account(organization, credit),
            amount_nanousd=amount,
            reason=reason,
            created_at=timezone.now(),
        )
        moved += amount * ((credit == Kind.WALLET) - (debit == Kind.WALLET))
    _wallets(organization).update(credited_nanousd=F("credited_nanousd") + moved)


def _account(organization: Organization, kind: str) -> LedgerAccount:
    """Return the organization's wallet, or an account of the house."""
    owner = organization if kind == Kind.WALLET else None
    account, _ = LedgerAccount.objects.get_or_create(organization=owner, kind=kind)
    return account


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
