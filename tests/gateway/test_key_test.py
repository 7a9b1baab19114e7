"""The button "Test this key": a simulated call by the key's rules, through a running gateway and a session."""

import http.cookiejar
import re
import urllib.parse
import urllib.request

import pytest

from apikeys import services
from tests import factories


@pytest.fixture
def test_page(shop):
    """Return a function that presses the button for a key and returns the page."""
    owner = shop.organization.memberships.get().user
    owner.set_password(factories.PASSWORD)
    owner.save()
    base = f"http://127.0.0.1:{shop.gateway.port}"
    jar = http.cookiejar.CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))

    def post(path, **fields):
        token = next((cookie.value for cookie in jar if cookie.name == "csrftoken"), "")
        data = urllib.parse.urlencode({"csrfmiddlewaretoken": token, **fields}).encode()
        return browser.open(base + path, data).read().decode()

    browser.open(f"{base}/login").read()
    post("/login", login=owner.email, password=factories.PASSWORD)
    slug = shop.organization.slug
    return lambda key: post(f"/dashboard/{slug}/keys/{key.public_id}/test/")


def test_a_key_that_works_is_told_so_and_nothing_is_charged(shop, test_page):
    page = test_page(shop.key.key)

    assert "This key works" in page, re.findall(r"<main.*?</main>", page, re.DOTALL)
    assert shop.upstream.calls == []


def test_what_the_key_would_be_refused_is_what_the_test_says(shop, test_page):
    key = factories.make_api_key(shop.organization, endpoints=["embeddings"]).key

    page = test_page(key)

    assert "This call is refused" in page
    assert "endpoint_not_allowed" in page


def test_a_disabled_key_is_told_so(shop, test_page):
    services.disable_key(shop.key.key, actor=None)

    assert "The key is disabled" in test_page(shop.key.key)
