"""Ownership, leaving, the second factor for all, spend by member, and the audit log."""

import csv

import pytest
from allauth.mfa.models import Authenticator
from django.urls import reverse
from django.utils import timezone

from accounts import audit, services
from accounts.models import Membership
from apikeys import services as key_services
from billing.models import UsageRollup
from tests import factories
from tests.cast import signed_in

pytestmark = pytest.mark.django_db
Role = Membership.Role


def url_of(name, organization, *arguments):
    return reverse(f"dashboard:{name}", args=[organization.slug, *arguments])


def give_second_factor(user):
    Authenticator.objects.create(user=user, type=Authenticator.Type.TOTP, data={"secret": "x"})


def test_an_owner_hands_the_organization_over(alice, alice_client, acme, bob):
    alice_client.post(url_of("member_owner", acme, acme.memberships.get(user=bob).public_id))

    roles = {member.user: member.role for member in acme.memberships.all()}
    assert roles == {alice: Role.ADMIN, bob: Role.OWNER}


@pytest.mark.django_db(transaction=True)
def test_who_owns_it_from_now_on_is_mailed_to_the_new_and_the_present_owners(
    alice, alice_client, acme, bob, mailoutbox
):
    alice_client.post(url_of("member_owner", acme, acme.memberships.get(user=bob).public_id))

    told = {mail.to[0]: mail for mail in mailoutbox}
    assert set(told) == {alice.email, bob.email}
    assert told[bob.email].subject == "You own Acme on Exerati now"
    assert (
        f"{alice.email} made you an owner of Acme. {alice.email} is Admin now."
        in told[bob.email].body
    )
    assert f"You made {bob.email} an owner of Acme. You are Admin now." in told[alice.email].body
    assert url_of("team", acme) in told[bob.email].body


def test_the_audit_log_tells_who_was_what_and_is_what(alice_client, acme, bob):
    alice_client.post(url_of("member_owner", acme, acme.memberships.get(user=bob).public_id))

    rows = alice_client.get(url_of("audit", acme)).context["rows"]

    assert rows[1].changes == [("member", "", bob.email), ("", "developer", "owner")]


def test_the_page_of_the_handover_warns_of_a_missing_second_factor(alice_client, acme, bob):
    address = url_of("member_owner", acme, acme.memberships.get(user=bob).public_id)
    assert "no second factor" in alice_client.get(address).content.decode()

    give_second_factor(bob)

    assert "no second factor" not in alice_client.get(address).content.decode()


def test_nobody_but_an_owner_hands_it_over(alice, acme, bob):
    services.change_role(acme.memberships.get(user=bob), role=Role.ADMIN, actor=alice)
    target = acme.memberships.get(user=bob).public_id

    answer = signed_in(bob).post(url_of("member_owner", acme, target))

    assert answer.status_code == 403
    assert acme.memberships.get(user=alice).role == Role.OWNER


@pytest.mark.parametrize("role", ["viewer", "developer", "admin"])
def test_every_member_may_leave(acme, alice, bob, role):
    services.change_role(acme.memberships.get(user=bob), role=role, actor=alice)

    answer = signed_in(bob).post(url_of("leave", acme))

    assert answer["Location"] == "/dashboard/"
    assert not acme.memberships.filter(user=bob).exists()


def test_b12_an_admin_who_is_demoted_or_removed_has_lost_the_right_at_the_next_request(
    alice, acme, bob
):
    membership = acme.memberships.get(user=bob)
    services.change_role(membership, role=Role.ADMIN, actor=alice)
    browser = signed_in(bob)  # one session from here on

    statuses = [browser.get(url_of("settings", acme)).status_code]
    services.change_role(membership, role=Role.VIEWER, actor=alice)
    statuses.append(browser.get(url_of("settings", acme)).status_code)
    statuses.append(browser.get(url_of("team", acme)).status_code)
    services.remove_member(membership, actor=alice)
    statuses.append(browser.get(url_of("team", acme)).status_code)

    assert statuses == [200, 403, 200, 404]


def test_the_last_owner_cannot_leave(alice_client, alice, acme):
    page = alice_client.get(url_of("leave", acme)).content.decode()
    assert "alice@acme.example is the only one" in page
    assert "Leave the organization" not in page

    answer = alice_client.post(url_of("leave", acme), follow=True)

    assert "needs an owner" in answer.content.decode()
    assert acme.memberships.filter(user=alice).exists()


def test_members_without_a_second_factor_see_no_page_until_they_have_one(alice, acme, bob):
    give_second_factor(alice)
    signed_in(alice).post(url_of("second_factor", acme), {"required": "on"})
    client, url = signed_in(bob), url_of("team", acme)

    before = client.get(url)
    give_second_factor(bob)
    after = client.get(url)

    assert (before.status_code, after.status_code) == (403, 200)
    assert reverse("mfa_index") in before.content.decode()
    assert "alice@acme.example" not in before.content.decode()


