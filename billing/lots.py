"""
Which credit pays for what was used: lots are drawn behind the calls, what was given first, what was paid last.

The wallet itself is one sum, of which calls know; this only says of what it consists, so that the right credit
expires and only unused credit is refunded. Whoever changes a lot holds the row of `WalletDraws`.
"""

from django.db import connection, transaction
from django.db.models import Case, F, IntegerField, Max, QuerySet, Value, When

from accounts.models import Organization
from billing.models import Budget, CreditLot, LotDraw, WalletDraws

# Postings of calls since the last look, summed by the hour. Those of one organization are made under its wallet's lock,
# so what is not to be seen yet has a greater id than all that is.
SUM_UP = """
WITH own AS (
    SELECT id FROM billing_ledgeraccount WHERE organization_id = %(organization)s AND kind = 'wallet'
), fresh AS (
    SELECT t.id, t.created_at, t.kind IN ('usage', 'trueup') AND own.id IN (t.debit_account_id, t.credit_account_id)
        AS counts, CASE t.debit_account_id WHEN own.id THEN t.amount_nanousd ELSE -t.amount_nanousd END AS taken
    FROM billing_ledgertransfer t CROSS JOIN own
    WHERE t.organization_id = %(organization)s AND t.id > %(seen)s
), summed AS (
    INSERT INTO billing_wallethour AS h (organization_id, hour, postings, taken_nanousd, first_id, last_id)
    SELECT %(organization)s, date_trunc('hour', created_at, 'UTC'), count(*), sum(taken), min(id), max(id)
    FROM fresh WHERE counts GROUP BY 2
    ON CONFLICT (organization_id, hour) DO UPDATE SET
        postings = h.postings + excluded.postings, taken_nanousd = h.taken_nanousd + excluded.taken_nanousd,
        first_id = least(h.first_id, excluded.first_id), last_id = greatest(h.last_id, excluded.last_id)
)
SELECT coalesce(sum(taken) FILTER (WHERE counts), 0)::bigint, max(id) FROM fresh
"""

# Wallets whose counter has moved since the last look. One row for each organization.
WAITING = """
SELECT b.scope_id FROM billing_budget b LEFT JOIN billing_walletdraws d ON d.organization_id = b.scope_id
WHERE b.scope = 'wallet' AND b.period = 'total' AND b.posted_nanousd <> coalesce(d.posted_nanousd, 0)
ORDER BY b.scope_id LIMIT %s
"""
AT_MOST = 1_000


def waiting() -> list[int]:
    """Return the organizations whose use is still to be drawn; runs one query."""
    with connection.cursor() as cursor:
        cursor.execute(WAITING, [AT_MOST])
        return [row[0] for row in cursor.fetchall()]


@transaction.atomic
def draw(organization_id: int) -> WalletDraws:
    """Draw what calls have taken since the last time, and lock the lots until the transaction ends."""
    progress = _lock(organization_id)
    posted = Budget.objects.filter(scope=Budget.Scope.WALLET, scope_id=organization_id)
    progress.posted_nanousd = posted.values_list("posted_nanousd", flat=True).first() or 0
    with connection.cursor() as cursor:
        values = {"organization": organization_id, "seen": progress.transfer_id}
        cursor.execute(SUM_UP, values)
        row = cursor.fetchone()
    assert row is not None  # noqa: S101  an aggregate gives one row
    taken, last_id = row
    progress.transfer_id = last_id or progress.transfer_id
    _cover(progress, progress.uncovered_nanousd + taken)
    return progress


def take(lot: CreditLot, *, nanousd: int) -> None:
    """
    Take an amount out of a lot for good. What calls have used of it becomes use of other lots, or a debt.

    Belongs into a transaction under the wallet's lock.
    """
    progress = draw(lot.organization_id)
    lot.refresh_from_db()
    used = max(0, nanousd - lot.remaining_nanousd)
    _move(lot, -used)
    CreditLot.objects.filter(pk=lot.pk).update(
        remaining_nanousd=F("remaining_nanousd") - nanousd,
        reversed_nanousd=F("reversed_nanousd") + nanousd,
    )
    _cover(progress, progress.uncovered_nanousd + used)


