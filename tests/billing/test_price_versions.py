"""Price versions: our price is the cost and a markup, rounded up, and never changes backwards."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from billing import price_book, price_versions
from billing.models import PriceVersion
from billing.price_versions import Dated, RateSheet
from tests import factories

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def dated(days, rate, **rest):
    sheet = RateSheet({"input_microusd_per_mtok": rate, "output_microusd_per_mtok": rate}, **rest)
    return Dated(NOW + days * DAY, sheet, "catalog: test")


def publish(*versions, now=NOW):
    return price_versions.publish_prices({"m": list(versions)}, now=now)


def rates():
    rows = PriceVersion.objects.order_by("effective_from")
    return [(row.effective_from, row.input_microusd_per_mtok) for row in rows]


def test_the_markup_is_rounded_up_in_every_rate_and_leaves_thresholds_alone():
    sheet = RateSheet(
        {"input_microusd_per_mtok": 1, "call_nanousd": 1_000},
        [{"above_input_tokens": 200_000, "input_microusd_per_mtok": 3}],
        {
            "flex": {
                "output_microusd_per_mtok": 10,
                "tiers": [{"above_input_tokens": 7, "input_microusd_per_mtok": 20}],
            }
        },
    )

    ours = sheet.marked_up(Decimal("5.5"))

    assert ours.rates == {"input_microusd_per_mtok": 2, "call_nanousd": 1_055}
    assert ours.tiers == [{"above_input_tokens": 200_000, "input_microusd_per_mtok": 4}]
    assert ours.service_tiers["flex"] == {
        "output_microusd_per_mtok": 11,
        "tiers": [{"above_input_tokens": 7, "input_microusd_per_mtok": 22}],
    }


def test_no_markup_leaves_the_cost_as_it_is():
    sheet = RateSheet({"input_microusd_per_mtok": 150_000})

    assert sheet.marked_up(Decimal(0)).rates == sheet.rates


@pytest.mark.django_db
def test_the_first_time_the_whole_history_is_made():
    assert publish(dated(-30, 1), dated(-1, 2), dated(30, 3)) == 3

    assert [rate for _, rate in rates()] == [1, 2, 3]


@pytest.mark.django_db
def test_the_same_again_makes_nothing():
    versions = [dated(-30, 1), dated(30, 3, tiers=[{"above_input_tokens": 9, "call_nanousd": 1}])]
    publish(*versions)

    assert publish(*versions, now=NOW + DAY) == 0
    assert publish(*versions, now=NOW + 60 * DAY) == 0


@pytest.mark.django_db
def test_a_correction_of_the_past_holds_from_now_on():
    publish(dated(-30, 1))

    assert publish(dated(-30, 5)) == 1

    assert rates() == [(NOW - 30 * DAY, 1), (NOW, 5)]


@pytest.mark.django_db
def test_a_new_version_to_come_is_made_for_its_day():
    publish(dated(-30, 1))

    publish(dated(-30, 1), dated(10, 2))

    assert rates() == [(NOW - 30 * DAY, 1), (NOW + 10 * DAY, 2)]


@pytest.mark.django_db
def test_a_corrected_version_to_come_follows_the_wrong_one_at_once_and_stays_one():
    publish(dated(-30, 1), dated(10, 2))

    made = [publish(dated(-30, 1), dated(10, 3)) for _ in range(3)]

    assert made == [1, 0, 0]
    assert rates()[-1] == (NOW + 10 * DAY + timedelta(microseconds=1), 3)


@pytest.mark.django_db
def test_a_price_set_by_hand_is_never_replaced_by_the_catalog():
    factories.make_price("m", source="by hand")

    assert publish(dated(-1, 9), dated(10, 9)) == 0


@pytest.mark.django_db
def test_a_price_set_by_an_operator_holds_from_now_on_and_once():
    publish(dated(-30, 1))
    sheet = RateSheet({"input_microusd_per_mtok": 0, "output_microusd_per_mtok": 0})

    made = [price_versions.set_price("m", sheet=sheet, source="op", now=NOW) for _ in range(2)]

    assert made == [True, False]
    assert rates()[-1] == (NOW, 0)


@pytest.mark.django_db
def test_a_stored_version_is_read_back_as_it_was_written():
    tier = {"above_input_tokens": 100, "input_microusd_per_mtok": 7}
    publish(dated(-1, 5, tiers=[tier], service_tiers={"flex": {"output_microusd_per_mtok": 2}}))

    price = price_book.at(price_book.load().prices["m"], NOW.timestamp())

    assert price is not None
    assert price.rates.input_microusd_per_mtok == 5
    assert price.tiers[0].rates.input_microusd_per_mtok == 7
    assert price.tiers[0].rates.output_microusd_per_mtok == 5
    assert price.service_tiers["flex"].rates.output_microusd_per_mtok == 2
