"""Where customers see what images, audio and reranking cost: the list of models, one call's record, and its formula."""

import pytest

from tests.gateway import books
from tests.gateway.media_files import wav
from tests.gateway.media_shop import client_of, sell


@pytest.mark.parametrize(
    ("kind", "rates", "shown"),
    [
        ("image", {"image_nanousd": 20_000_000}, {"image": "0.02"}),
        ("speech", {"character_nanousd": 15_000}, {"character": "0.000015"}),
        ("transcription", {"second_nanousd": 100_000}, {"second": "0.0001"}),
        ("rerank", {"search_nanousd": 2_000_000}, {"search": "0.002"}),
        ("moderation", {"call_nanousd": 0}, {"request": "0"}),
    ],
)
def test_models_are_listed_by_kind_with_the_price_of_their_unit(shop, kind, rates, shown):
    model = sell(shop, kind, **rates)

    answer = shop.gateway.request("GET", f"/v1/models?kind={kind}", key=shop.secret)

    listed = {entry["id"]: entry for entry in answer.json["data"]}
    assert {entry["kind"] for entry in listed.values()} == {kind}
    assert listed[model]["pricing"] == shown


def test_record_of_a_call_tells_its_units_and_how_they_make_the_price(shop):
    model = sell(shop, "transcription", second_nanousd=100_000)
    raw = client_of(shop).audio.transcriptions.with_raw_response.create(
        model=model, file=("a.wav", wav(7), "audio/wav")
    )
    books.only(shop.organization)

    address = f"/v1/generation?id={raw.headers['x-request-id']}"
    answer = shop.gateway.request("GET", address, key=shop.secret)

    record = answer.json["data"]
    assert record["endpoint"] == "/v1/audio/transcriptions"
    assert record["tokens"]["seconds"] == 7
    assert record["price_formula"] == ["Seconds: 7 x $0.0001 = $0.0007"]
    assert record["total_cost"] == 0.0007
