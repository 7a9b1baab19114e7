"""Rules that hold for the whole code: tenants, task names, migrations, and who may open which page."""

import ast
import io
import re
from pathlib import Path

import pytest
from celery import current_app
from django.core.management import call_command
from django.urls import reverse

from exerati.lib import ids
from exerati.urls import dashboard_patterns
from tests import factories

ROOT = Path(__file__).resolve().parent.parent
APPS = ("accounts", "apikeys", "billing", "gateway", "exerati")
SOURCES = [
    path
    for app in APPS
    for path in sorted((ROOT / app).rglob("*.py"))
    if "migrations" not in path.parts
]
DOORS = [path for path in SOURCES if path.name in ("views.py", "api.py")]
ENQUEUED = re.compile(r'enqueue\(\s*"([^"]+)"')

# Pages whose address names no organization, and deeds that only a POST does.
WITHOUT_ORGANIZATION = {"home", "organization_create"}
POST_ONLY = {"key_update", "key_disable", "key_enable", "member_role", "notifications_read"}


def relative(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", DOORS, ids=relative)
def test_views_and_endpoints_reach_rows_through_the_organization_alone(path):
    managers = [
        f"{relative(path)}:{node.lineno}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("objects", "_default_manager")
    ]

    assert managers == []


def test_there_are_views_to_check():
    assert {path.parent.name for path in DOORS} >= {"accounts", "apikeys"}


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_every_task_that_is_enqueued_exists(path):
    current_app.loader.import_default_modules()

    unknown = set(ENQUEUED.findall(path.read_text())) - set(current_app.tasks)

    assert unknown == set()


def test_every_scheduled_task_exists():
    current_app.loader.import_default_modules()

    scheduled = {entry["task"] for entry in current_app.conf.beat_schedule.values()}

    assert scheduled <= set(current_app.tasks)


@pytest.mark.django_db
def test_no_migration_is_missing():
    call_command("makemigrations", "--check", "--dry-run", stdout=io.StringIO())


def organization_pages():
    return [
        pattern.name for pattern in dashboard_patterns if pattern.name not in WITHOUT_ORGANIZATION
    ]


@pytest.fixture
def page_url(acme, acme_key):
    """Return a function that fills the address of a page of acme with ids that exist."""
    event = factories.make_usage_event(acme_key.key)
    members = acme.memberships.get().public_id
    public_ids = {
        "request": f"req_{ids.encode(event.request_id)}",
        "member_role": members,
        "member_remove": members,
    }

    def fill(name):
        [pattern] = [pattern for pattern in dashboard_patterns if pattern.name == name]
        values = {"slug": acme.slug, "public_id": public_ids.get(name, acme_key.key.public_id)}
        wanted = set(pattern.pattern.converters)
        return reverse(f"dashboard:{name}", kwargs={key: values[key] for key in wanted})

    return fill


@pytest.mark.parametrize("name", organization_pages())
def test_every_page_of_an_organization_is_open_to_its_owner(name, alice_client, page_url):
    url = page_url(name)

    answers = [alice_client.get(url), alice_client.head(url)]

    assert {answer.status_code for answer in answers} == {405 if name in POST_ONLY else 200}


@pytest.mark.parametrize("name", organization_pages())
def test_every_page_of_an_organization_is_not_there_for_an_outsider(name, charlie_client, page_url):
    answers = [charlie_client.get(page_url(name)), charlie_client.post(page_url(name))]

    assert {answer.status_code for answer in answers} <= {404, 405}
    assert 404 in {answer.status_code for answer in answers}


@pytest.mark.parametrize("name", organization_pages())
def test_every_page_of_an_organization_asks_a_visitor_to_sign_in(name, client, page_url):
    url = page_url(name)

    answers = [client.get(url), client.post(url)]

    assert {answer.status_code for answer in answers} <= {302, 405}
    sent_to = [answer["Location"] for answer in answers if answer.status_code == 302]
    assert sent_to
    assert all(location.startswith("/login?next=") for location in sent_to)
