"""What search engines are told: every public page once, by its own address, and nothing that is somebody's own."""

import re
from xml.etree import ElementTree

import pytest
from django.urls import reverse
from django.utils import timezone

from gateway.documentation import docs_pages
from tests import factories

pytestmark = pytest.mark.django_db
NAMESPACE = {"map": "http://www.sitemaps.org/schemas/sitemap/0.9"}


def listed(client):
    answer = client.get("/sitemap.xml")
    assert answer["Content-Type"] == "application/xml"
    root = ElementTree.fromstring(answer.content)  # noqa: S314  our own words
    return [found.text for found in root.findall("map:url/map:loc", NAMESPACE)]


def test_every_public_page_is_listed_once_and_is_there(client, settings):
    factories.make_model("vendor/odd&name")
    factories.make_model("gpt-4o")

    addresses = listed(client)

    paths = [one.removeprefix(settings.SITE_URL) for one in addresses]
    assert len(set(paths)) == len(paths)
    assert {"/", "/pricing", "/status", "/models/", "/docs/", "/models/gpt-4o/"} <= set(paths)
    assert sum(path.startswith("/docs/") for path in paths) == len(docs_pages.SLUGS)
    for path in paths:
        assert client.get(path).status_code == 200, path


def test_models_that_nobody_is_shown_are_not_listed(client):
    factories.make_model("hidden", hidden_at=timezone.now())

    assert not any("hidden" in one for one in listed(client))


def test_robots_are_led_to_the_map_and_kept_out_of_what_is_not_public(client, settings):
    text = client.get("/robots.txt").content.decode()

    assert f"Sitemap: {settings.SITE_URL}/sitemap.xml" in text.splitlines()
    closed = re.findall(r"^Disallow: (\S+)$", text, re.MULTILINE)
    own = (reverse("dashboard:home"), reverse("account_email"), reverse("admin:index"))
    assert all(any(path.startswith(one) for one in closed) for path in own)
    assert not any(path.startswith(tuple(closed)) for path in ("/", "/docs/", "/models/gpt-4o/"))


@pytest.mark.parametrize("address", ["/models/?kind=chat&sort=price", "/docs/search?q=x", "/"])
def test_page_names_its_own_address_without_what_was_filtered(client, settings, address):
    page = client.get(address).content.decode()

    path = address.partition("?")[0]
    assert f'<link rel="canonical" href="{settings.SITE_URL}{path}">' in page
