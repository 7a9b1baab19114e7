"""
Measures admission and settlement: pairs of reserve + settle through one process's batched doors.

Makes its own durable PostgreSQL in a temporary folder and removes it: `python3 -m benchmarks.money`. Prints
pairs a second, the median and 99th percentile of one pair, and the CPU the calling process spends on a pair, for 1,
32 and 128 callers, on one organization and on a hundred; first on tables PostgreSQL has no statistics of, then on
analysed ones; and last the same with a transaction of its own for each reserve and each settle, over as many
connections as a pool would have. `--seconds` sets the length of each measurement.
"""

import argparse
import asyncio
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from exerati.servers import embedded, throwaway

CALLERS = (1, 32, 128)
ORGANIZATIONS = 100
CREDIT_NANOUSD = 10**15
POOL = 32  # connections of the naive way


@dataclass(frozen=True, slots=True)
class Payer:
    """The row ids that a call names."""

    organization_id: int
    project_id: int
    key_id: int
    price_version_id: int


def main() -> None:
    """Run all measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    home = throwaway.make_home(throwaway.parent())
    try:
        server = embedded.start_postgres(home, durable=True)
        os.environ |= {
            "DATABASE_URL": server.database_url,
            "DJANGO_SETTINGS_MODULE": "exerati.settings.test",
            "EXERATI_ENV_FILES": "",
        }
        measure_all(options.seconds)
    finally:
        throwaway.remove_home(home)


def measure_all(seconds: float) -> None:
    """Fill the database, then measure without and with statistics."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("ALTER SYSTEM SET autovacuum = off")
        cursor.execute("SELECT pg_reload_conf()")
    call_command("migrate", verbosity=0)
    payers = make_payers()
    heading = ("statistics", "organizations", "callers", "pairs/s", "p50 ms", "p99 ms", "CPU us")
    print(("{:>13} " * len(heading)).format(*heading))
    for statistics_state in ("never", "analysed"):
        if statistics_state == "analysed":
            with connection.cursor() as cursor:
                cursor.execute("ANALYZE")
        connection.close()
        for chosen in (payers[:1], payers):
            for callers in CALLERS:
                figures = asyncio.run(measure(chosen, callers=callers, seconds=seconds))
                print(
                    f"{statistics_state:>13} {len(chosen):>13} {callers:>13} {figures}", flush=True
                )
    for chosen in (payers[:1], payers):
        for callers in CALLERS:
            figures = asyncio.run(measure(chosen, callers=callers, seconds=seconds, naive=True))
            print(f"{'naive':>13} {len(chosen):>13} {callers:>13} {figures}", flush=True)


def make_payers() -> list[Payer]:
    """Store the organizations, each with one live key capped by the month and with credit."""
    from django.db import connection
    from django.utils import timezone

    from accounts.models import Organization, Project
    from apikeys.models import ApiKey
    from billing.models import Budget, PriceVersion

    price = PriceVersion.objects.create(model="bench", effective_from=timezone.now())
    payers = []
    for number in range(ORGANIZATIONS):
        organization = Organization.objects.create(slug=f"bench-{number}", name="Bench")
        project = Project.objects.create(organization=organization, name="Default")
        key = ApiKey.objects.create(
            organization=organization,
            project=project,
            name="Bench",
            mode="live",
            key_hash=os.urandom(32),
            budget_month_nanousd=CREDIT_NANOUSD,
        )
        payers.append(Payer(organization.id, project.id, key.id, price.id))
    with connection.cursor() as cursor:
        cursor.execute("SELECT billing_lock_wallets(%s)", [[p.organization_id for p in payers]])
    Budget.objects.filter(scope="wallet").update(credited_nanousd=CREDIT_NANOUSD)
    return payers


async def measure(payers: list[Payer], *, callers: int, seconds: float, naive: bool = False) -> str:
    """Let callers make pairs one after another for so long, and return the figures as text."""
    from billing.budgets import Budgets
    from billing.metering import Metering
    from exerati.lib import ids

    owner = ids.new_uuid()
    budgets, metering = Budgets(owner, lease_seconds=20), Metering(owner)
    pool = [(Budgets(owner, lease_seconds=20), Metering(owner)) for _ in range(min(callers, POOL))]
    if naive:
        for doors in pool:
            one_by_one(*doors)
    times: list[float] = []

    async def caller(number: int, until: Callable[[], bool]) -> None:
        turn = number
        while not until():
            started = time.perf_counter()
            if naive:
                # A connection is one caller's for the time of its pair, as with a pool.
                async with locks[number % len(pool)]:
                    await pair(*pool[number % len(pool)], payers[turn % len(payers)])
            else:
                await pair(budgets, metering, payers[turn % len(payers)])
            times.append(time.perf_counter() - started)
            turn += callers

    locks = [asyncio.Lock() for _ in pool]
    # Both connections, their prepared statements and the counters of the period are made before the clock starts.
    ended = time.perf_counter() + 0.3
    await asyncio.gather(*(caller(n, lambda: time.perf_counter() > ended) for n in range(callers)))
    times.clear()
    started, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(
        *(caller(n, lambda: time.perf_counter() > started + seconds) for n in range(callers))
    )
    took, cpu = time.perf_counter() - started, time.process_time() - cpu
    for doors in [(budgets, metering), *pool]:
        for door in doors:
            await door.close()
    cuts = statistics.quantiles(times, n=100)
    return (
        f"{len(times) / took:>13.0f} {cuts[49] * 1e3:>13.2f} {cuts[98] * 1e3:>13.2f} "
        f"{cpu / len(times) * 1e6:>13.1f}"
    )


def one_by_one(budgets: object, metering: object) -> None:
    """Let doors send every call in a transaction of its own."""
    for door in (budgets, metering):
        door._batcher._max_size = 1  # type: ignore[attr-defined]


async def pair(budgets: object, metering: object, payer: Payer) -> None:
    """Reserve one call and settle it, as the gateway does."""
    from billing.budgets import Budgets
    from billing.metering import Metering
    from billing.types import AttemptRecord, ReserveRequest, Settlement, TokenUsage
    from exerati.lib import ids

    assert isinstance(budgets, Budgets)
    assert isinstance(metering, Metering)
    request_id = ids.new_uuid()
    await budgets.reserve(
        ReserveRequest(
            request_id=request_id,
            organization_id=payer.organization_id,
            project_id=payer.project_id,
            key_id=payer.key_id,
            mode="live",
            endpoint="chat/completions",
            model="bench",
            price_version_id=payer.price_version_id,
            upper_nanousd=1000,
            streamed=False,
        )
    )
    attempt = AttemptRecord(1, "bench", "bench-1", datetime.now(UTC), "up", 200, "", 400, 5, 9)
    settled = await metering.settle(
        Settlement(
            request_id=request_id,
            usage=TokenUsage(input_tokens=10, output_tokens=20),
            outcome="finished",
            basis="reported",
            price_nanousd=500,
            charge_nanousd=500,
            provider_cost_nanousd=400,
            provider="bench",
            upstream_model="bench-1",
            attempts=(attempt,),
        )
    )
    assert settled.settled


if __name__ == "__main__":
    main()
