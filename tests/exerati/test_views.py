"""Pages of no app: they render, hold to the rules of the house, and the theme is kept safely."""

import re
from pathlib import Path

import pytest
from django.http import Http404
from django.test import RequestFactory
from django.urls import reverse

from exerati import views
from exerati.templatetags import ui
from tests import factories


@pytest.fixture
def pages() -> RequestFactory:
    return RequestFactory()


def test_landing_has_one_heading_and_a_call_to_the_configured_address(pages, settings):
    html = views.landing(pages.get("/")).content.decode()
    text = re.sub("<[^>]+>", "", html)

    assert html.count("<h1") == 1
    assert f"curl {settings.API_BASE_URL}/chat/completions" in text
    assert "$0.001684" in text


def test_example_cost_on_the_landing_page_is_right():
    charge_nanousd = 412 * 1_000 + 318 * 4_000

    assert charge_nanousd == 1_684_000
    assert 5_900_000 - charge_nanousd == 4_216_000


def test_theme_cookie_is_rendered_at_once(pages):
    request = pages.get("/")
    request.COOKIES["theme"] = "dark"

    assert '<html lang="en" data-theme="dark">' in views.landing(request).content.decode()


def test_made_up_theme_is_not_rendered(pages):
    request = pages.get("/")
    request.COOKIES["theme"] = '"><script>'

    assert '<html lang="en">' in views.landing(request).content.decode()


def test_choosing_a_theme_stores_it_and_goes_back(pages):
    response = views.theme(pages.post("/theme/", {"theme": "dark", "next": "/docs/?a=1"}))

    assert response.status_code == 302
    assert response["Location"] == "/docs/?a=1"
    assert response.cookies["theme"].value == "dark"


def test_system_theme_forgets_the_cookie(pages):
    response = views.theme(pages.post("/theme/", {"theme": "system"}))

    assert response.cookies["theme"]["max-age"] == 0


@pytest.mark.parametrize(
    "wanted", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", ""]
)
def test_theme_never_sends_people_elsewhere(pages, wanted):
    response = views.theme(pages.post("/theme/", {"theme": "dark", "next": wanted}))

    assert response["Location"] == "/"


def test_compact_rows_are_stored_rendered_at_once_and_forgotten(pages):
    stored = views.rows(pages.post("/rows", {"rows": "compact", "next": "/docs/"}))
    request = pages.get("/")
    request.COOKIES["rows"] = "compact"
    made_up = pages.get("/")
    made_up.COOKIES["rows"] = '"><script>'

    assert stored.cookies["rows"].value == "compact"
    assert stored["Location"] == "/docs/"
    assert '<html lang="en" data-rows="compact">' in views.landing(request).content.decode()
    assert '<html lang="en">' in views.landing(made_up).content.decode()
    assert views.rows(pages.post("/rows", {"rows": "normal"})).cookies["rows"]["max-age"] == 0


@pytest.mark.django_db
def test_pages_with_rows_of_their_own_keep_the_compact_ones(client, alice_client, acme, acme_key):
    factories.make_model("small")
    alice_client.cookies["rows"] = client.cookies["rows"] = "compact"

    for page in ("/models/", "/models/compare/?model=small"):
        assert '<html lang="en" data-rows="compact">' in client.get(page).content.decode(), page
        del client.cookies["rows"]
        assert '<html lang="en">' in client.get(page).content.decode(), page
        client.cookies["rows"] = "compact"
    for page in ("keys", "team", "usage", "requests", "invoices", "ledger"):
        html = alice_client.get(reverse(f"dashboard:{page}", args=[acme.slug])).content.decode()
        assert '<html lang="en" data-rows="compact">' in html, page


def test_style_guide_is_for_developers_only(pages, settings):
    settings.DEBUG = False
    with pytest.raises(Http404):
        views.styleguide(pages.get("/styleguide/"))

    settings.DEBUG = True
    html = views.styleguide(pages.get("/styleguide/")).content.decode()

    assert html.count("<h1") == 1
    assert not re.search(r"\sstyle=", html)


TEMPLATES = Path(__file__).resolve().parents[2] / "templates"
# Parts of the one frame of their pages, or of one page: they are seen there.
FRAMES = {
    "account_menu",
    "account_tabs",
    "form_errors",  # by form_fields
    "hotkeys",
    "legal_links",
    "messages",
    "palette",
    "rail",
    "switcher",
}


def test_style_guide_shows_every_component():
    source = (TEMPLATES / "styleguide.html").read_text()
    used = set(re.findall(r"{% (\w+)", source))
    included = set(re.findall(r"components/(\w+)\.html", source))
    parts = {path.stem for path in (TEMPLATES / "components").iterdir()}

    assert set(ui.register.tags) - used - {"rail_link"} == set()
    assert parts - FRAMES - included - set(ui.register.tags) == set()


def test_legal_pages_say_that_they_are_placeholders(pages):
    for page in views.LEGAL_PAGES:
        assert "Placeholder" in views.legal(pages.get("/legal/"), page).content.decode()

    with pytest.raises(Http404):
        views.legal(pages.get("/legal/"), "cookies")


def test_error_pages_say_what_to_do_and_name_the_request(pages):
    request = pages.get("/")
    request.request_id = "req_123"

    answers = {
        400: views.bad_request(request, Exception()),
        403: views.permission_denied(request, Exception()),
        404: views.page_not_found(request, Exception()),
        500: views.server_error(request),
    }

    for status, response in answers.items():
        html = response.content.decode()
        assert response.status_code == status
        assert html.count("<h1") == 1
        assert "req_123" in html


def test_old_form_is_told_apart_from_a_missing_right(pages):
    request = pages.post("/")

    assert "too old" in views.csrf_failure(request, reason="x").content.decode()
    assert "Your role" in views.permission_denied(request, Exception()).content.decode()
