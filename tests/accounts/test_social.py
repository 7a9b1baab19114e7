"""Sign-up and sign-in with Google and GitHub, over real HTTP against a stand-in for both."""

import logging

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.adapter import get_adapter as mfa_adapter
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialToken
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from accounts import invitations
from accounts.models import AuditEvent, Membership, Organization, User
from billing.models import CreditLot
from tests import factories
from tests.accounts.test_signup import code_in_mail
from tests.social_cast import SECRET, begin, come_by

pytestmark = pytest.mark.django_db
BOTH = pytest.mark.parametrize("provider", ["google", "github"])
DORA = "dora@initech.example"


def unverified(social, provider):
    if provider == "google":
        social.google = social.google | {"email_verified": False}
    else:
        social.github = social.github | {
            "emails": [{"email": DORA, "primary": True, "verified": False}]
        }


def connected(user, *, provider="google", uid="10001"):
    return SocialAccount.objects.create(user=user, provider=provider, uid=uid, extra_data={})


def is_signed_in(client):
    return "_auth_user_id" in client.session


@BOTH
@pytest.mark.django_db(transaction=True)
def test_a_newcomer_ends_on_the_first_call_with_an_organization_and_the_trial_credit(
    client, social, provider
):
    answer = come_by(client, social, provider)
    home = client.get(answer["Location"])
    page = client.get(home["Location"])

    user = User.objects.get()
    organization = user.memberships.get(role=Membership.Role.OWNER).organization
    assert user.email == DORA
    assert not user.has_usable_password()
    assert organization.name == "dora's organization"
    assert home["Location"] == reverse("dashboard:overview", args=[organization.slug])
    assert "Make your first call" in page.content.decode()
    assert CreditLot.objects.get().source == CreditLot.Source.TRIAL
    assert AuditEvent.objects.get(action="organization.created").actor == user
    assert list(EmailAddress.objects.values_list("email", "verified", "primary")) == [
        (DORA, True, True)
    ]


@BOTH
def test_who_comes_again_is_signed_in_to_the_same_account(client, social, provider):
    come_by(client, social, provider)
    client.logout()

    answer = come_by(client, social, provider, next="/docs/")

    assert is_signed_in(client)
    assert answer["Location"] == "/docs/"
    assert User.objects.count() == Organization.objects.count() == 1


@BOTH
def test_the_least_is_asked_for_and_kept(client, social, provider):
    address = f"{reverse(f'{provider}_login')}?scope=repo,drive&auth_params=prompt%3Dnone"

    back = social.consent(client.post(address)["Location"])
    client.get(back)

    [asked] = social.asked
    wanted = {"google": {"openid", "email"}, "github": {"user:email"}}[provider]
    assert set(asked["scope"].split()) == wanted
    assert asked["code_challenge_method"] == "S256"
    assert asked.get("prompt") != "none"
    kept = SocialAccount.objects.get()
    assert kept.extra_data == {"google": {"email": DORA}, "github": {"login": "dora"}}[provider]
    assert User.objects.get().first_name == ""
    assert not SocialToken.objects.exists()
    stored = "".join(str(session.get_decoded()) for session in Session.objects.all())
    assert social.tokens
    assert social.tokens[-1] not in stored


@BOTH
def test_sign_in_starts_by_a_form_alone(client, social, provider):
    page = client.get(reverse(f"{provider}_login"), {"next": "/docs/"})

    assert page.status_code == 200
    assert '<input type="hidden" name="next" value="/docs/">' in page.content.decode()
    strict = Client(enforce_csrf_checks=True)
    assert strict.post(reverse(f"{provider}_login")).status_code == 403


def test_nobody_is_led_off_the_site_afterwards(client, social):
    answer = come_by(client, social, "google", next="https://evil.example/")

    assert answer["Location"] == "/dashboard/"


