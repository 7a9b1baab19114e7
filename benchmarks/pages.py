"""
Measures every page of the console over millions of requests: server time and queries, filter by filter.

Brings its own PostgreSQL and Valkey and removes them: `.venv/bin/python -m benchmarks.pages`. `--events` calls
(10,000,000 unless told) as `benchmarks.events` makes them, more than half of them of the organization that is looked
at, with a tenth as many refusals. Each address is asked for `--runs` times by the owner's session through the whole
stack of the site; the goal is 150 ms at the 95th percentile, and always the same number of queries. `--only WORD`
measures some.
"""

import argparse
import math
import os
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks import events
from exerati.management.commands.test import environment
from exerati.servers import throwaway

if TYPE_CHECKING:
    from django.test import Client

    from accounts.models import Organization

GOAL_MS = 150
RUNS = 40

# What is rare and old is what a log has to look for longest.
RARE = """
UPDATE billing_usageevent SET basis = 'estimated', outcome = 'client_left', tags = ARRAY['rare']
WHERE occurred_at < now() - interval '50 days' AND charge_nanousd %% 1000 = 7
"""
REFUSALS = """
INSERT INTO billing_refusedrequest (
    request_id, occurred_at, organization_id, project_id, key_id, mode, endpoint, model, client_request_id, status,
    code, message, advice, param, limit_kind, scope, period, count)
SELECT gen_random_uuid(), now() - random() * interval '35 days', k.organization_id, k.project_id, k.id, 'live',
    'chat/completions', 'model-' || n %% 8, '', 429, 'rate_limit_exceeded', 'Too many requests.', '', '', 'requests',
    'key', '', 1
FROM generate_series(1, %(count)s) n
JOIN (SELECT row_number() OVER (ORDER BY id) AS key, * FROM apikeys_apikey) k ON k.key = 1 + n %% %(keys)s
"""
AUDIT = """
INSERT INTO accounts_auditevent (organization_id, action, target, details, occurred_at)
SELECT %(organization)s, (ARRAY['key.created', 'key.revoked', 'member.role_changed'])[1 + n %% 3], 'key_' || n, '{}',
    now() - n * interval '20 seconds'
FROM generate_series(1, 200000) n
"""

USAGE = (
    *(f"range={name}" for name in ("1h", "today", "24h", "7d", "30d", "month")),
    *(f"range=30d&group={name}" for name in ("model", "key", "project", "member", "tag", "mode")),
    *(f"range=30d&metric={name}" for name in ("requests", "tokens", "latency")),
    *(f"range=30d&metric=latency&group={name}" for name in ("key", "project", "member", "tag")),
    "range=30d&compare=1",
    "range=7d&step=hour&group=key&metric=latency",
    "range=30d&model=model-3&group=key",
    "range=30d&tag=nightly",
    "range=30d&tag=nothing",
)
LOG = (
    "",
    *(f"range={name}" for name in ("today", "24h", "7d", "30d")),
    *(f"status={value}" for value in ("ok", "error", "4xx", "5xx", "refused", "500", "418")),
    *(f"outcome={value}" for value in ("finished", "client_left", "failed")),
    *(f"basis={value}" for value in ("reported", "estimated", "waived")),
    *(f"cost={value}" for value in ("0.0001", "1")),
    *(f"mode={value}" for value in ("live", "test")),
    *(f"model={value}" for value in ("model-3", "no-such-model")),
    *(f"tag={value}" for value in ("nightly", "rare", "nothing")),
    *(f"q={value}" for value in ("chatcmpl-nothing", "my-own-id")),
    "error=no_such_error",
    "member=me",
    "model=model-3&status=error&cost=1",
    "model=model-3&basis=estimated&tag=rare",
)


@dataclass(frozen=True, slots=True)
class Measured:
    """What the runs of one address came to."""

    path: str
    p50_ms: float
    p95_ms: float
    queries: tuple[int, ...]

    @property
    def is_good(self) -> bool:
        """Say whether the page keeps to the goal."""
        return self.p95_ms <= GOAL_MS and len(self.queries) == 1


