"""The site with its sample organization: one process as shipped, a browser that is signed in, and all addresses."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tests import gateway_server
from tests.journeys import browser
from tests.pages import url_table, world
from tests.pages.looking import Looker
from tests.pages.url_table import Address
from tests.pages.world import Samples


@dataclass(frozen=True, slots=True)
class Site:
    """What is looked at, and with what."""

    looker: Looker
    samples: Samples
    addresses: Sequence[Address]


@contextmanager
def opened(database_url: str, redis_url: str) -> Iterator[Site]:
    """Fill the database, which must be empty, and yield the site that runs on it."""
    samples = world.make()
    with (
        gateway_server.running(database_url=database_url, redis_url=redis_url) as process,
        browser.chromium() as chromium,
    ):
        looker = Looker(chromium, process.base_url.removesuffix("/v1"), samples.owner.email)
        yield Site(looker, samples, tuple(url_table.addresses(samples)))
        looker.close()
