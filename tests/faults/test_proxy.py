"""The proxy before PostgreSQL loses exactly what it is told to lose."""

from urllib.parse import urlsplit

import psycopg
import pytest

from tests.faults.proxy import DatabaseProxy

# By its name the proxy takes it for one of the product's functions.
NOTE = """
    CREATE TABLE note (text text);
    CREATE FUNCTION billing_note(text) RETURNS void LANGUAGE sql AS 'INSERT INTO note VALUES ($1)';
"""

pytestmark = [pytest.mark.anyio, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def direct(transactional_db, database_url):
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(NOTE)
        yield connection
        connection.execute("DROP FUNCTION billing_note; DROP TABLE note")


def notes(direct):
    return [row[0] for row in direct.execute("SELECT text FROM note").fetchall()]


async def connected(proxy, database_url):
    parts = urlsplit(database_url)
    await proxy.start(parts.port)
    through = parts._replace(
        netloc=f"{parts.username}:{parts.password}@127.0.0.1:{proxy.port}"
    ).geturl()
    return await psycopg.AsyncConnection.connect(through, autocommit=True)


async def write(connection, text):
    await connection.execute("SELECT billing_note(%s)", [text], prepare=True)


async def test_what_is_not_armed_passes(direct, database_url):
    proxy = DatabaseProxy()
    connection = await connected(proxy, database_url)

    await write(connection, "first")
    await write(connection, "second")
    await connection.close()

    assert notes(direct) == ["first", "second"]
    await proxy.stop()


async def test_a_lost_answer_is_committed_and_its_caller_hears_nothing(direct, database_url):
    proxy = DatabaseProxy()
    connection = await connected(proxy, database_url)
    await write(connection, "before")

    proxy.lose("answer", function="billing_note")
    with pytest.raises(psycopg.OperationalError):
        await write(connection, "committed")

    assert notes(direct) == ["before", "committed"]
    assert proxy.lost == {"answer of billing_note": 1}
    await proxy.stop()


async def test_a_lost_request_is_never_executed(direct, database_url):
    proxy = DatabaseProxy()
    connection = await connected(proxy, database_url)
    await write(connection, "before")

    proxy.lose("request", function="billing_note")
    with pytest.raises(psycopg.OperationalError):
        await write(connection, "lost")

    assert notes(direct) == ["before"]
    await proxy.stop()


async def test_other_functions_are_not_lost(direct, database_url):
    proxy = DatabaseProxy()
    connection = await connected(proxy, database_url)

    proxy.lose("answer", function="billing_other")
    await write(connection, "kept")
    await connection.close()

    assert notes(direct) == ["kept"]
    assert proxy.armed("billing_other")
    await proxy.stop()


async def test_a_cut_breaks_every_connection(direct, database_url):
    proxy = DatabaseProxy()
    connection = await connected(proxy, database_url)

    assert proxy.cut() == 1
    with pytest.raises(psycopg.OperationalError):
        await write(connection, "too late")

    assert notes(direct) == []
    await proxy.stop()
