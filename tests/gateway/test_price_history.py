"""The history of prices: every rate of every version, what each one changed, on the page, as RSS and as JSON."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from billing.types import RATE_NAMES, Price, Rates, Tier
from gateway.catalog import price_history
from tests import factories

OLD = Price(1, Rates(input_microusd_per_mtok=2_000_000, output_microusd_per_mtok=8_000_000))


def told(price, before=OLD):
    return list(price_history.changes(price, before))


@pytest.mark.parametrize("name", RATE_NAMES)
def test_no_rate_can_change_unseen(name):
    [words] = told(Price(2, Rates(**{**OLD.rates.given(), name: 7_000_000})))

    assert (
        words.partition(":")[0]
        == price_history.RateKey("", 0, price_history.ORDER.index(name)).title
    )
    assert ("was not there" in words) == (name not in OLD.rates.given())


def test_units_are_told_as_people_buy_them():
    rates = Rates(image_nanousd=40_000_000, second_nanousd=100_000, character_nanousd=15_000)
    dearer = Rates(image_nanousd=50_000_000, second_nanousd=200_000, character_nanousd=30_000)

    assert told(Price(2, dearer), Price(1, rates)) == [
        "Per image: $0.05, was $0.04",
        "Per minute: $0.012, was $0.006",
        "Per million characters: $30.00, was $15.00",
    ]


def test_tiers_tell_only_what_is_their_own():
    dear = Rates(input_microusd_per_mtok=4_000_000, output_microusd_per_mtok=8_000_000)
    now = Price(2, OLD.rates, (Tier(200_000, dear),), {"priority": Price(2, dear)})

    assert told(now) == [
        "Input, above 200,000: $4.00, was not there",
        "Input (priority): $4.00, was not there",
    ]
    assert told(OLD, now)[0] == "Input, above 200,000: no longer, was $4.00"
    assert told(now, now) == []


@pytest.mark.django_db
def test_page_feed_and_json_have_every_rate_of_every_version(client):
    factories.make_model("painter", kind="image", title="Painter")
    since = timezone.now() - timedelta(days=3)
    dear = {"above_input_tokens": 200_000, "input_microusd_per_mtok": 300_000}
    factories.make_price(
        "painter",
        effective_from=since,
        image_nanousd=40_000_000,
        cache_write_5m_microusd_per_mtok=125_000,
        tiers=[dear],
    )

    html = client.get("/models/painter/").content.decode()
    history = html.partition("history-box")[2].partition("</table>")[0]
    feed = client.get("/models.rss").content.decode()
    [row] = client.get("/models.json").json()["data"]

    rows = [
        re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", one)).strip()
        for one in re.findall(r"<tr>(.*?)</tr>", history, re.DOTALL)
    ]
    assert rows == [
        f"From {since:%-d %b %Y} Now 1 Jan 2020",
        "Input $0.10 $0.10",
        "Cache write, 5 min $0.125 new \N{EN DASH}",
        "Output $0.40 $0.40",
        "Per image $0.04 new \N{EN DASH}",
        "Input, above 200,000 $0.30 new \N{EN DASH}",
    ]
    assert "Per image: $0.04, was not there" in feed
    assert row["prices_by_tier"] == [
        {
            "service_tier": None,
            "above_input_tokens": 200_000,
            "prices": {"input_microusd_per_mtok": 300_000},
        }
    ]
