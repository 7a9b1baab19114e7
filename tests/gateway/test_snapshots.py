"""What a process remembers of keys: found by the whole digest, looked at again, and told when it ends."""

import time
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings

from apikeys import keys, services
from apikeys.models import ApiKey
from apikeys.snapshots import KeyDirectory
from tests import factories

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("committed")]


@pytest.fixture
def ended() -> list[int]:
    return []


@pytest.fixture
async def directory(committed: None, ended: list[int]) -> AsyncIterator[KeyDirectory]:
    directory = KeyDirectory(ended.append)
    yield directory
    await directory.close()


@pytest.fixture
def created(committed: None):
    return factories.make_api_key(requests_per_minute=7, model_patterns=["gpt-*"])


def digest(secret: str) -> bytes:
    return keys.digest(secret, pepper=settings.KEY_PEPPER)


async def test_snapshot_has_the_rules_of_the_key(directory, created):
    found = await directory.find(digest(created.secret))

    assert found is not None
    assert (found.id, found.requests_per_minute) == (created.key.pk, 7)
    assert found.allows_model("gpt-4o")
    assert not found.allows_model("claude")


async def test_digest_that_shares_all_but_its_end_is_another_key(directory, created):
    known = digest(created.secret)
    await directory.find(known)

    assert await directory.find(known[:-1] + bytes([known[-1] ^ 1])) is None


async def test_known_key_costs_no_query(directory, created):
    await directory.find(digest(created.secret))
    await sync_to_async(ApiKey.objects.filter(pk=created.key.pk).update)(name="changed")

    found = await directory.find(digest(created.secret))

    assert found is not None
    assert found.name != "changed"


async def test_refresh_shows_changes_and_tells_of_the_end(directory, created, ended):
    await directory.find(digest(created.secret))
    await sync_to_async(services.revoke_key)(created.key, actor=None)

    await directory.refresh()

    found = await directory.find(digest(created.secret))
    assert found is not None
    assert found.inactive_reason(0) == "revoked"
    assert ended == [created.key.pk]


async def test_deleted_key_is_forgotten_and_told(directory, created, ended):
    await directory.find(digest(created.secret))
    await sync_to_async(ApiKey.objects.filter(pk=created.key.pk).delete)()

    await directory.refresh([digest(created.secret)])

    assert await directory.find(digest(created.secret)) is None
    assert ended == [created.key.pk]


async def test_key_made_after_it_was_asked_for_is_found_once_it_is_told_of(directory, created):
    secret = keys.make("live").secret
    assert await directory.find(digest(secret)) is None
    change = ApiKey.objects.filter(pk=created.key.pk).update
    await sync_to_async(change)(key_hash=digest(secret))

    assert await directory.find(digest(secret)) is None  # remembered as unknown for a second
    await directory.refresh([digest(secret)])

    assert await directory.find(digest(secret)) is not None


async def test_both_secrets_of_a_rotated_key_are_found_until_the_old_one_retires(
    directory, created, ended
):
    await directory.find(digest(created.secret))

    rotated = await sync_to_async(services.rotate_key)(
        created.key, overlap=timedelta(hours=1), actor=None
    )
    await directory.refresh()

    old, new = (
        await directory.find(digest(created.secret)),
        await directory.find(digest(rotated.secret)),
    )
    soon, later = time.time() + 3_500, time.time() + 3_700
    assert (old.id, old.inactive_reason(soon), old.inactive_reason(later)) == (
        created.key.pk,
        "",
        "expired",
    )
    assert (new.id, new.inactive_reason(later)) == (created.key.pk, "")
    assert ended == []


async def test_calls_of_an_old_secret_may_finish_when_it_retires(directory, created, ended):
    await sync_to_async(services.rotate_key)(created.key, overlap=timedelta(hours=1), actor=None)
    await directory.find(digest(created.secret))
    await sync_to_async(services.end_old_secret)(created.key, actor=None)

    await directory.refresh()

    assert await directory.find(digest(created.secret)) is None
    assert ended == []


async def test_a_secret_rotated_without_overlap_ends_its_calls(directory, created, ended):
    await directory.find(digest(created.secret))
    await sync_to_async(services.rotate_key)(created.key, overlap=timedelta(), actor=None)

    await directory.refresh()

    assert await directory.find(digest(created.secret)) is None
    assert ended == [created.key.pk]


async def test_a_key_revoked_in_its_overlap_ends_the_calls_of_the_old_secret(
    directory, created, ended
):
    await sync_to_async(services.rotate_key)(created.key, overlap=timedelta(hours=1), actor=None)
    await directory.find(digest(created.secret))
    await sync_to_async(services.revoke_key)(created.key, actor=None)

    await directory.refresh()

    assert ended == [created.key.pk]
