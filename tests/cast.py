"""The cast: alice owns acme, bob is its developer, charlie is an outsider with an organization of his own."""

import pytest
from django.core.cache import cache
from django.test import Client

from accounts import services
from accounts.models import Membership, Organization, User
from apikeys.services import CreatedKey
from tests import factories


@pytest.fixture
def alice(db: None) -> User:
    """The owner of acme."""
    return factories.make_user("alice@acme.example")


@pytest.fixture
def acme(alice: User) -> Organization:
    """Alice's organization."""
    return factories.make_organization("Acme", owner=alice)


@pytest.fixture
def bob(acme: Organization) -> User:
    """A developer of acme."""
    user = factories.make_user("bob@acme.example")
    services.add_member(acme, user=user, role=Membership.Role.DEVELOPER, actor=None)
    return user


@pytest.fixture
def charlie(db: None) -> User:
    """An outsider: owner of globex, nobody at acme."""
    return factories.make_user("charlie@globex.example")


@pytest.fixture
def globex(charlie: User) -> Organization:
    """Charlie's organization."""
    return factories.make_organization("Globex", owner=charlie)


@pytest.fixture
def acme_key(acme: Organization) -> CreatedKey:
    """A live key of acme, and its secret."""
    return factories.make_api_key(acme, name="prod-api")


@pytest.fixture
def acme_test_key(acme: Organization) -> CreatedKey:
    """A test key of acme, and its secret."""
    return factories.make_api_key(acme, name="trying out", mode="test")


@pytest.fixture
def globex_key(globex: Organization) -> CreatedKey:
    """A live key of globex, and its secret."""
    return factories.make_api_key(globex, name="globex-api")


@pytest.fixture
def alice_client(alice: User, acme: Organization) -> Client:
    """A browser in which alice is signed in."""
    return signed_in(alice)


@pytest.fixture
def bob_client(bob: User) -> Client:
    """A browser in which bob is signed in."""
    return signed_in(bob)


@pytest.fixture
def charlie_client(charlie: User, globex: Organization) -> Client:
    """A browser in which charlie is signed in."""
    return signed_in(charlie)


def signed_in(user: User) -> Client:
    """Return a browser in which the user is signed in."""
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture(autouse=True)
def fresh_cache() -> None:
    """Forget what was counted by earlier tests, such as tries to sign in."""
    cache.clear()
