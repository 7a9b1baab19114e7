"""Roles, and who gets past the door of an organization's page."""

import pytest
from django.urls import reverse

from accounts.models import Membership
from accounts.permissions import Action, allows

Role = Membership.Role
MAY = {
    Action.VIEW: set(Role),
    Action.CALL_MODELS: {Role.OWNER, Role.ADMIN, Role.DEVELOPER},
    Action.READ_BODIES: {Role.OWNER, Role.ADMIN, Role.DEVELOPER},
    Action.MANAGE_KEYS: {Role.OWNER, Role.ADMIN, Role.DEVELOPER},
    Action.MANAGE_BILLING: {Role.OWNER, Role.ADMIN, Role.BILLING},
    Action.MANAGE_MEMBERS: {Role.OWNER, Role.ADMIN},
    Action.READ_AUDIT: {Role.OWNER, Role.ADMIN},
    Action.MANAGE_OWNERS: {Role.OWNER},
    Action.MANAGE_ORGANIZATION: {Role.OWNER, Role.ADMIN},
}


@pytest.mark.parametrize("action", list(Action))
@pytest.mark.parametrize("role", list(Role))
def test_each_role_may_do_what_the_table_says(role, action):
    assert allows(role, action) == (role in MAY[action])


@pytest.mark.parametrize("role", ["", "root", "OWNER"])
def test_an_unknown_role_may_nothing(role):
    assert not any(allows(role, action) for action in Action)


def test_a_member_without_the_right_is_told_which_role_has_it(bob_client, acme):
    answer = bob_client.get(reverse("dashboard:settings", args=[acme.slug]))

    page = answer.content.decode()
    assert answer.status_code == 403
    assert "Only Owner or Admin can change the organization&#x27;s settings" in page
    assert "you are Developer" in page


def test_a_stranger_cannot_tell_an_organization_from_none(charlie_client, acme):
    existing = charlie_client.get(reverse("dashboard:team", args=[acme.slug]))
    missing = charlie_client.get(reverse("dashboard:team", args=["no-such-organization"]))

    assert existing.status_code == missing.status_code == 404


@pytest.mark.django_db
def test_an_anonymous_visitor_comes_back_after_signing_in(client):
    answer = client.get(reverse("dashboard:team", args=["acme"]))

    assert answer.status_code == 302
    assert answer["Location"] == "/login?next=/dashboard/acme/team/"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("referer", "back"),
    [
        ("http://testserver/dashboard/acme/team/?q=1", "/dashboard/acme/team/%3Fq%3D1"),
        ("http://evil.example/x", "/dashboard/acme/"),
        ("", "/dashboard/acme/"),
    ],
)
def test_who_sends_a_form_after_the_session_ended_comes_back_to_the_page_of_the_form(
    client, referer, back
):
    """The address of a form is no page: whoever came back to it would see nothing."""
    address = reverse("dashboard:invite", args=["acme"])

    answer = client.post(address, headers={"referer": referer} if referer else {})

    assert answer.status_code == 302
    assert answer["Location"] == f"/login?next={back}"
    page = client.get(answer["Location"]).content.decode()
    assert "so nothing was changed" in page