def main() -> int:
    """Fill, ask, print; return 1 if a page misses the goal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--only", action="append", default=[], help="part of an address")
    options = parser.parse_args()
    with throwaway.servers(database_url="", redis_url="", engines=None) as addresses:
        os.environ |= environment(addresses)
        import django

        django.setup()
        events.timed(f"{options.events:,} events made", lambda: fill(options.events))
        paths = [path for path in addresses_of(organization()) if wanted(path, options.only)]
        return tell(measure(path, runs=options.runs) for path in paths)


def wanted(path: str, words: Sequence[str]) -> bool:
    """Say whether an address is among those to measure."""
    return not words or any(word in path for word in words)


def tell(found: Iterator[Measured]) -> int:
    """Print each; return 1 if one misses the goal."""
    print(f"{'page':<78}{'p50 ms':>8}{'p95 ms':>8}{'queries':>9}")
    bad = 0
    for one in found:
        bad += not one.is_good
        counts = " to ".join(str(count) for count in (one.queries[:1] + one.queries[1:][-1:]))
        mark = "" if one.is_good else "  MISSED"
        print(f"{one.path:<78}{one.p50_ms:>8.1f}{one.p95_ms:>8.1f}{counts:>9}{mark}", flush=True)
    print(f"{bad} missed the goal of {GOAL_MS} ms at p95 with a fixed number of queries")
    return 1 if bad else 0


def organization() -> "Organization":
    """Return the one whose pages are looked at: it made more than half of the calls."""
    from accounts.models import Organization

    return Organization.objects.get(slug="bench-0")


def fill(count: int) -> None:
    """Store the calls, what is rare among them, refusals and an audit log."""
    from accounts.models import Membership, User
    from billing import lots

    events.fill(count)
    events.run(RARE)
    events.run(REFUSALS, count=count // 10, keys=events.KEYS * events.ORGANIZATIONS)
    events.run(AUDIT, organization=organization().pk)
    for waiting in lots.waiting():
        lots.draw(waiting)
    owner = User.objects.create(email="bench@exerati.test")
    Membership.objects.create(organization=organization(), user=owner, role=Membership.Role.OWNER)
    organization().api_keys.update(created_by=owner)
    events.run("VACUUM ANALYZE")


def addresses_of(found: "Organization") -> Iterator[str]:
    """Yield the addresses of the console: every page of the organization's, the large ones in all their forms."""
    from django.urls import reverse

    from billing.read_models import request_log

    def at(name: str, **arguments: object) -> str:
        return reverse(f"dashboard:{name}", kwargs={"slug": found.slug, **arguments})

    newest = request_log.rows(found, filters=request_log.LogFilters()).rows
    key = newest[0].key_id
    project = found.projects.get().public_id
    yield from (at(name) for name in SIMPLE)
    yield from (f"{at('usage')}?{query}" for query in USAGE)
    yield from (f"{at('usage')}?range={name}&key={key}" for name in ("today", "30d"))
    yield f"{at('usage')}?range=30d&member=me"
    yield from (f"{at('requests')}?{query}" for query in LOG)
    yield from (f"{at('requests')}?{name}={value}" for name, value in own_filters(key, project))
    yield from (at("key", public_id=key), at("project", public_id=project))
    yield f"{at('ledger_calls')}?day={newest[0].occurred_at:%Y-%m-%d}"
    yield f"{at('palette')}?q=key"
    yield from (at("request", public_id=row.id) for row in newest[:1])
    yield f"{at('request_tail')}?after={newest[-1].occurred_at.isoformat().replace('+', '%2B')}"


SIMPLE = (
    *("overview", "first_call", "keys", "key_create", "projects", "limits", "playground", "team"),
    *("audit", "billing", "ledger", "invoices", "notifications", "settings", "billing_settings"),
    "body_settings",
)


def own_filters(key: str, project: str) -> Iterator[tuple[str, str]]:
    """Yield the filters of the log that name rows, and a place deep in it."""
    from datetime import timedelta

    from django.utils import timezone

    from billing.models import UsageEvent
    from billing.read_models import log_scan, request_log

    month_ago = timezone.now() - timedelta(days=30)
    own = UsageEvent.objects.filter(organization=organization())
    deep = own.filter(occurred_at__lt=month_ago).order_by("-occurred_at")[0]
    yield from (("key", key), ("key", request_log.PLAYGROUND), ("project", project))
    yield "older", log_scan.cursor_text(deep.occurred_at, deep.request_id)
    yield "newer", log_scan.cursor_text(deep.occurred_at, deep.request_id)


def measure(path: str, *, runs: int) -> Measured:
    """Ask for one page again and again."""
    client, times, counts = signed_in(), [], set()
    ask(client, path)  # reads templates, and notes in the session which organization was seen
    for _ in range(runs):
        took, queries = ask(client, path)
        times.append(took)
        counts.add(queries)
    times.sort()
    p95 = times[min(len(times), math.ceil(len(times) * 0.95)) - 1]
    return Measured(path, statistics.median(times), p95, tuple(sorted(counts)))


def ask(client: "Client", path: str) -> tuple[float, int]:
    """Ask for a page; return milliseconds and how many queries it ran."""
    from django.db import connection

    count = 0

    def counting(execute, sql, params, many, context):  # type: ignore[no-untyped-def]
        nonlocal count
        count += 1
        return execute(sql, params, many, context)

    with connection.execute_wrapper(counting):
        started = time.perf_counter()
        answer = client.get(path)
        took = (time.perf_counter() - started) * 1000
    assert answer.status_code in (200, 204), (path, answer.status_code)
    return took, count


def signed_in() -> "Client":
    """Return the owner's browser."""
    from django.test import Client

    from accounts.models import User

    client = Client()
    backend = "django.contrib.auth.backends.ModelBackend"
    client.force_login(User.objects.get(email="bench@exerati.test"), backend=backend)
    return client


if __name__ == "__main__":
    sys.exit(main())
