"""What is billed end to end: odd usage from a real upstream, usage that we counted, service tiers."""

import json
from datetime import UTC, datetime

import pytest

from billing.models import Reservation
from gateway.models import Model
from tests import factories
from tests.gateway import books

HEAD = {"id": "u", "object": "chat.completion.chunk", "created": 1, "model": "m"}
PRIORITY = {"input_microusd_per_mtok": 300_000, "output_microusd_per_mtok": 900_000}
FLEX = {"input_microusd_per_mtok": 50_000, "output_microusd_per_mtok": 200_000}


def frame(text="", *, reason=None, choices=None, usage=""):
    choice = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": reason}
    body = json.dumps({**HEAD, "choices": [choice] if choices is None else choices})
    return f"data: {body[:-1]}{', ' if usage else ''}{usage}}}\n\n".encode()


def usage(given, made):
    return f'"usage": {{"prompt_tokens": {given}, "completion_tokens": {made}}}'


def chunks(answer):
    lines = answer.body.split(b"\n\n")
    return [json.loads(line[6:]) for line in lines if line.startswith(b"data: {")]


def streamed(shop, *frames):
    """Let the provider answer with "one two" and these frames; return what the client got and the bill."""
    text = [frame("one "), frame("two"), frame(reason="stop")]
    shop.script(raw=b"".join([*text, *frames]))
    answer = shop.chat(stream=True, stream_options={"include_usage": True})
    return answer, books.only(shop.organization)


@pytest.mark.parametrize(
    "counts",
    [(9, "-4"), (9, "NaN"), (9, "1e400"), (9, "1e12"), ("true", 4), ("null", 4), (9, '"four"')],
    ids=str,
)
def test_usage_that_cannot_be_true_is_counted_instead(shop, counts):
    answer, event = streamed(shop, frame(choices=[], usage=usage(*counts)), b"data: [DONE]\n\n")

    assert answer.status == 200
    assert (event.basis, event.output_tokens) == ("counted", 2)
    assert 0 < event.charge_nanousd == event.input_tokens * 100 + 2 * 400
    assert chunks(answer)[-1]["usage"]["completion_tokens"] == 2


def test_explicit_zeros_are_the_providers_word_and_free(shop):
    answer, event = streamed(shop, frame(choices=[], usage=usage(0, 0)), b"data: [DONE]\n\n")

    assert (event.basis, event.charge_nanousd) == ("reported", 0)
    assert chunks(answer)[-1]["usage"]["total_tokens"] == 0


@pytest.mark.parametrize("end", [b"data: [DONE]\n\n", b""], ids=["with an end mark", "without"])
def test_zeros_after_the_truth_change_nothing(shop, end):
    _, event = streamed(
        shop, frame(choices=[], usage=usage(9, 4)), frame(choices=[], usage=usage(0, 0)), end
    )

    assert (event.basis, event.charge_nanousd) == ("reported", 9 * 100 + 4 * 400)


def test_usage_inside_of_a_choice_is_billed_and_told_in_its_place(shop):
    told = {"prompt_tokens": 9, "completion_tokens": 4}
    choices = [{"index": 0, "delta": {}, "finish_reason": None, "usage": told}]

    answer, event = streamed(shop, frame(choices=choices), b"data: [DONE]\n\n")

    assert (event.basis, event.charge_nanousd) == ("reported", 9 * 100 + 4 * 400)
    seen = chunks(answer)
    assert not [choice for chunk in seen for choice in chunk["choices"] if "usage" in choice]
    assert seen[-1]["usage"]["total_tokens"] == 13


@pytest.mark.parametrize("stream", [False, True])
def test_answer_without_usage_tells_what_we_counted(shop, stream):
    shop.script(pieces=["one ", "two ", "three"], usage=[])

    answer = shop.chat(
        stream=stream, **({"stream_options": {"include_usage": True}} if stream else {})
    )

    event = books.only(shop.organization)
    told = chunks(answer)[-1]["usage"] if stream else answer.json["usage"]
    assert event.basis == "counted"
    assert (told["prompt_tokens"], told["completion_tokens"]) == (event.input_tokens, 3)
    assert round(told["cost"] * 10**9) == event.charge_nanousd


