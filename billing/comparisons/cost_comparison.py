"""
Compares what providers say they charge us with what we booked, by day and model, and our prices with our costs.

A day is compared once it is over, and only where a file has it: the newest file of a provider that has the day. What
differs by more than a cent and a hundredth is drift. A model that brought less than it cost on a day is told, too.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta

from django.db import connection
from django.db.models import Max

from billing.comparisons import reconciliation
from billing.comparisons.provider_costs import model_key
from billing.comparisons.reconciliation import Difference
from billing.models import ProviderCostLine, ReconItem, ReconRun
from exerati.lib.money import NANOUSD_PER_CENT

Kind = ReconItem.Kind
LOOK_BACK = timedelta(days=35)
TOLERATED = 100  # one part in so many
Costs = Mapping[tuple[str, str, date], int]  # provider, key of the model, day -> nano-USD

_OURS = """
SELECT a.provider, a.upstream_model, (a.started_at AT TIME ZONE 'UTC')::date, sum(a.provider_cost_nanousd)::bigint
FROM billing_attempt a WHERE a.started_at >= %s AND a.started_at < %s AND a.provider_cost_nanousd IS NOT NULL
GROUP BY 1, 2, 3
"""
_MARGINS = """
SELECT u.model, (u.hour AT TIME ZONE 'UTC')::date, sum(u.charge_nanousd)::bigint, sum(u.provider_cost_nanousd)::bigint
FROM billing_usagerollup u WHERE u.hour >= %s AND u.hour < %s AND u.mode = 'live'
GROUP BY 1, 2 HAVING sum(u.charge_nanousd) < sum(u.provider_cost_nanousd) ORDER BY 2, 1
"""


def run(now: datetime, *, look_back: timedelta = LOOK_BACK) -> ReconRun:
    """Compare the days before today and return the run."""
    until = datetime.combine(now.astimezone(UTC).date(), time.min, tzinfo=UTC)
    since = until - look_back
    started = reconciliation.begin(ReconRun.Subject.COSTS, since=since, until=until)
    theirs, ours = _stated(since, until), _booked(since, until)
    covered = {(provider, day) for provider, _, day in theirs}
    compared = {key: cost for key, cost in ours.items() if (key[0], key[2]) in covered}
    below = list(_below_cost(since, until))
    reconciliation.finish(
        started,
        [*_drift(theirs, compared), *below],
        checked={"days": len(covered), "models": len({*theirs, *compared})},
        totals={
            "stated_nanousd": sum(theirs.values()),
            "booked_nanousd": sum(compared.values()),
        },
    )
    return started


def _stated(since: datetime, until: datetime) -> Costs:
    """Return what the newest file of each provider and day says."""
    lines = ProviderCostLine.objects.filter(day__gte=since.date(), day__lt=until.date())
    newest = {
        (row["provider"], row["day"]): row["newest"]
        for row in lines.values("provider", "day").annotate(newest=Max("source_id")).order_by()
    }
    sums: Counter[tuple[str, str, date]] = Counter()
    for line in lines:
        if newest[line.provider, line.day] == line.source_id:
            sums[line.provider, model_key(line.model), line.day] += line.cost_nanousd
    return sums


def _booked(since: datetime, until: datetime) -> Costs:
    sums: Counter[tuple[str, str, date]] = Counter()
    with connection.cursor() as cursor:
        cursor.execute(_OURS, [since, until])
        for provider, model, day, cost in cursor.fetchall():
            sums[provider, model_key(model), day] += cost
    return sums


def _drift(theirs: Costs, ours: Costs) -> Iterator[Difference]:
    for key in sorted({*theirs, *ours}):
        stated, booked = theirs.get(key, 0), ours.get(key, 0)
        tolerated = max(NANOUSD_PER_CENT, stated // TOLERATED)
        if abs(stated - booked) > tolerated:
            provider, model, day = key
            yield Difference(
                Kind.COST_DRIFT,
                f"{provider}/{model}/{day}",
                theirs={"cost_nanousd": stated},
                ours={"cost_nanousd": booked},
                difference_nanousd=stated - booked,
            )


def _below_cost(since: datetime, until: datetime) -> Iterator[Difference]:
    with connection.cursor() as cursor:
        cursor.execute(_MARGINS, [since, until])
        rows = cursor.fetchall()
    for model, day, charged, cost in rows:
        yield Difference(
            Kind.NEGATIVE_MARGIN,
            f"{model}/{day}",
            theirs={"cost_nanousd": cost},
            ours={"charge_nanousd": charged},
            difference_nanousd=cost - charged,
        )
