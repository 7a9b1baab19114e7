"""
Measures the closing of a month: usage events claimed into the lines of one invoice, then sealed.

Makes its own PostgreSQL in a temporary folder and removes it: `.venv/bin/python -m benchmarks.closing`. One
organization made `--events` calls last month, of 8 models at 2 prices by 4 keys. Several numbers (1, 5 and 10 million
unless told) are closed one after the other, each by a process of its own on a fresh database, so that the figures show
whether closing is linear. After each, the invoice, its lines and the events are compared.
"""

import argparse
import os
import resource
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from exerati.servers import embedded, throwaway

SIZES = (1_000_000, 5_000_000, 10_000_000)
KEYS = 4
CHUNK = 500_000

EVENTS = """
INSERT INTO billing_usageevent (
    request_id, occurred_at, settled_at, organization_id, project_id, key_id, mode, endpoint, model, provider,
    upstream_model, upstream_id, streamed, outcome, basis, status, error_code, finish_reason, input_tokens,
    output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, usage_details, price_version_id,
    upper_nanousd, price_nanousd, charge_nanousd, provider_cost_nanousd, attempts, first_token_ms, duration_ms,
    client_request_id, postpaid)
SELECT overlay(replace(gen_random_uuid()::text, '-', '')
               PLACING lpad(to_hex((extract(epoch FROM c.at) * 1000)::bigint), 12, '0') FROM 1)::uuid,
       c.at, c.at + interval '2 s', k.organization_id, k.project_id, k.id, 'live',
       'chat/completions', 'model-' || c.n %% 8, 'bench', 'model', '', c.n %% 2 = 0, 'finished', 'reported', 200, '',
       'stop', 900, 300, 100, 0, 20, '{}', (%(prices)s::bigint[])[1 + c.n %% 2], 400000, c.n %% 300000 + 1,
       c.n %% 300000 + 1, 100, 1, 300, 2000, '', true
FROM (
    SELECT n, %(start)s::timestamptz + (n::float8 / %(total)s) * (%(end)s::timestamptz - %(start)s::timestamptz) AS at
    FROM generate_series(%(first)s::bigint, %(last)s::bigint) n
) c JOIN (SELECT row_number() OVER (ORDER BY id) AS key, * FROM apikeys_apikey) k ON k.key = 1 + c.n / 2 %% %(keys)s
"""


def main() -> None:
    """Measure each number in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, nargs="+", default=SIZES)
    numbers = parser.parse_args().events
    if len(numbers) == 1:
        measure(numbers[0])
        return
    for events in numbers:
        one = [sys.executable, "-m", "benchmarks.closing", "--events", str(events)]
        subprocess.run(one, check=True)


def measure(events: int) -> None:
    """Close a month of so many calls on a database of its own, and say how long it took."""
    home = throwaway.make_home(throwaway.parent())
    try:
        os.environ |= {
            "DATABASE_URL": embedded.start_postgres(home, durable=False).database_url,
            "DJANGO_SETTINGS_MODULE": "exerati.settings.test",
            "EXERATI_ENV_FILES": "",
        }
        close_once(events)
    finally:
        throwaway.remove_home(home)


def close_once(events: int) -> None:
    """Fill, close, compare, print."""
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    period = fill(events)
    from billing.invoices import invoicing
    from billing.models import Invoice, UsageEvent

    started, used = time.monotonic(), cpu_seconds()
    invoice = invoicing.close(period.pk, now=period.period_end + timedelta(hours=2))
    seconds, used = time.monotonic() - started, cpu_seconds() - used
    assert invoice is not None
    assert invoice.state == Invoice.State.SEALED, "too few calls for an invoice"
    charged = sum(number % 300_000 + 1 for number in range(1, events + 1))
    assert invoice.usage_nanousd == charged, (invoice.usage_nanousd, charged)
    assert invoice.net_cents == charged // 10_000_000
    assert sum(line.requests for line in invoice.lines.all()) == events
    assert not UsageEvent.objects.filter(invoice_line_id=None).exists()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        f"{events:>12,} events closed in {seconds:8.1f} s: {events / seconds:>8,.0f} events/s,"
        f" {used:.1f} s of CPU in the database ({used / events * 1e6:.0f} us an event),"
        f" {invoice.lines.count()} lines, worker {memory} MiB",
        flush=True,
    )


def cpu_seconds() -> float:
    """Return the CPU time that our connection's server process has used: the same on a busy machine."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        [pid] = cursor.fetchone()
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


def fill(events: int) -> Any:
    """Make the organization and its calls of last month; return the month's period, which has ended."""
    from django.db import connection
    from django.utils import timezone

    from billing import aggregation, plans
    from billing.invoices import billing_periods
    from billing.models import BillingPeriod
    from tests import factories

    organization = factories.make_organization("Bench")
    for _ in range(KEYS):
        factories.make_api_key(organization)
    prices = [factories.make_price(f"price-{n}").pk for n in range(2)]
    this_month = timezone.now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    start = (this_month - timedelta(days=1)).replace(day=1)
    aggregation.create_partitions(start, months=2)
    plans.switch(organization, plan="postpaid", reason="benchmark", actor=None, now=start)
    period = BillingPeriod.objects.get(organization=organization)
    values: dict[str, Any] = {
        "prices": prices,
        "start": start,
        "end": this_month,
        "total": events + 1,
        "keys": KEYS,
    }
    with connection.cursor() as cursor:
        for first in range(1, events + 1, CHUNK):
            last = min(first + CHUNK - 1, events)
            cursor.execute(EVENTS, {**values, "first": first, "last": last})
        # As autovacuum does in the course of a month.
        cursor.execute("VACUUM ANALYZE billing_usageevent")
    end: datetime = period.period_end
    billing_periods.roll_over(period, now=end)
    return period


if __name__ == "__main__":
    main()
