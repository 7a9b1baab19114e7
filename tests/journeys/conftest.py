"""Fixtures of the journeys: server processes, and the books of their database."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.journeys.books import Books
from tests.journeys.processes import Server

StartServers = Callable[..., list[Server]]
# One line for each of thousands of calls would bury what a failed test has to say.
logging.getLogger("httpx2").setLevel(logging.WARNING)


@pytest.fixture
def start_servers(
    transactional_db: None, database_url: str, redis_url: str, tmp_path: Path
) -> Iterator[StartServers]:
    """Return a function that starts so many servers on this worker's database, with more environment if given."""
    servers: list[Server] = []

    def start(count: int, **environment: str) -> list[Server]:
        addresses = {"DATABASE_URL": database_url, "REDIS_URL": redis_url}
        first = len(servers)
        for number in range(first, first + count):
            servers.append(Server(addresses | environment, log=tmp_path / f"server-{number}.log"))
        for server in servers[first:]:
            server.wait_until_ready()
        return servers[first:]

    yield start
    for server in servers:
        server.terminate()
    for server in servers:
        server.end()


@pytest.fixture
def books(transactional_db: None, database_url: str) -> Iterator[Books]:
    """Return the books of this worker's database."""
    with Books.open(database_url) as books:
        yield books
