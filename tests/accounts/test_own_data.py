"""The file of one's own data: whole, without secrets, for its owner alone."""

import json
import time

import pytest
from allauth.account.internal.flows import login
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from django.urls import reverse
from django.utils import timezone

from accounts import own_data, services
from tests import factories
from tests.cast import signed_in

pytestmark = pytest.mark.django_db
PASSWORD = "a long enough pass"


def just_signed_in(client, user):
    """Let a browser's session say that this user has come by another account a moment ago."""
    session = client.session
    session[login.AUTHENTICATION_METHODS_SESSION_KEY] = [
        {"method": "socialaccount", "at": time.time()}
    ]
    session[login._AUTHENTICATION_METHODS_USER_SESSION_KEY] = str(user.pk)
    session.save()
    return client


def signed_in_again(client, user):
    user.set_password(PASSWORD)
    user.save()
    client.post(reverse("account_login"), {"login": user.email, "password": PASSWORD})
    client.post(reverse("account_reauthenticate"), {"password": PASSWORD})


def test_file_holds_what_is_known_of_the_person(client, alice, acme, bob):
    key = factories.make_api_key(acme, name="prod-api").key
    key.created_by = alice
    key.save(update_fields=["created_by"])
    services.change_role(acme.memberships.get(user=bob), role="viewer", actor=alice)
    signed_in_again(client, alice)

    answer = client.get(reverse("own_data_file"))
    told = json.loads(answer.content)

    assert answer["Content-Disposition"] == 'attachment; filename="exerati-my-data.json"'
    assert "no-store" in answer["Cache-Control"]
    assert told["profile"]["email"] == alice.email
    assert told["profile"]["email_addresses"][0]["email"] == alice.email
    assert [(row["organization"], row["role"]) for row in told["memberships"]] == [
        (acme.public_id, "owner")
    ]
    assert len(told["sessions"]) == 1
    assert [row["id"] for row in told["keys"]] == [key.public_id]
    assert [row["action"] for row in told["audit_events"]][-1] == "member.role_changed"


def test_file_names_passkeys(alice):
    passkey = {"name": "Work laptop", "credential": {"id": "x"}}
    Authenticator.objects.create(user=alice, type=Authenticator.Type.WEBAUTHN, data=passkey)

    told = str(own_data.export(alice, now=timezone.now())["profile"])

    assert "Work laptop" in told
    assert "credential" not in told


def test_file_holds_nothing_of_others(client, alice, acme, bob, charlie, globex, globex_key):
    services.change_role(acme.memberships.get(user=bob), role="viewer", actor=alice)
    signed_in_again(client, bob)

    answer = client.get(reverse("own_data_file"))

    told = json.loads(answer.content)
    assert [row["organization"] for row in told["memberships"]] == [acme.public_id]
    assert told["keys"] == told["audit_events"] == []
    for others in (alice.email, charlie.email, globex.public_id, globex_key.key.public_id):
        assert others not in answer.content.decode()


def test_file_holds_no_secret(client, alice, acme):
    made = factories.make_api_key(acme, name="prod-api")
    made.key.created_by = alice
    made.key.save(update_fields=["created_by"])
    signed_in_again(client, alice)
    sealed = get_adapter().encrypt("JBSWY3DPEHPK3PXP")
    Authenticator.objects.create(user=alice, type=Authenticator.Type.TOTP, data={"secret": sealed})

    text = client.get(reverse("own_data_file")).content.decode()

    alice.refresh_from_db()
    secrets = (made.secret, bytes(made.key.key_hash).hex(), alice.password, sealed)
    assert '"totp"' in text
    assert [secret for secret in (*secrets, client.session.session_key) if secret in text] == []


def test_whoever_asks_is_asked_for_the_password_first(alice_client):
    answer = alice_client.get(reverse("own_data_file"))

    assert answer.status_code == 302
    assert answer["Location"].startswith(reverse("account_reauthenticate"))


@pytest.mark.parametrize("name", ["own_data_file", "account_delete"])
def test_staff_who_look_as_a_customer_get_neither_the_file_nor_rid_of_the_account(alice, name):
    """Alice has no password and no passkey, and has just signed in: the door alone keeps staff out."""
    alice.set_unusable_password()
    alice.save()
    client = signed_in(factories.make_user(is_staff=True, is_superuser=True))
    became = client.post("/admin/hijack/acquire/", {"user_pk": alice.pk}, follow=True)
    assert became.context["request"].user == alice

    answers = [just_signed_in(one, alice).get(reverse(name)) for one in (client, signed_in(alice))]

    assert [answer.status_code for answer in answers] == [403, 200]


def test_page_leads_to_the_file_from_the_tabs(alice_client):
    page = alice_client.get(reverse("own_data")).content.decode()

    assert f'href="{reverse("own_data_file")}"' in page
    assert f'href="{reverse("own_data")}" aria-current="page"' in page
