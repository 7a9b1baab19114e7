"""
Credit into wallets and out of them again, and what they hold.

The wallet of an organization is a `Budget` row whose cap is all that was credited; charges are posted
to it by the functions in `billing/sql/`. Each credit is a lot, a ledger transfer and that counter, in one
transaction under the wallet's lock.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.expressions import CombinedExpression
from django.utils import timezone

from accounts import audit
from accounts.models import Organization, User
from billing import ledger, lots
from billing.ledger import Kind, post
from billing.models import CreditLot
from exerati.lib.money import NANOUSD_PER_CENT

# Why bought credit came, in the ledger and its CSV.
BOUGHT = "Credit bought"
BOUGHT_BY_ITSELF = "Credit bought by automatic top-up"


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
        post(
            organization,
            kind="grant",
            idempotency_key=f"grant:{idempotency_key}",
            legs=((Kind.PROMO_EXPENSE, Kind.WALLET, amount_nanousd),),
            reason=reason,
        )
        lots.draw(organization.pk)  # what was used before it came is paid first
        audit.record(
            organization,
            action="wallet.granted",
            actor=actor,
            details={"amount_nanousd": amount_nanousd, "source": source, "reason": reason},
        )
    return lot


@transaction.atomic
def buy(
    organization: Organization,
    *,
    net_cents: int,
    tax_cents: int,
    idempotency_key: str,
    reason: str = BOUGHT,
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
        post(
            organization,
            kind="topup",
            idempotency_key=idempotency_key,
            legs=(
                (Kind.STRIPE_CLEARING, Kind.WALLET, net_cents * NANOUSD_PER_CENT),
                (Kind.STRIPE_CLEARING, Kind.TAX_PAYABLE, tax_cents * NANOUSD_PER_CENT),
            ),
            reason=reason,
        )
        lots.draw(organization.pk)  # what was used before it came is paid first
    return lot


@transaction.atomic
def take_back(
    lot_key: str, *, kind: str, net_cents: int, tax_cents: int, idempotency_key: str, reason: str
) -> None:
    """
    Take credit that was bought out of its wallet again, with its tax: the money went back to the payer.

    The wallet may go below zero; then nothing is admitted until it is paid up.
    """
    lot = _locked(lot_key)
    net = net_cents * NANOUSD_PER_CENT
    post(
        lot.organization,
        kind=kind,
        idempotency_key=idempotency_key,
        legs=(
            (Kind.WALLET, Kind.STRIPE_CLEARING, net),
            (Kind.TAX_PAYABLE, Kind.STRIPE_CLEARING, tax_cents * NANOUSD_PER_CENT),
        ),
        reason=reason,
    )
    lots.take(lot, nanousd=net)


@transaction.atomic
def give_back(
    lot_key: str, *, kind: str, net_cents: int, tax_cents: int, idempotency_key: str, reason: str
) -> None:
    """Put back what `take_back` took: the exact reversal."""
    lot = _locked(lot_key)
    net = net_cents * NANOUSD_PER_CENT
    post(
        lot.organization,
        kind=kind,
        idempotency_key=idempotency_key,
        legs=(
            (Kind.STRIPE_CLEARING, Kind.WALLET, net),
            (Kind.STRIPE_CLEARING, Kind.TAX_PAYABLE, tax_cents * NANOUSD_PER_CENT),
        ),
        reason=reason,
    )
    lots.put_back(lot, nanousd=net)


@transaction.atomic
def freeze(lot_key: str, *, idempotency_key: str) -> None:
    """Set aside what remains of credit whose payment is disputed: it is neither spent nor refunded meanwhile."""
    lot = _locked(lot_key)
    post(
        lot.organization,
        kind="freeze",
        idempotency_key=idempotency_key,
        legs=((Kind.WALLET, Kind.DISPUTED, lots.freeze(lot)),),
        reason="Set aside while its payment is disputed",
    )


@transaction.atomic
def thaw(lot_key: str, *, idempotency_key: str) -> None:
    """Bring back what `freeze` has set aside."""
    lot = _locked(lot_key)
    post(
        lot.organization,
        kind="thaw",
        idempotency_key=idempotency_key,
        legs=((Kind.DISPUTED, Kind.WALLET, lots.thaw(lot)),),
        reason="No longer set aside",
    )


@transaction.atomic
def expire(lot_id: int, *, now: datetime) -> int:
    """Let a lot whose time is over expire; return how much that was, 0 when it was done before."""
    lot = _locked(CreditLot.objects.values_list("idempotency_key", flat=True).get(pk=lot_id))
    if lot.expires_at is None or lot.expires_at > now:
        return 0
    ended = lots.end(lot)
    # A late settlement may give back to a lot that has expired, so there may be a second time.
    post(
        lot.organization,
        kind="expiry",
        idempotency_key=f"expiry:{lot.pk}:{lot.expired_nanousd + ended}",
        legs=((Kind.WALLET, Kind.BREAKAGE, ended),),
        reason=f"{lot.get_source_display()} credit expired",
    )
    return ended


def to_expire(now: datetime) -> list[int]:
    """Return the lots whose time is over and that hold something, the oldest first."""
    found = CreditLot.objects.filter(remaining_nanousd__gt=0, expires_at__lte=now)
    return list(found.order_by("expires_at").values_list("pk", flat=True)[:1_000])


def _locked(lot_key: str) -> CreditLot:
    """Return a lot, with its wallet locked."""
    lot = CreditLot.objects.select_related("organization").get(idempotency_key=lot_key)
    ledger.lock_wallet(lot.organization_id)
    return lot


@transaction.atomic
def pay_dispute_fee(organization: Organization, *, cents: int, idempotency_key: str) -> None:
    """Book what Stripe takes for a dispute; it is our cost and does not come back."""
    post(
        organization,
        kind="dispute_fee",
        idempotency_key=idempotency_key,
        legs=((Kind.DISPUTE_FEES, Kind.STRIPE_CLEARING, cents * NANOUSD_PER_CENT),),
        reason="Fee for a dispute",
    )


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
    return ledger.wallets(organization.pk).values_list(amount, flat=True).first() or 0
