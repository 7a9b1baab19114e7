"""The site with its sample organization: one process as shipped, a browser that is signed in, and all addresses."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from django.conf import settings

from tests import gateway_server
from tests.journeys import browser
from tests.pages import url_table, world
from tests.pages.looking import Looker
from tests.pages.url_table import Address
from tests.pages.world import Samples

NOBODY = "http://127.0.0.1:18"  # where nothing listens stands for GitHub; forms may lead there, and not to Google
PROVIDERS = settings.SOCIALACCOUNT_PROVIDERS
POLICY = settings.CONTENT_SECURITY_POLICY["DIRECTIVES"]
# As in production: staff need a second factor, and credit can be bought. No page asks Stripe for anything by itself.
SETTINGS = {
    "STAFF_NEED_SECOND_FACTOR": True,
    "STRIPE_SECRET_KEY": "sk_test_pages",
    "STRIPE_API_BASE": "http://127.0.0.1:9",
    "SOCIALACCOUNT_PROVIDERS": PROVIDERS | {"github": PROVIDERS["github"] | {"GITHUB_URL": NOBODY}},
    "CONTENT_SECURITY_POLICY": {"DIRECTIVES": POLICY | {"form-action": ["'self'", NOBODY]}},
}


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
        gateway_server.running(
            database_url=database_url, redis_url=redis_url, **SETTINGS
        ) as process,
        browser.chromium() as chromium,
    ):
        site_url = process.base_url.removesuffix("/v1")
        looker = Looker(chromium, site_url, samples.owner.email, samples.sessions)
        yield Site(looker, samples, tuple(url_table.addresses(samples)))
        looker.close()
