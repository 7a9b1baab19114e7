"""Secrets found in public: the signed report, what is done about the key, and what its pages say."""

import base64
import json
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from django.urls import reverse
from django.utils import timezone

from accounts.models import LeakedKeys
from apikeys import keys, leaks, services
from apikeys.models import KeyLeak, KeyStatus
from exerati.lib import money
from tests import factories

pytestmark = pytest.mark.django_db
PLACE = "https://github.com/acme/shop/blob/1f2e/settings.py"
DAY = timedelta(days=1)
DOLLAR = money.NANOUSD_PER_USD


@pytest.fixture
def scanner(settings):
    """A scanner whose public key we know: its private one."""
    private = ec.generate_private_key(ec.SECP256R1())
    settings.LEAK_REPORT_KEYS = {"scanner-1": private.public_key()}
    return private


def match(token, *, url=PLACE):
    return {"token": token, "type": "exerati_api_key", "url": url, "source": "commit"}


def send(client, private, found, *, identifier="scanner-1", signed=None):
    body = found if isinstance(found, bytes) else json.dumps(found).encode()
    signature = private.sign(body if signed is None else signed, ec.ECDSA(hashes.SHA256()))
    return client.post(
        reverse("leak_report"),
        body,
        content_type="application/json",
        headers={
            "github-public-key-identifier": identifier,
            "github-public-key-signature": base64.b64encode(signature).decode(),
        },
    )


def report(secret, *, place=PLACE):
    found = leaks.report(secret, place=place, source="test")
    assert found
    return found


def status(key):
    key.refresh_from_db()
    return key.status_at(timezone.now())


def actions(key):
    events = key.organization.audit_events.filter(target=key.public_id)
    return [one.action for one in events.order_by("pk")]


def test_a_reported_key_is_disabled_and_the_scanner_is_told_which_one_was_true(
    client, scanner, acme_key
):
    invented = keys.make("live").secret

    answer = send(client, scanner, [match(acme_key.secret), match(invented), match("ghp_other")])

    assert [one["label"] for one in answer.json()] == [
        "true_positive",
        "false_positive",
        "false_positive",
    ]
    assert acme_key.secret not in answer.content.decode()
    assert status(acme_key.key) == KeyStatus.DISABLED
    assert acme_key.key.disabled_reason == "leaked"
    assert actions(acme_key.key) == ["key.created", "key.leaked", "key.frozen"]
    leak = KeyLeak.objects.get()
    assert (leak.place, leak.source, leak.done) == (PLACE, "a secret scanner (commit)", "disabled")


@pytest.mark.parametrize(
    ("wrong", "answered"),
    [
        ({"signed": b"[]"}, 401),
        ({"identifier": "scanner-2"}, 401),
        ({"found": b"no JSON"}, 400),
        ({"found": b'{"token": "x"}'}, 400),
        ({"found": b'[{"type": "x"}]'}, 400),
        ({"found": b'["x"]'}, 400),
    ],
)
def test_what_is_forged_or_no_report_is_refused_and_changes_nothing(
    client, scanner, acme_key, wrong, answered
):
    wrong = {"found": [match(acme_key.secret)], **wrong}

    answer = send(client, scanner, **wrong)

    assert answer.status_code == answered
    assert status(acme_key.key) == KeyStatus.ACTIVE
    assert not KeyLeak.objects.exists()


def test_without_a_signature_or_without_known_scanners_nobody_is_heard(
    client, scanner, acme_key, settings
):
    body = [match(acme_key.secret)]

    assert (
        client.post(reverse("leak_report"), body, content_type="application/json").status_code
        == 401
    )
    settings.LEAK_REPORT_KEYS = {}
    assert send(client, scanner, body).status_code == 404
    assert status(acme_key.key) == KeyStatus.ACTIVE


@pytest.mark.parametrize("url", [None, 7, "", "x" * 3_000, "\x00\ud800é"])
def test_odd_places_are_kept_as_well_as_they_can_be(client, scanner, acme_key, url):
    assert send(client, scanner, [match(acme_key.secret, url=url)]).status_code == 200
    assert len(KeyLeak.objects.get().place) <= 500


def test_a_place_reported_again_leaves_the_decision_to_the_owner(acme_key, alice):
    report(acme_key.secret)
    services.enable_key(acme_key.key, actor=alice)

    report(acme_key.secret)

    assert status(acme_key.key) == KeyStatus.ACTIVE
    report(acme_key.secret, place=f"{PLACE}.bak")
    assert status(acme_key.key) == KeyStatus.DISABLED