@BOTH
def test_an_account_of_the_same_address_is_not_taken_over(client, social, provider):
    factories.make_user(DORA)

    answer = come_by(client, social, provider)

    assert not is_signed_in(client)
    assert not SocialAccount.objects.exists()
    assert answer["Location"] == f"/login?next={reverse('socialaccount_connections')}".replace(
        "=/account/connections/", "=%2Faccount%2Fconnections%2F"
    )
    assert f"You have an Exerati account with {DORA} already." in " ".join(
        client.get(answer["Location"]).content.decode().split()
    )


@BOTH
def test_an_account_with_the_address_unverified_here_is_not_taken_over_either(
    client, social, provider
):
    EmailAddress.objects.filter(user=factories.make_user(DORA)).update(verified=False)

    come_by(client, social, provider)

    assert not is_signed_in(client)
    assert not SocialAccount.objects.exists()


@BOTH
@pytest.mark.django_db(transaction=True)
def test_an_address_that_the_provider_has_not_verified_gets_a_code(client, social, provider):
    unverified(social, provider)

    answer = come_by(client, social, provider)

    sent = reverse("account_email_verification_sent")
    assert answer["Location"] == sent
    assert not is_signed_in(client)
    assert not CreditLot.objects.exists()
    client.post(sent, {"code": code_in_mail()})
    assert is_signed_in(client)
    assert CreditLot.objects.count() == 1


@BOTH
def test_an_unverified_address_does_not_tell_whether_somebody_has_it(
    client, social, provider, mailoutbox
):
    factories.make_user(DORA)
    unverified(social, provider)

    answer = come_by(client, social, provider)

    assert answer["Location"] == reverse("account_email_verification_sent")
    assert User.objects.count() == 1
    assert not SocialAccount.objects.exists()
    assert "already" in mailoutbox[-1].subject + mailoutbox[-1].body


def test_who_has_no_address_at_the_provider_is_asked_for_one(client, social):
    social.github = {"user": social.github["user"]}  # answers 404 to the question for addresses

    answer = come_by(client, social, "github")
    page = client.get(answer["Location"]).content.decode()
    waiting = str(Session.objects.get().get_decoded())
    sent = client.post(answer["Location"], {"email": DORA, "organization": "Initech"})
    client.post(sent["Location"], {"code": code_in_mail()})

    assert answer["Location"] == reverse("socialaccount_signup")
    assert "shown@elsewhere.example" not in page
    assert "20002" in waiting
    assert social.tokens[-1] not in waiting
    assert is_signed_in(client)
    assert Organization.objects.get().name == "Initech"
    assert SocialAccount.objects.get().user.email == DORA


def test_who_comes_by_an_invitation_gets_no_organization_and_is_led_back_to_it(
    client, social, acme, alice
):
    invitation = invitations.invite(acme, email=DORA, role=Membership.Role.DEVELOPER, actor=alice)
    client.get(invitations.path_of(invitation))

    answer = come_by(client, social, "google")

    assert answer["Location"] == invitations.path_of(invitation)
    assert not User.objects.get(email=DORA).memberships.exists()


@BOTH
def test_who_says_no_is_told_that_nothing_happened(client, social, provider):
    state = social.consent(begin(client, provider)).partition("state=")[2]

    answer = client.get(
        reverse(f"{provider}_callback"), {"error": "access_denied", "state": state}, follow=True
    )

    assert answer.redirect_chain[-1][0] == reverse("socialaccount_login_cancelled")
    assert "nothing has changed here" in answer.content.decode()
    assert not User.objects.exists()


@BOTH
@pytest.mark.parametrize("fault", ["a wrong state", "no state", "another browser's", "used"])
def test_who_comes_back_without_having_left_is_not_let_in(client, social, provider, fault, caplog):
    caplog.set_level(logging.ERROR)
    back = social.consent(begin(client, provider))
    if fault == "a wrong state":
        back = f"{back[:-4]}0000"
    elif fault == "no state":
        back = back.partition("&state")[0]
    elif fault == "used":
        client.get(back)
        User.objects.all().delete()
        client.cookies.clear()
    asker = Client() if fault == "another browser's" else client

    answer = asker.get(back)

    assert answer.status_code == 401
    assert "That did not work" in answer.content.decode()
    assert not User.objects.exists()


