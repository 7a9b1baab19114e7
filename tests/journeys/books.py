"""What the database says of an organization's money, read from outside the product by plain SQL."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row

COUNTERS = """
    SELECT scope, scope_id, model, period, posted_nanousd AS posted, held_nanousd AS held,
           credited_nanousd AS credited
    FROM billing_budget WHERE organization_id = %s
"""
# Everything that must be equal once no call is open: charges by scope, by counter and by ledger.
CHARGED = """
    SELECT scope, scope_id, sum(charge_nanousd)::bigint AS charged
    FROM billing_usageevent e CROSS JOIN LATERAL (VALUES
        ('wallet', e.organization_id), ('project', e.project_id), ('key', e.key_id)
    ) s (scope, scope_id)
    WHERE e.organization_id = %s AND e.mode = 'live' GROUP BY scope, scope_id
"""
POSTED = """
    SELECT scope, scope_id, posted_nanousd FROM billing_budget
    WHERE organization_id = %s AND period = 'total' AND model = ''
"""
LEDGER = """
    SELECT coalesce(sum(CASE a.kind WHEN 'revenue' THEN t.amount_nanousd ELSE -t.amount_nanousd END), 0)::bigint
    FROM billing_ledgertransfer t JOIN billing_ledgeraccount a ON a.id = t.credit_account_id
    WHERE t.organization_id = %s AND t.kind IN ('usage', 'trueup')
"""
NOT_EXACTLY_ONE_EVENT = """
    SELECT r.request_id FROM billing_reservation r
    LEFT JOIN billing_usageevent e USING (request_id)
    WHERE r.organization_id = %s GROUP BY r.request_id
    HAVING count(e.request_id) <> 1 OR sum(e.charge_nanousd) <> max(r.charge_nanousd)
"""


class Books:
    """A read-only view of the money of one database; each method sees one moment."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    @classmethod
    @contextmanager
    def open(cls, database_url: str) -> "Iterator[Books]":
        """Yield the books of a database."""
        with psycopg.connect(
            database_url, autocommit=True, row_factory=namedtuple_row
        ) as connection:
            yield cls(connection)

    def rows(self, statement: str, *parameters: object) -> list[Any]:
        """Return the rows of a statement, with named columns."""
        return self._connection.execute(statement, parameters).fetchall()

    def organization(self, slug: str) -> int:
        """Return the row id of an organization."""
        return int(self.rows("SELECT id FROM accounts_organization WHERE slug = %s", slug)[0][0])

    def counters(self, organization_id: int) -> list[Any]:
        """Return every counter of the organization."""
        return self.rows(COUNTERS, organization_id)

    def open_calls(self, organization_id: int) -> int:
        """Return how many reservations are open."""
        statement = (
            "SELECT count(*) FROM billing_reservation WHERE organization_id = %s AND state = 'open'"
        )
        return int(self.rows(statement, organization_id)[0][0])

    def calls(self, organization_id: int) -> int:
        """Return how many reservations there are, open or not."""
        statement = "SELECT count(*) FROM billing_reservation WHERE organization_id = %s"
        return int(self.rows(statement, organization_id)[0][0])

    def calls_with_progress(self, organization_id: int) -> int:
        """Return of how many open reservations some output is stored."""
        statement = """
            SELECT count(*) FROM billing_reservation
            WHERE organization_id = %s AND state = 'open' AND progress_output_tokens > 0
        """
        return int(self.rows(statement, organization_id)[0][0])

    def events(self, organization_id: int) -> list[Any]:
        """Return the usage events, the oldest first."""
        statement = (
            "SELECT * FROM billing_usageevent WHERE organization_id = %s ORDER BY request_id"
        )
        return self.rows(statement, organization_id)

    def true_ups(self, organization_id: int) -> list[Any]:
        """Return what was settled after the sweep had, the oldest call first."""
        statement = "SELECT * FROM billing_trueup WHERE organization_id = %s ORDER BY request_id"
        return self.rows(statement, organization_id)

    def wait_until_closed(self, organization_id: int, *, seconds: float = 120) -> float:
        """Return after how many seconds no reservation was open any more; fails when it takes longer."""
        started = time.monotonic()
        while open_calls := self.open_calls(organization_id):
            waited = time.monotonic() - started
            assert waited < seconds, f"{open_calls} reservations are open after {waited:.1f} s"
            time.sleep(0.05)
        return time.monotonic() - started

    def check(self, organization_id: int) -> int:
        """
        Fail unless nothing is held, every call has one event, and events, counters and ledger agree.

        Returns the sum of the charges in nano-USD.
        """
        assert self.open_calls(organization_id) == 0
        assert [row for row in self.counters(organization_id) if row.held] == []
        assert self.rows(NOT_EXACTLY_ONE_EVENT, organization_id) == []
        charged = {tuple(row[:2]): row.charged for row in self.rows(CHARGED, organization_id)}
        posted = {tuple(row[:2]): row[2] for row in self.rows(POSTED, organization_id)}
        assert {scope: amount for scope, amount in posted.items() if amount} == {
            scope: amount for scope, amount in charged.items() if amount
        }
        spent = charged.get(("wallet", organization_id), 0)
        assert self.rows(LEDGER, organization_id)[0][0] == spent
        return int(spent)
