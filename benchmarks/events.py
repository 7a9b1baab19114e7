"""
Measures what reads millions of usage events: `ledger verify`, the queries of the usage page and of the request log.

Makes its own PostgreSQL in a temporary folder and removes it: `.venv/bin/python -m benchmarks.events`. Ten
organizations share `--events` calls (10,000,000 unless told) of the last 60 days, half of them the first one's; each
call has its reservation, event, ledger transfer and place in the hourly sums: `ledger verify` finds nothing wrong. The
full size wants about 12 GB of disk.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from datetime import timedelta
from zoneinfo import ZoneInfo

from exerati.servers import embedded, throwaway

ORGANIZATIONS = 10
KEYS = 4
CHUNK = 500_000
DAYS = 60
RUNS = 15
PAGES = (
    "range=7d",
    "range=30d&compare=1",
    "range=30d&group=tag",
    "range=30d&metric=latency",
    "range=7d&step=hour&group=key&metric=latency",
)

CALLS = """
INSERT INTO billing_reservation (
    request_id, organization_id, project_id, key_id, mode, endpoint, model, fallback_models, price_version_id,
    upper_nanousd, budget_ids, state, owner, lease_until, progress_input_tokens, progress_output_tokens,
    progress_nanousd, streamed, created_at, settled_at, charge_nanousd, extensions)
SELECT (lpad(to_hex((extract(epoch FROM c.at) * 1000)::bigint), 12, '0') || '7' || left(c.hash, 3) || '8'
        || right(c.hash, 15))::uuid,
       k.organization_id, k.project_id, k.id, 'live', 'chat/completions', 'model-' || c.n %% 8, '{}', %(price)s,
       400000, '{}', 'settled', gen_random_uuid(), c.at, 0, 0, 0, c.n %% 2 = 0, c.at, c.at + interval '2 s',
       c.n %% 300000, 0
FROM (
    SELECT n, md5(n::text) AS hash, now() - random() * make_interval(days => %(days)s) AS at,
           -- Half of the calls are those of the first organization.
           1 + CASE n %% 2 WHEN 0 THEN n / 2 %% %(keys)s ELSE n / 2 %% (%(keys)s * %(organizations)s) END AS key
    FROM generate_series(%(first)s::bigint, %(last)s::bigint) n
) c JOIN (SELECT row_number() OVER (ORDER BY id) AS key, * FROM apikeys_apikey) k USING (key)
"""

EVENTS = """
INSERT INTO billing_usageevent (
    request_id, occurred_at, settled_at, organization_id, project_id, key_id, mode, endpoint, model, provider,
    upstream_model, upstream_id, streamed, outcome, basis, status, error_code, finish_reason, input_tokens,
    output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, usage_details, price_version_id,
    upper_nanousd, price_nanousd, charge_nanousd, provider_cost_nanousd, attempts, first_token_ms, duration_ms,
    client_request_id, tags)
SELECT request_id, created_at, settled_at, organization_id, project_id, key_id, mode, endpoint, model, 'bench', model,
    left(request_id::text, 30), streamed, 'finished', 'reported',
    CASE WHEN charge_nanousd %% 50 = 0 THEN 500 ELSE 200 END,
    '', 'stop', 900, 300, 100, 0, 20, '{}', price_version_id, upper_nanousd, charge_nanousd, charge_nanousd,
    charge_nanousd / 2, 1, 100 + charge_nanousd %% 900, 500 + charge_nanousd %% 9000, '',
    CASE charge_nanousd %% 4 WHEN 0 THEN ARRAY['team:a', 'nightly'] WHEN 1 THEN ARRAY['team:b'] END
FROM billing_reservation ORDER BY created_at
"""

TRANSFERS = """
INSERT INTO billing_ledgertransfer (
    idempotency_key, leg, kind, organization_id, debit_account_id, credit_account_id, amount_nanousd, reason,
    created_at)
SELECT 'request:' || r.request_id, 0, 'usage', r.organization_id, own.id, revenue.id, r.charge_nanousd, '', r.settled_at
FROM billing_reservation r
JOIN billing_ledgeraccount own ON own.organization_id = r.organization_id AND own.kind = 'wallet'
JOIN billing_ledgeraccount revenue ON revenue.organization_id IS NULL AND revenue.kind = 'revenue'
WHERE r.charge_nanousd > 0 ORDER BY r.settled_at
"""

OUTBOX = """
INSERT INTO billing_outboxmessage (request_id, occurred_at, organization_id)
SELECT request_id, created_at, organization_id FROM billing_reservation
"""

WALLETS = """
UPDATE billing_budget b SET posted_nanousd = s.charge
FROM (SELECT organization_id, sum(charge_nanousd) AS charge FROM billing_reservation GROUP BY 1) s
WHERE b.scope = 'wallet' AND b.scope_id = s.organization_id
"""


def main() -> None:
    """Fill, then measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000)
    options = parser.parse_args()
    home = throwaway.make_home(throwaway.parent())
    try:
        os.environ |= {
            "DATABASE_URL": embedded.start_postgres(home, durable=False).database_url,
            "DJANGO_SETTINGS_MODULE": "exerati.settings.test",
            "EXERATI_ENV_FILES": "",
        }
        import django

        django.setup()
        timed(f"{options.events:,} events made", lambda: fill(options.events))
        measure()
    finally:
        throwaway.remove_home(home)


