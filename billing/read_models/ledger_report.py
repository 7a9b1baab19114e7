"""
Read models of the ledger page: every line of a wallet with its running balance, the use of calls summed by day.

Days and times are those of UTC, in which the books are kept. A page costs one query over days and single postings;
the postings of a day are read only when somebody opens it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from accounts.models import Organization
from billing import wallet
from billing.models import Dispute, Refund
from exerati.lib import ids

PAGE_ROWS = 50
CHUNK_ROWS = 5_000
DAY = timedelta(days=1)

# Name of a filter -> its words, the kinds of postings in it.
KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "usage": ("Calls", ("usage", "trueup")),
    "topup": ("Top-ups", ("topup",)),
    "grant": ("Granted", ("grant",)),
    "refund": ("Refunds", ("refund", "refund_failed")),
    "dispute": ("Disputes", ("dispute", "dispute_won", "freeze", "thaw")),
    "expiry": ("Expired", ("expiry",)),
}
WORDS = {
    "usage": "Calls",
    "trueup": "Late settlement",
    "topup": "Top-up",
    "grant": "Granted credit",
    "refund": "Refund",
    "refund_failed": "Refund came back",
    "dispute": "Disputed payment",
    "dispute_won": "Dispute won",
    "freeze": "Set aside",
    "thaw": "No longer set aside",
    "expiry": "Expired credit",
}

# What calls took by the hour, and what has come since that was summed.
_HOURS = """
WITH own AS (
    SELECT id FROM billing_ledgeraccount WHERE organization_id = %(organization)s AND kind = 'wallet'
), hours AS (
    SELECT hour, postings, -taken_nanousd AS amount, first_id, last_id
    FROM billing_wallethour WHERE organization_id = %(organization)s
    UNION ALL
    SELECT date_trunc('hour', t.created_at, 'UTC'), 1,
        CASE t.debit_account_id WHEN own.id THEN -t.amount_nanousd ELSE t.amount_nanousd END, t.id, t.id
    FROM billing_ledgertransfer t CROSS JOIN own
    WHERE t.organization_id = %(organization)s AND t.kind IN ('usage', 'trueup')
      AND own.id IN (t.debit_account_id, t.credit_account_id)
      AND t.id > coalesce((SELECT transfer_id FROM billing_walletdraws WHERE organization_id = %(organization)s), 0)
), singles AS (
    SELECT t.id, t.kind, t.reason, t.idempotency_key AS key, t.created_at,
        CASE t.debit_account_id WHEN own.id THEN -t.amount_nanousd ELSE t.amount_nanousd END AS amount
    FROM billing_ledgertransfer t CROSS JOIN own
    WHERE t.organization_id = %(organization)s AND t.kind NOT IN ('usage', 'trueup')
      AND own.id IN (t.debit_account_id, t.credit_account_id)
)
"""

_PAGE = """
, lines AS (
    SELECT 'usage' AS kind, '' AS reason, '' AS key, (hour AT TIME ZONE 'UTC')::date AS day, NULL::timestamptz AS at,
        sum(amount)::bigint AS amount, sum(postings)::bigint AS postings, max(last_id) AS position
    FROM hours GROUP BY 4
    UNION ALL
    SELECT kind, reason, key, (created_at AT TIME ZONE 'UTC')::date, created_at, amount, 1, id FROM singles
), summed AS (
    SELECT l.*, sum(amount) OVER (ORDER BY day, position ROWS UNBOUNDED PRECEDING)::bigint AS balance FROM lines l
)
SELECT kind, reason, key, day, at, amount, postings, position, balance FROM summed
WHERE (%(kinds)s::text[] IS NULL OR kind = ANY (%(kinds)s)) AND day >= %(since)s AND day < %(until)s
  AND (day, position) < (%(before_day)s, %(before)s)
ORDER BY day DESC, position DESC LIMIT %(limit)s
"""

_START = """
SELECT (SELECT coalesce(sum(amount), 0) FROM hours WHERE hour < %(since)s)
     + (SELECT coalesce(sum(amount), 0) FROM singles WHERE created_at < %(since)s),
       least((SELECT min(first_id) FROM hours WHERE hour >= %(since)s),
             (SELECT min(id) FROM singles WHERE created_at >= %(since)s))
