"""The pricing page: what it promises comes from the settings, and the calculator adds up as a bill does."""

import re

import pytest

from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def model():
    """A chat model at $0.10 / $0.40 a million tokens, $0.05 cached."""
    model = factories.make_model("small", title="Small One", owned_by="openai")
    factories.make_price(
        "small",
        effective_from=factories.LONG_AGO.replace(year=2021),
        cache_read_microusd_per_mtok=50_000,
    )
    return model


def words(client, query=""):
    html = client.get(f"/pricing?{query}").content.decode()
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_a_month_is_the_call_times_the_calls(client, model):
    shown = words(client, "model=small&calls=1,000,000&input=1000&output=500&cached=50")

    # 500 x $0.10 + 500 x $0.05 + 500 x $0.40, each a million = $0.000275
    lines = "500 input x $0.10 / M + 500 cached input x $0.05 / M + 500 output x $0.40 / M"
    assert lines in shown.replace("\u00d7", "x")
    assert "= $0.000275 a call" in shown
    assert "Small One, a month $275.00" in shown


def test_other_makers_stand_beside_it_the_cheapest_first(client, model):
    for name, owner, rate in (("dear", "anthropic", 9_000_000), ("cheap", "google", 50_000)):
        factories.make_model(name, title=name.capitalize(), owned_by=owner)
        factories.make_price(
            name,
            effective_from=factories.LONG_AGO.replace(year=2021),
            input_microusd_per_mtok=rate,
        )

    shown = words(client, "model=small")

    beside = shown.partition("The same with other models")[2]
    assert beside.index("Cheap") < beside.index("Dear")


def test_it_begins_with_an_example(client, model):
    assert "Small One, a month $" in words(client)


@pytest.mark.parametrize("typed", ["x", "-1", "1e9", "", "\u0662"])
def test_what_is_no_number_is_told_instead_of_a_sum(client, model, typed):
    shown = words(client, f"model=small&calls={typed}")

    assert "Write a whole number" in shown
    assert "a month $" not in shown


@pytest.mark.parametrize("typed", ["101", "1" * 40])
def test_a_number_beyond_what_makes_sense_is_told(client, model, typed):
    shown = words(client, f"model=small&cached={typed}")

    assert "At most 100." in shown
    assert "a month $" not in shown


def test_a_wrong_number_stays_as_it_was_typed(client, model):
    html = client.get("/pricing?calls=1%2C5oo%22").content.decode()

    assert 'value="1,5oo&quot;" aria-invalid="true"' in html


def test_a_model_that_is_not_offered_is_told(client, model):
    shown = words(client, "model=nothing")

    assert "nothing has no price here; this is Small One." in shown
    assert "Small One, a month $" in shown


def test_without_models_there_is_no_sum(client):
    assert "There is no price for such a call." in words(client)


def test_figures_are_those_of_the_settings(client, settings, model):
    settings.MARKUP_PERCENT = "7.25"
    settings.TRIAL_CREDIT_DAYS = 45
    settings.TOPUP_LEAST_CENTS = 1_100
    settings.STRIPE_TAX = True

    shown = words(client)

    assert "plus 7.25 %" in shown
    assert "for 45 days" in shown
    assert "$11.00 to $10,000.00" in shown
    assert "VAT or sales tax is added when you buy credit" in shown


def test_the_page_runs_three_queries(client, model, django_assert_num_queries):
    with django_assert_num_queries(3):
        client.get("/pricing")
