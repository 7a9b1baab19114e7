"""The pages of allauth that a signed-in person can reach: all in our design; the seeds of codes are sealed."""

import re

import pytest
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from django.urls import get_resolver, reverse

from tests import factories
from tests.cast import signed_in

pytestmark = pytest.mark.django_db
# Answers that are no page: a file, JSON for scripts, or a step of a sign-in that is not under way.
NO_PAGE = {"mfa_download_recovery_codes", "mfa_login_webauthn"}
# Not there for who has no second factor.
# Nothing comes back from a provider by itself: it is told so.
WITHOUT_STATE = {"google_callback", "github_callback", "socialaccount_login_error"}
WITH_FACTOR = {"mfa_view_recovery_codes", "mfa_deactivate_totp", "mfa_generate_recovery_codes"}


def account_pages():
    """Yield the name of every page of allauth's own table that needs no parameter."""

    def walk(patterns):
        for pattern in patterns:
            if pattern.pattern.regex.groups:
                continue
            if hasattr(pattern, "url_patterns"):
                yield from walk(pattern.url_patterns)
            elif pattern.name and pattern.callback.__module__.startswith("allauth."):
                yield pattern.name

    return sorted(set(walk(get_resolver("accounts.urls").url_patterns)) - NO_PAGE)


def is_ours(page):
    return 'class="entrance"' in page or 'class="wrap account"' in page


@pytest.mark.parametrize("who", ["a visitor", "a member"])
@pytest.mark.parametrize("name", account_pages())
def test_every_page_of_allauth_has_our_layout(name, who, client):
    browser = signed_in(factories.make_user()) if who == "a member" else client

    answer = browser.get(reverse(name))

    if name in WITH_FACTOR and answer.status_code == 404:
        return
    refused = {401} if name in WITHOUT_STATE else set()
    assert answer.status_code in {200, 302, 405} | refused, name
    if answer.status_code in {200, 401}:
        page = answer.content.decode()
        assert is_ours(page), name
        assert len(re.findall(r"<h1[ >]", page)) == 1, name


def test_there_are_pages_to_look_at():
    assert len(account_pages()) > 15


def test_the_seed_of_an_authenticator_app_is_not_stored_as_it_is():
    sealed = get_adapter().encrypt("JBSWY3DPEHPK3PXP")

    assert "JBSWY3DPEHPK3PXP" not in sealed
    assert get_adapter().decrypt(sealed) == "JBSWY3DPEHPK3PXP"
    assert get_adapter().encrypt("JBSWY3DPEHPK3PXP") != sealed


def test_the_link_of_a_new_password_does_not_follow_the_host_of_the_request(
    client, alice, mailoutbox, settings
):
    client.post(
        reverse("account_reset_password"), {"email": alice.email}, headers={"host": "evil.example"}
    )

    body = mailoutbox[-1].body
    assert f"{settings.SITE_URL}/account/password/reset/key/" in body
    assert "evil.example" not in body


@pytest.mark.parametrize("what", ["a sign-up of one who is there", "a reset of one who is not"])
def test_no_link_of_a_mail_follows_the_host_of_the_request(
    what, client, alice, mailoutbox, settings
):
    name, data = {
        "a sign-up of one who is there": (
            "account_signup",
            {"email": alice.email, "password1": "a long enough pass", "organization": "Mine"},
        ),
        "a reset of one who is not": ("account_reset_password", {"email": "nobody@example.com"}),
    }[what]

    client.post(reverse(name), data, headers={"host": "evil.example"})

    [mail] = mailoutbox
    links = re.findall(r"https?://\S+", mail.body)
    assert links
    assert all(link.startswith(f"{settings.SITE_URL}/") for link in links)
    assert "evil.example" not in mail.subject + mail.body + mail.alternatives[0][0]


def test_mails_about_the_account_have_an_html_part_that_says_the_same(client, alice, mailoutbox):
    client.post(reverse("account_reset_password"), {"email": alice.email})

    [html, kind] = mailoutbox[-1].alternatives[0]
    link = re.findall(r"http\S+/account/password/reset/key/\S+", mailoutbox[-1].body)[0]
    assert kind == "text/html"
    assert f'href="{link}"' in html
    assert "<script" not in html


def test_the_pages_of_a_second_factor_that_is_set_up_have_our_layout(alice):
    client = signed_in(alice)
    Authenticator.objects.create(
        user=alice,
        type=Authenticator.Type.TOTP,
        data={"secret": get_adapter().encrypt("JBSWY3DPEHPK3PXP")},
    )

    page = client.get(reverse("mfa_index")).content.decode()

    assert is_ours(page)
    assert "JBSWY3DPEHPK3PXP" not in page
