"""
Events -> hourly sums for pages, and the monthly partitions that events go into.

Settlement leaves an outbox row for each event; rolling up takes the row and adds the event to its hour in one
statement, so that each event is counted once however often and wherever this runs.
"""

from datetime import datetime

from django.db import connection

BATCH = 5_000
MONTHS_AHEAD = 3


def roll_up(*, batch: int = BATCH) -> int:
    """Add every settled event that waits in the outbox to the hourly sums; return how many there were."""
    total = 0
    while taken := _value("SELECT billing_roll_up(%s)", batch):
        total += taken
    return total


def create_partitions(now: datetime, *, months: int = MONTHS_AHEAD) -> int:
    """Make the partitions of this month and those after it that do not exist yet; return how many were made."""
    return _value("SELECT billing_create_partitions(%s, %s)", now, months)


def _value(statement: str, *parameters: int | datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        row = cursor.fetchone()
    assert row is not None  # noqa: S101  a SELECT of a function gives one row
    return int(row[0])
