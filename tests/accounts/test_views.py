"""The dashboard's root, team and settings pages."""

import pytest
from django.urls import reverse

from accounts import services
from accounts.models import Membership
from tests import factories
from tests.cast import signed_in

pytestmark = pytest.mark.django_db
Role = Membership.Role


def member_url(name, membership):
    return reverse(f"dashboard:{name}", args=[membership.organization.slug, membership.public_id])


def test_the_root_leads_to_the_organization_visited_last(alice, alice_client, acme):
    other = factories.make_organization("Zeta", owner=alice)
    first = alice_client.get("/dashboard/")["Location"]

    alice_client.get(reverse("dashboard:team", args=[other.slug]))
    then = alice_client.get("/dashboard/")["Location"]

    assert (first, then) == ("/dashboard/acme/", "/dashboard/zeta/")


def test_who_belongs_to_no_organization_may_make_one():
    user = factories.make_user()
    client = signed_in(user)

    offered = client.get("/dashboard/", follow=True)
    client.post(reverse("dashboard:organization_create"), {"organization": "Hooli"})

    assert offered.status_code == 200
    assert offered.redirect_chain[-1][0] == "/dashboard/new/"
    assert user.memberships.get().organization.name == "Hooli"


def test_an_owner_changes_a_role(alice_client, acme, bob):
    membership = acme.memberships.get(user=bob)

    alice_client.post(member_url("member_role", membership), {"role": "billing"})

    membership.refresh_from_db()
    assert membership.role == Role.BILLING


def test_an_admin_can_neither_make_nor_change_an_owner(acme, alice, bob):
    services.change_role(acme.memberships.get(user=bob), role=Role.ADMIN, actor=alice)
    client = signed_in(bob)
    own, owners = acme.memberships.get(user=bob), acme.memberships.get(user=alice)

    answers = [
        client.post(member_url("member_role", own), {"role": "owner"}),
        client.post(member_url("member_role", owners), {"role": "viewer"}),
        client.post(member_url("member_remove", owners)),
    ]

    assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert {membership.role for membership in acme.memberships.all()} == {"owner", "admin"}


def test_a_developer_changes_nobody(bob, bob_client, acme):
    answer = bob_client.post(
        member_url("member_role", acme.memberships.get(user=bob)), {"role": "admin"}
    )

    assert answer.status_code == 403


def test_a_member_of_another_organization_is_out_of_reach(alice_client, acme, globex):
    foreign = globex.memberships.get()
    url = reverse("dashboard:member_remove", args=[acme.slug, foreign.public_id])

    assert alice_client.post(url).status_code == 404
    assert globex.memberships.exists()


def test_the_last_owner_is_asked_to_name_another_one(alice_client, acme):
    answer = alice_client.post(member_url("member_remove", acme.memberships.get()), follow=True)

    assert "needs an owner" in answer.content.decode()


def test_settings_are_stored_and_audited(alice_client, acme):
    url = reverse("dashboard:settings", args=[acme.slug])
    typed = {
        "name": "Acme 2",
        "time_zone": "Europe/Berlin",
        "week_start": "7",
        "month_day": "15",
        "leaked_keys": "tell",
    }

    alice_client.post(url, typed)

    acme.refresh_from_db()
    assert (acme.name, acme.time_zone) == ("Acme 2", "Europe/Berlin")
    assert (acme.week_start, acme.month_day) == (7, 15)
    event = acme.audit_events.get(action="organization.changed")
    assert event.details["time_zone"] == {"from": "UTC", "to": "Europe/Berlin"}


@pytest.mark.parametrize("day", ["0", "29", "", "x"])
def test_a_month_begins_on_a_day_that_every_month_has(alice_client, acme, day):
    url = reverse("dashboard:settings", args=[acme.slug])
    typed = {
        "name": "A",
        "time_zone": "UTC",
        "week_start": "1",
        "month_day": day,
        "leaked_keys": "disable",
    }

    answer = alice_client.post(url, typed)

    assert answer.status_code == 422
    assert answer.context["form"].errors.keys() == {"month_day"}
    acme.refresh_from_db()
    assert acme.month_day == 1


def test_a_time_zone_that_is_none_is_refused(alice_client, acme):
    url = reverse("dashboard:settings", args=[acme.slug])
    typed = {
        "name": "A",
        "time_zone": "Mars/Base",
        "week_start": "1",
        "month_day": "1",
        "leaked_keys": "disable",
    }

    answer = alice_client.post(url, typed)

    assert answer.status_code == 422
    acme.refresh_from_db()
    assert (acme.name, acme.time_zone) == ("Acme", "UTC")
