"""Projects: made, changed, capped and archived, and what their pages say."""

import pytest
from django.urls import reverse

from apikeys import services
from exerati.lib import money
from tests import factories

pytestmark = pytest.mark.django_db


def url_of(name, organization, *arguments):
    return reverse(f"dashboard:{name}", args=[organization.slug, *arguments])


def make(client, acme, **typed):
    fields = {"name": "Research", "colour": "blue", "budget_month_nanousd": "25", **typed}
    return client.post(url_of("project_create", acme), fields)


def test_a_project_is_made_with_its_colour_and_caps_and_audited(alice, alice_client, acme):
    make(alice_client, acme)

    project = acme.projects.get(name="Research")
    assert (project.colour, project.budget_month_nanousd) == ("blue", money.parse_usd("25"))
    assert acme.audit_events.get(action="project.created").actor == alice


def test_a_name_that_is_taken_comes_back_with_an_error(alice_client, acme):
    make(alice_client, acme)

    answer = make(alice_client, acme)

    assert answer.status_code == 422
    assert "Another project has this name." in answer.content.decode()
    assert acme.projects.count() == 2


def test_a_change_is_stored_and_the_trail_tells_from_what_to_what(alice_client, acme):
    make(alice_client, acme)
    project = acme.projects.get(name="Research")

    alice_client.post(
        url_of("project_update", acme, project.public_id),
        {"name": "Lab", "colour": "pink", "budget_month_nanousd": ""},
    )

    project.refresh_from_db()
    assert (project.name, project.colour, project.budget_month_nanousd) == ("Lab", "pink", None)
    changed = acme.audit_events.get(action="project.changed").details
    assert changed["name"] == {"from": "Research", "to": "Lab"}


def test_a_project_with_a_working_key_is_not_archived(alice_client, acme, alice):
    make(alice_client, acme)
    project = acme.projects.get(name="Research")
    key = services.create_key(acme, name="one", mode="live", created_by=alice, project=project).key
    url = url_of("project_archive", acme, project.public_id)

    refused = alice_client.post(url, follow=True).content.decode()
    services.revoke_key(key, actor=alice)
    alice_client.post(url)

    assert "Revoke its keys first" in refused
    project.refresh_from_db()
    assert project.archived_at is not None


def test_the_default_project_stays(alice_client, acme):
    default = acme.projects.get(is_default=True)

    alice_client.post(url_of("project_archive", acme, default.public_id))

    default.refresh_from_db()
    assert default.archived_at is None


def test_an_archived_project_comes_back_once(alice_client, acme):
    make(alice_client, acme)
    project = acme.projects.get(name="Research")
    alice_client.post(url_of("project_archive", acme, project.public_id))
    url = url_of("project_restore", acme, project.public_id)
    assert url in alice_client.get(url_of("project", acme, project.public_id)).content.decode()

    for _ in range(2):
        alice_client.post(url)

    project.refresh_from_db()
    assert project.archived_at is None
    events = acme.audit_events.filter(target=project.public_id).order_by("pk")
    assert [one.action for one in events][1:] == ["project.archived", "project.restored"]


def test_the_address_chooses_project_and_mode_of_a_new_key(alice_client, acme):
    make(alice_client, acme)
    chosen = acme.projects.get(name="Research").public_id

    answer = alice_client.get(url_of("key_create", acme), {"project": chosen, "mode": "test"})

    form = answer.context["form"]
    assert (form["project"].value(), form["mode"].value()) == (chosen, "test")
    assert f'<option value="{chosen}" selected>' in answer.content.decode()


def test_an_archived_project_takes_no_new_key(alice_client, acme):
    make(alice_client, acme)
    make(alice_client, acme, name="Old")
    old = acme.projects.get(name="Old")
    alice_client.post(url_of("project_archive", acme, old.public_id))
    listed = alice_client.get(url_of("projects", acme)).context["projects"]
    assert [one.name for one in listed] == ["Default", "Research", "Old"]

    form = alice_client.get(url_of("key_create", acme)).content.decode()

    assert old.public_id not in form
    assert acme.projects.get(name="Research").public_id in form


def test_the_pages_show_caps_and_keys(alice_client, acme):
    make(alice_client, acme)
    factories.make_api_key(acme, name="prod-api")
    default = acme.projects.get(is_default=True)

    listed = alice_client.get(url_of("projects", acme)).content.decode()
    shown = alice_client.get(url_of("project", acme, default.public_id)).content.decode()

    assert "$25.00" in listed
    assert "prod-api" in shown


def test_the_list_asks_the_same_number_of_queries_for_any_number_of_projects(
    alice_client, acme, django_assert_max_num_queries
):
    for number in range(12):
        make(alice_client, acme, name=f"Project {number}")

    with django_assert_max_num_queries(14):
        alice_client.get(url_of("projects", acme))
