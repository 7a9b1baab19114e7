"""
Read models of the usage page, its CSV and the API: sums by bucket and group, exact at once after a call.

Sums come from the rollups of days, where a bucket begins within a UTC day from those of its hours, where one begins
within a UTC hour (zones with half hours, periods that end now) from the events of that hour, and from the events
still in the outbox. One statement reads all four, so each event is counted once. Templates get frozen values and run
no query.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import add
from typing import Any, Literal, NamedTuple, get_args

from django.db import connection

from accounts.models import Organization
from billing.read_models.periods import DAY, Period

Group = Literal["model", "key", "project", "member", "tag", "mode"]
GROUPS: tuple[Group, ...] = get_args(Group)
PREVIOUS = 1  # bucket numbers of width_bucket: before the range, the gap, then the buckets
GAP = 2
NO_KEY = "Without a key"
TAGS_OFFERED = 100

# What a group shows: its id in addresses, and its name. Only these texts become part of a statement.
_GROUP_COLUMNS: Mapping[Group, tuple[str, str, str]] = {
    "model": ("model", "s.grouped", "s.grouped"),
    "mode": ("mode", "s.grouped", "s.grouped"),
    "key": ("key_id", "coalesce(k.public_id, '')", "coalesce(k.name, '')"),
    "project": ("project_id", "p.public_id", "p.name"),
    "member": ("key_id", "coalesce(m.public_id, '')", "coalesce(a.email, '')"),
    "tag": ("tag", "s.grouped", "s.grouped"),
}
_GROUP_JOINS: Mapping[Group, str] = {
    "model": "",
    "mode": "",
    "key": "LEFT JOIN apikeys_apikey k ON k.id = s.grouped",
    "project": "JOIN accounts_project p ON p.id = s.grouped",
    "member": """LEFT JOIN apikeys_apikey k ON k.id = s.grouped LEFT JOIN accounts_user a ON a.id = k.created_by_id
        LEFT JOIN accounts_membership m ON m.user_id = a.id AND m.organization_id = %(organization)s""",
    "tag": "",
}
# Where sums and single events come from: a call with tags counts once for each of them.
_PLAIN = {
    "days": "billing_usagedayrollup",
    "hours": "billing_usagerollup",
    "tag": "''",
    "event_tag": "''",
    "unnest": "",
}
_TAGGED = {
    "days": "billing_tagdayrollup",
    "hours": "billing_tagrollup",
    "tag": "u.tag",
    "event_tag": "t.tag",
    "unnest": "CROSS JOIN LATERAL unnest(e.tags) AS t (tag)",
}
_SUM_COLUMNS = """u.project_id, u.key_id, u.model, u.mode, {tag}, u.requests, u.errors, u.input_tokens, u.output_tokens,
    u.cache_read_tokens, u.reasoning_tokens, u.audio_tokens, u.image_tokens, u.price_nanousd, u.charge_nanousd"""
_EVENT_COLUMNS = """e.occurred_at, e.project_id, e.key_id, e.model, e.mode, {event_tag}, 1, (e.status >= 400)::int,
    e.input_tokens, e.output_tokens, e.cache_read_tokens, e.reasoning_tokens, billing_detail(e.usage_details, 'audio'),
    billing_detail(e.usage_details, 'image'), e.price_nanousd, e.charge_nanousd"""
_SUMS = """
WITH part (at, project_id, key_id, model, mode, tag, requests, errors, input_tokens, output_tokens, cache_read_tokens,
           reasoning_tokens, audio_tokens, image_tokens, price_nanousd, charge_nanousd) AS (
    SELECT u.day, {sums}
    FROM {days} u
    WHERE u.organization_id = %(organization)s AND u.day >= %(first)s AND u.day < %(end)s
      AND u.day <> ALL (%(cut_days)s::timestamptz[])
    UNION ALL
    SELECT u.hour, {sums}
    FROM unnest(%(cut_days)s::timestamptz[]) AS cut (day) JOIN {hours} u
      ON u.organization_id = %(organization)s AND u.hour >= greatest(cut.day, %(first)s)
     AND u.hour < least(cut.day + interval '24 hours', %(end)s)
     AND u.hour <> ALL (%(cut)s::timestamptz[])
    UNION ALL
    SELECT {events}
    FROM billing_outboxmessage m JOIN billing_usageevent e USING (request_id, occurred_at)
    {unnest}
    WHERE m.organization_id = %(organization)s AND m.occurred_at >= %(first)s AND m.occurred_at < %(end)s
      AND date_trunc('hour', m.occurred_at, 'UTC') <> ALL (%(cut)s::timestamptz[])
    UNION ALL
    SELECT {events}
    FROM unnest(%(cut)s::timestamptz[]) AS cut (hour) JOIN billing_usageevent e
      ON e.organization_id = %(organization)s AND e.occurred_at >= cut.hour
     AND e.occurred_at < cut.hour + interval '1 hour'
     -- The same once more as constants: the planner cannot know that the hours are few, and would read every call.
     AND e.occurred_at >= %(cut_first)s AND e.occurred_at < %(cut_end)s
    {unnest}
), s AS (
    SELECT width_bucket(at, %(edges)s::timestamptz[]) AS bucket, {column} AS grouped,
        sum(requests)::bigint, sum(errors)::bigint, sum(input_tokens)::bigint, sum(output_tokens)::bigint,
        sum(cache_read_tokens)::bigint, sum(reasoning_tokens)::bigint, sum(audio_tokens)::bigint,
        sum(image_tokens)::bigint, sum(price_nanousd)::bigint, sum(charge_nanousd)::bigint
    FROM part
    WHERE (%(model)s = '' OR model = %(model)s) AND (%(mode)s = '' OR mode = %(mode)s)
      AND (%(key)s::bigint IS NULL OR key_id = %(key)s) AND (%(project)s::bigint IS NULL OR project_id = %(project)s)
      AND (%(tag)s = '' OR tag = %(tag)s) AND (%(member)s::bigint IS NULL OR key_id IN (
          SELECT id FROM apikeys_apikey WHERE organization_id = %(organization)s AND created_by_id = %(member)s))
    GROUP BY 1, 2
)
SELECT {ident}, {name}, s.* FROM s {join} ORDER BY 1, s.bucket
"""


class Sums(NamedTuple):
    """
    What some calls add up to.

    Cached tokens are inside the input, reasoning inside the output, audio and images inside both.
    """

    requests: int = 0
    errors: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    reasoning_tokens: int = 0
    audio_tokens: int = 0
    image_tokens: int = 0
    price_nanousd: int = 0
    charge_nanousd: int = 0

    def __add__(self, other: "Sums") -> "Sums":  # type: ignore[override]  # not one behind the other
        return Sums(*map(add, self, other))

    @property
    def tokens(self) -> int:
        """Return input and output together."""
        return self.input_tokens + self.output_tokens

    @property
    def spend(self) -> int:
        """Return what was charged, in nano-USD."""
        return self.charge_nanousd

    @property
    def mean_spend(self) -> int | None:
        """Return what one call was charged in the mean, in whole nano-USD; None without requests."""
        return self.charge_nanousd // self.requests if self.requests else None

    @property
    def error_share(self) -> float | None:
        """Return errors / requests in percent; None without requests."""
        return 100 * self.errors / self.requests if self.requests else None


NOTHING = Sums()


@dataclass(frozen=True, slots=True)
class Filters:
    """
    Which calls count; empty means all. `key` and `project` are row ids of this organization.

    `member` is the row id of a user: the calls of the keys that he or she made.
    """

    model: str = ""
    mode: str = ""
    key: int | None = None
    project: int | None = None
    member: int | None = None
    tag: str = ""


@dataclass(frozen=True, slots=True)
class UsageRow:
    """One group: its id in addresses, its name, one sum a bucket, all of them together, and the time before."""

    id: str
    name: str
    buckets: tuple[Sums, ...]
    total: Sums
    previous: Sums = field(default=NOTHING)


@dataclass(frozen=True, slots=True)
class Usage:
    """
    Sums of one range: by group (largest spend first), in all, and of the time before.

    `gone` are groups that had calls only before. Tags do not add up to the total: calls have none, or several.
    """

    period: Period
    group: Group
    rows: tuple[UsageRow, ...]
    total: Sums
    previous: Sums = field(default=NOTHING)
    gone: tuple[UsageRow, ...] = ()


def usage(
    organization: Organization,
    *,
    period: Period,
    group: Group,
    filters: Filters = Filters(),
    since: datetime | None = None,
) -> Usage:
    """
    Return the organization's sums in a range; runs one query, for tags a second one.

    `since` is the first moment that is read, the time before the range along with it unless told.
    """
    since = since or period.previous_start
    found = [
        _row(ident, name, buckets, period)
        for (ident, name), buckets in _grouped(organization, period, group, filters, since).items()
    ]
    rows = sorted(
        (row for row in found if row.total.requests),
        key=lambda row: (-row.total.spend, -row.total.requests, row.name),
    )
    total, previous = (
        sum((row.total for row in found), NOTHING),
        sum((row.previous for row in found), NOTHING),
    )
    if group == "tag" and not filters.tag:
        whole = usage(organization, period=period, group="mode", filters=filters, since=since)
        total, previous = whole.total, whole.previous
    return Usage(
        period=period,
        group=group,
        rows=tuple(rows),
        total=total,
        previous=previous,
        gone=tuple(row for row in found if row.previous.requests and not row.total.requests),
    )


def _grouped(
    organization: Organization, period: Period, group: Group, filters: Filters, since: datetime
) -> Mapping[tuple[str, str], Mapping[int, Sums]]:
    """Return sums by group (id, name) and bucket; several rows may belong to one group: a member has keys."""
    grouped: dict[tuple[str, str], dict[int, Sums]] = defaultdict(dict)
    for ident, name, bucket, _, *numbers in _sums(organization, period, group, filters, since):
        before = grouped[ident, name].get(bucket)
        sums = Sums(*numbers)
        grouped[ident, name][bucket] = before + sums if before else sums
    return grouped


def _sums(
    organization: Organization, period: Period, group: Group, filters: Filters, since: datetime
) -> list[tuple[Any, ...]]:
    column, ident, name = _GROUP_COLUMNS[group]
    source = _TAGGED if group == "tag" or filters.tag else _PLAIN
    statement = _SUMS.format(
        column=column,
        ident=ident,
        name=name,
        join=_GROUP_JOINS[group],
        sums=_SUM_COLUMNS.format(**source),
        events=_EVENT_COLUMNS.format(**source),
        **source,
    )
    cut = period.cut_hours
    values: dict[str, Any] = {
        "organization": organization.pk,
        "first": since,
        "end": period.end,
        "cut": cut,
        "cut_days": period.cut_days,
        "cut_first": min(cut, default=period.end),
        "cut_end": max(cut, default=period.end) + timedelta(hours=1),
        "edges": period.edges,
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


def _row(ident: str, name: str, found: Mapping[int, Sums], period: Period) -> UsageRow:
    buckets = tuple(found.get(GAP + 1 + i, NOTHING) for i in range(len(period.slots)))
    total, previous = sum(buckets, NOTHING), found.get(PREVIOUS, NOTHING)
    return UsageRow(ident, name or NO_KEY, buckets, total, previous)


def change_percent(now: int, before: int) -> int | None:
    """Return by how much a number rose, in whole percent; None where there was nothing before."""
    return round(100 * (now - before) / before) if before else None


def known_models(organization: Organization, *, since: datetime) -> list[str]:
    """Return the names of the models used since then or on the day before, for the filter; runs one query."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT model FROM billing_usagedayrollup WHERE organization_id = %(organization)s AND day >= %(day)s
            UNION SELECT e.model FROM billing_outboxmessage m JOIN billing_usageevent e USING (request_id, occurred_at)
            WHERE m.organization_id = %(organization)s AND m.occurred_at >= %(since)s ORDER BY 1""",
            {"organization": organization.pk, "since": since, "day": since - DAY},
        )
        return [row[0] for row in cursor.fetchall()]


def known_tags(organization: Organization, *, since: datetime) -> list[str]:
    """Return the tags used most since then, to the day, for the filter, by name; runs one query."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT tag FROM billing_tagdayrollup WHERE organization_id = %(organization)s AND day >= %(day)s
            GROUP BY tag ORDER BY sum(requests) DESC, tag LIMIT %(most)s""",
            {"organization": organization.pk, "day": since - DAY, "most": TAGS_OFFERED},
        )
        return sorted(row[0] for row in cursor.fetchall())
