"""Overview, usage, request log and request pages as people see them."""

import csv
import io
import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from billing.models import Attempt, OutboxMessage
from billing.read_models import request_log
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def price():
    """The default price, $0.10 / $0.40 a million tokens, of which a call of 1,000 and 500 costs $0.0003."""
    return factories.make_price()


@pytest.fixture
def call(acme_key, price):
    """Return a function that stores a settled call of acme's key."""

    def store(key=None, **fields):
        event = factories.make_usage_event(key or acme_key.key, price=price, **fields)
        OutboxMessage.objects.create(
            request_id=event.request_id,
            occurred_at=event.occurred_at,
            organization=event.organization,
        )
        return event

    return store


def page(client, name, *, query="", **values):
    url = reverse(f"dashboard:{name}", kwargs={"slug": "acme", **values})
    return client.get(f"{url}?{query}")


@pytest.fixture
def count_queries(django_assert_max_num_queries):
    """Return a function that counts the queries of a page which the session has seen before."""

    def count(client, name, *, query=""):
        page(client, name, query=query)
        with django_assert_max_num_queries(100) as captured:
            page(client, name, query=query)
        return len(captured)

    return count


def text_of(answer):
    """Return the page's words without its markup."""
    without_tags = re.sub(r"<[^>]+>", " ", answer.content.decode())
    return re.sub(r"\s+", " ", without_tags)


def request_page(client, event):
    return page(client, "request", public_id=request_log.public_id(event.request_id))


# overview


def test_before_the_first_call_the_overview_says_how_to_make_it(alice_client, settings):
    answer = page(alice_client, "overview")

    assert "Create an API key" in text_of(answer)
    assert f"curl {settings.API_BASE_URL}/chat/completions" in text_of(answer)
    assert page(alice_client, "first_call").status_code == 204


def test_sample_data_is_marked_links_to_nothing_made_up_and_ends_with_the_first_call(
    alice_client, call
):
    sample = page(alice_client, "overview", query="sample=1")
    call()
    real = page(alice_client, "overview", query="sample=1")

    assert "Sample data These numbers are invented" in text_of(sample)
    assert "claude-sonnet-4-6" in text_of(sample)
    assert "Balance $25.00" in text_of(sample)
    context = sample.context
    keys = sum(row.total.spend for row in context["top_keys"])
    assert keys == sum(row.total.spend for row in context["top_models"]) > 0
    assert "/keys/key_" not in sample.content.decode()
    assert "Sample data" not in text_of(real)
    assert "Requests today 1" in text_of(real)


def test_the_waiting_overview_hears_of_the_first_call(alice_client, call):
    event = call()

    answer = page(alice_client, "first_call")

    assert "Your first call arrived" in text_of(answer)
    assert request_log.public_id(event.request_id) in answer.content.decode()


def test_the_page_of_a_new_key_hears_of_its_own_first_call(alice_client, acme, acme_key, call):
    other = factories.make_api_key(acme, name="other").key
    call(other)
    waits = {"query": f"key={acme_key.key.public_id}"}

    before = page(alice_client, "first_call", **waits)
    call()

    assert before.status_code == 204
    assert "Your first call arrived" in text_of(page(alice_client, "first_call", **waits))


def test_a_refused_first_call_is_told_once_and_the_page_waits_on(alice_client, acme_key, call):
    refused = factories.make_refusal(acme_key.key, code="model_not_found", status=404)
    shown_id = request_log.public_id(refused.request_id)

    told = page(alice_client, "first_call")
    again = page(alice_client, "first_call", query=f"seen={shown_id}")
    call()

    assert "A call arrived, but was refused" in text_of(told)
    assert "404 model_not_found" in text_of(told)
    assert f"seen={shown_id}" in told.content.decode()
    assert again.status_code == 204
    arrived = page(alice_client, "first_call", query=f"seen={shown_id}")
    assert "Your first call arrived" in text_of(arrived)


