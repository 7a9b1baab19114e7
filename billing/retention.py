"""What may be forgotten: reservations that ended long ago, whose events stay, and old refusals."""

from datetime import datetime, timedelta

from django.db import connection

KEEP = timedelta(days=35)
BATCH = 5_000

# Ids are time-ordered (exerati.lib.ids), so the primary key finds the oldest ones without an index on time.
STATEMENT = """
DELETE FROM billing_reservation WHERE request_id IN (
    SELECT request_id FROM billing_reservation
    WHERE request_id < %(oldest_kept)s::uuid AND state <> 'open' AND settled_at < %(before)s
    ORDER BY request_id LIMIT %(batch)s FOR UPDATE SKIP LOCKED
)
"""

REFUSALS = """
DELETE FROM billing_refusedrequest WHERE request_id IN (
    SELECT request_id FROM billing_refusedrequest WHERE request_id < %(oldest_kept)s::uuid
    ORDER BY request_id LIMIT %(batch)s FOR UPDATE SKIP LOCKED
)
"""


def prune_reservations(now: datetime, *, batch: int = BATCH) -> int:
    """
    Delete reservations that were settled more than 35 days ago; return how many.

    A repeated settlement of one would find nothing to settle; that its event stays the only one is the
    primary key of the events.
    """
    before = now - KEEP
    parameters = {"oldest_kept": smallest_id(before), "before": before, "batch": batch}
    return _delete_all(STATEMENT, parameters)


def prune_refusals(now: datetime, *, batch: int = BATCH) -> int:
    """Delete refusals that are more than 35 days old; return how many."""
    return _delete_all(REFUSALS, {"oldest_kept": smallest_id(now - KEEP), "batch": batch})


def smallest_id(moment: datetime) -> str:
    """Return the smallest UUID of version 7 that could have been made at a moment."""
    millis = f"{int(moment.timestamp() * 1000):012x}"
    return f"{millis[:8]}-{millis[8:]}-7000-8000-000000000000"


def _delete_all(statement: str, parameters: dict[str, object]) -> int:
    """Run the statement, which deletes a batch, until it finds nothing more."""
    total = 0
    while deleted := _delete(statement, parameters):
        total += deleted
    return total


def _delete(statement: str, parameters: dict[str, object]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)  # type: ignore[arg-type]  # plain values
        return int(cursor.rowcount)
