"""The page of a key's budgets of single models: set, shown, met by the next call, taken away."""

from datetime import timedelta

import msgspec
import pytest
from django.urls import reverse
from django.utils import timezone

from apikeys import services
from apikeys.models import KeyModelBudget
from billing import raises
from billing.models import BudgetRaise
from tests import factories
from tests.billing.calls import Payer
from tests.billing.simulator.beginnings import ask
from tests.billing.simulator.play import OWNER, as_json

pytestmark = pytest.mark.django_db
DOLLAR = 10**9


def url_of(key):
    return reverse("dashboard:key_models", args=[key.organization.slug, key.public_id])


def post(client, key, *, cap, model="openai/gpt-4o", period="month"):
    return client.post(url_of(key), {"model": model, "period": period, "cap": cap})


def caps():
    return list(KeyModelBudget.objects.values_list("model", "period", "cap_nanousd"))


def test_budget_is_set_shown_changed_and_taken_away(alice_client, acme_key):
    key = acme_key.key

    assert post(alice_client, key, cap="50").status_code == 302
    assert caps() == [("openai/gpt-4o", "month", 50 * DOLLAR)]
    page = alice_client.get(url_of(key)).content.decode()
    assert "Remove the budget of openai/gpt-4o a month" in page
    assert "$50.00" in page

    post(alice_client, key, cap="20")
    post(alice_client, key, cap="1", period="day")
    assert caps() == [("openai/gpt-4o", "month", 20 * DOLLAR), ("openai/gpt-4o", "day", DOLLAR)]

    post(alice_client, key, cap="")
    assert caps() == [("openai/gpt-4o", "day", DOLLAR)]
    found = key.organization.audit_events.filter(action="key.model_budget_changed")
    assert [event.details for event in found.order_by("occurred_at", "pk")] == [
        {"openai/gpt-4o a month_nanousd": {"from": None, "to": 50 * DOLLAR}},
        {"openai/gpt-4o a month_nanousd": {"from": 50 * DOLLAR, "to": 20 * DOLLAR}},
        {"openai/gpt-4o a day_nanousd": {"from": None, "to": DOLLAR}},
        {"openai/gpt-4o a month_nanousd": {"from": 20 * DOLLAR, "to": None}},
    ]


def test_what_changes_nothing_leaves_no_event(alice_client, acme_key):
    post(alice_client, acme_key.key, cap="")
    post(alice_client, acme_key.key, cap="5")
    post(alice_client, acme_key.key, cap="5.00")

    found = acme_key.key.organization.audit_events.filter(action="key.model_budget_changed")
    assert found.count() == 1


@pytest.mark.parametrize(
    "typed", [{"cap": "-1"}, {"cap": "x"}, {"period": "year"}, {"model": ""}, {"model": "x" * 121}]
)
def test_what_is_no_budget_is_refused(alice_client, acme_key, typed):
    answer = post(alice_client, acme_key.key, **{"cap": "5", **typed})

    assert answer.status_code == 422
    assert caps() == []


def test_revoked_key_keeps_what_it_has(alice_client, acme_key, alice):
    services.revoke_key(acme_key.key, actor=alice)

    assert post(alice_client, acme_key.key, cap="5").status_code == 302
    assert caps() == []


def test_key_of_another_organization_is_not_there(alice_client, acme, globex_key):
    foreign = reverse("dashboard:key_models", args=[acme.slug, globex_key.key.public_id])

    assert alice_client.get(foreign).status_code == 404
    assert post(alice_client, globex_key.key, cap="0").status_code == 404
    assert caps() == []


def test_page_of_the_key_leads_to_it(alice_client, acme_key, acme_test_key):
    for made, has in ((acme_key, True), (acme_test_key, False)):
        url = reverse("dashboard:key", args=[made.key.organization.slug, made.key.public_id])
        assert (url_of(made.key) in alice_client.get(url).content.decode()) == has


def test_next_call_meets_the_budget_and_other_models_do_not(alice_client, acme_key):
    factories.make_credit(acme_key.key.organization)
    post(alice_client, acme_key.key, cap="0.5")
    payer = Payer(acme_key.key.organization, acme_key.key, factories.make_price())
    calls = [payer.call(DOLLAR, model=model) for model in ("openai/gpt-4o", "other/model")]

    [[told]] = ask("SELECT billing_reserve(%s::text::jsonb, %s, 20)::text", as_json(calls), OWNER)

    first, second = msgspec.json.decode(told)
    assert (first["verdict"], first["scope"], first["period"]) == ("over", "key_model", "month")
    assert second["verdict"] == "ok"


def test_raise_for_a_time_is_shown_with_its_end(alice_client, acme_key):
    post(alice_client, acme_key.key, cap="50")
    now = timezone.now()
    raises.raise_cap(
        acme_key.key,
        period=BudgetRaise.Period.MONTH,
        model="openai/gpt-4o",
        extra_nanousd=25 * DOLLAR,
        starts_at=now,
        ends_at=now + timedelta(days=2),
        reason="launch day",
        actor=None,
    )

    page = alice_client.get(url_of(acme_key.key)).content.decode()

    assert "$75.00" in page
    assert "raised by" in page
    assert "$25.00" in page
