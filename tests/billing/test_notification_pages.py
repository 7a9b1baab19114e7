"""The notifications page: what was told, who has read it, which alerts are wanted, and a key unfrozen by one click."""

import re

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEvent
from apikeys import services as key_services
from apikeys.models import ApiKey, DisabledReason
from billing.alerting import notices
from billing.models import AlertSettings, Notification
from exerati.lib import money
from tests import factories

pytestmark = pytest.mark.django_db
DOLLAR = money.NANOUSD_PER_USD


@pytest.fixture
def frozen(acme_key):
    """Acme's key, frozen."""
    key_services.freeze_key(acme_key.key, reason=DisabledReason.SPIKE, details={})
    return acme_key.key


def notifications(client, query=""):
    return client.get(reverse("dashboard:notifications", args=["acme"]) + query)


def text_of(answer):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def unread(client):
    """Return the number beside the bell, as any page of the dashboard shows it."""
    html = client.get(reverse("dashboard:keys", args=["acme"])).content.decode()
    found = re.search(r'rail-count">(\d+\+?)<', html)
    return found[1] if found else ""


def test_empty_page_says_what_will_be_here(alice_client):
    words = text_of(notifications(alice_client))

    assert "Nothing to tell yet" in words
    assert "50, 80, 90 and 100 %" in words
    assert unread(alice_client) == ""


def test_notification_tells_figures_and_leads_to_the_key(alice_client, acme_key):
    factories.make_notification(acme_key.key)

    answer = notifications(alice_client)

    words = text_of(answer)
    assert "80 % of the monthly budget of the key prod-api is used" in words
    assert "$80.00 of $100.00 is spent." in words
    key_url = reverse("dashboard:key", args=["acme", acme_key.key.public_id])
    assert f'href="{key_url}"' in answer.content.decode()


def test_unread_are_counted_on_every_page_for_each_member_by_itself(
    alice_client, bob_client, acme_key
):
    first, _ = (factories.make_notification(acme_key.key) for _ in range(2))
    assert (unread(alice_client), unread(bob_client)) == ("2", "2")

    url = reverse("dashboard:notifications_read", args=["acme"])
    alice_client.post(url, {"notice": first.public_id})
    alice_client.post(url, {"notice": first.public_id})

    assert (unread(alice_client), unread(bob_client)) == ("1", "2")
    alice_client.post(url)
    assert (unread(alice_client), unread(bob_client)) == ("", "2")
    assert "Mark" not in text_of(notifications(alice_client))


def test_more_than_99_are_not_counted(alice_client, acme_key):
    for _ in range(notices.COUNTED + 2):
        factories.make_notification(acme_key.key)

    assert unread(alice_client) == "99+"


def test_long_lists_have_pages(alice_client, acme_key, monkeypatch):
    monkeypatch.setattr(notices, "PAGE_ROWS", 2)
    made = [factories.make_notification(acme_key.key).public_id for _ in range(5)]
    shown, query = [], ""
    for _ in range(3):
        html = notifications(alice_client, query).content.decode()
        shown += re.findall(r'id="(ntf_\w+)"', html)
        link = re.search(r'href="(\?before=[^"]+)"', html)
        query = link[1] if link else ""

    assert shown == made[::-1]
    assert query == ""


def test_notifications_of_others_are_neither_shown_nor_marked(
    alice_client, charlie_client, globex_key
):
    theirs = factories.make_notification(globex_key.key)

    assert theirs.public_id not in notifications(alice_client).content.decode()
    alice_client.post(
        reverse("dashboard:notifications_read", args=["acme"]), {"notice": theirs.public_id}
    )
    assert theirs.reads.count() == 0


def test_list_is_one_query_however_long(alice_client, acme_key, django_assert_max_num_queries):
    def count():
        with django_assert_max_num_queries(100) as captured:
            notifications(alice_client)
        return len(captured)

    notifications(alice_client)
    factories.make_notification(acme_key.key)
    one = count()
    for _ in range(20):
        factories.make_notification(acme_key.key)

    assert count() == one


