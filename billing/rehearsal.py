"""What a reservation would be answered, without making it: the same SQL function in a transaction that is undone."""

import msgspec
from django.db import connection, transaction

from billing.budgets import outcome_of
from billing.types import ReserveRequest
from exerati.lib import ids

LOCK_SECONDS = 2  # the wallet's row is locked for that moment, as by every reservation


def rehearse(request: ReserveRequest) -> None:
    """Raise what `budgets.reserve` would raise, BudgetExceeded or KeyInactive; nothing is held. One query."""
    row = b"[" + msgspec.json.encode(request) + b"]"
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
        cursor.execute(
            "SELECT billing_reserve(%s::text::jsonb, %s, 1)::text", [row.decode(), ids.new_uuid()]
        )
        answer: str = cursor.fetchone()[0]
        transaction.set_rollback(True)
    error = outcome_of(answer)
    if error is not None:
        raise error
