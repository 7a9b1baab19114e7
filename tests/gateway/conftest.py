"""Gateway processes and their stand-in provider; started when the first test asks for them."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
from asgiref.sync import SyncToAsync
from django.db import connection, connections

from accounts.models import Organization
from apikeys.services import CreatedKey
from gateway.models import Model, Provider, Route
from tests import factories, gateway_server
from tests.gateway_server import Answer, Gateway
from tests.upstream import Upstream

_numbers = itertools.count(1)


@dataclass(slots=True)
class Shop:
    """A gateway with one organization that has credit, a live key, and a model served by the stand-in."""

    gateway: Gateway
    upstream: Upstream
    organization: Organization
    key: CreatedKey
    provider: Provider
    model: str

    @property
    def secret(self) -> str:
        """The key as a client sends it."""
        return self.key.secret

    def chat(self, **fields: Any) -> Answer:
        """Call the model with the key."""
        return self.gateway.chat(self.secret, **{"model": self.model, **fields})

    def script(self, **behaviour: Any) -> None:
        """Let the provider answer so."""
        self.upstream.script(self.model, **behaviour)

    def add_route(self, *, provider: Provider | None = None) -> str:
        """Give the model one more route, tried after those it has; return the provider's name for it."""
        name = f"{self.model}-next-{next(_numbers)}"
        Route.objects.create(
            model=Model.objects.get(name=self.model),
            provider=provider or self.provider,
            upstream_model=name,
            priority=10,
        )
        self.relearn()
        return name

    def relearn(self) -> None:
        """Let the gateway read the catalog as it is now."""
        marker = f"marker-{next(_numbers)}"
        factories.make_model(marker, provider=self.provider)
        self.gateway.learn(marker, key=self.secret)

    def make_key(self, **rules: Any) -> str:
        """Return the secret of one more key of the organization."""
        return factories.make_api_key(self.organization, **rules).secret


# What a process must never have written, whatever the tests did to it.
NEVER_LOGGED = (
    "internal_error",
    "could not be settled",
    "never retrieved",
    "Unexpected ASGI message",
)


def check_log(process: Gateway) -> None:
    """Assert that nothing went wrong inside of the process that no test has looked at."""
    log = process.log
    assert not [words for words in NEVER_LOGGED if words in log], log


@pytest.fixture(scope="session")
def upstream_server() -> Iterator[Upstream]:
    """The stand-in provider of this worker."""
    with Upstream() as upstream:
        yield upstream


@pytest.fixture
def upstream(upstream_server: Upstream) -> Upstream:
    """The stand-in provider, with nothing scripted."""
    upstream_server.reset()
    return upstream_server


@pytest.fixture(scope="session")
def gateway_database_url(django_db_setup: None, django_db_blocker: Any) -> Iterator[str]:
    """
    A copy of the worker's own database for gateway processes, which run on between tests.

    Its rows stay, and each test has an organization of its own; so nothing is truncated below a running process.
    """
    values = connection.settings_dict
    address = (
        f"{quote(values['USER'])}:{quote(values['PASSWORD'])}@{values['HOST']}:{values['PORT']}"
    )
    outside = values["NAME"]
    if outside.startswith("test_"):
        yield f"postgresql://{address}/{outside}_gateway"  # made by django_db_setup
        return
    # No test of this run is marked django_db, so that there is no test database to copy.
    with django_db_blocker.unblock():
        name = connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
        connection.close()
        yield f"postgresql://{address}/{name}"
        connection.creation.destroy_test_db(outside, verbosity=0)


@pytest.fixture
def committed(gateway_database_url: str, django_db_blocker: Any) -> Iterator[None]:
    """Let the test read and write the gateway processes' database; what it writes is committed at once."""
    own = connection.settings_dict["NAME"]
    with django_db_blocker.unblock():
        disconnect()
        connection.settings_dict["NAME"] = gateway_database_url.rpartition("/")[2]
        try:
            yield
        finally:
            disconnect()
            connection.settings_dict["NAME"] = own


def disconnect() -> None:
    """Close Django's connection here and in the thread of `sync_to_async`, so that the next one goes by NAME."""
    connection.close()
    SyncToAsync.single_thread_executor.submit(connections.close_all).result()


@pytest.fixture(scope="session")
def first_process(gateway_database_url: str, redis_url: str) -> Iterator[Gateway]:
    """The gateway process most tests share."""
    with gateway_server.running(database_url=gateway_database_url, redis_url=redis_url) as process:
        yield process
        check_log(process)


@pytest.fixture(scope="session")
def second_process(gateway_database_url: str, redis_url: str) -> Iterator[Gateway]:
    """Another one, beside it."""
    with gateway_server.running(database_url=gateway_database_url, redis_url=redis_url) as process:
        yield process
        check_log(process)


@pytest.fixture(scope="session")
def lonely_process(gateway_database_url: str) -> Iterator[Gateway]:
    """One that cannot reach Redis: nothing listens at its address."""
    dead = "redis://127.0.0.1:9/0"
    with gateway_server.running(
        database_url=gateway_database_url, redis_url=dead, CATALOG_SNAPSHOT_SECONDS=0.5
    ) as process:
        yield process
        check_log(process)


@pytest.fixture
def gateway(committed: None, first_process: Gateway) -> Gateway:
    """A running gateway process."""
    return first_process


@pytest.fixture
def second_gateway(committed: None, second_process: Gateway) -> Gateway:
    """A second process on the same database and Redis."""
    return second_process


@pytest.fixture
def lonely_gateway(committed: None, lonely_process: Gateway) -> Gateway:
    """A process without Redis."""
    return lonely_process


@pytest.fixture
def shop(gateway: Gateway, upstream: Upstream) -> Shop:
    """A gateway with something to sell, and a customer who can pay."""
    organization = factories.make_organization()
    factories.make_credit(organization)
    key = factories.make_api_key(organization)
    provider = factories.make_provider(base_url=upstream.base_url)
    model = f"chat-{next(_numbers)}"
    factories.make_model(model, provider=provider)
    gateway.learn(model, key=key.secret)
    return Shop(gateway, upstream, organization, key, provider, model)


SEARCH_FEE = 10_000_000  # nano-USD


@pytest.fixture
def claude(shop: Shop) -> Shop:
    """The shop, its provider now speaking Anthropic's API, its model's searches priced."""
    Provider.objects.filter(pk=shop.provider.pk).update(api="anthropic")
    Model.objects.filter(name=shop.model).update(owned_by="anthropic")
    factories.make_price(
        shop.model, search_nanousd=SEARCH_FEE, effective_from=factories.LONG_AGO.replace(year=2021)
    )
    shop.relearn()
    return shop
