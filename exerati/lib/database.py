"""One asynchronous PostgreSQL connection for a batcher: made when first needed, made anew when it breaks."""

import asyncio
from typing import Any

import psycopg
from django.db import connection as django_connection

STATEMENT_SECONDS = 10


def conninfo() -> dict[str, Any]:
    """Return the connection parameters of Django's default database (the test database under test)."""
    settings = django_connection.settings_dict
    parameters = {
        "dbname": settings["NAME"],
        "user": settings["USER"],
        "password": settings["PASSWORD"],
        "host": settings["HOST"],
        "port": settings["PORT"],
    }
    options = {name: value for name, value in settings["OPTIONS"].items() if isinstance(value, str)}
    return {name: value for name, value in (parameters | options).items() if value}


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
            self._connection = await psycopg.AsyncConnection.connect(
                autocommit=True,
                application_name=f"exerati {self._name}",
                connect_timeout=5,
                **conninfo(),
            )
        return self._connection
