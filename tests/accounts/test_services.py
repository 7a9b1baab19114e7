"""Organizations and members: what is made together, and who must stay."""

import threading

import pytest
from django.db import connection

from accounts import services
from accounts.models import AuditEvent, Membership, Organization
from tests import factories

pytestmark = pytest.mark.django_db
Role = Membership.Role


def test_an_organization_comes_with_owner_project_and_audit_event(alice):
    organization = services.create_organization(name="Acme, Inc.", owner=alice)

    assert organization.slug == "acme-inc"
    assert organization.memberships.get().role == Role.OWNER
    assert organization.projects.get().is_default
    assert organization.audit_events.get().action == "organization.created"


@pytest.mark.parametrize(
    ("name", "slugs"),
    [
        ("Acme", ["acme", "acme-2", "acme-3"]),
        ("New", ["new-2", "new-3", "new-4"]),
        ("日本", ["organization", "organization-2", "organization-3"]),
        ("x" * 120, ["x" * 50, "x" * 50 + "-2", "x" * 50 + "-3"]),
    ],
)
def test_each_organization_gets_an_address_of_its_own(name, slugs):
    made = [factories.make_organization(name).slug for _ in slugs]

    assert made == slugs


@pytest.mark.django_db(transaction=True)
def test_organizations_of_one_name_made_at_once_get_different_addresses():
    owners = [factories.make_user() for _ in range(4)]

    def make(owner):
        services.create_organization(name="Acme", owner=owner)
        connection.close()

    threads = [threading.Thread(target=make, args=[owner]) for owner in owners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    slugs = set(Organization.objects.values_list("slug", flat=True))
    assert slugs == {"acme", "acme-2", "acme-3", "acme-4"}


def test_the_last_owner_can_neither_leave_nor_step_down(acme, alice):
    membership = acme.memberships.get(user=alice)

    with pytest.raises(services.LastOwner):
        services.remove_member(membership, actor=alice)
    with pytest.raises(services.LastOwner):
        services.change_role(membership, role=Role.VIEWER, actor=alice)

    assert acme.memberships.get(user=alice).role == Role.OWNER


@pytest.mark.django_db(transaction=True)
def test_two_owners_who_leave_at_once_leave_one_owner(acme, alice):
    other = factories.make_user()
    services.add_member(acme, user=other, role=Role.OWNER, actor=alice)
    refused = []

    def leave(membership):
        try:
            services.remove_member(membership, actor=membership.user)
        except services.LastOwner:
            refused.append(membership)
        connection.close()

    memberships = list(acme.memberships.select_related("user", "organization"))
    threads = [threading.Thread(target=leave, args=[membership]) for membership in memberships]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert acme.memberships.count() == len(refused) == 1


def test_a_change_of_role_and_a_removal_are_audited(acme, alice, bob):
    membership = acme.memberships.get(user=bob)

    services.change_role(membership, role=Role.BILLING, actor=alice)
    services.remove_member(membership, actor=alice)

    events = AuditEvent.objects.filter(organization=acme).order_by("-pk")[:2]
    assert [event.action for event in events] == ["member.removed", "member.role_changed"]
    assert events[1].details == {"member": bob.email, "from": "developer", "to": "billing"}


def test_keys_of_a_removed_member_go_on_working(acme, alice, bob, acme_key):
    services.remove_member(acme.memberships.get(user=bob), actor=alice)

    acme_key.key.refresh_from_db()
    assert acme_key.key.revoked_at is None
