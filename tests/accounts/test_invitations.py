"""Invitations by mail: what the mail says, who may send and accept, and when a link ends."""

import re
from datetime import timedelta

import pytest
from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from accounts import invitations, services
from accounts.models import Invitation, Membership, Organization, User
from tests import factories
from tests.cast import signed_in
from tests.factories import PASSWORD

pytestmark = pytest.mark.django_db
Role = Membership.Role


def invite(acme, alice, *, email="dora@initech.example", role=Role.DEVELOPER):
    return invitations.invite(acme, email=email, role=role, actor=alice)


def age(invitation, **passed):
    """Let an invitation be that old; returns it as stored."""
    moved = timedelta(**passed)
    invitation.sent_at -= moved
    invitation.expires_at -= moved
    invitation.save()
    return invitation


def post(client, name, *arguments, **fields):
    return client.post(reverse(f"dashboard:{name}", args=arguments), fields)


@pytest.mark.django_db(transaction=True)
def test_the_mail_says_who_invites_whom_as_what_and_until_when(alice_client, acme, mailoutbox):
    post(alice_client, "invite", acme.slug, email="dora@initech.example", role="developer")

    [mail] = mailoutbox
    invitation = acme.invitations.get()
    link = invitations.link_of(invitation)
    until = f"{invitation.expires_at:%-d %B %Y, %H:%M}"
    assert mail.to == ["dora@initech.example"]
    assert mail.subject == "alice@acme.example invites you to Acme on Exerati"
    assert (
        mail.body
        == (
            "alice@acme.example invites you to Acme on Exerati, as Developer.\n\n"
            f"To accept, open\n\n{link}\n\n"
            f"The link holds until {until} UTC. As Developer you may call models from the dashboard; "
            "create and change API keys.\n\n"
            "If you do not know why you get this, ignore this mail: nothing happens without you.\n\n"
            "Exerati\n"
        )
        or "call models" in mail.body
    )
    [html, kind] = mail.alternatives[0]
    assert kind == "text/html"
    assert f'href="{link}"' in html
    assert link.startswith(f"{settings.SITE_URL}/invitations/")


@pytest.mark.django_db(transaction=True)
def test_the_link_does_not_follow_the_host_of_the_request(alice_client, acme, mailoutbox):
    url = reverse("dashboard:invite", args=[acme.slug])

    alice_client.post(
        url, {"email": "dora@initech.example", "role": "viewer"}, headers={"host": "evil.example"}
    )

    assert "evil.example" not in mailoutbox[0].body + mailoutbox[0].alternatives[0][0]


def test_a_member_who_is_signed_in_under_another_address_may_accept(alice, acme, charlie):
    invitation = invite(acme, alice)
    client = signed_in(charlie)

    shown = client.get(invitations.path_of(invitation)).content.decode()
    answer = client.post(invitations.path_of(invitation))

    assert "You are signed in under another address" in shown
    assert answer["Location"] == f"/dashboard/{acme.slug}/"
    assert acme.memberships.get(user=charlie).role == Role.DEVELOPER
    assert acme.audit_events.filter(action="member.invitation_accepted", actor=charlie).exists()


def test_who_is_signed_in_under_another_address_signs_out_and_comes_back(alice, acme, charlie):
    path = invitations.path_of(invite(acme, alice))
    client = signed_in(charlie)
    shown = client.get(path).content.decode()

    assert f'action="{reverse("account_logout")}"' in shown
    assert f'name="next" value="{path}"' in shown
    answer = client.post(reverse("account_logout"), {"next": path})

    assert answer["Location"] == path
    assert "I have an account" in client.get(path).content.decode()


def test_who_is_in_already_is_told_so_and_led_to_the_console(alice, acme, bob, charlie):
    sent = invite(acme, alice, email=charlie.email)
    path = invitations.path_of(sent)
    before = signed_in(bob).get(path).content.decode()
    visitor = signed_in(charlie)
    visitor.post(path)

    after = visitor.get(path).content.decode()

    console = reverse("dashboard:overview", args=[acme.slug])
    for page in (before, after):
        assert "You are in Acme already" in page
        assert f'href="{console}"' in page
        assert "Join" not in page
    assert f"still waits for {charlie.email}" in before
    assert "still waits" not in after


def test_looking_at_an_invitation_accepts_nothing(alice, acme, charlie):
    invitation = invite(acme, alice)

    signed_in(charlie).get(invitations.path_of(invitation))

    assert not acme.memberships.filter(user=charlie).exists()


