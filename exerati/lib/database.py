"""One asynchronous PostgreSQL connection for a batcher: made when first needed, made anew when it breaks."""

import asyncio
from typing import Any

import psycopg
from django.conf import settings
from django.db import connection as django_connection

STATEMENT_SECONDS = 10


def conninfo() -> dict[str, Any]:
    """Return the connection parameters of Django's default database (the test database under test)."""
    own = django_connection.settings_dict
    parameters = {
        "dbname": own["NAME"],
        "user": own["USER"],
        "password": own["PASSWORD"],
        "host": own["HOST"],
        "port": own["PORT"],
    }
    options = {name: value for name, value in own["OPTIONS"].items() if isinstance(value, str)}
    return {name: value for name, value in (parameters | options).items() if value}


class NotDurable(psycopg.OperationalError):
    """The server confirms commits that a crash would lose, so that nothing may rest on them."""


class Connection:
    """
    Runs one statement at a time in autocommit mode, prepared on the server.

    Raises psycopg.OperationalError when the database is away; the next call then connects again.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._connection: psycopg.AsyncConnection[tuple[Any, ...]] | None = None
        self._lock = asyncio.Lock()

    async def fetch_value(self, statement: str, *parameters: Any) -> Any:
        """Return the first column of the first row."""
        async with self._lock:
            connection = await self._connected()
            try:
                async with asyncio.timeout(STATEMENT_SECONDS):
                    cursor = await connection.execute(statement, parameters, prepare=True)
                    row = await cursor.fetchone()
            except (TimeoutError, asyncio.CancelledError, psycopg.OperationalError) as error:
                # The statement's fate is unknown and its answer may still come: never reuse the connection.
                self._connection = None
                await connection.close()
                if isinstance(error, TimeoutError):
                    raise psycopg.OperationalError("the database did not answer in time") from error
                raise
            return row[0] if row else None

    async def close(self) -> None:
        """Close the connection if there is one."""
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def _connected(self) -> "psycopg.AsyncConnection[tuple[Any, ...]]":
        if self._connection is None or self._connection.closed:
            connection = await psycopg.AsyncConnection.connect(
                autocommit=True,
                application_name=f"exerati {self._name}",
                connect_timeout=5,
                **conninfo(),
            )
            if settings.COMMITS_MUST_BE_DURABLE:
                await _check_durable(connection)
            self._connection = connection
        return self._connection


async def _check_durable(connection: "psycopg.AsyncConnection[tuple[Any, ...]]") -> None:
    """Return if a commit that was confirmed survives a crash of the server; else disconnect and raise NotDurable."""
    cursor = await connection.execute(
        "SELECT name || ' is off' FROM pg_settings"
        " WHERE name IN ('fsync', 'synchronous_commit') AND setting = 'off' ORDER BY name"
    )
    if off := await cursor.fetchall():
        await connection.close()
        raise NotDurable(f"refused to use the database: {', '.join(row[0] for row in off)}")