@pytest.mark.parametrize(("before", "after"), [(None, DOLLAR), (9 * DOLLAR, DOLLAR), (7, 7)])
def test_a_key_may_go_on_with_little_money_where_its_organization_says_so(acme, before, after):
    acme.leaked_keys = LeakedKeys.LIMIT
    acme.save()
    created = factories.make_api_key(acme, budget_day_nanousd=before)

    leak = report(created.secret)

    assert leak.done == "limited"
    assert status(created.key) == KeyStatus.ACTIVE
    assert created.key.budget_day_nanousd == after


def test_an_organization_may_want_to_be_told_alone(acme, acme_key):
    acme.leaked_keys = LeakedKeys.TELL
    acme.save()

    assert report(acme_key.secret).done == "told"
    assert status(acme_key.key) == KeyStatus.ACTIVE


def test_a_replaced_secret_is_ended_and_the_new_one_works_on(acme_key, alice):
    services.rotate_key(acme_key.key, overlap=DAY, actor=alice)

    leak = report(acme_key.secret)

    assert (leak.done, leak.last4) == ("old_ended", acme_key.secret[-4:])
    assert status(acme_key.key) == KeyStatus.ACTIVE
    assert acme_key.key.old_hash is None


def test_a_revoked_key_stays_revoked_and_its_organization_is_told_all_the_same(acme_key, alice):
    services.revoke_key(acme_key.key, actor=alice)

    assert report(acme_key.secret).done == "refused"
    assert status(acme_key.key) == KeyStatus.REVOKED


def test_rotation_lets_a_leaked_key_work_again_with_the_new_secret_alone(acme_key, alice):
    report(acme_key.secret)

    rotated = services.rotate_key(acme_key.key, overlap=DAY, actor=alice)

    assert status(rotated.key) == KeyStatus.ACTIVE
    assert rotated.key.old_hash is None
    assert leaks.of_present_secrets(rotated.key) is None


def test_rotation_leaves_a_key_disabled_that_somebody_disabled(acme_key, alice):
    services.disable_key(acme_key.key, actor=alice)

    assert status(services.rotate_key(acme_key.key, overlap=DAY, actor=alice).key) == "disabled"


def test_the_rotation_of_a_leaked_key_offers_to_end_the_secret_at_once(acme_key, alice_client):
    url = reverse("dashboard:key_rotate", args=["acme", acme_key.key.public_id])
    assert alice_client.get(url).context["form"]["overlap"].value() == 24

    report(acme_key.secret)

    assert alice_client.get(url).context["form"]["overlap"].value() == 0


def test_the_key_page_says_where_it_was_found_and_what_to_do(acme_key, alice_client):
    report(acme_key.secret)

    page = alice_client.get(reverse("dashboard:key", args=["acme", acme_key.key.public_id]))

    text = page.content.decode()
    assert "This key was found in public" in text
    assert PLACE in text
    assert f"?key={acme_key.key.public_id}" in text


@pytest.mark.parametrize(
    ("source", "shown"),
    [("github", "GitHub found"), ("npm", "npm found"), ("a customer", "A customer found")],
)
def test_who_found_it_is_written_as_it_writes_itself(acme_key, alice_client, source, shown):
    leaks.report(acme_key.secret, place=PLACE, source=source)

    page = alice_client.get(reverse("dashboard:key", args=["acme", acme_key.key.public_id]))

    assert shown in page.content.decode()


def test_the_choice_is_on_the_settings_page_and_in_the_audit_log(acme, alice_client):
    url = reverse("dashboard:settings", args=["acme"])
    values = {**alice_client.get(url).context["form"].initial, "leaked_keys": "limit"}

    assert alice_client.post(url, values).status_code == 302

    acme.refresh_from_db()
    assert acme.leaked_keys == "limit"
    changed = acme.audit_events.get(action="organization.changed").details
    assert changed == {"leaked_keys": {"from": "disable", "to": "limit"}}


def test_staff_mark_a_key_by_its_place_in_the_admin(acme_key, admin_client):
    chosen = {"action": "found_in_public", "_selected_action": [acme_key.key.pk]}

    admin_client.post("/admin/apikeys/apikey/", chosen)
    assert status(acme_key.key) == KeyStatus.ACTIVE
    admin_client.post("/admin/apikeys/apikey/", {**chosen, "place": PLACE})

    assert status(acme_key.key) == KeyStatus.DISABLED
    leaked = acme_key.key.organization.audit_events.get(action="key.leaked")
    assert (leaked.actor.is_staff, leaked.details["place"]) == (True, PLACE)
