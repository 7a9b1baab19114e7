"""A passkey is added and signs in, in a real browser with an authenticator of its own; a cancelled one is explained."""

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import expect

from tests import factories
from tests.journeys import browser

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True)]

# As a laptop has it: inside the machine, keeps passkeys, and asks for a finger.
AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture
def session(transactional_db):
    """The cookie of alice's session."""
    factories.make_organization("Acme", owner=factories.make_user("alice@acme.example"))
    client = Client()
    assert client.login(email="alice@acme.example", password=factories.PASSWORD)
    return client.cookies[settings.SESSION_COOKIE_NAME].value


def test_passkey_is_added_signs_in_alone_and_says_so_when_it_is_refused(session, start_servers):
    [gateway] = start_servers(1)
    with browser.chromium() as chromium:
        # Browsers give passkeys to names alone, not to numbers such as 127.0.0.1.
        site_url = f"http://localhost:{gateway.port}"
        alice = browser.member(chromium, site_url=site_url, session=session)
        page = alice.page
        devtools = page.context.new_cdp_session(page)
        devtools.send("WebAuthn.enable")
        made = devtools.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})

        alice.go("/account/2fa/")
        page.get_by_role("link", name="Add a passkey").click()
        page.get_by_label("Password").fill(factories.PASSWORD)
        page.get_by_role("button", name="Continue").click()
        page.get_by_label("Name").fill("Work laptop")
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Recovery codes")
        expect(page.get_by_role("list", name="Unused codes").locator("li")).to_have_count(10)

        page.context.clear_cookies()
        alice.go("/login")
        devtools.send(
            "WebAuthn.setUserVerified",
            {"authenticatorId": made["authenticatorId"], "isUserVerified": False},
        )
        page.get_by_role("button", name="Sign in with a passkey").click()
        expect(page.get_by_role("alert")).to_contain_text("it was cancelled")

        devtools.send(
            "WebAuthn.setUserVerified",
            {"authenticatorId": made["authenticatorId"], "isUserVerified": True},
        )
        page.get_by_role("button", name="Sign in with a passkey").click()
        page.wait_for_url("**/dashboard/**")
        alice.go("/account/2fa/webauthn/")
        expect(page.get_by_text("Work laptop")).to_be_visible()
        expect(page.get_by_text("Signs in alone")).to_be_visible()
        assert alice.complaints == []
        alice.close()
