"""The request log's filters, live tail, saved views, panel, and what makes a request again."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from apikeys import seats
from billing.models import SavedView
from billing.read_models import request_log
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def price():
    return factories.make_price()


def ids_in(answer):
    return re.findall(r'data-row="(req_\w+)"', answer.content.decode())


def shown(event):
    return request_log.public_id(event.request_id)


def log(client, query="", *, name="requests"):
    return client.get(f"{reverse(f'dashboard:{name}', args=['acme'])}?{query}")


def test_log_is_filtered_by_cost_basis_and_project(alice_client, acme, acme_key, price):
    cheap = factories.make_usage_event(acme_key.key, price=price, charge_nanousd=1_000)
    dear = factories.make_usage_event(
        acme_key.key,
        price=price,
        charge_nanousd=2_000_000_000,
        price_nanousd=2_000_000_000,
        upper_nanousd=3_000_000_000,
    )
    counted = factories.make_usage_event(acme_key.key, price=price, basis="counted")
    other = acme.projects.create(name="Other")
    elsewhere = factories.make_usage_event(acme_key.key, price=price, project=other)

    assert ids_in(log(alice_client, "cost=1")) == [shown(dear)]
    assert ids_in(log(alice_client, "basis=counted")) == [shown(counted)]
    assert ids_in(log(alice_client, f"project={other.public_id}")) == [shown(elsewhere)]
    assert shown(cheap) in ids_in(log(alice_client, "cost=nonsense"))


def test_log_finds_the_ids_of_provider_and_client(alice_client, acme_key, price):
    factories.make_usage_event(acme_key.key, price=price)
    mine = factories.make_usage_event(acme_key.key, price=price, client_request_id="order-7")
    theirs = factories.make_usage_event(acme_key.key, price=price, upstream_id="gen-123")
    refused = factories.make_refusal(acme_key.key, client_request_id="order-8")

    assert ids_in(log(alice_client, "q=order-7")) == [shown(mine)]
    assert ids_in(log(alice_client, "q=gen-123")) == [shown(theirs)]
    assert ids_in(log(alice_client, "q=order-8")) == [shown(refused)]
    assert ids_in(log(alice_client, "q=order-9")) == []


def test_calls_of_sessions_are_a_filter_and_lead_to_no_key(
    alice_client, acme, alice, acme_key, price
):
    project = acme.projects.get()
    seat = seats.take(acme, user=alice, project=project, mode="live")
    played = factories.make_usage_event(seat, price=price)
    factories.make_usage_event(acme_key.key, price=price)

    assert ids_in(log(alice_client, "key=playground")) == [shown(played)]
    page = alice_client.get(reverse("dashboard:request", args=["acme", shown(played)]))
    assert f"Playground, {alice.email}" in page.content.decode()
    assert seat.public_id not in page.content.decode()


def test_tail_brings_what_was_settled_since_and_goes_on_from_there(alice_client, acme_key, price):
    now = timezone.now()
    before = factories.make_usage_event(acme_key.key, price=price, settled_at=now)
    after = (now + timedelta(milliseconds=1)).isoformat().replace("+", "%2B")
    assert log(alice_client, f"after={after}", name="request_tail").status_code == 204
    # Admitted before the other, but settled after it: a cursor on admission would miss it.
    late = factories.make_usage_event(
        acme_key.key,
        price=price,
        occurred_at=now - timedelta(minutes=2),
        settled_at=now + timedelta(seconds=1),
    )
    refused = factories.make_refusal(acme_key.key, occurred_at=now + timedelta(seconds=2))

    answer = log(alice_client, f"after={after}", name="request_tail")

    assert ids_in(answer) == [shown(refused), shown(late)]
    assert shown(before) not in answer.content.decode()
    assert answer.context["rows"][0].is_refused
    [onward] = re.findall(r'data-url="[^"]*\?([^"]*)"', answer.content.decode())
    again = log(alice_client, onward.replace("&amp;", "&"), name="request_tail")
    assert again.status_code == 204


def test_tail_keeps_the_filters_and_costs_two_queries(
    alice_client, acme_key, price, django_assert_max_num_queries
):
    factories.make_usage_event(acme_key.key, price=price, model="other")
    log(alice_client, "model=sandbox/echo", name="request_tail")

    # Session, user, membership; then calls and refusals.
    with django_assert_max_num_queries(5):
        answer = log(alice_client, "model=sandbox/echo", name="request_tail")

    assert answer.status_code == 204


def test_tail_shows_nothing_of_others(alice_client, globex_key, price):
    factories.make_usage_event(globex_key.key, price=price)
    factories.make_refusal(globex_key.key)

    assert log(alice_client, name="request_tail").status_code == 204


def test_panel_is_the_page_without_its_frame(alice_client, acme_key, price):
    event = factories.make_usage_event(acme_key.key, price=price)
    url = reverse("dashboard:request", args=["acme", shown(event)])

    panel = alice_client.get(url, headers={"HX-Request": "true"})
    page = alice_client.get(url)

    assert "<html" not in panel.content.decode()
    assert "<html" in page.content.decode()
    for answer in (panel, page):
        assert "Copy as curl" in answer.content.decode()
        assert f"playground/?replay={shown(event)}" in answer.content.decode()
        assert "HX-Request" in answer.headers["vary"]


def save(client, **fields):
    return client.post(reverse("dashboard:view_save", args=["acme"]), fields, follow=True)


def test_view_is_saved_shown_and_forgotten(alice_client, bob_client):
    answer = save(alice_client, name="Slow 5xx", query="status=5xx&older=1-x&cost=0.1")

    view = SavedView.objects.get()
    assert (view.name, view.query) == ("Slow 5xx", "status=5xx&cost=0.1")
    assert answer.context["views"][0][2]  # it is the present one
    assert "Slow 5xx" not in log(bob_client).content.decode()
    gone = reverse("dashboard:view_delete", args=["acme"])
    bob_client.post(gone, {"view": view.public_id})
    assert SavedView.objects.exists()
    alice_client.post(gone, {"view": view.public_id})
    assert not SavedView.objects.exists()


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"name": "", "query": "status=ok"}, "Give the view a name"),
        ({"name": "All", "query": "older=1"}, "Choose a filter first"),
        ({"name": "Taken", "query": "status=ok"}, "already"),
    ],
)
def test_view_that_means_nothing_is_not_saved(alice_client, fields, told):
    save(alice_client, name="Taken", query="status=ok")

    answer = save(alice_client, **fields)

    assert told in answer.content.decode()
    assert SavedView.objects.count() == 1


def test_replay_fills_in_a_stored_body_for_those_who_may_read_it(
    alice_client, acme_key, price, bob_client
):
    event = factories.make_usage_event(acme_key.key, price=price)
    asked = '{"model": "sandbox/echo", "messages": [{"role": "user", "content": "Why?"}]}'
    factories.make_stored_body(event, request=asked)
    page = reverse("dashboard:playground", args=["acme"]) + f"?replay={shown(event)}"

    answer = alice_client.get(page)

    assert answer.context["page_data"]["replay"]["body"]["messages"][0]["content"] == "Why?"
    assert answer.context["page_data"]["replay"]["model"] == "sandbox/echo"


def test_settings_of_bodies_are_for_those_who_may_change_them(alice_client, bob_client, acme):
    page = reverse("dashboard:body_days", args=["acme"])

    assert bob_client.post(page, {"days": "7"}).status_code == 403
    acme.refresh_from_db()
    assert acme.body_days == 0
    alice_client.post(page, {"days": "8"})
    acme.refresh_from_db()
    assert acme.body_days == 0
    alice_client.post(page, {"days": "7"})
    acme.refresh_from_db()
    assert acme.body_days == 7
