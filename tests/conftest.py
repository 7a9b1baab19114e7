"""
What every test relies on: this worker's own database and Redis, and no way out to the network.

`python3 manage.py test` starts the servers and names them in the environment.
"""

import gc
import ipaddress
import itertools
import os
import sys
from collections import defaultdict
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import hypothesis
import psycopg
import pytest
import redis
from django.conf import settings
from django.db import connections
from django.test import TransactionTestCase
from servestatic.middleware import ServeStaticMiddleware

from exerati.lib.database import conninfo

pytest_plugins = ("tests.cast", "tests.social_cast", "tests.stripe_cast")

# Triggers are off meanwhile: some tables take no deletes, and the order of foreign keys would matter. What migrations
# and `post_migrate` made once (kinds of models and permissions) stays.
EMPTY = """
    DO $$
    DECLARE
        name text;
        has_rows boolean;
    BEGIN
        SET LOCAL session_replication_role = replica;
        FOR name IN
            SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
            WHERE schemaname = current_schema()
              AND tablename NOT IN ('django_migrations', 'django_content_type', 'auth_permission')
        LOOP
            EXECUTE 'SELECT EXISTS (SELECT FROM ' || name || ')' INTO has_rows;
            IF has_rows THEN
                EXECUTE 'DELETE FROM ' || name;
            END IF;
        END LOOP;
    END $$
"""

# A property holds or not; how long one example takes says only how busy the machine is.
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")


class NetworkUsed(Exception):
    """A test wanted to reach something that is not on this machine."""


def refuse_the_network(event: str, arguments: tuple[Any, ...]) -> None:
    """Raise NetworkUsed where a socket is about to leave the machine; Python calls this before each connect."""
    if event not in ("socket.connect", "socket.getaddrinfo"):
        return
    address = arguments[1] if event == "socket.connect" else arguments
    # Anything else than a tuple is a local socket's path.
    if isinstance(address, tuple) and not is_local(address[0]):
        raise NetworkUsed(f"{event} to {address[0]!r}: tests reach this machine alone.")


def is_local(host: Any) -> bool:
    """Return whether `host`, a name or an address, is this machine."""
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def pytest_configure(config: pytest.Config) -> None:
    """Close the network before any test is imported, and stop a run that has no servers of its own."""
    if "DATABASE_URL" not in os.environ or "EXERATI_ENV_FILES" not in os.environ:
        raise pytest.UsageError(
            "Start the tests with `python3 manage.py test`, which brings their servers."
        )
    sys.addaudithook(refuse_the_network)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """
    Deal the slow tests to the workers first, so that none of them begins one when the others have finished. Those that
    share what their file sets up go to one worker, which sets it up once.
    """
    workers = int(getattr(config, "workerinput", {}).get("workercount", 1))
    # xdist begins with a quarter of each worker's share, in this order; the rest is handed out as they get through.
    share = len(items) // workers // 4
    slow = _hands([item for item in items if item.get_closest_marker("slow")], workers)
    rest = iter([item for item in items if not item.get_closest_marker("slow")])
    dealt: list[pytest.Item] = []
    for own in slow:
        dealt += own + list(itertools.islice(rest, max(0, share - len(own))))
    items[:] = dealt + list(rest)


def _hands(slow: list[pytest.Item], workers: int) -> list[list[pytest.Item]]:
    """Return a hand of tests for each worker, of about the same number, the largest groups dealt first."""
    groups: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in slow:
        fixtures = getattr(item, "_fixtureinfo").name2fixturedefs.values()  # noqa: B009  private, and no part of its type
        shares = any(fixture.scope == "module" for found in fixtures for fixture in found)
        groups[str(item.path) if shares else item.nodeid].append(item)
    hands: list[list[pytest.Item]] = [[] for _ in range(workers)]
    for group in sorted(groups.values(), key=len, reverse=True):
        min(hands, key=len).extend(group)
    return hands


def pytest_collection_finish(session: pytest.Session) -> None:
    """Keep what is there now, 8,500 tests and all they import, out of the garbage collector's way."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run async tests on asyncio, as production does."""
    return "asyncio"


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """
    Copy the fresh database for gateway processes (tests/gateway), while nobody is connected to it; end what is
    still connected when the session is over. A database in use can be neither copied nor dropped.
    """
    own = connections["default"]
    copy = f"{own.settings_dict['NAME']}_gateway"
    with django_db_blocker.unblock():
        if own.settings_dict["NAME"].startswith("test_"):
            own.close()
            with own._nodb_cursor() as cursor:
                cursor.execute(f'DROP DATABASE IF EXISTS "{copy}" WITH (FORCE)')
                cursor.execute(f'CREATE DATABASE "{copy}" TEMPLATE "{own.settings_dict["NAME"]}"')
    yield
    with django_db_blocker.unblock(), psycopg.connect(**conninfo(), autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{copy}" WITH (FORCE)')
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        connections.close_all()


@pytest.fixture(autouse=True, scope="session")
def tables_are_emptied_quickly() -> Iterator[None]:
    """After a test that commits, delete rows where there are some, which costs a tenth of Django's `flush`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", empty_the_tables)
        yield


@pytest.fixture(autouse=True, scope="session")
def static_files_are_found_once() -> Iterator[None]:
    """Each test client loads the middleware anew; looking at every static file took 80 ms each time."""
    look = ServeStaticMiddleware.add_files_from_finders
    found: dict[str, Any] = {}

    def add_files(middleware: ServeStaticMiddleware) -> None:
        if not found:
            look(middleware)
            found.update(middleware.files)
        middleware.files = found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ServeStaticMiddleware, "add_files_from_finders", add_files)
        yield


def empty_the_tables(case: TransactionTestCase) -> None:
    """Delete every row that a test may have made, also those of tables that Django does not manage."""
    with connections["default"].cursor() as cursor:
        cursor.execute(EMPTY)


@pytest.fixture(scope="session")
def database_url(django_db_setup: None) -> str:
    """
    Return the address of this worker's test database, for processes that a test starts.

    The test itself must be marked `django_db(transaction=True)`: what a process is to see has to be
    committed, and without the mark pytest-django makes no database.
    """
    values = connections["default"].settings_dict
    if not str(values["NAME"]).startswith("test_"):
        raise pytest.UsageError(
            "A test that uses database_url must be marked django_db(transaction=True)."
        )
    user, password = quote(values["USER"]), quote(values["PASSWORD"])
    return f"postgresql://{user}:{password}@{values['HOST']}:{values['PORT']}/{values['NAME']}"


@pytest.fixture(scope="session")
def redis_url() -> str:
    """Return the address of this worker's database in Redis, empty at the start."""
    url: str = settings.REDIS_URL
    with redis.Redis.from_url(url) as connection:
        connection.flushdb()
    return url
