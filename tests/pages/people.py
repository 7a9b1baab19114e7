"""People beside the owner whom pages are looked at as: with a second factor, of the staff, of an empty organization."""

import time
from collections.abc import Mapping

from allauth.account.forms import default_token_generator
from allauth.account.internal.flows import login
from allauth.account.views import INTERNAL_RESET_SESSION_KEY
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.socialaccount.models import SocialAccount, SocialLogin
from django.conf import settings
from django.test import Client
from django.urls import reverse

from accounts import services
from accounts.models import Membership, Organization, User
from accounts.social_providers import GitHubProvider, app_of
from tests import factories
from tests.cast import signed_in

SECURED = (
    "secured"  # an admin of Northwind with an app, passkeys, recovery codes and other accounts
)
APP_EMAIL = "hedy@northwind.example"  # a developer with an app alone, who signs in by the form
STAFF = "staff"  # supports customers, and has no second factor
NEW = "new"  # owner of an organization where nothing has happened yet
VIEWER = "viewer"  # may look at Northwind, and change nothing
FORGETFUL = "forgetful"  # has opened the link of a new password
UNADDRESSED = "unaddressed"  # has come from GitHub, which told no address
PASSWORDLESS = "passwordless"  # signs in with Google alone, and has just done so
LONG_SIGNED_IN = "long signed in"  # the same, long ago
FORGETFUL_ID = 46_656  # 1000 in base 36, as the link has it
NEW_SLUG = "contoso"
# Where the owner of Northwind is signed in besides.
OTHER_BROWSERS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 "
    "Mobile/15E148 Safari/604.1",
)


def make(organization: Organization) -> Mapping[str, str]:
    """Store them and return a session's cookie for each."""
    secured = factories.make_user("radia@northwind.example")
    viewer = factories.make_user("vint@northwind.example")
    for user, role in ((secured, Membership.Role.ADMIN), (viewer, Membership.Role.VIEWER)):
        services.add_member(organization, user=user, role=role, actor=None)
    _secure(secured)
    _sign_in_elsewhere(organization.memberships.get(role=Membership.Role.OWNER).user)
    _give_app(factories.make_user(APP_EMAIL))
    staff = factories.make_user("support@exerati.example", is_staff=True, is_superuser=True)
    new = factories.make_user("nora@contoso.example")
    factories.make_organization("Contoso", owner=new)
    people = {SECURED: secured, VIEWER: viewer, STAFF: staff, NEW: new}
    forgetful = factories.make_user("mary@northwind.example", pk=FORGETFUL_ID)
    passwordless = _make_passwordless()
    return {name: _session(user) for name, user in people.items()} | {
        FORGETFUL: _session_of_link(forgetful),
        UNADDRESSED: _session_without_address(),
        PASSWORDLESS: _session(passwordless),
        LONG_SIGNED_IN: signed_in(passwordless).cookies[settings.SESSION_COOKIE_NAME].value,
    }


def _sign_in_elsewhere(user: User) -> None:
    data = {"login": user.email, "password": factories.PASSWORD}
    for browser in OTHER_BROWSERS:
        Client().post(reverse("account_login"), data, headers={"user-agent": browser})


def _session_of_link(user: User) -> str:
    """Return the cookie of somebody who is not signed in, after the link of a new password was opened."""
    client = Client()
    session = client.session
    session[INTERNAL_RESET_SESSION_KEY] = default_token_generator.make_token(user)
    session.save()
    return client.cookies[settings.SESSION_COOKIE_NAME].value


def _make_passwordless() -> User:
    user = factories.make_user("joan@northwind.example")
    user.set_unusable_password()
    user.save()
    data = {"email": user.email}
    SocialAccount.objects.create(user=user, provider="google", uid="3", extra_data=data)
    return user


def _session_without_address() -> str:
    """Return the cookie of somebody who still has to say where mail goes."""
    client = Client()
    account = SocialAccount(provider="github", uid="2", extra_data={"login": "barbara"})
    provider = GitHubProvider(None, app=app_of("github"))
    session = client.session
    session["socialaccount_sociallogin"] = SocialLogin(
        user=User(), account=account, provider=provider
    ).serialize()
    session.save()
    return client.cookies[settings.SESSION_COOKIE_NAME].value


def _secure(user: User) -> None:
    """Give a user an authenticator app, two passkeys and recovery codes, as they are stored."""
    _give_app(user)
    for name, alone in (("Work laptop", True), ("Key in the safe", False)):
        rights = {"clientExtensionResults": {"credProps": {"rk": alone}}}
        Authenticator.objects.create(
            user=user,
            type=Authenticator.Type.WEBAUTHN,
            data={"name": name, "credential": rights},
        )
    RecoveryCodes.activate(user)
    for provider, data in (("google", {"email": user.email}), ("github", {"login": "radia"})):
        SocialAccount.objects.create(user=user, provider=provider, uid="1", extra_data=data)


def _give_app(user: User) -> None:
    secret = get_adapter().encrypt("JBSWY3DPEHPK3PXP")
    Authenticator.objects.create(user=user, type=Authenticator.Type.TOTP, data={"secret": secret})


def _session(user: User) -> str:
    """Return the cookie of a session that has just shown its password, and will have for as long as anybody looks."""
    client = signed_in(user)
    session = client.session
    session[login.AUTHENTICATION_METHODS_SESSION_KEY] = [
        {"method": "password", "at": time.time() + 86_400, "reauthenticated": True}
    ]
    session[login._AUTHENTICATION_METHODS_USER_SESSION_KEY] = str(user.pk)
    session.save()
    return client.cookies[settings.SESSION_COOKIE_NAME].value