def timed(what: str, work: Callable[[], object]) -> None:
    """Do some work and print how long it took."""
    started = time.perf_counter()
    work()
    print(f"{what}: {time.perf_counter() - started:.1f} s", flush=True)


def run(statement: str, **values: object) -> None:
    """Run one statement."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def fill(events: int) -> None:
    """Store organizations, keys, credit and the calls with everything that belongs to them."""
    from django.core.management import call_command

    from billing import aggregation

    call_command("migrate", verbosity=0)
    run("SET synchronous_commit = off")
    price = make_customers()
    for first in range(1, events + 1, CHUNK):
        run(
            CALLS,
            price=price,
            days=DAYS,
            keys=KEYS,
            organizations=ORGANIZATIONS,
            first=first,
            last=min(first + CHUNK - 1, events),
        )
    run("SELECT billing_create_partitions(now() - interval '65 days', 5)")
    for statement in (EVENTS, TRANSFERS, WALLETS, OUTBOX):
        run(statement)
    aggregation.roll_up(batch=CHUNK)
    run("VACUUM ANALYZE")


def make_customers() -> int:
    """Store the organizations with keys and credit; return the row id of the price."""
    from django.utils import timezone

    from accounts.models import Organization, Project
    from apikeys.models import ApiKey
    from billing import wallet
    from billing.models import CreditLot, PriceVersion

    for number in range(ORGANIZATIONS):
        organization = Organization.objects.create(slug=f"bench-{number}", name="Bench")
        project = Project.objects.create(organization=organization, name="Default")
        ApiKey.objects.bulk_create(
            ApiKey(
                organization=organization,
                project=project,
                name=f"key {n}",
                mode="live",
                key_hash=os.urandom(32),
            )
            for n in range(KEYS)
        )
        wallet.grant(
            organization,
            amount_nanousd=10**16,
            source=CreditLot.Source.GRANT,
            idempotency_key=f"bench:{number}",
            reason="bench",
        )
    return PriceVersion.objects.create(model="bench", effective_from=timezone.now()).pk


def measure() -> None:
    """Print how long `ledger verify` and each query of the pages take for the largest organization."""
    from django.utils import timezone

    from accounts.models import Organization
    from billing.models import UsageEvent
    from billing.read_models import log_scan, request_log
    from billing.read_models.request_log import LogFilters

    timed("ledger verify", check)
    acme = Organization.objects.get(slug="bench-0")
    print(
        f"of them the largest organization's: {UsageEvent.objects.filter(organization=acme).count():,}"
    )
    now = timezone.now()
    for days in ("1h", "today", "7d", "30d"):
        for group in ("model", "key", "member", "tag"):
            median_of(f"usage query, {days} by {group}", usage_page(acme, days, group))
    for query in PAGES:
        median_of(f"whole usage page, ?{query}", whole_page(acme, query), runs=5)
    median_of("request log, newest", lambda: request_log.page(acme, filters=LogFilters()))
    for words, filters in (
        ("one model", LogFilters(model="model-3")),
        ("errors alone", LogFilters(status="error")),
    ):
        median_of(
            f"request log, {words}", lambda chosen=filters: request_log.page(acme, filters=chosen)
        )
    deep = UsageEvent.objects.filter(organization=acme, occurred_at__lt=now - timedelta(days=30))
    event = deep.order_by("-occurred_at")[0]
    cursor = log_scan.parse_cursor(
        log_scan.cursor_text(event.occurred_at, event.request_id), direction="older"
    )
    median_of(
        "request log, a month back",
        lambda: request_log.page(acme, filters=LogFilters(), cursor=cursor),
    )
    median_of("one request by id", lambda: request_log.find(acme, event.request_id))


def whole_page(organization: object, query: str) -> Callable[[], object]:
    """Return what asks for the page as its owner does, with every query and the template."""
    from django.test import Client
    from django.urls import reverse

    from accounts.models import Membership, Organization, User

    assert isinstance(organization, Organization)
    owner, _ = User.objects.get_or_create(email="bench@exerati.test")
    Membership.objects.get_or_create(
        organization=organization, user=owner, defaults={"role": Membership.Role.OWNER}
    )
    client = Client()
    client.force_login(owner)
    address = f"{reverse('dashboard:usage', args=[organization.slug])}?{query}"

    def ask() -> None:
        assert client.get(address).status_code == 200

    ask()  # templates are read once
    return ask


def usage_page(organization: object, name: str, group: str) -> Callable[[], object]:
    """Return the query of the usage page."""
    from django.utils import timezone

    from accounts.models import Organization
    from billing.read_models import periods, reports

    assert isinstance(organization, Organization)
    period = periods.period(name, now=timezone.now(), zone=ZoneInfo(organization.time_zone))
    return lambda: reports.usage(organization, period=period, group=group)  # type: ignore[arg-type]


def check() -> None:
    """Fail unless the books balance."""
    from billing.verification import verify

    for finding in verify.verify():
        assert not finding.broken, finding


def median_of(what: str, work: Callable[[], object], *, runs: int = RUNS) -> None:
    """Print the median and the slowest of some runs, in milliseconds."""
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        work()
        times.append((time.perf_counter() - started) * 1000)
    print(f"{what}: {statistics.median(times):.1f} ms, at most {max(times):.1f} ms", flush=True)


if __name__ == "__main__":
    main()