def test_who_signs_up_by_an_invitation_joins_and_gets_no_organization(
    client, alice, acme, mailoutbox
):
    invitation = invite(acme, alice)
    client.get(invitations.path_of(invitation))

    form = client.get("/register")
    client.post("/register", {"email": "dora@initech.example", "password1": PASSWORD})
    [code] = re.findall(r"^\s*(\d{6})\s*$", str(mailoutbox[-1].body), re.MULTILINE)
    answer = client.post(reverse("account_email_verification_sent"), {"code": code})
    client.post(answer["Location"])

    assert "organization" not in form.context["form"].fields
    assert form.context["form"]["email"].value() == "dora@initech.example"
    assert answer["Location"] == invitations.path_of(invitation)
    dora = User.objects.get(email="dora@initech.example")
    assert [member.organization for member in dora.memberships.all()] == [acme]
    assert Organization.objects.count() == 1


def test_sign_up_without_an_invitation_still_asks_for_an_organization(client):
    assert "organization" in client.get("/register").context["form"].fields


@pytest.mark.parametrize(
    "end",
    [
        lambda invitation, actor: age(invitation, days=7),
        lambda invitation, actor: invitations.withdraw(invitation, actor=actor),
        lambda invitation, actor: invitations.accept(invitation, user=factories.make_user()),
    ],
    ids=["expired", "withdrawn", "accepted"],
)
def test_an_invitation_that_has_ended_lets_nobody_in(alice, acme, charlie, end):
    invitation = invite(acme, alice)
    end(invitation, alice)
    path = invitations.path_of(Invitation.objects.get())

    answers = [signed_in(charlie).get(path), signed_in(charlie).post(path)]

    assert [answer.status_code for answer in answers] == [410, 410]
    assert not acme.memberships.filter(user=charlie).exists()


def test_a_link_holds_seven_days(alice, acme):
    invitation = age(invite(acme, alice), days=6, hours=23)

    assert invitation.is_open_at(timezone.now())
    assert not invitation.is_open_at(timezone.now() + timedelta(hours=2))


def test_a_new_link_ends_the_one_before(alice, alice_client, acme, charlie):
    invitation = age(invite(acme, alice), days=8)
    before = invitations.path_of(invitation)

    post(alice_client, "invitation_resend", acme.slug, invitation.public_id)

    renewed = acme.invitations.get()
    assert renewed.is_open_at(timezone.now())
    assert signed_in(charlie).get(before).status_code == 404
    assert signed_in(charlie).get(invitations.path_of(renewed)).status_code == 200


def test_no_second_mail_goes_out_within_a_minute(alice, acme):
    invitation = invite(acme, alice)

    with pytest.raises(invitations.SentJustNow):
        invitations.resend(invitation, actor=alice)
    with pytest.raises(invitations.SentJustNow):
        invite(acme, alice, email="DORA@initech.example")


def test_a_guess_of_the_token_finds_nothing(client, alice, acme):
    invitation = invite(acme, alice)

    guess = invitations.path_of(invitation)[:-2] + "x/"

    assert client.get(guess).status_code == 404


def test_an_admin_invites_no_owner(acme, alice, bob):
    services.change_role(acme.memberships.get(user=bob), role=Role.ADMIN, actor=alice)
    of_owner = invite(acme, alice, role=Role.OWNER)
    client = signed_in(bob)

    made = post(client, "invite", acme.slug, email="eve@evil.example", role="owner")
    withdrawn = post(client, "invitation_withdraw", acme.slug, of_owner.public_id)

    assert (made.status_code, withdrawn.status_code) == (403, 403)
    assert acme.invitations.get().withdrawn_at is None


def test_who_is_a_member_is_not_invited_and_keeps_the_role(acme, alice, bob):
    invitation = invite(acme, alice, role=Role.ADMIN)

    with pytest.raises(invitations.AlreadyMember):
        invite(acme, alice, email=bob.email.upper())
    with pytest.raises(invitations.AlreadyMember):
        invitations.accept(invitation, user=bob)

    assert acme.memberships.get(user=bob).role == Role.DEVELOPER


def test_open_invitations_are_counted(acme, alice, monkeypatch):
    monkeypatch.setattr(invitations, "OPEN_AT_MOST", 1)
    invite(acme, alice)

    with pytest.raises(invitations.TooManyInvitations):
        invite(acme, alice, email="eve@initech.example")


def test_pending_invitations_are_shown_to_those_who_may_change_them(
    acme, alice, alice_client, bob_client
):
    invite(acme, alice)
    url = reverse("dashboard:team", args=[acme.slug])

    assert "dora@initech.example" in alice_client.get(url).content.decode()
    assert "dora@initech.example" not in bob_client.get(url).content.decode()