def test_the_overview_shows_money_traffic_and_caps(alice_client, acme, call):
    factories.make_credit(acme, usd="10")
    acme.budget_month_nanousd = 1_000_000_000
    acme.save()
    call()
    call(status=503, outcome="failed", error_code="overloaded", charge_nanousd=0)

    words = text_of(page(alice_client, "overview"))

    assert "Balance $10.00" in words
    assert "Requests today 2" in words
    assert "Errors today 50 %" in words
    assert "of $1.00 cap" in words
    assert "overloaded" in words


def test_a_quiet_month_is_no_new_beginning(alice_client, call):
    call(occurred_at=timezone.now() - timedelta(days=70))

    words = text_of(page(alice_client, "overview"))

    assert "Make your first call" not in words
    assert "No requests in this range." in words


def test_the_overview_says_on_what_calls_were_charged_and_why(alice_client, call):
    for basis in ("reported", "reported", "counted", "estimated", "waived"):
        call(basis=basis)

    words = text_of(page(alice_client, "overview"))

    assert "Reported The token counts are the provider&#x27;s own. 2" in words
    for basis in ("Counted", "Estimated", "Waived"):
        assert re.search(rf"{basis} [^.;]+", words), basis


# usage


def test_a_call_is_on_the_usage_page_at_once(alice_client, call):
    call(model="gpt-4o-mini")

    words = text_of(page(alice_client, "usage"))

    assert "Spend $0.0003" in words
    assert "gpt-4o-mini" in words


def test_an_empty_usage_page_offers_a_wider_range(alice_client):
    answer = page(alice_client, "usage", query="range=24h&group=key")

    assert "No requests in this range" in text_of(answer)
    assert 'href="?range=30d&amp;group=key"' in answer.content.decode()


def test_a_chart_without_spend_does_not_say_that_nobody_called(alice_client, call, acme_test_key):
    call(acme_test_key.key, charge_nanousd=0, upper_nanousd=0)

    words = text_of(page(alice_client, "usage"))

    assert "Spend: nothing in this range." in words
    assert "No requests in this range" not in words


def test_spend_of_test_keys_is_shown_as_a_price_that_nobody_pays(alice_client, call, acme_test_key):
    call(acme_test_key.key, charge_nanousd=0, upper_nanousd=0)

    words = text_of(page(alice_client, "usage", query="mode=test"))

    assert "Price, not charged by model" in words
    assert "Spend $0.00" in words


def test_every_filter_is_kept_in_the_links(alice_client, acme_key, call):
    call()
    query = f"range=30d&metric=tokens&group=project&mode=live&key={acme_key.key.public_id}"

    html = page(alice_client, "usage", query=query).content.decode()

    chips = re.findall(r'class="chip" href="([^"]+)"', html)
    assert len(chips) == 6
    assert all("metric=tokens" in href and "mode=live" in href for href in chips)


def test_a_bar_of_the_chart_leads_to_its_requests(alice_client, call):
    event = call(model="a")

    html = page(alice_client, "usage", query="range=today&model=a").content.decode()
    [href] = [
        href.replace("&amp;", "&")
        for href in re.findall(r'<th scope="row"><a href="([^"]+requests/[^"]+)"', html)
        if f"since={event.occurred_at:%Y-%m-%dT%H}" in href
    ]

    assert "of this page" not in href
    assert "1 request" in text_of(alice_client.get(href))


def test_the_csv_holds_what_the_page_shows(alice_client, call):
    call(model="gpt-4o-mini")

    answer = page(alice_client, "usage_csv", query="range=today")

    [row] = csv.DictReader(io.StringIO(answer.getvalue().decode()))
    assert answer["Content-Type"].startswith("text/csv")
    assert "attachment" in answer["Content-Disposition"]
    assert (row["group"], row["requests"], row["charge_usd"]) == ("gpt-4o-mini", "1", "0.0003")


