"""
Measures the closing of a month: usage events claimed into the lines of one invoice, then sealed.

Makes its own PostgreSQL in a temporary folder and removes it: `.venv/bin/python -m benchmarks.closing`. One
organization made `--events` calls (10,000,000 unless told) last month, of 8 models at 2 prices by 4 keys; a quarter of
them and half of them are closed first, each on a fresh database, so that the figures show whether closing is linear.
After each, the invoice, its lines and the events are compared.
"""

import argparse
import os
import resource
import time
import traceback
from datetime import datetime, timedelta
from typing import Any

from exerati.servers import embedded, throwaway

KEYS = 4
CHUNK = 500_000

EVENTS = """
INSERT INTO billing_usageevent (
    request_id, occurred_at, settled_at, organization_id, project_id, key_id, mode, endpoint, model, provider,
    upstream_model, upstream_id, streamed, outcome, basis, status, error_code, finish_reason, input_tokens,
    output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, usage_details, price_version_id,
    upper_nanousd, price_nanousd, charge_nanousd, provider_cost_nanousd, attempts, first_token_ms, duration_ms,
    client_request_id, postpaid)
SELECT gen_random_uuid(), c.at, c.at + interval '2 s', k.organization_id, k.project_id, k.id, 'live',
       'chat/completions', 'model-' || c.n %% 8, 'bench', 'model', '', c.n %% 2 = 0, 'finished', 'reported', 200, '',
       'stop', 900, 300, 100, 0, 20, '{}', (%(prices)s::bigint[])[1 + c.n %% 2], 400000, c.n %% 300000 + 1,
       c.n %% 300000 + 1, 100, 1, 300, 2000, '', true
FROM (
    SELECT n, %(start)s::timestamptz + (n::float8 / %(total)s) * (%(end)s::timestamptz - %(start)s::timestamptz) AS at
    FROM generate_series(%(first)s::bigint, %(last)s::bigint) n
) c JOIN (SELECT row_number() OVER (ORDER BY id) AS key, * FROM apikeys_apikey) k ON k.key = 1 + c.n / 2 %% %(keys)s
"""


def main() -> None:
    """Measure a quarter, a half and the whole."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000)
    options = parser.parse_args()
    for events in (options.events // 4, options.events // 2, options.events):
        measure(events)


def measure(events: int) -> None:
    """Close a month of so many calls in a process of its own, and say how long it took."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        if status:
            raise SystemExit(f"closing {events:,} events failed")
        return
    home, failed = throwaway.make_home(throwaway.parent()), 0
    try:
        os.environ |= {
            "DATABASE_URL": embedded.start_postgres(home, durable=False).database_url,
            "DJANGO_SETTINGS_MODULE": "exerati.settings.test",
            "EXERATI_ENV_FILES": "",
        }
        close_once(events)
    except Exception:
        traceback.print_exc()
        failed = 1
    finally:
        throwaway.remove_home(home)
    os._exit(failed)  # the parent goes on; nothing of this process may


def close_once(events: int) -> None:
    """Fill, close, compare, print."""
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    period = fill(events)
    from billing.invoices import invoicing
    from billing.models import Invoice, UsageEvent

    started = time.monotonic()
    invoice = invoicing.close(period.pk, now=period.period_end + timedelta(hours=2))
    seconds = time.monotonic() - started
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
        f" {invoice.lines.count()} lines, worker {memory} MiB",
        flush=True,
    )


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