"""

_BOUNDS = """
SELECT min(first_id), max(last_id), sum(postings)::bigint, sum(amount)::bigint FROM hours
WHERE hour >= %(since)s AND hour < %(until)s
"""

_CHUNK = """
SELECT t.id, t.kind, t.reason, t.idempotency_key, t.created_at,
    CASE t.debit_account_id WHEN own.id THEN -t.amount_nanousd ELSE t.amount_nanousd END
FROM billing_ledgertransfer t
JOIN billing_ledgeraccount own ON own.organization_id = %(organization)s AND own.kind = 'wallet'
WHERE t.organization_id = %(organization)s AND t.id >= %(first)s
  AND own.id IN (t.debit_account_id, t.credit_account_id)
ORDER BY t.id LIMIT %(limit)s
"""

_DAY = """
SELECT t.id, t.kind, t.idempotency_key, t.created_at,
    CASE t.debit_account_id WHEN own.id THEN -t.amount_nanousd ELSE t.amount_nanousd END, e.model, k.name
FROM (
    SELECT * FROM billing_ledgertransfer
    WHERE organization_id = %(organization)s AND id BETWEEN %(first)s AND %(last)s AND id < %(before)s
      AND kind IN ('usage', 'trueup') AND created_at >= %(since)s AND created_at < %(until)s
    ORDER BY id DESC LIMIT %(limit)s
) t
JOIN billing_ledgeraccount own ON own.organization_id = %(organization)s AND own.kind = 'wallet'
    AND own.id IN (t.debit_account_id, t.credit_account_id)
LEFT JOIN billing_usageevent e ON e.request_id = split_part(t.idempotency_key, ':', 2)::uuid
    AND e.organization_id = %(organization)s
    AND e.occurred_at > %(since)s::timestamptz - interval '2 days' AND e.occurred_at < %(until)s
LEFT JOIN apikeys_apikey k ON k.id = e.key_id
ORDER BY t.id DESC
"""
LAST_ID = 2**63 - 1
Row = tuple[int, str, str, str, datetime, int]


@dataclass(frozen=True, slots=True)
class Line:
    """
    One line: an amount into (above zero) or out of the wallet and the balance after it, in nano-USD.

    The use of calls is one line a day, without `at`; `topup` is the payment behind others.
    """

    kind: str
    words: str
    reason: str
    day: date
    at: datetime | None
    amount_nanousd: int
    postings: int
    position: int
    balance_nanousd: int
    topup: UUID | None = None

    @property
    def is_use(self) -> bool:
        """Say whether it sums up the calls of a day."""
        return self.kind == "usage"


@dataclass(frozen=True, slots=True)
class CallLine:
    """One posting of a call, with its request."""

    id: int
    at: datetime
    request_id: str
    model: str
    key_name: str
    amount_nanousd: int
    is_late: bool


@dataclass(frozen=True, slots=True)
class Range:
    """The days of a page `[since, until)`, and which kinds it shows; empty for all."""

    since: date = date(2000, 1, 1)
    until: date = date(2199, 1, 1)
    kind: str = ""


def page(
    organization: Organization, *, shown: Range, before: tuple[date, int] | None = None
) -> tuple[list[Line], tuple[date, int] | None]:
    """Return a page, newest first, and where the next one begins; runs three queries."""
    day, position = before or (shown.until, LAST_ID)
    values = {
        "organization": organization.pk,
        "kinds": list(KINDS[shown.kind][1]) if shown.kind in KINDS else None,
        "since": shown.since,
        "until": shown.until,
        "before_day": day,
        "before": position,
        "limit": PAGE_ROWS + 1,
    }
    with connection.cursor() as cursor:
        cursor.execute(_HOURS + _PAGE, values)
        rows = cursor.fetchall()
    topups = _topups([row[2] for row in rows])
    lines = [
        Line(
            kind=kind,
            words=words_of(kind, reason=reason),
            reason=reason,
            day=day,
            at=at,
            amount_nanousd=amount,
            postings=postings,
            position=position,
            balance_nanousd=balance,
            topup=topups.get(key),
        )
        for kind, reason, key, day, at, amount, postings, position, balance in rows[:PAGE_ROWS]
    ]
    older = (lines[-1].day, lines[-1].position) if len(rows) > PAGE_ROWS else None
    return lines, older


def words_of(kind: str, *, reason: str = "") -> str:
    """Return a kind of posting as people read it; top-ups by hand and automatic ones differ by their reason."""
    if reason == wallet.BOUGHT_BY_ITSELF:
        return "Automatic top-up"
    return WORDS.get(kind, kind.replace("_", " ").capitalize())


def _topups(keys: list[str]) -> dict[str, UUID]:
    """Return the payment behind each posting that has one, by the posting's key."""
    parts = {key: key.split(":") for key in keys if key.count(":")}
    refunds = [p[1] for p in parts.values() if p[0] == "refund"]
    disputes = [p[1] for p in parts.values() if p[0] == "dispute"]
    of_refund = dict(Refund.objects.filter(pk__in=refunds).values_list("pk", "topup"))
    of_dispute = dict(
        Dispute.objects.filter(stripe_id__in=disputes).values_list("stripe_id", "topup")
    )
    found: dict[str, UUID | None] = {}
    for key, part in parts.items():
        if part[0] == "topup":
            found[key] = UUID(part[1])
        elif part[0] == "refund":
            found[key] = of_refund.get(UUID(part[1]))
        elif part[0] == "dispute":
            found[key] = of_dispute.get(part[1])
    return {key: uuid for key, uuid in found.items() if uuid}


