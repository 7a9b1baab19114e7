"""
How long calls took: medians and 95th percentiles over a range, by bucket of time and by group.

By model and mode they come from counts of days and hours (`LatencyRollup`), so that any range is cheap: a percentile
is then read inside a bucket whose bounds lie a factor of 1.5 apart. By anything else they are exact, over the newest
calls.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from accounts.models import Organization
from billing.read_models.periods import Period
from billing.read_models.reports import GAP, Filters, Group

NEWEST = 10_000  # an index scan of bounded length, where there are no counts
# In milliseconds; bucket i is [BOUNDS_MS[i - 1], BOUNDS_MS[i]). The SQL function billing_latency_bucket has the same.
BOUNDS_MS = (
    *(20, 30, 45, 68, 101, 152, 228, 342, 513, 769, 1153, 1730, 2595, 3892, 5839, 8758, 13137),
    *(19705, 29558, 44337, 66505, 99758, 149636),
)
COUNTED: tuple[Group, ...] = ("model", "mode")

_BUCKETS = len(BOUNDS_MS) + 1
_ADDED = ", ".join(
    f"ARRAY[{', '.join(f'sum({name}[{i}])' for i in range(1, _BUCKETS + 1))}]::bigint[]"
    for name in ("first_token_counts", "duration_counts")
)
_FROM_COUNTS = f"""
SELECT {{keys}}, {_ADDED}
FROM (
    SELECT day AS at, model, mode, first_token_counts, duration_counts FROM billing_latencydayrollup
    WHERE organization_id = %(organization)s AND day >= %(start)s AND day < %(end)s
      AND day <> ALL (%(cut_days)s::timestamptz[])
    UNION ALL
    SELECT l.hour, l.model, l.mode, l.first_token_counts, l.duration_counts
    FROM unnest(%(cut_days)s::timestamptz[]) AS cut (day) JOIN billing_latencyrollup l
      ON l.organization_id = %(organization)s AND l.hour >= greatest(cut.day, %(start)s)
     AND l.hour < least(cut.day + interval '24 hours', %(end)s)
) l
WHERE (%(model)s = '' OR model = %(model)s) AND (%(mode)s = '' OR mode = %(mode)s)
{{sets}}
"""  # noqa: S608  only names of our own
_FROM_EVENTS = """
SELECT width_bucket(e.occurred_at, %(edges)s::timestamptz[]) AS bucket, coalesce({column}, '') AS grouped,
    percentile_disc(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY e.first_token_ms),
    percentile_disc(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY e.duration_ms)
FROM (
    SELECT occurred_at, first_token_ms, duration_ms, status, model, mode, project_id, key_id, tags
    FROM billing_usageevent
    WHERE organization_id = %(organization)s AND occurred_at >= %(start)s AND occurred_at < %(end)s
      AND (%(key)s::bigint IS NULL OR key_id = %(key)s)
    ORDER BY occurred_at DESC, request_id DESC LIMIT %(newest)s
) e {join}
WHERE e.status < 400 AND (%(model)s = '' OR e.model = %(model)s) AND (%(mode)s = '' OR e.mode = %(mode)s)
  AND (%(project)s::bigint IS NULL OR e.project_id = %(project)s)
  AND (%(tag)s = '' OR %(tag)s = ANY (e.tags)) AND (%(member)s::bigint IS NULL OR e.key_id IN (
      SELECT id FROM apikeys_apikey WHERE organization_id = %(organization)s AND created_by_id = %(member)s))
GROUP BY GROUPING SETS ((1), (2), ())
"""
_EVENT_GROUPS: Mapping[Group, tuple[str, str]] = {
    "model": ("e.model", ""),
    "mode": ("e.mode", ""),
    "key": ("k.public_id", "LEFT JOIN apikeys_apikey k ON k.id = e.key_id"),
    "project": ("p.public_id", "JOIN accounts_project p ON p.id = e.project_id"),
    "tag": ("t.tag", "LEFT JOIN LATERAL unnest(e.tags) AS t (tag) ON true"),
    "member": (
        "m.public_id",
        """LEFT JOIN apikeys_apikey k ON k.id = e.key_id LEFT JOIN accounts_membership m
        ON m.user_id = k.created_by_id AND m.organization_id = %(organization)s""",
    ),
}

_Counts = Sequence[Sequence[int]]  # of first tokens, then of durations, bucket by bucket


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Medians and 95th percentiles in milliseconds; None where nothing was measured."""

    first_token_p50: int | None = None
    first_token_p95: int | None = None
    duration_p50: int | None = None
    duration_p95: int | None = None