def put_back(lot: CreditLot, *, nanousd: int) -> None:
    """Put back what `take` took. Belongs into a transaction under the wallet's lock."""
    progress = draw(lot.organization_id)
    CreditLot.objects.filter(pk=lot.pk).update(
        remaining_nanousd=F("remaining_nanousd") + nanousd,
        reversed_nanousd=F("reversed_nanousd") - nanousd,
    )
    _cover(progress, progress.uncovered_nanousd)


def freeze(lot: CreditLot) -> int:
    """Set aside what remains of a lot; return how much. Belongs into a transaction under the wallet's lock."""
    draw(lot.organization_id)
    lot.refresh_from_db()
    CreditLot.objects.filter(pk=lot.pk).update(
        remaining_nanousd=0, frozen_nanousd=F("frozen_nanousd") + lot.remaining_nanousd
    )
    return lot.remaining_nanousd


def thaw(lot: CreditLot) -> int:
    """Bring back what was set aside; return how much. Belongs into a transaction under the wallet's lock."""
    progress = draw(lot.organization_id)
    lot.refresh_from_db()
    CreditLot.objects.filter(pk=lot.pk).update(
        frozen_nanousd=0, remaining_nanousd=F("remaining_nanousd") + lot.frozen_nanousd
    )
    _cover(progress, progress.uncovered_nanousd)
    return lot.frozen_nanousd


def end(lot: CreditLot) -> int:
    """Let what remains of a lot expire; return how much. Belongs into a transaction under the wallet's lock."""
    draw(lot.organization_id)
    lot.refresh_from_db()
    CreditLot.objects.filter(pk=lot.pk).update(
        remaining_nanousd=0, expired_nanousd=F("expired_nanousd") + lot.remaining_nanousd
    )
    return lot.remaining_nanousd


def in_draw_order(organization: Organization | int) -> QuerySet[CreditLot]:
    """Return the lots with something left: what was given before what was paid, what expires first, then by age."""
    is_paid = Case(
        When(source=CreditLot.Source.PURCHASE, then=Value(1)),
        default=Value(0),
        output_field=IntegerField(),
    )
    found = CreditLot.objects.filter(organization=organization, remaining_nanousd__gt=0)
    return found.order_by(is_paid, F("expires_at").asc(nulls_last=True), "created_at", "pk")


def _lock(organization_id: int) -> WalletDraws:
    WalletDraws.objects.get_or_create(organization_id=organization_id)
    return WalletDraws.objects.select_for_update().get(organization_id=organization_id)


def _cover(progress: WalletDraws, use: int) -> None:
    """Draw use of the lots, or give back where it is below zero, and write down how far that came."""
    progress.uncovered_nanousd = _draw(progress, use) if use >= 0 else _give_back(progress, -use)
    progress.save()


def _draw(progress: WalletDraws, use: int) -> int:
    """Return what no lot was left for."""
    for lot in in_draw_order(progress.organization_id):
        if not use:
            break
        drawn = min(use, lot.remaining_nanousd)
        _move(lot, drawn)
        use -= drawn
    return use


def _give_back(progress: WalletDraws, back: int) -> int:
    """Give back to the lots that were drawn last. Returns 0: more than was drawn cannot come back."""
    lots = CreditLot.objects.filter(organization_id=progress.organization_id)
    drawn_last = lots.annotate(last=Max("draws__id")).exclude(last=None).order_by("-last")
    for lot in drawn_last:
        if not back:
            break
        parts = lot.remaining_nanousd + lot.reversed_nanousd + lot.expired_nanousd
        drawn = lot.amount_nanousd - parts - lot.frozen_nanousd
        _move(lot, -min(back, drawn))
        back -= min(back, drawn)
    assert back == 0, progress.organization_id  # noqa: S101  the ledger would not balance
    return 0


def _move(lot: CreditLot, drawn: int) -> None:
    if drawn:
        LotDraw.objects.create(lot=lot, amount_nanousd=drawn)
        CreditLot.objects.filter(pk=lot.pk).update(remaining_nanousd=F("remaining_nanousd") - drawn)