@pytest.mark.parametrize(
    "query",
    [
        "range=x&group=y&metric=z&step=q&zone=w&key=k",
        "model=%00x",
        "since=0001-01-01T00:00%2B14:00&until=9999-12-31T23:59-12:00",
    ],
)
def test_a_nonsense_address_is_a_page_all_the_same(alice_client, call, query):
    call()

    assert page(alice_client, "usage", query=query).status_code == 200
    assert page(alice_client, "requests", query=query).status_code == 200


# request log


def test_the_log_shows_each_request_with_its_cost(alice_client, call):
    event = call(model="gpt-4o-mini")

    words = text_of(page(alice_client, "requests"))

    assert "gpt-4o-mini" in words
    assert "prod-api" in words
    assert "$0.0003" in words
    assert request_log.public_id(event.request_id)[-6:] in words


def test_an_id_in_the_search_leads_to_its_request(alice_client, call):
    shown = request_log.public_id(call().request_id)

    answer = page(alice_client, "requests", query=f"q={shown}")

    assert answer["Location"].endswith(f"/requests/{shown}/")


def test_an_id_of_somebody_else_leads_nowhere(alice_client, globex_key):
    event = factories.make_usage_event(globex_key.key)
    shown = request_log.public_id(event.request_id)

    answer = page(alice_client, "requests", query=f"q={shown}")

    assert answer.status_code == 200
    assert "No requests match" in text_of(answer)
    assert request_page(alice_client, event).status_code == 404


def test_the_log_pages_by_key(alice_client, call):
    for seconds in range(request_log.PAGE_ROWS + 1):
        call(occurred_at=timezone.now() - timedelta(seconds=seconds))
    first = page(alice_client, "requests", query="mode=live").content.decode()

    [older] = re.findall(r'href="(\?mode=live&amp;older=[^"]+)"', first)
    second = page(alice_client, "requests", query=older[1:].replace("&amp;", "&"))

    assert first.count("cell-name") == request_log.PAGE_ROWS
    assert second.content.decode().count("cell-name") == 1
    assert "newer=" in second.content.decode()


def test_an_empty_log_shows_the_first_call(alice_client):
    assert "No requests yet" in text_of(page(alice_client, "requests"))


# one request


def test_a_request_spells_out_its_price(alice_client, call):
    words = text_of(request_page(alice_client, call()))

    assert "Input 1,000 $0.10 / 1M $0.0001" in words
    assert "Output 500 $0.40 / 1M $0.0002" in words
    assert "Charged $0.0003" in words
    assert "The token counts are the provider&#x27;s own." in words


def test_a_request_of_a_test_key_is_priced_and_not_charged(alice_client, call, acme_test_key):
    event = call(acme_test_key.key, charge_nanousd=0, upper_nanousd=0)

    words = text_of(request_page(alice_client, event))

    assert "not charged (test key)" in words
    assert "Charged (test key) $0.00" in words


def test_a_failed_request_names_its_error_and_says_that_it_is_free(alice_client, call):
    event = call(
        status=503,
        outcome="failed",
        basis="waived",
        error_code="overloaded",
        input_tokens=0,
        output_tokens=0,
        price_nanousd=0,
        charge_nanousd=0,
    )

    answer = request_page(alice_client, event)

    assert "not charged: waived" in text_of(answer)
    assert 'href="/docs/errors#overloaded"' in answer.content.decode()


def test_an_estimated_price_is_not_given_as_a_formula(alice_client, call):
    event = call(basis="estimated", outcome="lost", status=500, price_nanousd=5, charge_nanousd=5)

    assert "stands for the last progress known" in text_of(request_page(alice_client, event))


def test_every_attempt_is_drawn(alice_client, call):
    event = call()
    for number, provider in enumerate(("first", "second"), start=1):
        Attempt.objects.create(
            request_id=event.request_id,
            number=number,
            provider=provider,
            upstream_model="x",
            status=503 if number == 1 else 200,
            first_byte_ms=100,
            duration_ms=400,
            started_at=event.occurred_at + timedelta(milliseconds=2 + 400 * (number - 1)),
        )

    words = text_of(request_page(alice_client, event))

    assert "1 first 503" in words
    assert "2 second to the first byte" in words


