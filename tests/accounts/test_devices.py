"""Browsers by name, and the mail about a sign-in with one that was never used before."""

import re

import pytest
from django.test import Client
from django.urls import reverse

from accounts import devices
from accounts.templatetags.plain_case import sentence_case

pytestmark = pytest.mark.django_db
PASSWORD = "a long enough pass"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/131.0.0.0 Safari/537.36"
)


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (FIREFOX, "Firefox on Linux"),
        (CHROME, "Chrome on Windows"),
        (f"{CHROME} Edg/131.0.2903.51", "Edge on Windows"),
        (f"{CHROME} OPR/115.0.0.0", "Opera on Windows"),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
            "Version/18.1 Safari/605.1.15",
            "Safari on macOS",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
            "Version/18.1 Mobile/15E148 Safari/604.1",
            "Safari on iPhone",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
            "CriOS/131.0 Mobile/15E148 Safari/604.1",
            "Chrome on iPhone",
        ),
        (
            "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 "
            "Mobile Safari/537.36",
            "Chrome on Android",
        ),
        ("curl/8.5.0", "curl"),
        ("Mozilla/5.0 (X11; Linux x86_64) Whatever/1", "a browser on Linux"),
        ("", "an unknown browser"),
        ("<script>alert(1)</script>", "an unknown browser"),
    ],
)
def test_browser_has_a_name_that_people_know(user_agent, name):
    assert devices.name_of(user_agent) == name


def sign_in(client, user, **headers):
    """Sign in for the first time, which ends all earlier sessions: the password is a new one."""
    user.set_password(PASSWORD)
    user.save()
    sign_in_again(client, user, **headers)


def sign_in_again(client, user, **headers):
    data = {"login": user.email, "password": PASSWORD}
    assert client.post(reverse("account_login"), data, headers=headers).status_code == 302


def test_sign_in_with_a_new_browser_is_told_once(alice, acme, mailoutbox):
    client = Client()
    sign_in(client, alice, user_agent=FIREFOX)

    [mail] = mailoutbox
    assert mail.subject == "New sign-in to your Exerati account"
    assert mail.to == [alice.email]
    assert "with Firefox on Linux, from the address 127.0.0.1" in mail.body
    [(html, kind)] = mail.alternatives
    assert kind == "text/html"
    assert "Firefox on Linux" in html

    client.post(reverse("account_logout"))
    sign_in(client, alice, user_agent=FIREFOX)

    assert len(mailoutbox) == 1


def test_another_person_and_another_browser_are_new(alice, acme, bob, mailoutbox):
    shared = Client()
    for client, user in ((shared, alice), (shared, bob), (shared, alice), (Client(), alice)):
        client.post(reverse("account_logout"))
        sign_in(client, user)

    assert [mail.to[0] for mail in mailoutbox] == [alice.email, bob.email, alice.email]


def test_cookie_that_somebody_made_up_is_no_cookie(alice, acme, mailoutbox):
    client = Client()
    client.cookies[devices.COOKIE] = "WyJhIl0:1abcde:forged"

    sign_in(client, alice)

    assert len(mailoutbox) == 1


def test_cookie_names_nobody(alice, acme):
    client = Client()
    sign_in(client, alice)

    cookie = client.cookies[devices.COOKIE]
    assert cookie["httponly"]
    assert alice.email not in cookie.value


def test_sessions_are_listed_by_name(alice, acme):
    client = Client()
    sign_in(client, alice, user_agent=CHROME)
    page = client.get(reverse("usersessions_list")).content.decode()

    assert ">Chrome on Windows</strong>" in page
    assert "This browser" in page


def handles(client):
    """Return the handles of the sessions that a person may end, as their page has them."""
    page = client.get(reverse("usersessions_list")).content.decode()
    return re.findall(r'name="session" value="(\w+)"', page)


def is_signed_in(client):
    return client.get(reverse("profile")).status_code == 200


def test_one_session_is_ended_and_the_others_go_on(alice):
    here, lost, phone = Client(), Client(), Client()
    sign_in(here, alice)
    sign_in_again(phone, alice)
    sign_in_again(lost, alice, user_agent=CHROME)
    page = here.get(reverse("usersessions_list")).content.decode()
    [handle] = re.findall(
        r'value="(\w+)">\s*<button[^>]*aria-label="Sign out Chrome on Windows"', page
    )

    answer = here.post(reverse("session_end"), {"session": handle})

    assert answer.status_code == 302
    assert [is_signed_in(client) for client in (here, lost, phone)] == [True, False, True]


def test_sessions_of_others_and_made_up_ones_are_not_ended(alice, bob):
    mine, second, bobs = Client(), Client(), Client()
    sign_in(mine, alice)
    sign_in_again(second, alice)
    sign_in(bobs, bob)
    [handle] = handles(mine)

    for made_up in (handle, "0" * len(handle), "1", ""):
        assert bobs.post(reverse("session_end"), {"session": made_up}).status_code == 404
    assert is_signed_in(second)
    assert Client().post(reverse("session_end"), {"session": handle}).status_code == 302
    assert is_signed_in(second)
    assert mine.get(reverse("session_end")).status_code == 405


def test_profile_lists_what_protects_the_account_and_keeps_a_time_zone(alice_client, alice):
    page = alice_client.get(reverse("profile")).content.decode()
    assert "A stolen password is enough to get in." in page

    answer = alice_client.post(reverse("profile"), {"time_zone": "Europe/Madrid"})

    alice.refresh_from_db()
    assert (answer.status_code, alice.time_zone) == (302, "Europe/Madrid")
    assert alice_client.post(reverse("profile"), {"time_zone": "Mars/Base"}).status_code == 422


def test_titles_of_library_pages_are_in_sentence_case():
    assert sentence_case("Two-Factor Authentication") == "Two-factor authentication"
    assert sentence_case("IP Address") == "IP address"
    assert sentence_case("<b>Not Touched</b>") == "<b>Not Touched</b>"
