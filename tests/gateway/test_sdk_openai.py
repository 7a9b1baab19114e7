"""The official OpenAI client, current version, with nothing changed but `base_url`."""

import base64
import struct
import time
import warnings

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionMessageParam
from pydantic import BaseModel

from gateway.models import Model
from tests import factories
from tests.gateway import books

MESSAGES: list[ChatCompletionMessageParam] = [
    {"role": "user", "content": "What is the capital of France?"}
]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}


class City(BaseModel):
    """A structured answer."""

    name: str
    people: int


@pytest.fixture
def client(shop):
    with OpenAI(base_url=shop.gateway.base_url, api_key=shop.secret, timeout=60) as client:
        yield client


@pytest.fixture
def trying(shop):
    secret = shop.make_key(mode="test")
    with OpenAI(base_url=shop.gateway.base_url, api_key=secret, timeout=60) as client:
        yield client


@pytest.fixture
def embedder(shop):
    name = f"embed-{shop.model}"
    factories.make_model(
        name, provider=shop.provider, kind=Model.Kind.EMBEDDING, context_tokens=8192
    )
    shop.relearn()
    return name


def strictly(model, answer):
    """Assert that the answer is what the client's own type says, with no field of another type."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.model_validate(answer.to_dict(), strict=True)
        answer.model_dump_json()


def test_whole_chat(shop, client):
    answer = client.chat.completions.create(model=shop.model, messages=MESSAGES)

    strictly(ChatCompletion, answer)
    assert answer.id.startswith("chatcmpl-")
    assert answer.model == shop.model
    assert answer.object == "chat.completion"
    assert answer.choices[0].message.content == "Hello world"
    assert answer.choices[0].finish_reason == "stop"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (9, 4)
    assert answer.usage.cost == pytest.approx(2500e-9)
    assert answer._request_id.startswith("req_")


def test_headers_of_a_whole_chat(shop, client):
    raw = client.chat.completions.with_raw_response.create(model=shop.model, messages=MESSAGES)

    assert raw.headers["x-exerati-cost-usd"] == "0.0000025"
    assert raw.headers["x-request-id"] == raw.parse()._request_id
    assert int(raw.headers["x-ratelimit-remaining-requests"]) >= 0
    assert raw.headers["content-type"] == "application/json"


@pytest.mark.parametrize("include_usage", [False, True])
def test_streamed_chat(shop, client, include_usage):
    options = {"stream_options": {"include_usage": True}} if include_usage else {}

    with client.chat.completions.create(
        model=shop.model, messages=MESSAGES, stream=True, **options
    ) as stream:
        chunks = list(stream)

    for chunk in chunks:
        strictly(ChatCompletionChunk, chunk)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "Hello world"
    assert {chunk.model for chunk in chunks} == {shop.model}
    assert len({chunk.id for chunk in chunks}) == 1
    with_usage = [chunk for chunk in chunks if chunk.usage]
    if include_usage:
        assert with_usage == chunks[-1:]
        assert chunks[-1].choices == []
        assert chunks[-1].usage.completion_tokens == 4
        assert chunks[-1].usage.cost == pytest.approx(2500e-9)
    else:
        assert with_usage == []
    assert books.only(shop.organization).basis == "reported"


def test_stream_helper_of_the_client(shop, client):
    with client.chat.completions.stream(model=shop.model, messages=MESSAGES) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()

    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert final.choices[0].message.content == "Hello world"


@pytest.mark.anyio
async def test_async_client(shop):
    async with AsyncOpenAI(base_url=shop.gateway.base_url, api_key=shop.secret) as client:
        whole = await client.chat.completions.create(model=shop.model, messages=MESSAGES)
        stream = await client.chat.completions.create(
            model=shop.model, messages=MESSAGES, stream=True
        )
        pieces = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
        ids = [model.id async for model in client.models.list()]

    assert whole.choices[0].message.content == "".join(pieces) == "Hello world"
    assert shop.model in ids


@pytest.mark.parametrize("stream", [False, True])
def test_tool_calls(trying, shop, stream):
    if stream:
        with trying.chat.completions.stream(
            model=shop.model, messages=MESSAGES, tools=[WEATHER], tool_choice="required"
        ) as events:
            events.until_done()
            message = events.get_final_completion().choices[0].message
    else:
        answer = trying.chat.completions.create(
            model=shop.model, messages=MESSAGES, tools=[WEATHER], tool_choice="required"
        )
        strictly(ChatCompletion, answer)
        message = answer.choices[0].message
    [call] = message.tool_calls
    assert call.function.name == "get_weather"
    assert "city" in call.function.arguments


def test_structured_output(trying, shop):
    answer = trying.chat.completions.parse(
        model=shop.model, messages=MESSAGES, response_format=City
    )

    assert isinstance(answer.choices[0].message.parsed, City)


def test_several_choices(trying, shop):
    answer = trying.chat.completions.create(model=shop.model, messages=MESSAGES, n=3)

    assert [choice.index for choice in answer.choices] == [0, 1, 2]


def test_models(shop, client):
    models = client.models.list()
    one = client.models.retrieve(shop.model)

    assert shop.model in [model.id for model in models]
    assert (one.id, one.object, one.owned_by) == (shop.model, "model", "test")
    assert isinstance(one.created, int)
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("no-such-model")
    assert caught.value.code == "model_not_found"


def test_embeddings_come_as_the_client_asks_for_them(shop, client, embedder):
    # The client asks for base64 by itself and decodes it.
    one = client.embeddings.create(model=embedder, input="Hello")
    many = client.embeddings.create(model=embedder, input=["Hello", "world"])
    floats = client.embeddings.create(model=embedder, input="Hello", encoding_format="float")
    packed = client.embeddings.create(model=embedder, input="Hello", encoding_format="base64")
    numbers = client.embeddings.create(model=embedder, input=[[1, 2, 3], [4]])

    assert one.data[0].embedding == [1.0, 0.0] == floats.data[0].embedding
    assert [item.index for item in many.data] == [0, 1]
    assert struct.unpack("<2f", base64.b64decode(packed.data[0].embedding)) == (1.0, 0.0)
    assert len(numbers.data) == 2
    assert one.model == embedder
    assert (one.usage.prompt_tokens, one.usage.total_tokens) == (5, 5)
    events = books.settled(shop.organization, calls=5)
    assert {(event.endpoint, event.charge_nanousd) for event in events} == {("embeddings", 500)}


def test_wrong_key_raises_authentication_error(shop):
    with (
        OpenAI(base_url=shop.gateway.base_url, api_key="sk-wrong") as client,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        client.chat.completions.create(model=shop.model, messages=MESSAGES)

    error = caught.value
    assert (error.status_code, error.code, error.type) == (
        401,
        "invalid_api_key",
        "invalid_request_error",
    )
    assert str(error.request_id).startswith("req_")


def test_unknown_model_raises_not_found(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gpt-17", messages=MESSAGES)

    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"temperature": 9}, "temperature"),
        ({"messages": []}, "messages"),
        ({"n": 0}, "n"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
    ],
    ids=str,
)
def test_bad_request_names_the_parameter(shop, client, fields, param):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**{"model": shop.model, "messages": MESSAGES, **fields})

    assert str(caught.value.param).startswith(param)
    assert shop.upstream.calls == []


def test_model_outside_of_the_scope_raises_permission_denied(shop):
    secret = shop.make_key(model_patterns=["other-*"])

    with (
        OpenAI(base_url=shop.gateway.base_url, api_key=secret) as client,
        pytest.raises(openai.PermissionDeniedError) as caught,
    ):
        client.chat.completions.create(model=shop.model, messages=MESSAGES)

    assert caught.value.code == "model_not_allowed"


def test_body_over_the_limit_is_told_as_such(shop, client):
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": "x" * 3 * 2**20}]

    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model=shop.model, messages=messages)

    assert (caught.value.status_code, caught.value.code) == (413, "request_too_large")


def test_route_that_is_not_offered_raises_not_implemented(client):
    with pytest.raises(openai.APIStatusError) as caught:
        client.batches.list()

    assert (caught.value.status_code, caught.value.code) == (501, "not_supported")
    assert caught.value.response.headers["x-should-retry"] == "false"


def test_out_of_money_is_a_429_that_the_client_does_not_retry(shop):
    poor = factories.make_api_key(factories.make_organization())
    requests: list[object] = []

    with OpenAI(base_url=shop.gateway.base_url, api_key=poor.secret) as client:
        client._client.event_hooks["request"].append(requests.append)
        with pytest.raises(openai.RateLimitError) as caught:
            client.chat.completions.create(model=shop.model, messages=MESSAGES)

    assert (caught.value.code, caught.value.type) == ("insufficient_quota", "insufficient_quota")
    assert len(requests) == 1
    assert caught.value.response.headers["x-should-retry"] == "false"


def call_until_refused(client, model):
    while True:  # however long the calls take, and however many come free meanwhile
        client.chat.completions.create(model=model, messages=MESSAGES)


def test_rate_limit_is_a_429_that_the_client_waits_out(shop):
    secret = shop.make_key(requests_per_minute=12)  # one more every 5 s
    times = []

    with OpenAI(base_url=shop.gateway.base_url, api_key=secret) as client:
        with pytest.raises(openai.RateLimitError) as caught:
            call_until_refused(client.with_options(max_retries=0), shop.model)
        client._client.event_hooks["request"].append(lambda _: times.append(time.monotonic()))
        answer = client.chat.completions.create(model=shop.model, messages=MESSAGES)

    assert caught.value.code == "rate_limit_exceeded"
    assert int(caught.value.response.headers["retry-after-ms"]) <= 5000
    assert answer.choices[0].message.content == "Hello world"
    assert len(times) <= 3


def test_provider_without_an_account_raises_a_503_after_retries(shop, client):
    shop.script(status=401)

    with pytest.raises(openai.InternalServerError) as caught:
        client.with_options(max_retries=0).chat.completions.create(
            model=shop.model, messages=MESSAGES
        )

    assert (caught.value.status_code, caught.value.code) == (503, "provider_unavailable")


def test_error_in_the_midst_of_a_stream_raises(shop, client):
    shop.script(abort_after=2)
    pieces = []

    with pytest.raises(openai.APIError) as caught:  # noqa: PT012  the stream raises while it is read
        with client.chat.completions.create(
            model=shop.model, messages=MESSAGES, stream=True
        ) as stream:
            for chunk in stream:
                pieces += [choice.delta.content for choice in chunk.choices]

    assert "".join(filter(None, pieces)) == "Hello "
    assert caught.value.code == "provider_error"
    assert "provider" in caught.value.message


def test_unknown_parameters_are_named_and_not_sent_on(shop, client):
    raw = client.chat.completions.with_raw_response.create(
        model=shop.model, messages=MESSAGES, extra_body={"top_k": 3, "cheap": True}
    )

    assert raw.headers["x-exerati-ignored-params"] == "top_k,cheap"
    assert not {"top_k", "cheap"} & set(shop.upstream.calls[0].body)


def test_unknown_parameters_are_refused_where_the_key_asks_for_it(shop):
    secret = shop.make_key(strict_parameters=True)

    with (
        OpenAI(base_url=shop.gateway.base_url, api_key=secret) as client,
        pytest.raises(openai.BadRequestError) as caught,
    ):
        client.chat.completions.create(model=shop.model, messages=MESSAGES, extra_body={"top_k": 3})

    assert (caught.value.code, caught.value.param) == ("unknown_parameter", "top_k")
