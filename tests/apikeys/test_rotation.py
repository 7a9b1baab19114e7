"""A key's rotation: a new secret for the same key, the old one for a while, and what the pages say of it."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from apikeys import keys, services
from tests import factories

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def digest(secret):
    return keys.digest(secret, pepper=settings.KEY_PEPPER)


def url_of(name, key):
    return reverse(f"dashboard:{name}", args=[key.organization.slug, key.public_id])


def rotate(client, key, *, overlap):
    url = url_of("key_rotate", key)
    nonce = client.get(url).context["form"]["nonce"].value()
    return client.post(url, {"overlap": overlap, "nonce": nonce})


def test_a_rotated_key_keeps_its_rules_and_both_secrets_work_until_the_overlap_ends(acme, alice):
    created = factories.make_api_key(acme, budget_day_nanousd=7, model_patterns=["gpt-*"])

    rotated = services.rotate_key(created.key, overlap=DAY, actor=alice)

    key = acme.api_keys.get()
    assert (key.budget_day_nanousd, key.model_patterns) == (7, ["gpt-*"])
    assert rotated.secret != created.secret
    assert bytes(key.key_hash) == digest(rotated.secret)
    assert bytes(key.old_hash) == digest(created.secret)
    assert key.old_last4 == created.secret[-4:]
    assert key.old_secret_works_at(timezone.now() + timedelta(hours=23))
    assert not key.old_secret_works_at(timezone.now() + timedelta(hours=25))


def test_without_an_overlap_nothing_is_kept_of_the_old_secret(acme, alice):
    created = factories.make_api_key(acme)

    services.rotate_key(created.key, overlap=timedelta(), actor=alice)

    key = acme.api_keys.get()
    assert (key.old_hash, key.old_last4, key.old_expires_at) == (None, "", None)


def test_two_secrets_work_at_a_time_never_three(acme, alice):
    first = factories.make_api_key(acme)
    second = services.rotate_key(first.key, overlap=DAY, actor=alice)

    services.rotate_key(first.key, overlap=DAY, actor=alice)

    assert bytes(acme.api_keys.get().old_hash) == digest(second.secret)


def test_a_revoked_key_has_no_secret_to_rotate(acme, alice):
    key = factories.make_api_key(acme).key
    services.revoke_key(key, actor=alice)

    with pytest.raises(services.KeyRevoked):
        services.rotate_key(key, overlap=DAY, actor=alice)


def test_the_audit_trail_tells_who_rotated_and_holds_no_secret(acme, alice):
    created = factories.make_api_key(acme)

    rotated = services.rotate_key(created.key, overlap=DAY, actor=alice)

    event = acme.audit_events.get(action="key.rotated")
    assert (event.actor, event.details["old_last4"]) == (alice, created.secret[-4:])
    assert rotated.secret not in str(event.details)


def test_the_new_secret_is_shown_once(alice_client, acme, acme_key):
    shown = rotate(alice_client, acme_key.key, overlap="24")

    key = acme.api_keys.get()
    secret = shown.context["secret"]
    assert bytes(key.key_hash) == digest(secret)
    page = shown.content.decode()
    assert f'href="data:text/plain;charset=utf-8,EXERATI_API_KEY%3D{secret}%0A"' in page
    assert f"…{acme_key.secret[-4:]}" in page
    later = alice_client.get(url_of("key", key)).content.decode()
    assert secret not in later
    assert "Two secrets work" in later


def test_a_reload_of_the_answer_does_not_rotate_again(alice_client, acme, acme_key):
    url = url_of("key_rotate", acme_key.key)
    typed = {"overlap": "0", "nonce": "n1"}
    first = alice_client.post(url, typed).context["secret"]

    again = alice_client.post(url, typed)

    assert again.status_code == 302
    assert bytes(acme.api_keys.get().key_hash) == digest(first)


def test_the_old_secret_can_be_ended_before_its_time(alice_client, acme, acme_key):
    rotate(alice_client, acme_key.key, overlap="168")

    alice_client.post(url_of("key_old_secret_end", acme_key.key))

    assert acme.api_keys.get().old_hash is None


def test_an_overlap_that_is_not_offered_is_refused(alice_client, acme_key):
    assert rotate(alice_client, acme_key.key, overlap="8760").status_code == 422


def test_a_search_finds_keys_by_name_owner_and_visible_part(alice_client, acme, acme_key, bob):
    mine = services.create_key(acme, name="nightly", mode="live", created_by=bob).key
    url = reverse("dashboard:keys", args=[acme.slug])

    def found(text):
        return {row.key.name for row in alice_client.get(url, {"q": text}).context["rows"]}

    assert found("NIGHT") == found("bob@acme") == found(mine.shown) == {"nightly"}
    assert found("prod") == {"prod-api"}
    assert found("") == {"nightly", "prod-api"}
    assert found("%") == found("\x00no") == set()


def test_who_is_about_to_revoke_is_told_what_breaks(alice_client, acme_key):
    for _ in range(3):
        factories.make_usage_event(acme_key.key, charge_nanousd=1_000)
    factories.make_usage_event(acme_key.key, occurred_at=timezone.now() - timedelta(hours=25))

    page = alice_client.get(url_of("key_revoke", acme_key.key)).content.decode()

    words = " ".join(page.split())
    assert ">3</span> calls</a> in the last 24 hours" in words or "3 calls" in words
    assert "sandbox/echo" in words


def test_the_page_of_a_key_shows_its_limits_as_they_are_now(alice_client, acme_key):
    page = alice_client.get(url_of("key", acme_key.key)).content.decode()

    assert "Limits now" in page
    assert "Open calls" in page
