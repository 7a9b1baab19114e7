"""Read models of the billing page: of what a balance consists, and the payments behind it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from accounts.models import Organization
from billing import lots, wallet
from billing.models import CreditLot, Refund, TopUp
from exerati.lib.money import NANOUSD_PER_CENT

PAYMENTS_SHOWN = 8
SOON = timedelta(days=7)
SOURCES = {
    CreditLot.Source.TRIAL: "Trial credit",
    CreditLot.Source.GRANT: "Granted",
    CreditLot.Source.PURCHASE: "Bought",
}
State = TopUp.State
# State -> word, tone of its badge.
STATES: dict[str, tuple[str, str]] = {
    State.CREATED: ("Not opened", "neutral"),
    State.PENDING: ("Waiting for payment", "warn"),
    State.CREDITED: ("Paid", "ok"),
    State.FAILED: ("Failed", "danger"),
    State.EXPIRED: ("Expired", "neutral"),
}


@dataclass(frozen=True, slots=True)
class Part:
    """One lot of a balance: what is left of it now, of how much, and until when."""

    source: str
    left_nanousd: int
    amount_nanousd: int
    created_at: datetime
    expires_at: datetime | None
    is_frozen: bool = False


@dataclass(frozen=True, slots=True)
class PaymentRow:
    """One top-up as a line: what was paid, of which state, and what went back."""

    uuid: UUID
    created_at: datetime
    net_nanousd: int
    tax_nanousd: int
    refunded_nanousd: int
    word: str
    tone: str
    is_automatic: bool
    failure: str
    receipt_url: str
    pay_url: str
    dispute: str


def parts(organization: Organization, *, balance_nanousd: int) -> list[Part]:
    """Return of what a balance consists, in the order in which it is used; runs two queries."""
    waiting = list(lots.in_draw_order(organization))
    frozen = CreditLot.objects.filter(organization=organization, frozen_nanousd__gt=0)
    left = undrawn(waiting, balance_nanousd=balance_nanousd)
    found = [_part(lot, left_nanousd=left[lot.pk]) for lot in waiting if left[lot.pk]]
    return found + [_part(lot, left_nanousd=lot.frozen_nanousd, is_frozen=True) for lot in frozen]


def left_nanousd(organization: Organization, *, source: str) -> int:
    """Return what is left now of credit of one source, with what is set aside; runs three queries."""
    waiting = list(lots.in_draw_order(organization))
    left = undrawn(waiting, balance_nanousd=wallet.balance_nanousd(organization))
    frozen = CreditLot.objects.filter(
        organization=organization, source=source, frozen_nanousd__gt=0
    )
    return sum(left[lot.pk] for lot in waiting if lot.source == source) + sum(
        lot.frozen_nanousd for lot in frozen
    )


def undrawn(waiting: Iterable[CreditLot], *, balance_nanousd: int) -> dict[int, int]:
    """
    Return what is left of each lot, in draw order, once the calls of this moment are drawn too; pure.

    Lots are drawn behind the calls: what they hold beyond the balance is used already.
    """
    waiting = list(waiting)
    use = max(0, sum(lot.remaining_nanousd for lot in waiting) - max(0, balance_nanousd))
    left = {}
    for lot in waiting:
        drawn = min(use, lot.remaining_nanousd)
        left[lot.pk] = lot.remaining_nanousd - drawn
        use -= drawn
    return left


def _part(lot: CreditLot, *, left_nanousd: int, is_frozen: bool = False) -> Part:
    return Part(
        source=SOURCES[CreditLot.Source(lot.source)],
        left_nanousd=left_nanousd,
        amount_nanousd=lot.amount_nanousd,
        created_at=lot.created_at,
        expires_at=lot.expires_at,
        is_frozen=is_frozen,
    )


def expiring_note(found: list[Part], *, now: datetime) -> tuple[int, datetime | None]:
    """Return how much of a balance ends within a week, and when the first of it does."""
    ends = [part for part in found if part.expires_at and part.expires_at < now + SOON]
    first = min((part.expires_at for part in ends if part.expires_at), default=None)
    return sum(part.left_nanousd for part in ends), first


def payments(organization: Organization, *, shown: int = PAYMENTS_SHOWN) -> list[PaymentRow]:
    """Return the newest payments; runs two queries."""
    found = organization.topups.exclude(state=State.CREATED).prefetch_related("disputes")
    return [payment_row(topup) for topup in found.order_by("-created_at")[:shown]]


def payment_row(topup: TopUp) -> PaymentRow:
    """Return a top-up as a line."""
    word, tone = STATES[topup.state]
    if topup.state == State.CREDITED and topup.refunded_cents:
        paid = topup.net_cents + topup.tax_cents
        word = "Refunded" if topup.refunded_cents == paid else "Partly refunded"
        tone = "neutral"
    if topup.state == State.PENDING and topup.failure:
        word = "Declined, still open"
    dispute = next((row.status for row in topup.disputes.all()), "")
    if dispute and dispute != "won":
        word, tone = ("Lost to a dispute" if dispute == "lost" else "Disputed"), "danger"
    return PaymentRow(
        uuid=topup.uuid,
        created_at=topup.created_at,
        net_nanousd=topup.net_cents * NANOUSD_PER_CENT,
        tax_nanousd=topup.tax_cents * NANOUSD_PER_CENT,
        refunded_nanousd=topup.refunded_cents * NANOUSD_PER_CENT,
        word=word,
        tone=tone,
        is_automatic=topup.way == TopUp.Way.AUTOMATIC,
        failure=topup.failure,
        receipt_url=topup.receipt_url,
        pay_url=topup.pay_url,
        dispute=dispute,
    )


def refunds_of(topup: TopUp) -> list[Refund]:
    """Return the refunds of a payment, the newest first."""
    return list(topup.refunds.order_by("-created_at"))
