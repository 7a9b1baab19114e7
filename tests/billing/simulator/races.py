"""Two processes that want the same room at the same moment, one of them in the midst of its transaction."""

import threading
from typing import Any

import psycopg

from billing.types import ReserveRequest
from exerati.lib import ids
from exerati.lib.database import conninfo
from tests.billing.calls import rows
from tests.billing.simulator.play import as_json
from tests.upstream import wait_until

RESERVE = "SELECT billing_reserve(%s::text::jsonb, %s, 20) -> 0 ->> 'verdict'"


def verdicts_of_a_race(first: ReserveRequest, second: ReserveRequest) -> list[Any]:
    """Admit both, the second while the first is decided and not committed; return both verdicts."""
    verdicts: list[Any] = [None, None]
    with _connection() as one, _connection() as other:
        with one.transaction():
            verdicts[0] = _reserve(one, first)

            def late() -> None:
                try:
                    verdicts[1] = _reserve(other, second)
                except psycopg.Error as error:
                    verdicts[1] = str(error)

            thread = threading.Thread(target=late)
            thread.start()
            # It either waits for a lock of the first, or has (wrongly) gone past it.
            wait_until(lambda: not thread.is_alive() or _waits(other.info.backend_pid))
        thread.join()
    return verdicts


def _connection() -> "psycopg.Connection[Any]":
    return psycopg.connect(**conninfo(), autocommit=True)


def _reserve(connection: "psycopg.Connection[Any]", request: ReserveRequest) -> Any:
    row = connection.execute(RESERVE, [as_json([request]), ids.new_uuid()]).fetchone()
    assert row is not None
    return row[0]


def _waits(pid: int) -> bool:
    return bool(
        rows("SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'", pid)
    )