def test_embeddings_without_usage_tell_what_we_counted(shop):
    embedder = f"{shop.model}-embedder"
    factories.make_model(embedder, provider=shop.provider, kind=Model.Kind.EMBEDDING)
    shop.relearn()
    shop.upstream.script(embedder, usage=[])

    answer = shop.gateway.request(
        "POST", "/v1/embeddings", key=shop.secret, body={"model": embedder, "input": "Hello world"}
    )

    event = books.only(shop.organization)
    told = answer.json["usage"]
    assert (event.basis, event.input_tokens, event.charge_nanousd) == ("counted", 2, 200)
    assert (told["prompt_tokens"], told["total_tokens"]) == (2, 2)
    assert round(told["cost"] * 10**9) == 200


@pytest.fixture
def tiered(shop):
    """The shop, where the model has prices for other service tiers that the provider knows of."""
    shop.provider.quirks = ["service_tiers"]
    shop.provider.save()
    factories.make_price(
        shop.model,
        effective_from=datetime(2021, 1, 1, tzinfo=UTC),
        service_tiers={"priority": PRIORITY, "flex": FLEX},
    )
    shop.relearn()
    return shop


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("asked", "served", "charge"),
    [
        ("priority", "priority", 9 * 300 + 4 * 900),
        ("fast", "priority", 9 * 300 + 4 * 900),
        ("priority", "default", 9 * 100 + 4 * 400),
        ("flex", "flex", 9 * 50 + 4 * 200),
        ("flex", "default", 9 * 100 + 4 * 400),
        (
            "auto",
            "priority",
            9 * 100 + 4 * 400,
        ),  # that was our account's setting, not the customer's
    ],
)
def test_the_tier_that_served_is_charged_and_the_dearer_one_reserved(
    tiered, asked, served, charge, stream
):
    tiered.script(extra={"service_tier": served})

    answer = tiered.chat(stream=stream, service_tier=asked, max_completion_tokens=100)

    event = books.only(tiered.organization)
    sent = tiered.upstream.calls_of(tiered.model)[0].body
    assert answer.status == 200
    assert event.charge_nanousd == charge
    assert event.service_tier == ("" if charge == 9 * 100 + 4 * 400 else served)
    assert sent.get("service_tier") == {"auto": None, "fast": "priority"}.get(asked, asked)
    reserved = Reservation.objects.get(request_id=event.request_id).upper_nanousd
    dearest = 900 if asked in ("priority", "fast") else 400
    assert 100 * dearest <= reserved < 100 * dearest + 400 * dearest


@pytest.mark.parametrize("stream", [False, True])
def test_responses_name_the_tier_that_served(tiered, stream):
    tiered.script(extra={"service_tier": "priority"})

    answer = tiered.gateway.request(
        "POST",
        "/v1/responses",
        key=tiered.secret,
        body={"model": tiered.model, "input": "Hi", "service_tier": "fast", "stream": stream},
    )

    told = answer.body.split(b"data: ")[-1] if stream else answer.body
    response = json.loads(told)["response"] if stream else json.loads(told)
    assert response["service_tier"] == "priority"
    assert books.only(tiered.organization).charge_nanousd == 9 * 300 + 4 * 900


def test_a_tier_without_a_price_is_refused_before_anything_is_sent(shop):
    answer = shop.chat(service_tier="priority")

    assert (answer.status, answer.error["param"]) == (400, "service_tier")
    assert shop.upstream.calls == []
    assert not Reservation.objects.filter(organization=shop.organization).exists()


def test_a_provider_that_knows_no_tiers_is_not_told_of_them(shop):
    factories.make_price(
        shop.model,
        effective_from=datetime(2021, 1, 1, tzinfo=UTC),
        service_tiers={"flex": FLEX},
    )
    shop.relearn()

    shop.chat(service_tier="flex")

    assert "service_tier" not in shop.upstream.calls_of(shop.model)[0].body
    assert books.only(shop.organization).charge_nanousd == 9 * 100 + 4 * 400


def test_a_prediction_is_never_sent_with_less_room_than_was_reserved(shop):
    # The provider is told of no limit then, so that the bound must not shrink to what is affordable.
    key = shop.make_key(max_request_nanousd=2_000_000)
    prediction = {"type": "content", "content": "x"}

    refused = shop.gateway.chat(key, model=shop.model, prediction=prediction)
    shrunk = shop.gateway.chat(key, model=shop.model)

    assert (refused.status, shrunk.status) == (400, 200)
    assert [call.body.get("prediction") for call in shop.upstream.calls] == [None]
