"""
Read models of the usage page and its CSV: sums by bucket and group, exact at once after a call.

Sums come from the hourly rollups, from the events still in the outbox, and, where a bucket begins within a
UTC hour (zones with half hours, periods that end now), from the events of that hour. One statement reads all
three, so each event is counted once. Templates get frozen values and run no query.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

from django.db import connection

from accounts.models import Organization
from billing.periods import Period
from exerati.lib import money

Group = Literal["model", "key", "project", "mode"]
GROUPS: tuple[Group, ...] = get_args(Group)
PREVIOUS = 1  # bucket numbers of width_bucket: before the range, the gap, then the buckets
GAP = 2
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")
NO_KEY = "Without a key"

# What a group shows: its id in addresses, and its name. Only these texts become part of a statement.
_GROUP_COLUMNS: Mapping[Group, tuple[str, str, str]] = {
    "model": ("model", "s.grouped", "s.grouped"),
    "mode": ("mode", "s.grouped", "s.grouped"),
    "key": ("key_id", "coalesce(k.public_id, '')", "coalesce(k.name, '')"),
    "project": ("project_id", "p.public_id", "p.name"),
}
_GROUP_JOINS: Mapping[Group, str] = {
    "model": "",
    "mode": "",
    "key": "LEFT JOIN apikeys_apikey k ON k.id = s.grouped",
    "project": "JOIN accounts_project p ON p.id = s.grouped",
}
_EVENT_COLUMNS = """e.occurred_at, e.project_id, e.key_id, e.model, e.mode, 1, (e.status >= 400)::int, e.input_tokens,
    e.output_tokens, e.cache_read_tokens, e.reasoning_tokens, e.price_nanousd, e.charge_nanousd"""
_SUMS = """
WITH part (at, project_id, key_id, model, mode, requests, errors, input_tokens, output_tokens, cache_read_tokens,
           reasoning_tokens, price_nanousd, charge_nanousd) AS (
    SELECT u.hour, u.project_id, u.key_id, u.model, u.mode, u.requests, u.errors, u.input_tokens, u.output_tokens,
        u.cache_read_tokens, u.reasoning_tokens, u.price_nanousd, u.charge_nanousd
    FROM billing_usagerollup u
    WHERE u.organization_id = %(organization)s AND u.hour >= %(first)s AND u.hour < %(end)s
      AND u.hour <> ALL (%(cut)s::timestamptz[])
    UNION ALL
    SELECT {events}
    FROM billing_outboxmessage m JOIN billing_usageevent e USING (request_id, occurred_at)
    WHERE m.organization_id = %(organization)s AND m.occurred_at >= %(first)s AND m.occurred_at < %(end)s
      AND date_trunc('hour', m.occurred_at, 'UTC') <> ALL (%(cut)s::timestamptz[])
    UNION ALL
    SELECT {events}
    FROM unnest(%(cut)s::timestamptz[]) AS cut (hour) JOIN billing_usageevent e
      ON e.organization_id = %(organization)s AND e.occurred_at >= cut.hour
     AND e.occurred_at < cut.hour + interval '1 hour'
), s AS (
    SELECT width_bucket(at, %(edges)s::timestamptz[]) AS bucket, {column} AS grouped,
        sum(requests)::bigint, sum(errors)::bigint, sum(input_tokens)::bigint, sum(output_tokens)::bigint,
        sum(cache_read_tokens)::bigint, sum(reasoning_tokens)::bigint, sum(price_nanousd)::bigint,
        sum(charge_nanousd)::bigint
    FROM part
    WHERE (%(model)s = '' OR model = %(model)s) AND (%(mode)s = '' OR mode = %(mode)s)
      AND (%(key)s::bigint IS NULL OR key_id = %(key)s) AND (%(project)s::bigint IS NULL OR project_id = %(project)s)
    GROUP BY 1, 2
)
SELECT {ident}, {name}, s.* FROM s {join} ORDER BY 1, s.bucket
"""


@dataclass(frozen=True, slots=True)
class Sums:
    """What some calls add up to; cached tokens are inside the input, reasoning inside the output."""

    requests: int = 0
    errors: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    reasoning_tokens: int = 0
    price_nanousd: int = 0
    charge_nanousd: int = 0

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Sums)))

    @property
    def tokens(self) -> int:
        """Return input and output together."""
        return self.input_tokens + self.output_tokens

    @property
    def spend(self) -> int:
        """Return what was charged, in nano-USD."""
        return self.charge_nanousd

    @property
    def error_share(self) -> float | None:
        """Return errors / requests in percent; None without requests."""
        return 100 * self.errors / self.requests if self.requests else None


NOTHING = Sums()


@dataclass(frozen=True, slots=True)
class Filters:
    """Which calls count; empty means all. `key` and `project` are row ids of this organization."""

    model: str = ""
    mode: str = ""
    key: int | None = None
    project: int | None = None


@dataclass(frozen=True, slots=True)
class UsageRow:
    """One group: its id in addresses, its name, one sum a bucket, and all of them together."""

    id: str
    name: str
    buckets: tuple[Sums, ...]
    total: Sums


@dataclass(frozen=True, slots=True)
class Usage:
    """Sums of one range: by group (largest spend first), in all, and of the time before."""

    period: Period
    group: Group
    rows: tuple[UsageRow, ...]
    total: Sums
    previous: Sums = field(default=NOTHING)


def usage(
    organization: Organization, *, period: Period, group: Group, filters: Filters = Filters()
) -> Usage:
    """Return the organization's sums in a range; runs one query."""
    grouped: dict[tuple[str, str], dict[int, Sums]] = defaultdict(dict)
    for ident, name, bucket, _, *numbers in _sums(organization, period, group, filters):
        grouped[ident, name][bucket] = Sums(*numbers)
    rows = [_row(ident, name, found, period) for (ident, name), found in grouped.items()]
    rows = [row for row in rows if row.total.requests]
    rows.sort(key=lambda row: (-row.total.spend, -row.total.requests, row.name))
    return Usage(
        period=period,
        group=group,
        rows=tuple(rows),
        total=sum((row.total for row in rows), NOTHING),
        previous=sum((found.get(PREVIOUS, NOTHING) for found in grouped.values()), NOTHING),
    )