def test_frozen_key_is_unfrozen_by_one_click(alice_client, frozen):
    factories.make_notification(
        frozen,
        kind="spike",
        details={
            "name": frozen.name,
            "hour_nanousd": 60 * DOLLAR,
            "usual_nanousd": DOLLAR // 5,
            "frozen": True,
        },
    )
    html = notifications(alice_client).content.decode()
    words = text_of(notifications(alice_client))
    assert "The key prod-api was frozen: it spends far more than usual" in words
    assert "$60.00 in this hour, 300 times its usual of $0.20 an hour." in words
    [action] = re.findall(r'action="([^"]+/enable/)"', html)

    alice_client.post(action)

    key = ApiKey.objects.get(pk=frozen.pk)
    assert (key.disabled_at, key.disabled_reason) == (None, "")
    assert AuditEvent.objects.filter(action="key.enabled", target=key.public_id).exists()
    assert "/enable/" not in notifications(alice_client).content.decode()


def test_page_of_a_frozen_key_says_why(alice_client, frozen):
    words = text_of(alice_client.get(reverse("dashboard:key", args=["acme", frozen.public_id])))

    assert "This key is frozen" in words
    assert "spent far more than usual" in words
    assert "Unfreeze" in words


def test_key_disabled_by_hand_is_not_called_frozen(alice_client, acme_key):
    key_services.disable_key(acme_key.key, actor=None)

    words = text_of(
        alice_client.get(reverse("dashboard:key", args=["acme", acme_key.key.public_id]))
    )

    assert "frozen" not in words


# settings


def settings_url():
    return reverse("dashboard:alert_settings", args=["acme"])


def test_settings_begin_with_everything_on_and_nothing_frozen(alice_client):
    form = alice_client.get(settings_url()).context["form"]

    assert form.initial["thresholds"] == [50, 80, 90, 100]
    assert all(form.initial[name] for name in ("budgets", "wallet", "spikes", "by_mail"))
    assert form.initial["freeze_on_spike"] is False


def test_settings_are_stored_with_a_trail(alice_client, acme, alice):
    answer = alice_client.post(
        settings_url(), {"wallet": "on", "thresholds": ["100", "80"], "freeze_on_spike": "on"}
    )

    assert answer.status_code == 302
    stored = AlertSettings.objects.get(organization=acme)
    assert stored.thresholds == [80, 100]
    assert (stored.budgets, stored.wallet, stored.spikes) == (False, True, False)
    assert (stored.by_mail, stored.freeze_on_spike) == (False, True)
    event = AuditEvent.objects.get(action="alerts.changed")
    assert event.actor == alice
    assert event.details["freeze_on_spike"] == {"from": False, "to": True}
    assert "wallet" not in event.details


def test_unknown_threshold_is_refused(alice_client, acme):
    answer = alice_client.post(settings_url(), {"thresholds": ["33"]})

    assert answer.status_code == 422
    assert not AlertSettings.objects.filter(organization=acme).exists()


def test_only_those_who_manage_billing_change_settings(bob_client, acme):
    assert bob_client.get(settings_url()).status_code == 403
    assert bob_client.post(settings_url(), {"budgets": "on"}).status_code == 403
    assert "Alert settings" not in text_of(notifications(bob_client))


def test_viewer_sees_no_button_that_would_be_refused(acme, frozen, client):
    viewer = factories.make_user("viewer@acme.example")
    acme.memberships.create(user=viewer, role="viewer")
    factories.make_notification(
        frozen,
        kind="spike",
        details={"name": "k", "hour_nanousd": 1, "usual_nanousd": 0, "frozen": True},
    )
    client.force_login(viewer, backend="django.contrib.auth.backends.ModelBackend")

    answer = notifications(client)

    assert answer.status_code == 200
    assert "Unfreeze the key" not in text_of(answer)
    assert Notification.objects.get().created_at <= timezone.now()
