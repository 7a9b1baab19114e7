"""
Postings of the double-entry ledger that are not the use of a call: balanced legs, and the wallet's counter with them.

Calls are posted by the functions in `billing/sql/`. Everything here happens under the wallet's lock.
"""

from collections.abc import Sequence

from django.db import connection
from django.db.models import F, QuerySet
from django.utils import timezone

from accounts.models import Organization
from billing.models import Budget, LedgerAccount, LedgerTransfer

Kind = LedgerAccount.Kind
Leg = tuple[str, str, int]  # account debited, account credited, nano-USD

# The wallet's counter is what these four hold together: what is between them moves nothing.
OF_THE_COUNTER = frozenset({Kind.WALLET, Kind.RECEIVABLE, Kind.UNBILLED, Kind.ROUNDING_CARRY})
OF_AN_ORGANIZATION = OF_THE_COUNTER | {Kind.DISPUTED, Kind.TAX_RECEIVABLE}


def lock_wallet(organization_id: int) -> None:
    """Lock the wallet until the transaction ends; makes it, too."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT billing_lock_wallets(%s)", [[organization_id]])


def post(
    organization: Organization,
    *,
    kind: str,
    idempotency_key: str,
    legs: Sequence[Leg],
    reason: str,
) -> None:
    """
    Post the legs and what they move into or out of the wallet; legs of nothing are left out.

    Belongs into a transaction. Raises IntegrityError for a key that was posted before.
    """
    lock_wallet(organization.pk)
    moved = 0
    for leg, (debit, credit, amount) in enumerate(legs):
        if not amount:
            continue
        LedgerTransfer.objects.create(
            idempotency_key=idempotency_key,
            leg=leg,
            kind=kind,
            organization=organization,
            debit_account=account(organization, debit),
            credit_account=account(organization, credit),
            amount_nanousd=amount,
            reason=reason,
            created_at=timezone.now(),
        )
        moved += amount * ((credit in OF_THE_COUNTER) - (debit in OF_THE_COUNTER))
    wallets(organization.pk).update(credited_nanousd=F("credited_nanousd") + moved)


def account(organization: Organization, kind: str) -> LedgerAccount:
    """Return the organization's account of a kind, or that of the house."""
    owner = organization if kind in OF_AN_ORGANIZATION else None
    found, _ = LedgerAccount.objects.get_or_create(organization=owner, kind=kind)
    return found


def wallets(organization_id: int) -> QuerySet[Budget]:
    """Return the wallet's counter: one row, or none before the first credit or call."""
    return Budget.objects.filter(
        scope=Budget.Scope.WALLET, scope_id=organization_id, model="", period="total"
    )
