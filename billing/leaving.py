"""
What keeps somebody from deleting the account, and the deletion itself.

Accounts know people and nothing of money; so what an organization still owes, holds or does is asked here, and the
organizations that nobody would be left in are ended here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Q
from django.urls import reverse

from accounts import audit, deletion
from accounts.models import Organization, User
from apikeys import seats
from apikeys.services import revoke_key
from billing import ledger, plans, wallet
from billing.invoices import billing_periods
from billing.models import (
    BillingAccount,
    BillingPeriod,
    CreditLot,
    Dispute,
    Invoice,
    InvoiceDispute,
    Notification,
    NotificationRead,
    Refund,
    Reservation,
    SavedView,
    TopUp,
)
from billing.payments import auto_topups
from billing.read_models import wallet_report
from exerati.drawing import formats
from exerati.lib.money import NANOUSD_PER_CENT
from exerati.lib.queue import enqueue

OWED = (
    Invoice.State.CLOSING,
    Invoice.State.SEALED,
    Invoice.State.OPEN,
    Invoice.State.UNCOLLECTIBLE,
)
DISPUTE_ENDS = ("won", "lost", "warning_closed", "charge_refunded")


@dataclass(frozen=True, slots=True)
class Matter:
    """Something that has to end before an organization can: what it is, what to do, and where."""

    what: str
    to_do: str
    url: str
    label: str


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why an account cannot be deleted because of one organization."""

    organization: Organization
    matters: list[Matter]


class CannotLeave(Exception):
    """Something keeps the account: `obstacles` says what."""

    def __init__(self, obstacles: list[Obstacle]) -> None:
        super().__init__(obstacles)
        self.obstacles = obstacles


def obstacles(user: User) -> list[Obstacle]:
    """Return what keeps somebody from deleting the account, by organization."""
    found = [Obstacle(one, _matters(one, user=user)) for one in _organizations(user)]
    return [obstacle for obstacle in found if obstacle.matters]


def ending(user: User) -> list[Organization]:
    """Return the organizations that end with the account, since nobody else belongs to them."""
    return [one for one in _organizations(user) if not deletion.has_others(one, user=user)]


@transaction.atomic
def delete_account(user: User, *, now: datetime) -> None:
    """Delete an account and the organizations that nobody would be left in. Raises CannotLeave and StaffAccount."""
    address = user.email
    organizations = deletion.locked_organizations(user)
    for organization in organizations:
        ledger.lock_wallet(organization.pk)  # no call is admitted between the look and the end
    found = obstacles(user)
    if found:
        raise CannotLeave(found)
    for organization in organizations:
        if not deletion.has_others(organization, user=user):
            _end(organization, actor=user, now=now)
    SavedView.objects.filter(user=user).delete()
    NotificationRead.objects.filter(user=user).delete()
    alias = deletion.erase(user, now=now)
    told = Notification.objects.filter(details__scope="member", details__name__iexact=address)
    for notification in told:  # alerts of the person's budgets
        notification.details["name"] = alias
        notification.save(update_fields=["details"])
    seats.end_all(user, name=f"Playground, {alias}", now=now)
    enqueue("accounts.mail_account_deleted", address=address, at=now.isoformat())


def _organizations(user: User) -> list[Organization]:
    return [
        membership.organization
        for membership in user.memberships.select_related("organization").order_by("organization")
    ]


def _matters(organization: Organization, *, user: User) -> list[Matter]:
    if not deletion.has_others(organization, user=user):
        return open_matters(organization)
    if not deletion.is_only_owner(organization, user=user):
        return []
    others = organization.memberships.exclude(user=user).count()
    people = "another member" if others == 1 else f"{others} other members"
    return [
        Matter(
            what=f"It has {people}, and you are its only owner.",
            to_do="Make somebody else the owner, or remove the others.",
            url=_url("team", organization),
            label="Team",
        )
    ]


def open_matters(organization: Organization) -> list[Matter]:
    """Return what has to end before an organization can: calls, debts, credit that was paid for, payments under way."""
    kinds: tuple[Callable[[Organization], Iterator[Matter]], ...] = (
        _open_calls,
        _debts,
        _bought_credit,
        _payments_under_way,
    )
    return [matter for kind in kinds for matter in kind(organization)]


