"""A gateway process, its stand-in provider with wits, and what a scenario is told of both."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from accounts.models import Organization
from apikeys.models import ApiKey
from gateway.models import Model
from tests import factories, gateway_server
from tests.clients.standin import ClientUpstream
from tests.gateway.conftest import committed, gateway_database_url  # noqa: F401  fixtures of this folder, too
from tests.gateway_server import Gateway

LARGE_BODY_BYTES = 8 * 2**20
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a client plays: a gateway, its provider, who pays and who cannot."""

    gateway: Gateway
    upstream: ClientUpstream
    organization: Organization
    poor_key: ApiKey
    variables: dict[str, str]


@pytest.fixture(scope="session")
def clients_process(gateway_database_url: str, redis_url: str) -> Iterator[Gateway]:  # noqa: F811
    """The gateway process of all clients; it takes bodies as large as coding agents send."""
    with gateway_server.running(
        database_url=gateway_database_url, redis_url=redis_url, MAX_BODY_BYTES=LARGE_BODY_BYTES
    ) as process:
        yield process


@pytest.fixture
def stage(committed: None, clients_process: Gateway) -> Iterator[Stage]:  # noqa: F811
    """A stage of its own for each client."""
    upstream = ClientUpstream()
    with upstream:
        organization = factories.make_organization()
        factories.make_credit(organization)
        key, poor = factories.make_api_key(organization), factories.make_api_key()
        provider = factories.make_provider(base_url=upstream.base_url)
        chat, busy, embed = (
            f"client-{name}-{next(_numbers)}" for name in ("chat", "busy", "embed")
        )
        for name in (chat, busy):
            factories.make_model(name, provider=provider, input_modalities=["text", "image"])
        factories.make_model(embed, provider=provider, kind=Model.Kind.EMBEDDING)
        clients_process.learn(embed, key=key.secret)
        variables = {
            "EXERATI_BASE_URL": clients_process.base_url,
            "EXERATI_KEY": key.secret,
            "EXERATI_POOR_KEY": poor.secret,
            "EXERATI_MODEL": chat,
            "EXERATI_BUSY_MODEL": busy,
            "EXERATI_EMBEDDING_MODEL": embed,
        }
        yield Stage(clients_process, upstream, organization, poor.key, variables)