def _sums(
    organization: Organization, period: Period, group: Group, filters: Filters
) -> list[tuple[Any, ...]]:
    column, ident, name = _GROUP_COLUMNS[group]
    statement = _SUMS.format(
        column=column, ident=ident, name=name, join=_GROUP_JOINS[group], events=_EVENT_COLUMNS
    )
    cut = period.cut_hours
    values: dict[str, Any] = {
        "organization": organization.pk,
        "first": period.previous_start,
        "end": period.end,
        "cut": cut,
        "edges": period.edges,
        "model": filters.model,
        "mode": filters.mode,
        "key": filters.key,
        "project": filters.project,
    }
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def _row(ident: str, name: str, found: Mapping[int, Sums], period: Period) -> UsageRow:
    buckets = tuple(found.get(GAP + 1 + i, NOTHING) for i in range(len(period.slots)))
    return UsageRow(ident, name or NO_KEY, buckets, sum(buckets, NOTHING))


def change_percent(now: int, before: int) -> int | None:
    """Return by how much a number rose, in whole percent; None where there was nothing before."""
    return round(100 * (now - before) / before) if before else None


CSV_HEAD = (
    "start",
    "end",
    "group",
    "id",
    "requests",
    "errors",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "reasoning_tokens",
    "charge_usd",
    "price_usd",
)


def csv_rows(found: Usage) -> Iterator[Sequence[str]]:
    """
    Yield the head, then a row for each bucket and group with calls; amounts are exact.

    Times carry the offset of the range's zone.
    """
    yield CSV_HEAD
    zone = found.period.zone
    for i, slot in enumerate(found.period.slots):
        bounds = [moment.astimezone(zone).isoformat() for moment in (slot.start, slot.end)]
        for row in found.rows:
            sums = row.buckets[i]
            if sums.requests:
                yield [*bounds, *map(spreadsheet_text, (row.name, row.id)), *_numbers(sums)]


def _numbers(sums: Sums) -> list[str]:
    counts = (
        sums.requests,
        sums.errors,
        sums.input_tokens,
        sums.output_tokens,
        sums.cache_read_tokens,
        sums.reasoning_tokens,
    )
    amounts = (sums.charge_nanousd, sums.price_nanousd)
    return [*map(str, counts), *map(money.usd_text, amounts)]


def spreadsheet_text(text: str) -> str:
    """Return text that no spreadsheet takes for a formula: a sign in front gets an apostrophe before it."""
    return f"'{text}" if text.startswith(FORMULA_SIGNS) else text


def known_models(organization: Organization, *, since: datetime) -> list[str]:
    """Return the names of the models used since then, for the filter; runs one query."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT model FROM billing_usagerollup WHERE organization_id = %(organization)s AND hour >= %(since)s
            UNION SELECT e.model FROM billing_outboxmessage m JOIN billing_usageevent e USING (request_id, occurred_at)
            WHERE m.organization_id = %(organization)s AND m.occurred_at >= %(since)s ORDER BY 1""",
            {"organization": organization.pk, "since": since - timedelta(hours=1)},
        )
        return [row[0] for row in cursor.fetchall()]
