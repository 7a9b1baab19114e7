"""Making, changing and ending keys: what is stored, audited and broadcast."""

from datetime import UTC, datetime

import pytest
import redis
from django.conf import settings
from django.core.exceptions import ValidationError

from accounts.models import AuditEvent
from apikeys import keys, services
from apikeys.models import ApiKey, KeyStatus
from apikeys.services import KeyRules
from exerati.lib import broadcast
from tests import factories

pytestmark = pytest.mark.django_db
NOW = datetime(2027, 1, 1, tzinfo=UTC)


def actions(target):
    events = AuditEvent.objects.filter(target=target.public_id).order_by("pk")
    return list(events.values_list("action", flat=True))


def test_the_secret_is_stored_nowhere_but_its_digest_is(acme):
    created = factories.make_api_key(acme)

    stored = ApiKey.objects.filter(pk=created.key.pk).values().get()

    assert bytes(stored["key_hash"]) == keys.digest(created.secret, pepper=settings.KEY_PEPPER)
    assert created.secret not in str(stored)
    assert created.secret not in str(list(AuditEvent.objects.values()))


def test_a_key_without_a_project_goes_into_the_default_one(acme):
    assert factories.make_api_key(acme).key.project.is_default


@pytest.mark.parametrize(
    "rules",
    [
        {"model_patterns": ["gpt 4"]},
        {"modalities": ["smell"]},
        {"endpoints": ["/v1/chat"]},
        {"ip_allow_list": ["10.0.0.0/64"]},
        {"requests_per_minute": 0},
        {"budget_month_nanousd": -1},
    ],
)
def test_rules_that_are_no_valid_values_are_refused(acme, rules):
    with pytest.raises(ValidationError):
        factories.make_api_key(acme, **rules)

    assert not acme.api_keys.exists()


def test_a_change_is_stored_and_its_audit_event_tells_before_and_after(acme, alice):
    key = factories.make_api_key(acme, budget_day_nanousd=1).key

    services.update_key(key, name="new", rules=KeyRules(budget_day_nanousd=2), actor=alice)

    key.refresh_from_db()
    event = AuditEvent.objects.get(action="key.changed")
    assert (key.name, key.budget_day_nanousd) == ("new", 2)
    assert event.details["budget_day_nanousd"] == {"from": 1, "to": 2}
    assert event.actor == alice


def test_a_change_of_nothing_leaves_no_audit_event(acme, alice):
    key = factories.make_api_key(acme).key

    services.update_key(key, name=key.name, rules=KeyRules(), actor=alice)

    assert actions(key) == ["key.created"]


def test_a_revoked_key_cannot_be_changed_enabled_or_revoked_again(acme, alice):
    key = factories.make_api_key(acme).key
    services.revoke_key(key, actor=alice)
    key.refresh_from_db()
    revoked_at = key.revoked_at

    services.revoke_key(key, actor=alice)
    services.disable_key(key, actor=alice)
    with pytest.raises(services.KeyRevoked):
        services.update_key(key, name="new", rules=KeyRules(), actor=alice)

    key.refresh_from_db()
    assert key.revoked_at == revoked_at
    assert key.disabled_at is None
    assert actions(key) == ["key.created", "key.revoked"]


def test_a_disabled_key_can_be_enabled_again(acme, alice):
    key = factories.make_api_key(acme).key

    services.disable_key(key, actor=alice)
    key.refresh_from_db()
    disabled = key.status_at(NOW)
    services.enable_key(key, actor=alice)
    key.refresh_from_db()

    assert disabled == KeyStatus.DISABLED
    assert key.status_at(NOW) == KeyStatus.ACTIVE
    assert actions(key) == ["key.created", "key.disabled", "key.enabled"]


def test_a_key_is_expired_from_its_very_moment_on():
    key = ApiKey(expires_at=NOW)

    assert key.status_at(NOW) == KeyStatus.EXPIRED
    assert key.status_at(datetime(2026, 12, 31, tzinfo=UTC)) == KeyStatus.ACTIVE


@pytest.mark.parametrize("change", [services.disable_key, services.revoke_key])
def test_a_change_reaches_whoever_listens_after_the_commit(
    acme, change, redis_url, django_capture_on_commit_callbacks
):
    key = factories.make_api_key(acme).key
    with redis.Redis.from_url(redis_url) as connection, connection.pubsub() as listener:
        listener.subscribe(broadcast.KEY_CHANGED)
        assert listener.get_message(timeout=60)["type"] == "subscribe"

        with django_capture_on_commit_callbacks(execute=True):
            change(key, actor=None)

        message = listener.get_message(timeout=60)

    assert message["data"].decode() == bytes(key.key_hash).hex()


def test_a_key_is_revoked_even_while_redis_is_away(
    acme, settings, caplog, django_capture_on_commit_callbacks
):
    key = factories.make_api_key(acme).key
    settings.REDIS_URL = "redis://127.0.0.1:1/0"  # where nothing listens

    with django_capture_on_commit_callbacks(execute=True):
        services.revoke_key(key, actor=None)

    key.refresh_from_db()
    assert key.revoked_at is not None
    assert "broadcast" in caplog.text
