"""What an organization is told of a leaked key: one notification and one mail for each place, and the command."""

import io
import json

import pytest
from django.core import mail
from django.core.management import CommandError, call_command
from django.urls import reverse

from accounts import services as account_services
from accounts.models import Membership
from apikeys import leaks
from billing.alerting import leak_notices
from billing.models import AlertSettings, Notification
from tests import factories

pytestmark = pytest.mark.django_db
PLACE = "https://github.com/acme/shop/blob/1f2e/settings.py"


@pytest.fixture
def leaked(acme, alice, bob, acme_key, django_capture_on_commit_callbacks):
    """Acme's key, found in public; it has a developer and a billing member, too, and wants no alerts by mail."""
    payer = factories.make_user("payer@acme.example")
    account_services.add_member(acme, user=payer, role=Membership.Role.BILLING, actor=None)
    AlertSettings.objects.create(organization=acme, by_mail=False)
    with django_capture_on_commit_callbacks(execute=True):
        return leaks.report(acme_key.secret, place=PLACE, source="a secret scanner (commit)")


def test_owners_and_admins_get_one_mail_whatever_is_set(leaked, alice):
    leak_notices.tell(leaked.pk)

    assert Notification.objects.count() == 1
    [sent] = mail.outbox
    assert sent.to == [alice.email]
    assert sent.subject == "Acme: The key prod-api was found in public"
    assert PLACE in sent.body
    assert "disabled" in sent.body
    assert "whatever your settings say" in sent.body


def test_the_notifications_page_leads_to_the_rotation(leaked, alice_client):
    page = alice_client.get(reverse("dashboard:notifications", args=["acme"])).content.decode()

    assert "A secret scanner (commit) found its secret" in page
    assert reverse("dashboard:key_rotate", args=["acme", leaked.key.public_id]) in page


def test_the_overview_tells_of_it_until_it_is_read(leaked, alice_client):
    overview = reverse("dashboard:overview", args=["acme"])
    factories.make_usage_event(leaked.key)
    assert "The key prod-api was found in public" in alice_client.get(overview).content.decode()

    alice_client.post(reverse("dashboard:notifications_read", args=["acme"]))

    assert "was found in public" not in alice_client.get(overview).content.decode()


@pytest.mark.parametrize("done", ["disabled", "limited", "old_ended", "refused", "told"])
def test_each_outcome_has_its_words(leaked, alice_client, done):
    notice = Notification.objects.get()
    notice.details["done"] = done
    notice.save()

    assert alice_client.get(reverse("dashboard:notifications", args=["acme"])).status_code == 200


def run(*words):
    output = io.StringIO()
    call_command("key", "leaked", *words, "--place", PLACE, "--json", stdout=output)
    return json.loads(output.getvalue())


def test_the_command_marks_a_key_by_its_id_or_by_the_secret_on_its_input(acme_key, monkeypatch):
    answer = run(acme_key.key.public_id)
    assert (answer["status"], answer["done"]) == ("disabled", "the key was disabled")

    monkeypatch.setattr("sys.stdin", io.StringIO(f"{acme_key.secret}\n"))
    assert run("-")["id"] == acme_key.key.public_id

    monkeypatch.setattr("sys.stdin", io.StringIO("sk-exr-live-nothing\n"))
    with pytest.raises(CommandError, match="no secret of any key"):
        run("-")
