"""The batchers' connection: one statement at a time, and never an answer that was meant for another."""

import asyncio
import random

import psycopg
import pytest

from exerati.lib import database
from exerati.lib.database import Connection, NotDurable, conninfo

pytestmark = [pytest.mark.anyio, pytest.mark.django_db(transaction=True)]


@pytest.fixture
async def connection():
    connection = Connection("test")
    yield connection
    await connection.close()


async def test_value_of_a_statement(connection):
    assert await connection.fetch_value("SELECT %s::int + 1", 41) == 42
    assert await connection.fetch_value("SELECT 1 WHERE false") is None


async def test_it_uses_the_database_of_the_test(connection):
    name = await connection.fetch_value("SELECT current_database()")

    assert name == conninfo()["dbname"]
    assert name.startswith("test_")


async def test_connection_that_breaks_is_made_anew(connection):
    pid = await connection.fetch_value("SELECT pg_backend_pid()")
    with psycopg.connect(**conninfo(), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [pid])

    with pytest.raises(psycopg.OperationalError):
        await connection.fetch_value("SELECT 1")

    assert await connection.fetch_value("SELECT pg_backend_pid()") != pid


async def test_error_of_a_statement_leaves_the_connection_usable(connection):
    pid = await connection.fetch_value("SELECT pg_backend_pid()")

    with pytest.raises(psycopg.DataError):
        await connection.fetch_value("SELECT 1 / %s::int", 0)

    assert await connection.fetch_value("SELECT pg_backend_pid()") == pid


async def test_statement_that_takes_too_long_is_given_up(connection, monkeypatch):
    with monkeypatch.context() as hasty:
        hasty.setattr(database, "STATEMENT_SECONDS", 0.05)
        with pytest.raises(psycopg.OperationalError, match="in time"):
            await connection.fetch_value("SELECT pg_sleep(5)")

    assert await connection.fetch_value("SELECT 7") == 7


async def test_database_that_may_forget_what_it_confirmed_is_not_used_where_that_matters(
    connection, settings
):
    # The servers of tests are such; a run of tests.faults has one that is durable, with the same setting.
    settings.COMMITS_MUST_BE_DURABLE = True

    with pytest.raises(NotDurable, match="fsync is off, synchronous_commit is off"):
        await connection.fetch_value("SELECT 1")


async def test_caller_that_leaves_does_not_leave_its_answer_to_the_next(connection):
    chance = random.Random(5)
    for number in range(40):
        call = asyncio.ensure_future(
            connection.fetch_value("SELECT %s::int FROM pg_sleep(0.002)", number)
        )
        await asyncio.sleep(chance.random() / 200)
        call.cancel()
        results = await asyncio.gather(
            call, connection.fetch_value("SELECT %s::int", -number), return_exceptions=True
        )
        assert results[1] == -number
        assert results[0] == number or isinstance(results[0], asyncio.CancelledError)
