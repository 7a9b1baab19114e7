"""Sign-up, verification by code, and login, as a browser does them."""

import re
from datetime import timedelta

import pytest
from allauth.account import app_settings
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from accounts import services
from accounts.models import Organization, User
from billing import wallet
from billing.models import CreditLot
from tests.factories import PASSWORD

pytestmark = pytest.mark.django_db
FORM = {"email": "dora@initech.example", "password1": PASSWORD, "organization": "Initech"}


def code_in_mail() -> str:
    found = re.search(r"^\s*(\d{6})\s*$", str(mail.outbox[-1].body), re.MULTILINE)
    assert found, mail.outbox[-1].body
    return found[1]


def test_the_addresses_are_short():
    names = ("account_signup", "account_login", "account_logout")

    assert [reverse(name) for name in names] == ["/register", "/login", "/logout"]


@pytest.mark.parametrize("address", ["/register", "/login"])
def test_the_entrance_pages_open(client, address):
    assert client.get(address).status_code == 200


def test_sign_up_makes_user_and_organization_and_mails_a_code(client):
    answer = client.post("/register", FORM)

    assert answer.status_code == 302
    assert answer["Location"] == reverse("account_email_verification_sent")
    organization = Organization.objects.get()
    assert organization.memberships.get().user.email == FORM["email"]
    assert mail.outbox[-1].to == [FORM["email"]]
    assert len(code_in_mail()) == 6


@pytest.mark.django_db(transaction=True)
def test_the_code_signs_in_gives_trial_credit_and_leads_to_the_dashboard(client):
    client.post("/register", FORM)
    lots_before_verification = CreditLot.objects.count()

    answer = client.post(reverse("account_email_verification_sent"), {"code": code_in_mail()})

    organization = Organization.objects.get()
    assert lots_before_verification == 0
    assert answer["Location"] == "/dashboard/"
    assert wallet.balance_nanousd(organization) == 1_000_000_000
    lot = CreditLot.objects.get()
    assert lot.source == CreditLot.Source.TRIAL
    assert lot.expires_at is not None
    assert abs(lot.expires_at - lot.created_at - timedelta(days=30)) < timedelta(minutes=1)


def test_a_wrong_code_gives_nothing(client):
    client.post("/register", FORM)
    wrong = "000000" if code_in_mail() != "000000" else "111111"

    client.post(reverse("account_email_verification_sent"), {"code": wrong})

    assert not CreditLot.objects.exists()
    assert client.get("/dashboard/")["Location"].startswith("/login")


def test_who_mistyped_the_address_corrects_it_and_gets_another_code(client):
    client.post("/register", FORM | {"email": "dora@initech.exmaple"})
    url = reverse("account_email_verification_sent")
    page = client.get(url).content.decode()

    client.post(url, {"action": "change", "email": FORM["email"]})
    client.post(url, {"action": "resend"})
    answer = client.post(url, {"code": code_in_mail()})

    assert "Use a different address" in page
    assert "Send a new code" in page
    assert [one.to[0] for one in mail.outbox] == ["dora@initech.exmaple", *[FORM["email"]] * 2]
    assert answer["Location"] == "/dashboard/"
    assert User.objects.get().email == FORM["email"]


def test_sign_up_without_an_organization_stores_nothing(client):
    answer = client.post("/register", FORM | {"organization": " "})

    assert answer.status_code in (200, 422)
    assert "organization" in answer.context["form"].errors
    assert not User.objects.exists()


def test_an_address_that_is_taken_looks_like_any_other_and_makes_nothing(client, alice):
    answer = client.post("/register", FORM | {"email": alice.email.upper()})

    assert answer["Location"] == reverse("account_email_verification_sent")
    assert User.objects.count() == 1
    assert not Organization.objects.filter(name="Initech").exists()


def test_login_leads_to_the_organization_and_logout_ends_it(client, alice, acme):
    answer = client.post("/login", {"login": "Alice@acme.example", "password": PASSWORD})
    inside = client.get(answer["Location"])
    client.post("/logout")
    outside = client.get("/dashboard/")

    assert answer["Location"] == "/dashboard/"
    assert f"/dashboard/{acme.slug}/" in inside["Location"]
    assert outside["Location"].startswith("/login")


def test_d14_sign_ups_from_one_address_are_bounded_by_default():
    assert app_settings.RATE_LIMITS["signup"] == "20/m/ip"


def test_d14_one_sign_up_too_many_from_an_address_makes_no_account(settings):
    settings.ACCOUNT_RATE_LIMITS = {"signup": "2/m/ip"}
    cache.clear()

    statuses = [
        Client().post("/register", FORM | {"email": f"d{number}@initech.example"}).status_code
        for number in range(3)
    ]

    assert statuses == [302, 302, 429]
    assert Organization.objects.count() == 2
    other = Client().post("/register", FORM, REMOTE_ADDR="203.0.113.9")
    assert other.status_code == 302


@pytest.mark.django_db(transaction=True)
def test_d14_one_person_gets_one_trial_whatever_more_is_made_or_verified(client):
    client.post("/register", FORM)
    client.post(reverse("account_email_verification_sent"), {"code": code_in_mail()})
    user = User.objects.get()

    client.post(reverse("dashboard:organization_create"), {"organization": "Second"})
    services.start_trial(user)  # as the adapter does for each address that is verified

    assert Organization.objects.count() == 2
    assert CreditLot.objects.count() == 1
