"""
Protections taken away on purpose, in a run's own database and processes alone, to see the runner notice.

`python -m tests.faults --mutant NAME` runs with one of them; docs/faults.md has the table of what caught which.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from tests.faults.plan import Fault


def nothing() -> None:
    """Leave the process as it is."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """
    One protection taken away.

    `replace` are (SQL function, text in it, new text), each text to be found exactly once; `patch` changes a
    process of the product; `caught_by` is the rule of tests/faults/audit.py that has to notice.
    """

    name: str
    meaning: str
    caught_by: str
    replace: Sequence[tuple[str, str, str]] = ()
    patch: Callable[[], None] = nothing

    def change_database(self, database_url: str) -> None:
        """Change the SQL functions of a run's database; raises ValueError if they no longer read as expected."""
        with psycopg.connect(database_url, autocommit=True) as connection:
            for function, before, after in self.replace:
                row = connection.execute(
                    "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname = %s", [function]
                ).fetchone()
                assert row is not None, function
                if row[0].count(before) != 1:
                    raise ValueError(f"{self.name}: {before!r} is not once in {function}")
                connection.execute(row[0].replace(before, after).encode())


def _send_before_reserved() -> None:
    """Let the call go on while its reservation is still on the way."""
    from billing.budgets import Budgets

    reserve = Budgets.reserve
    under_way: set[asyncio.Task[None]] = set()

    def forget(done: asyncio.Task[None]) -> None:
        under_way.discard(done)
        done.exception()  # looked at, so that nobody complains

    async def reserve_behind(self: Budgets, request: Any) -> None:
        task = asyncio.create_task(reserve(self, request))
        under_way.add(task)
        task.add_done_callback(forget)
        await asyncio.sleep(0)

    Budgets.reserve = reserve_behind  # type: ignore[method-assign]


def _acknowledge_first() -> None:
    """Take messages from the outbox, commit that, and only then do what they ask for."""
    from django.db import connection

    from billing import aggregation

    original = aggregation._value

    def acknowledge_then_work(statement: str, *parameters: Any) -> int:
        if "billing_roll_up" not in statement:
            return original(statement, *parameters)
        columns = "request_id, occurred_at, organization_id"
        with connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM billing_outboxmessage RETURNING {columns}")  # noqa: S608  a constant
            messages = cursor.fetchall()
        time.sleep(0.8)
        with connection.cursor() as cursor:
            cursor.executemany(
                f"INSERT INTO billing_outboxmessage ({columns}) VALUES (%s, %s, %s)",  # noqa: S608  a constant
                messages,
            )
        return original(statement, *parameters)

    aggregation._value = acknowledge_then_work


def _renew_without_progress() -> None:
    """Renew leases, but do not say how far the calls have come."""
    from gateway import upkeep

    progress = upkeep.progress
    upkeep.progress = lambda call: {**progress(call), "output_tokens": 0, "progress_nanousd": 0}


def _forget_failed_settlements() -> None:
    """Do not settle again what could not be settled while the database was away."""
    from gateway.engine import Engine

    async def forget(self: Engine, call: Any, settlement: Any) -> None:
        self.open_calls.pop(call.request_id, None)

    Engine._settle_later = forget  # type: ignore[method-assign]


def _try_again_after_sent() -> None:
    """Send a request again although the provider may have got it, without another attempt on the books."""
    from gateway.providers.client import Client

    send = Client.send

    async def send_twice(self: Client, request: Any) -> Any:
        response = await send(self, request)
        if response.status < 500:
            await response.close()
            response = await send(self, request)
        return response

    Client.send = send_twice  # type: ignore[method-assign]


SAME_CALL = "r.request_id = call.request_id"
KEEP_FIRST = "ON CONFLICT DO NOTHING"
WALLET = "counters.caps[slot] IS NOT NULL AND counters.scopes[slot] = 'wallet'"
MUTANTS = (
    Mutant(
        "settle twice",
        "a settlement does not look whether the call is settled already",
        caught_by="verify",
        replace=(
            (
                "billing_settle",
                "r.request_id = call.request_id AND r.settled_at IS NULL",
                SAME_CALL,
            ),
            ("billing_settle", "    ), tries AS (", f"    {KEEP_FIRST} ), tries AS ("),
            (
                "billing_settle",
                "WHERE r.charge_nanousd > 0\n",
                f"WHERE r.charge_nanousd > 0 {KEEP_FIRST}\n",
            ),
        ),
    ),
    Mutant(
        "sweep at once",
        "the sweep does not look at leases",
        caught_by="lease",
        replace=(
            ("billing_sweep", "AND lease_until < clock_timestamp()", ""),
            ("billing_settle", "AND (NOT swept OR r.lease_until < moment)", ""),
        ),
    ),
    Mutant(
        "refund whole",
        "a settlement gives the whole hold back and posts nothing",
        caught_by="verify",
        replace=(("billing_settle", "= b.posted_nanousd + s.posted", "= b.posted_nanousd"),),
    ),
    Mutant(
        "wallet only",
        "a reservation looks at the wallet alone",
        caught_by="cap",
        replace=(
            ("billing_reserve", "IF counters.caps[slot] IS NOT NULL AND (", f"IF {WALLET} AND ("),
        ),
    ),
    Mutant(
        "hold half",
        "a reservation holds half of the bound",
        caught_by="verify",
        replace=(
            (
                "billing_reserve",
                "used[slot] + call.upper_nanousd;",
                "used[slot] + call.upper_nanousd / 2;",
            ),
        ),
    ),
    Mutant(
        "charge the bound",
        "the sweep charges the whole bound",
        caught_by="amount",
        replace=(
            (
                "billing_sweep",
                "THEN 0 ELSE r.progress_nanousd END",
                "THEN 0 ELSE r.upper_nanousd END",
            ),
        ),
    ),
    Mutant(
        "send first",
        "a request is sent while its reservation is on the way",
        caught_by="reserved first",
        patch=_send_before_reserved,
    ),
    Mutant(
        "acknowledge first",
        "the roll-up takes its messages, commits, and works after",
        caught_by="verify",
        patch=_acknowledge_first,
    ),
    Mutant(
        "no progress",
        "leases are renewed without storing progress",
        caught_by="amount",
        patch=_renew_without_progress,
    ),
    Mutant(
        "send twice",
        "a request is sent a second time within one attempt",
        caught_by="double",
        patch=_try_again_after_sent,
    ),
    Mutant(
        "give up",
        "a settlement that fails while the database is away is not tried again",
        caught_by="needless estimate",
        patch=_forget_failed_settlements,
    ),
)
# What each of them needs to show: answers lost, processes killed in the middle, the database away.
FAULTS = tuple(
    Fault(number, after, kind, target, seconds)
    for number, (after, kind, target, seconds) in enumerate(
        (
            (3.0, "lose answer", "billing_settle", 0.0),
            (0.5, "lose answer", "billing_settle", 0.0),
            (1.0, "crash", "postgres", 1.5),
            (1.0, "kill", "worker", 0.1),
            (12.0, "kill", "gateway-1", 0.2),
            (1.0, "kill", "worker", 0.1),
            (5.0, "kill", "gateway-2", 0.2),
            (1.0, "kill", "worker", 0.1),
            (0.5, "lose answer", "billing_settle", 0.0),
            (1.0, "kill", "worker", 0.1),
            (2.0, "pause beyond the lease", "gateway-1", 6.5),
        ),
        1,
    )
)
BY_NAME = {mutant.name: mutant for mutant in MUTANTS}
