"""Other accounts to sign in with: connected, disconnected, and what people do who have no password."""

import pytest
from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from django.test import Client
from django.urls import reverse

from tests import factories
from tests.accounts.test_social import BOTH, DORA, connected, is_signed_in
from tests.social_cast import begin, come_by

pytestmark = pytest.mark.django_db


def sign_in_twice(client, user):
    """Sign in, and once more as before what matters."""
    client.post("/login", {"login": user.email, "password": factories.PASSWORD})
    client.post(reverse("account_reauthenticate"), {"password": factories.PASSWORD})


def minutes_ago(client, minutes):
    """Let a browser's sign-in be that old."""
    session = client.session
    for record in session["account_authentication_methods"]:
        record["at"] -= minutes * 60
    session.save()


@BOTH
def test_a_member_connects_an_account_and_is_told_by_mail(
    client, social, alice, mailoutbox, provider
):
    sign_in_twice(client, alice)

    answer = come_by(client, social, provider, process="connect")
    page = client.get(answer["Location"]).content.decode()

    assert answer["Location"] == reverse("socialaccount_connections")
    assert SocialAccount.objects.get().user == alice
    assert list(EmailAddress.objects.filter(user=alice).values_list("email", flat=True)) == [
        alice.email
    ]
    known = {"google": f"Google: {DORA}", "github": "GitHub: dora"}[provider]
    assert "Disconnect" in page
    assert mailoutbox[-1].subject == (
        "An account of another site was connected to your Exerati account"
    )
    assert known in mailoutbox[-1].body
    assert known in mailoutbox[-1].alternatives[0][0]


def test_connecting_asks_for_the_password_once_more(client, social, alice):
    client.post("/login", {"login": alice.email, "password": factories.PASSWORD})

    answer = come_by(client, social, "google", process="connect")
    before = SocialAccount.objects.count()
    client.post(answer["Location"], {"password": factories.PASSWORD})

    assert answer["Location"] == reverse("account_reauthenticate")
    assert before == 0
    assert SocialAccount.objects.get().user == alice


def test_an_account_that_signs_in_somebody_else_is_not_connected(client, social, alice, bob):
    connected(bob)
    sign_in_twice(client, alice)

    answer = come_by(client, social, "google", process="connect")

    assert SocialAccount.objects.get().user == bob
    assert "belongs to another Exerati account" in client.get(answer["Location"]).content.decode()


def disconnect(client, account):
    return client.post(reverse("socialaccount_connections"), {"account": account.pk})


def test_disconnecting_is_told_by_mail_and_ends_that_way_in(client, social, alice, mailoutbox):
    account = connected(alice)
    sign_in_twice(client, alice)

    disconnect(client, account)
    come_by(stranger := Client(), social, "google")

    assert "disconnected from your Exerati account" in mailoutbox[-1].subject
    assert stranger.session["_auth_user_id"] != str(alice.pk)


def test_an_account_of_a_provider_that_is_no_longer_offered_can_be_disconnected(
    client, alice, settings
):
    account = connected(alice)
    settings.SOCIALACCOUNT_PROVIDERS = {
        name: {"APP": {"client_id": "", "secret": ""}} for name in ("google", "github")
    }
    sign_in_twice(client, alice)
    page = client.get(reverse("socialaccount_connections")).content.decode()

    disconnect(client, account)

    assert "Google" in page
    assert not SocialAccount.objects.exists()


def test_the_last_way_in_cannot_be_removed(client, social):
    come_by(client, social, "google")
    account = SocialAccount.objects.get()

    refused = disconnect(client, account)
    come_by(client, social, "github", process="connect")
    disconnect(client, account)

    assert "You would have no way to sign in" in refused.content.decode()
    assert [one.provider for one in SocialAccount.objects.all()] == ["github"]


def test_nobody_disconnects_the_account_of_somebody_else(client, alice, bob):
    account = connected(alice)
    sign_in_twice(client, bob)

    disconnect(client, account)

    assert SocialAccount.objects.filter(pk=account.pk).exists()


ASKED = (
    "account_set_password",
    "account_email",
    "mfa_activate_totp",
    "mfa_add_webauthn",
    "socialaccount_connections",
    "own_data_file",
    "account_delete",
)


def test_who_has_no_password_is_sent_to_the_provider_once_more_before_what_matters(client, social):
    come_by(client, social, "google")
    fresh = {name: client.get(reverse(name)).status_code for name in ASKED}
    minutes_ago(client, 6)

    stale = {name: client.get(reverse(name)) for name in ASKED}
    come_by(client, social, "google", next=reverse("account_delete"))
    again = client.get(reverse("account_delete"))

    assert set(fresh.values()) == {200}
    assert {name: answer.status_code for name, answer in stale.items()} == dict.fromkeys(ASKED, 403)
    page = stale["account_delete"].content.decode()
    assert "Continue with Google" in page
    assert "Continue with GitHub" not in page
    assert f'name="next" value="{reverse("account_delete")}"' in page
    assert again.status_code == 200


def test_nobody_connects_an_account_by_an_old_session_without_a_password(client, social):
    come_by(client, social, "google")
    back = social.consent(begin(client, "github", process="connect"))
    minutes_ago(client, 6)

    answer = client.get(back)

    assert answer["Location"] == reverse("socialaccount_connections")
    assert [one.provider for one in SocialAccount.objects.all()] == ["google"]


def test_a_first_password_is_set_and_signs_in(client, social):
    come_by(client, social, "google")
    words = "a staple of batteries"

    led = client.get(reverse("account_change_password"))
    client.post(led["Location"], {"password1": words, "password2": words})
    other = Client()
    other.post("/login", {"login": DORA, "password": words})

    assert led["Location"] == reverse("account_set_password")
    assert is_signed_in(other)


def test_who_has_no_password_deletes_the_account_and_what_signed_it_in_goes(client, social):
    come_by(client, social, "google")
    told = client.get(reverse("own_data_file")).json()["profile"]["other_accounts"]

    answer = client.post(reverse("account_delete"), {"address": DORA})

    assert [(one["provider"], one["id"], one["email"]) for one in told] == [
        ("google", "10001", DORA)
    ]
    assert "deleted" in answer.content.decode()
    assert not SocialAccount.objects.exists()


def test_the_account_page_says_that_one_account_is_the_only_way_in(client, social):
    come_by(client, social, "google")

    page = client.get(reverse("profile")).content.decode()

    assert "You sign in with Google alone." in page
    assert reverse("account_set_password") in page


def test_who_lost_the_other_account_gets_a_password_by_mail(client, social, mailoutbox):
    come_by(client, social, "google")
    inside = client.get(reverse("account_reset_password"))
    client.logout()

    client.post(reverse("account_reset_password"), {"email": DORA})

    assert inside.status_code == 200
    assert mailoutbox[-1].to == [DORA]
    assert "/account/password/reset/key/" in mailoutbox[-1].body
