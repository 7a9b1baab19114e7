"""Fixtures of the journeys: gateway processes as shipped, and the books of their database."""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from django.conf import settings

from tests import gateway_server
from tests.gateway_server import Gateway
from tests.journeys.books import Books

StartServers = Callable[..., list[Gateway]]
# One line for each of thousands of calls would bury what a failed test has to say.
logging.getLogger("httpx2").setLevel(logging.WARNING)


@pytest.fixture
def start_servers(
    transactional_db: None, database_url: str, redis_url: str
) -> Iterator[StartServers]:
    """Return a function that starts so many processes on this worker's database, as shipped but for what is given."""
    # The gateway's own tests shorten some times; a journey takes them as customers have them.
    shipped = {name: getattr(settings, name) for name in gateway_server.SETTINGS}
    with ExitStack() as running:

        def start(count: int, **changed: object) -> list[Gateway]:
            return [
                running.enter_context(
                    gateway_server.running(
                        database_url=database_url, redis_url=redis_url, **{**shipped, **changed}
                    )
                )
                for _ in range(count)
            ]

        yield start


@pytest.fixture
def books(transactional_db: None, database_url: str) -> Iterator[Books]:
    """Return the books of this worker's database."""
    with Books.open(database_url) as books:
        yield books