def test_times_follow_the_organizations_zone(alice_client, acme, call):
    acme.time_zone = "Asia/Kolkata"
    acme.save()

    assert " IST" in text_of(request_page(alice_client, call()))


@pytest.mark.parametrize("public_id", ["req_nonsense", "x" * 300, "req_01jd8m3k9v5q2x7w4z6n8p0r1t"])
def test_an_unknown_request_is_not_there(alice_client, public_id):
    assert page(alice_client, "request", public_id=public_id).status_code == 404


@pytest.mark.parametrize(("name", "most"), [("overview", 15), ("usage", 13), ("requests", 12)])
def test_a_page_asks_the_same_number_of_queries_however_much_there_is(
    alice_client, acme, call, count_queries, name, most
):
    call(status=500, error_code="one")
    with_one = count_queries(alice_client, name)

    for number in range(12):
        key = factories.make_api_key(acme, budget_day_nanousd=10**9).key
        call(key, model=f"model-{number}", status=500, error_code=f"error_{number}")

    assert count_queries(alice_client, name) == with_one <= most


# more of the usage page


def test_every_number_of_the_usage_page_leads_to_its_requests(alice_client, acme, call):
    query = f"member={acme.memberships.get(role='owner').public_id}&tag=a"
    key = factories.make_api_key(acme).key
    key.created_by = acme.memberships.get(role="owner").user
    key.save()
    call(key, tags=["a", "b"])
    call(tags=["a"])

    html = page(alice_client, "usage", query=query).content.decode()

    hrefs = {
        href.replace("&amp;", "&") for href in re.findall(r'href="([^"]*/requests/\?[^"]*)"', html)
    }
    assert sum("1 request " in text_of(alice_client.get(href)) for href in hrefs) >= 3
    for href in hrefs:
        words = text_of(alice_client.get(href))
        assert re.search(r"\b1 request\b|No requests match", words), href
        assert ("member=" in href, "tag=a" in href) == (True, True)


def test_my_usage_is_that_of_my_keys_for_every_role(bob_client, acme, bob, call):
    key = factories.make_api_key(acme, name="bobs").key
    key.created_by = bob
    key.save()
    call(key, model="mine")
    call(model="theirs")

    words = text_of(page(bob_client, "usage", query="member=me"))

    assert "Everybody" in words
    assert "mine" in words
    assert "Requests 1 " in words


def test_what_moved_and_where_the_month_is_heading_are_told(alice_client, acme, call):
    acme.budget_month_nanousd = 1_000
    acme.save()
    for days in (0, 1, 2, 8, 9):
        call(occurred_at=timezone.now() - timedelta(days=days))

    words = text_of(page(alice_client, "usage"))

    assert "Why did it rise? By" not in words
    assert "50 % more requests (2 to 3)" in words
    assert "The budget of $0.000001 is used up." in words


def test_latency_is_shown_by_group(alice_client, call):
    call(duration_ms=1_234)

    words = text_of(page(alice_client, "usage", query="metric=latency&group=key"))

    assert "Latency of successful requests" in words
    assert "prod-api" in words
    assert "1.23 s" in words


def test_the_time_before_can_be_drawn_over_the_bars(alice_client, call):
    call()

    assert "The time before" in text_of(page(alice_client, "usage", query="compare=1"))


def test_dates_stand_in_the_address_and_are_kept(alice_client, call):
    call(model="old", occurred_at=timezone.now() - timedelta(days=100))
    day = f"{timezone.now() - timedelta(days=100):%Y-%m-%d}"

    html = page(alice_client, "usage", query=f"from={day}&to={day}&group=key").content.decode()

    assert "prod-api" in html
    assert f'name="from" value="{day}"' in html
    assert f"from={day}&amp;to={day}&amp;group=model" in html


def test_the_csv_is_sent_while_it_is_read(alice_client, call):
    call()

    answer = page(alice_client, "usage_csv", query="range=30d&step=minute&group=member")

    assert answer.streaming
    assert answer.getvalue().decode().count("\r\n") == 2
