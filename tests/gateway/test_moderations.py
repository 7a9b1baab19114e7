"""Moderation by the official client: free where the price says so, and metered all the same."""

import openai
import pytest

from tests.gateway import books
from tests.gateway.media_shop import client_of, sell

FREE = {"call_nanousd": 0}


@pytest.mark.parametrize(
    "given",
    [
        "some text",
        ["one", "two"],
        [
            {"type": "text", "text": "look"},
            {"type": "image_url", "image_url": {"url": "https://images.example/x.png"}},
        ],
    ],
)
def test_what_is_free_is_metered_all_the_same(shop, given):
    model = sell(shop, "moderation", **FREE)

    raw = client_of(shop).moderations.with_raw_response.create(model=model, input=given)

    answer = raw.parse()
    assert answer.id.startswith("modr-")
    assert answer.id != "modr-1"
    assert answer.model == model
    assert answer.results[0].flagged is False
    assert raw.headers["x-exerati-cost-usd"] == "0"
    assert shop.upstream.calls_of(model)[0].body == {"model": model, "input": given}
    event = books.only(shop.organization)
    assert (event.endpoint, event.outcome, event.basis) == ("moderations", "finished", "reported")
    assert event.charge_nanousd == event.price_nanousd == event.upper_nanousd == 0
    assert event.upstream_id == "modr-1"


def test_fee_for_each_call_is_charged(shop):
    model = sell(shop, "moderation", call_nanousd=1_000)

    client_of(shop).moderations.create(model=model, input="text")

    assert books.only(shop.organization).charge_nanousd == 1_000


def test_price_that_names_nothing_is_not_free(shop):
    model = sell(shop, "moderation", image_nanousd=1)

    with pytest.raises(openai.InternalServerError) as caught:
        client_of(shop).moderations.create(model=model, input="text")

    assert caught.value.code == "no_provider"
    assert shop.upstream.calls_of(model) == []


@pytest.mark.parametrize(
    "given",
    [
        [],
        7,
        [7],
        ["a", 7],
        [{"type": "video"}],
        [{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}],
        [{"type": "image_url", "image_url": {"url": "http://169.254.169.254/"}}],
        ["x"] * 2_049,
    ],
)
def test_inputs_that_mean_nothing_are_refused(shop, given):
    model = sell(shop, "moderation", **FREE)

    answer = shop.gateway.request(
        "POST", "/v1/moderations", key=shop.secret, body={"model": model, "input": given}
    )

    assert answer.status == 400
    assert answer.error["param"].startswith("input")
    assert shop.upstream.calls_of(model) == []


def test_sandbox_flags_one_word(shop):
    model = sell(shop, "moderation", **FREE)
    client = client_of(shop, shop.make_key(mode="test"))

    answer = client.moderations.create(model=model, input=["a fine day", "an act of violence"])

    assert [result.flagged for result in answer.results] == [False, True]
    assert answer.results[1].categories.violence is True