def test_recovery_codes_alone_are_no_second_factor(alice, acme, bob):
    services.require_second_factor(acme, is_required=True, actor=alice)
    Authenticator.objects.create(user=bob, type=Authenticator.Type.RECOVERY_CODES, data={})

    assert signed_in(bob).get(url_of("team", acme)).status_code == 403


def test_who_has_no_second_factor_cannot_require_it_of_others(alice_client, acme):
    answer = alice_client.post(url_of("second_factor", acme), {"required": "on"})

    assert answer["Location"] == reverse("mfa_index")
    acme.refresh_from_db()
    assert acme.mfa_required_at is None


def test_it_can_be_made_optional_again(alice, acme):
    give_second_factor(alice)
    client = signed_in(alice)
    for wanted in ("on", "off"):
        client.post(url_of("second_factor", acme), {"required": wanted})

    acme.refresh_from_db()
    assert acme.mfa_required_at is None
    told = acme.audit_events.filter(action__startswith="organization.second_factor")
    assert told.count() == 2


def test_the_team_page_tells_what_the_keys_of_each_member_were_charged(alice_client, acme, bob):
    key = key_services.create_key(acme, name="bob's", mode="live", created_by=bob).key
    others = factories.make_api_key(acme).key
    for spender, charge in ((key, 2_340_000_000), (key, 1_000_000_000), (others, 7_000_000_000)):
        UsageRollup.objects.create(
            hour=timezone.now().replace(minute=0, second=0, microsecond=0),
            organization=acme,
            project=spender.project,
            key=spender,
            model=f"model {charge}",
            mode="live",
            charge_nanousd=charge,
        )

    page = alice_client.get(url_of("team", acme)).content.decode()

    assert "$3.34" in page
    assert "$10.34" not in page


def test_the_team_page_asks_the_same_number_of_queries_for_any_number_of_members(
    alice_client, acme, django_assert_max_num_queries
):
    for _ in range(12):
        services.add_member(acme, user=factories.make_user(), role=Role.VIEWER, actor=None)

    with django_assert_max_num_queries(18):
        alice_client.get(url_of("team", acme))


def test_the_audit_log_is_filtered_and_read_a_page_at_a_time(alice, alice_client, acme):
    for number in range(60):
        key_services.create_key(acme, name=f"key {number}", mode="test", created_by=alice)
    url = url_of("audit", acme)

    first = alice_client.get(url, {"action": "key.created"}).context
    second = alice_client.get(url + first["older_url"]).context
    nothing = alice_client.get(url, {"actor": "nobody@example.com"}).context

    rows = (*first["rows"], *second["rows"])
    names = [after for row in rows for what, _, after in row.changes if what == "name"]
    assert names == [f"key {number}" for number in range(59, -1, -1)]
    assert second["older_url"] == ""
    assert nothing["rows"] == []


def test_the_audit_log_is_an_exact_csv_without_formulas(alice, alice_client, acme):
    key_services.create_key(acme, name="=1+1", mode="test", created_by=alice)

    answer = alice_client.get(url_of("audit_csv", acme), {"action": "key.created"})

    text = b"".join(answer.streaming_content).decode()
    [head, row] = list(csv.reader(text.splitlines()))
    assert head == ["time", "who", "action", "target", "details"]
    assert (row[1], row[2]) == ("alice@acme.example", "key.created")
    assert not any(cell.startswith("=") for cell in row)


def test_a_developer_reads_no_audit_log(bob_client, acme):
    for name in ("audit", "audit_csv"):
        assert bob_client.get(url_of(name, acme)).status_code == 403


def test_a_place_that_is_none_shows_the_newest(alice_client, acme):
    answer = alice_client.get(url_of("audit", acme), {"before": "9999-99-99_x\x00"})

    assert answer.status_code == 200


def test_amounts_in_the_audit_log_are_in_dollars(alice, alice_client, acme):
    key = factories.make_api_key(acme, budget_day_nanousd=2_500_000_000).key
    rules = key_services.KeyRules(budget_day_nanousd=None)
    key_services.update_key(key, name=key.name, rules=rules, actor=alice)

    [row] = alice_client.get(url_of("audit", acme), {"action": "key.changed"}).context["rows"]

    assert row.changes == [("budget day", "$2.5", "none")]


def test_the_audit_log_tells_cents_in_dollars_and_a_secret_by_its_end(alice, alice_client, acme):
    details = {"net_cents": 1050, "old_last4": "x7Qa"}
    audit.record(acme, action="key.rotated", actor=alice, target="key_1", details=details)

    [row] = alice_client.get(url_of("audit", acme), {"action": "key.rotated"}).context["rows"]

    assert row.changes == [("net", "", "$10.5"), ("old secret ends with", "", "x7Qa")]