def _open_calls(organization: Organization) -> Iterator[Matter]:
    count = Reservation.objects.filter(
        organization=organization, state=Reservation.State.OPEN
    ).count()
    if count:
        yield Matter(
            what=f"{count} {'call is' if count == 1 else 'calls are'} in progress.",
            to_do="Wait until they end, or disable the keys that make them.",
            url=_url("keys", organization),
            label="API keys",
        )


def _debts(organization: Organization) -> Iterator[Matter]:
    owed = Invoice.objects.filter(organization=organization, state__in=OWED).count()
    if owed:
        yield Matter(
            what=f"{owed} {'invoice is' if owed == 1 else 'invoices are'} not paid.",
            to_do="Pay what is due; the page of each invoice says how.",
            url=_url("invoices", organization),
            label="Invoices",
        )
    balance = wallet.balance_nanousd(organization)
    if _is_billed_later(organization):
        used = formats.sum_text(billing_periods.used_nanousd(organization))
        yield Matter(
            what=f"It pays by monthly invoice, and usage of {used} is not billed yet.",
            to_do="Close the organization, or ask support to end monthly billing: its last invoice follows.",
            url=_url("billing", organization),
            label="Billing",
        )
    elif balance < 0:
        yield Matter(
            what=f"Its balance is {formats.sum_text(balance)}.",
            to_do="Add credit to settle it.",
            url=_url("billing", organization),
            label="Billing",
        )


def _is_billed_later(organization: Organization) -> bool:
    unsealed = BillingPeriod.objects.filter(organization=organization).exclude(
        state=BillingPeriod.State.SEALED
    )
    return plans.account(organization).plan == BillingAccount.Plan.POSTPAID or unsealed.exists()


def _bought_credit(organization: Organization) -> Iterator[Matter]:
    left = wallet_report.left_nanousd(organization, source=CreditLot.Source.PURCHASE)
    if left >= NANOUSD_PER_CENT:  # less than a cent cannot be paid back
        yield Matter(
            what=f"{formats.sum_text(left)} of credit that was paid for is left.",
            to_do="Have it refunded on the billing page, or write to support to give it up.",
            url=_url("billing", organization),
            label="Billing",
        )


def _payments_under_way(organization: Organization) -> Iterator[Matter]:
    topups = TopUp.objects.filter(organization=organization)
    automatic = Q(way=TopUp.Way.AUTOMATIC, state=TopUp.State.CREATED)
    waiting = topups.filter(Q(state=TopUp.State.PENDING) | automatic).exists()
    refunds = Refund.objects.filter(topup__in=topups, state=Refund.State.REQUESTED).exists()
    disputes = Dispute.objects.filter(topup__in=topups).exclude(status__in=DISPUTE_ENDS).exists()
    of_invoices = InvoiceDispute.objects.filter(invoice__organization=organization)
    disputes |= of_invoices.exclude(status__in=DISPUTE_ENDS).exists()
    names = ("A payment", waiting), ("A refund", refunds), ("A dispute of a payment", disputes)
    for name in (name for name, is_there in names if is_there):
        yield Matter(
            what=f"{name} is under way.",
            to_do="Wait until Stripe and the bank have decided.",
            url=_url("billing", organization),
            label="Billing",
        )


def _end(organization: Organization, *, actor: User, now: datetime) -> None:
    """End an organization without open matters."""
    stop(organization, actor=actor, now=now)
    audit.record(
        organization, action="organization.closed", actor=actor, target=organization.public_id
    )


def stop(organization: Organization, *, actor: User, now: datetime) -> None:
    """Revoke the keys of an organization, and let nothing be charged or admitted any more."""
    auto_topups.switch_off(organization, actor=actor)
    for key in organization.api_keys.filter(revoked_at=None):
        revoke_key(key, actor=actor)
    Organization.objects.filter(pk=organization.pk, suspended_at=None).update(suspended_at=now)


def _url(name: str, organization: Organization) -> str:
    return reverse(f"dashboard:{name}", args=[organization.slug])
