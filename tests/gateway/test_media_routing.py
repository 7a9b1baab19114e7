"""Routing wishes, fallback models, deadlines and `Idempotency-Key` beyond chats: every endpoint that costs money."""

import json
from typing import Any

import pytest

from tests import factories
from tests.gateway import books, media_files
from tests.gateway.media_shop import form, sell

RATES = {
    "image": {"image_nanousd": 20_000_000},
    "speech": {"character_nanousd": 1_000},
    "transcription": {"second_nanousd": 10_000},
    "rerank": {"search_nanousd": 2_000_000},
    "moderation": {"call_nanousd": 1_000},
}
BODIES: dict[str, dict[str, Any]] = {
    "image": {"prompt": "A cat"},
    "speech": {"input": "Hello", "voice": "alloy"},
    "rerank": {"query": "cat", "documents": ["a cat", "a dog"]},
    "moderation": {"input": "Hello"},
    "embedding": {"input": "Hello"},
}
PATHS = {
    "image": "/v1/images/generations",
    "speech": "/v1/audio/speech",
    "transcription": "/v1/audio/transcriptions",
    "rerank": "/v1/rerank",
    "moderation": "/v1/moderations",
    "embedding": "/v1/embeddings",
}
KINDS = list(RATES)
JSON_KINDS = list(BODIES)


def model_of(shop, kind, **rates):
    """Sell a model of a kind."""
    if kind != "embedding":
        return sell(shop, kind, **(rates or RATES[kind]))
    made = factories.make_model(f"embedding-{shop.model}", provider=shop.provider, kind=kind)
    shop.relearn()
    return made.name


def ask(shop, kind, model, *, headers=None, boundary="b0", **wishes):
    """Call the endpoint of a kind, by a form where it takes one; `provider` is JSON there."""
    headers = headers or {}
    body = None
    if kind == "transcription":
        fields = [("model", model)] if model else []
        for name, value in wishes.items():
            values = value if isinstance(value, list) else [value]
            texts = [item if isinstance(item, str) else json.dumps(item) for item in values]
            fields += [(f"{name}[]" if isinstance(value, list) else name, text) for text in texts]
        recording = ("file", ("a.wav", "audio/wav", media_files.wav(1)))
        content_type, raw = form(*fields, recording, boundary=boundary)
        headers = {**headers, "content-type": content_type}
        return shop.gateway.request("POST", PATHS[kind], key=shop.secret, body=raw, headers=headers)
    body = {**({"model": model} if model else {}), **BODIES[kind], **wishes}
    return shop.gateway.request("POST", PATHS[kind], key=shop.secret, body=body, headers=headers)


@pytest.mark.parametrize("kind", [*KINDS, "embedding"])
def test_wishes_that_leave_no_route_are_refused_by_name_and_nothing_is_held(shop, kind):
    model = model_of(shop, kind)

    refused = ask(shop, kind, model, provider={"only": ["nobody"]})

    assert (refused.status, refused.error["param"]) == (404, "provider.only")
    assert shop.upstream.calls == []
    books.check(shop.organization)


@pytest.mark.parametrize("kind", KINDS)
def test_a_fallback_model_serves_at_its_own_price_and_the_tries_are_told(shop, kind):
    first = model_of(shop, kind)
    [(rate, value)] = RATES[kind].items()
    second = model_of(shop, kind, **{rate: value * 3})
    shop.upstream.script(first, status=500)

    answer = ask(shop, kind, first, models=[second], include_route=True)

    assert answer.status == 200
    event = books.only(shop.organization)
    assert event.model == second
    assert event.charge_nanousd % (3 * value) == 0
    assert event.charge_nanousd > 0
    assert answer.headers["x-exerati-route"] == shop.provider.name
    assert answer.headers["x-exerati-cost-usd"] == f"{event.charge_nanousd / 10**9:.9f}".rstrip("0")
    if kind != "speech":  # bytes have no place for it
        assert answer.json["route"]["model"] == second
        statuses = [one["status"] for one in answer.json["route"]["attempts"]]
        assert (statuses[0], statuses[-1]) == (500, 200)


def test_a_list_of_models_alone_is_enough_in_a_form_too(shop):
    model = model_of(shop, "transcription")

    answer = ask(shop, "transcription", "", models=[model])

    assert answer.status == 200
    assert books.only(shop.organization).model == model


@pytest.mark.parametrize("kind", ["image", "transcription"])
def test_unknown_wishes_are_named_as_ignored(shop, kind):
    answer = ask(shop, kind, model_of(shop, kind), provider={"quantizations": ["fp8"]})

    assert answer.headers["x-exerati-ignored-params"] == "provider.quantizations"


@pytest.mark.parametrize("value", ["{", "[1]", "7", '{"a": 1, "a": 2}'])
def test_provider_in_a_form_must_be_an_object(shop, value):
    refused = ask(shop, "transcription", model_of(shop, "transcription"), provider=value)

    assert (refused.status, refused.error["param"]) == (400, "provider")


def test_embeddings_have_no_fallback_models(shop):
    model = model_of(shop, "embedding")

    refused = ask(shop, "embedding", model, models=["other"])

    assert (refused.status, refused.error["param"]) == (400, "models")
    assert "cannot be compared" in refused.error["message"]


@pytest.mark.parametrize("kind", ["image", "embedding", "rerank"])
def test_the_deadline_of_a_request_ends_it(shop, kind):
    model = model_of(shop, kind)
    shop.upstream.script(model, delay_seconds=30)

    answer = ask(shop, kind, model, headers={"x-exerati-timeout": "0.3"})

    assert (answer.status, answer.error["code"]) == (504, "deadline_exceeded")
    books.settled(shop.organization)


@pytest.mark.parametrize("kind", [*KINDS, "embedding"])
def test_a_repeated_request_is_answered_and_charged_once(shop, kind):
    model = model_of(shop, kind)

    answers = [
        ask(shop, kind, model, headers={"idempotency-key": "one"}, boundary=f"b{number}")
        for number in range(3)
    ]

    assert {answer.status for answer in answers} == {200}
    assert {answer.body for answer in answers} == {answers[0].body}
    assert [answer.headers.get("idempotency-replayed") for answer in answers] == [
        None,
        "true",
        "true",
    ]
    assert len(shop.upstream.calls_of(model)) == 1
    books.only(shop.organization)


def test_sandbox_serves_wishes_too(shop):
    test_key = shop.make_key(mode="test")
    model = model_of(shop, "rerank")

    answer = shop.gateway.request(
        "POST",
        "/v1/rerank",
        key=test_key,
        body={"model": model, **BODIES["rerank"], "provider": {"only": ["nobody"]}},
    )

    assert answer.status == 200