def calls(
    organization: Organization, *, day: date, before: int | None = None
) -> tuple[list[CallLine], int | None, tuple[int, int]]:
    """
    Return the postings of the calls of a day, newest first, where the next page begins, and (how many, their sum).

    Runs two queries.
    """
    since = datetime.combine(day, time.min, tzinfo=UTC)
    values: dict[str, Any] = {
        "organization": organization.pk,
        "since": since,
        "until": since + DAY,
        "before": before or LAST_ID,
        "limit": PAGE_ROWS + 1,
    }
    with connection.cursor() as cursor:
        cursor.execute(_HOURS + _BOUNDS, values)
        first, last, count, amount = cursor.fetchone() or (None, None, 0, 0)
        if first is None:
            return [], None, (0, 0)
        cursor.execute(_DAY, {**values, "first": first, "last": last})
        rows = cursor.fetchall()
    lines = [
        CallLine(
            id=id,
            at=at,
            request_id=f"req_{ids.encode(UUID(key.split(':')[1]))}",
            model=model or "",
            key_name=name or "",
            amount_nanousd=amount_nanousd,
            is_late=kind == "trueup",
        )
        for id, kind, key, at, amount_nanousd, model, name in rows[:PAGE_ROWS]
    ]
    return lines, lines[-1].id if len(rows) > PAGE_ROWS else None, (count, amount)


@dataclass(frozen=True, slots=True)
class Posting:
    """One posting to a wallet, and the balance after it in nano-USD."""

    at: datetime
    kind: str
    reason: str
    request_id: str
    amount_nanousd: int
    balance_nanousd: int


def postings(organization: Organization, *, shown: Range) -> Iterator[Posting]:
    """Yield every posting of a range, oldest first, in chunks; the balance counts kinds that are not shown, too."""
    since = datetime.combine(shown.since, time.min, tzinfo=UTC)
    until = datetime.combine(shown.until, time.min, tzinfo=UTC)
    kinds = KINDS[shown.kind][1] if shown.kind in KINDS else None
    with connection.cursor() as cursor:
        cursor.execute(_HOURS + _START, {"organization": organization.pk, "since": since})
        balance, first = cursor.fetchone() or (0, None)
    while first is not None:
        rows = _chunk(organization, first=first)
        for _, kind, reason, key, at, amount in rows:
            if at >= until:
                return
            if at < since:  # of the hour before, and in the balance already
                continue
            balance += amount
            if kinds is None or kind in kinds:
                yield Posting(at, kind, reason, _request_of(key), amount, int(balance))
        first = rows[-1][0] + 1 if len(rows) == CHUNK_ROWS else None


def _chunk(organization: Organization, *, first: int) -> list[Row]:
    values = {"organization": organization.pk, "first": first, "limit": CHUNK_ROWS}
    with connection.cursor() as cursor:
        cursor.execute(_CHUNK, values)
        rows: list[Row] = cursor.fetchall()
    return rows


def _request_of(key: str) -> str:
    start, _, rest = key.partition(":")
    return f"req_{ids.encode(UUID(rest))}" if start in ("request", "trueup") else ""