UNKNOWN = Percentiles()


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles of a range: in all, by bucket of time, by the id of a group. `newest`: of so many calls at most."""

    whole: Percentiles = UNKNOWN
    buckets: tuple[Percentiles, ...] = ()
    groups: Mapping[str, Percentiles] = field(default_factory=dict)
    newest: int | None = None


def whole(organization: Organization, *, period: Period, filters: Filters) -> Latency:
    """Return the percentiles of the range in all; runs one query."""
    if not _has_counts("model", filters):
        return by_bucket_and_group(organization, period=period, group="mode", filters=filters)
    rows = _rows(_FROM_COUNTS.format(keys="NULL, NULL", sets=""), organization, period, filters)
    return Latency(whole=next((_of_counts(counts) for _, _, *counts in rows), UNKNOWN))


def by_bucket_and_group(
    organization: Organization, *, period: Period, group: Group, filters: Filters
) -> Latency:
    """Return the percentiles of the range, of its buckets and of each group; runs one query."""
    if _has_counts(group, filters) and period.step != "minute":
        return _by_counts(organization, period, group, filters)
    column, join = _EVENT_GROUPS[group]
    buckets: dict[int, Percentiles] = {}
    groups: dict[str, Percentiles] = {}
    in_all = UNKNOWN
    statement = _FROM_EVENTS.format(column=column, join=join)
    for bucket, named, *both in _rows(statement, organization, period, filters):
        found = Percentiles(*(one for pair in both for one in pair or _NONE))
        if bucket is not None:
            buckets[bucket] = found
        elif named is not None:
            groups[named] = found
        else:
            in_all = found
    return Latency(in_all, _in_order(buckets, period), groups, newest=NEWEST)


def _by_counts(
    organization: Organization, period: Period, group: Group, filters: Filters
) -> Latency:
    """
    Return the percentiles of sums of counts: of days, where a bucket begins within one of its hours.

    The database adds up each bucket's groups only, and what buckets and groups come to is added here: with grouping
    sets it would add every row three times, 48 counts each.
    """
    statement = _FROM_COUNTS.format(
        keys=f"width_bucket(at, %(edges)s::timestamptz[]), {group}", sets="GROUP BY 1, 2"
    )
    rows = _rows(statement, organization, period, filters)
    by_bucket: dict[int, list[_Counts]] = defaultdict(list)
    by_group: dict[str, list[_Counts]] = defaultdict(list)
    for bucket, named, *counts in rows:
        by_bucket[bucket].append(counts)
        by_group[named].append(counts)
    buckets = {bucket: _of_counts(_added(counts)) for bucket, counts in by_bucket.items()}
    return Latency(
        whole=_of_counts(_added([counts for _, _, *counts in rows])) if rows else UNKNOWN,
        buckets=_in_order(buckets, period),
        groups={named: _of_counts(_added(counts)) for named, counts in by_group.items()},
    )


def _in_order(buckets: Mapping[int, Percentiles], period: Period) -> tuple[Percentiles, ...]:
    return tuple(buckets.get(GAP + 1 + i, UNKNOWN) for i in range(len(period.slots)))


def _added(found: Sequence[_Counts]) -> _Counts:
    """Return the sums of counts of first tokens, and those of durations."""
    return [
        [sum(column) for column in zip(*kind, strict=True)] for kind in zip(*found, strict=True)
    ]


_NONE = (None, None)


def _has_counts(group: Group, filters: Filters) -> bool:
    narrow = (filters.key, filters.project, filters.member)
    return group in COUNTED and not filters.tag and all(row is None for row in narrow)


def _rows(
    statement: str, organization: Organization, period: Period, filters: Filters
) -> list[tuple[Any, ...]]:
    values: dict[str, Any] = {
        "organization": organization.pk,
        "start": period.start,
        "end": period.end,
        "edges": period.edges,
        "cut_days": period.cut_days,
        "newest": NEWEST,
        "model": filters.model,
        "mode": filters.mode,
        "key": filters.key,
        "project": filters.project,
        "member": filters.member,
        "tag": filters.tag,
    }
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def _of_counts(counts: _Counts) -> Percentiles:
    first_tokens, durations = counts
    return Percentiles(
        percentile(first_tokens, 50),
        percentile(first_tokens, 95),
        percentile(durations, 50),
        percentile(durations, 95),
    )


def percentile(counts: Sequence[int | None], percent: int) -> int | None:
    """
    Return the value below which so many percent of the counted lie, in milliseconds; None of nothing.

    Inside its bucket it grows by a constant factor; what is past the last bound is the last bound.
    """
    known = [count or 0 for count in counts]
    rank = sum(known) * percent / 100
    if not rank:
        return None
    below = 0
    for i, count in enumerate(known):
        if count and below + count >= rank:
            return _inside(i, (rank - below) / count)
        below += count
    raise AssertionError("a rank is never above the sum of the counts")


def _inside(bucket: int, share: float) -> int:
    if bucket == len(BOUNDS_MS):
        return BOUNDS_MS[-1]
    if bucket == 0:
        return round(BOUNDS_MS[0] * share)
    low, high = BOUNDS_MS[bucket - 1], BOUNDS_MS[bucket]
    return round(low * math.pow(high / low, share))