@pytest.mark.parametrize("fault", ["no token", "no id", "another audience", "an id that is null"])
def test_an_answer_of_the_provider_that_cannot_be_used_is_a_page_and_a_line_in_the_log(
    client, social, fault, caplog
):
    if fault == "no token":
        social.token_error = True
    elif fault == "another audience":
        social.google = social.google | {"aud": "somebody-else"}
    else:
        social.google = {"email": DORA, **({} if fault == "no id" else {"sub": None})}

    answer = come_by(client, social, "google")

    assert answer.status_code == 401
    assert not User.objects.exists()
    [line] = [record.getMessage() for record in caplog.records if record.name == "accounts.social"]
    assert line.startswith("Sign-in with google failed")
    assert SECRET not in line


@BOTH
@pytest.mark.parametrize("kind", [Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN])
def test_g4_who_has_a_second_factor_is_asked_for_it(client, social, alice, provider, kind):
    uid = {"google": "10001", "github": "20002"}[provider]
    connected(alice, provider=provider, uid=uid)
    secret = {"secret": mfa_adapter().encrypt("JBSWY3DPEHPK3PXP")}
    key = {"name": "Laptop", "credential": {"clientExtensionResults": {}}}
    data = secret if kind == Authenticator.Type.TOTP else key
    Authenticator.objects.create(user=alice, type=kind, data=data)

    answer = come_by(client, social, provider)

    assert answer["Location"].startswith(reverse("mfa_authenticate"))
    assert not is_signed_in(client)
    assert client.get("/dashboard/")["Location"].startswith("/login")


def test_g4_an_organization_that_wants_a_second_factor_still_does(client, social, acme, alice):
    connected(alice)
    acme.mfa_required_at = "2026-11-28T00:00Z"
    acme.save()

    come_by(client, social, "google")

    page = client.get(reverse("dashboard:team", args=[acme.slug]))
    assert is_signed_in(client)
    assert page.status_code == 403
    assert "second factor" in page.content.decode()


def test_who_was_locked_out_is_not_let_in_by_another_door(client, social, alice):
    connected(alice)
    User.objects.filter(pk=alice.pk).update(is_active=False)

    answer = come_by(client, social, "google")

    assert answer["Location"] == reverse("account_inactive")
    assert not is_signed_in(client)


@BOTH
@pytest.mark.parametrize("missing", ["client_id", "secret"])
def test_a_provider_that_is_not_set_up_is_nowhere(client, provider, missing, settings):
    apps = settings.SOCIALACCOUNT_PROVIDERS
    settings.SOCIALACCOUNT_PROVIDERS = apps | {
        provider: apps[provider] | {"APP": apps[provider]["APP"] | {missing: ""}}
    }
    other = ({"google", "github"} - {provider}).pop()

    for name in ("login", "callback"):
        assert client.get(reverse(f"{provider}_{name}")).status_code == 404
        assert client.post(reverse(f"{provider}_{name}")).status_code == 404
    for address in ("/", "/login", "/register"):
        page = client.get(address).content.decode()
        assert f"/account/{provider}/" not in page
        assert f"/account/{other}/" in page


def test_the_way_in_by_a_token_of_one_tap_is_not_there(client):
    assert client.post("/account/google/login/token/", {"credential": "x"}).status_code == 404


def test_d14_sign_ups_by_other_accounts_are_bounded_too(social, settings):
    settings.ACCOUNT_RATE_LIMITS = {"signup": "2/m/ip"}
    cache.clear()

    statuses = []
    for number in range(3):
        social.google = {
            "sub": str(number),
            "email": f"d{number}@x.example",
            "email_verified": True,
        }
        statuses.append(come_by(Client(), social, "google").status_code)

    assert statuses == [302, 302, 429]
    assert Organization.objects.count() == 2
