"""Requests to OpenAI-compatible providers, and their whole answers as OpenAI would have sent them."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion

from gateway.providers import embedding_format, registry
from gateway.providers.base import ProviderError, ServeAs, Upstream
from tests.gateway import recorded

Json = dict[str, Any]
ADAPTER = registry.adapter("openai")
SERVE_AS = ServeAs(id="chatcmpl-ours", model="public/name", created=1_790_000_001)
WITH_USAGE = ServeAs(id="chatcmpl-ours", model="public/name", created=1, include_usage=True)
STREAMS = recorded.streams()
WHOLES = [item for item in recorded.exchanges() if not item.streamed and item.status == 200]
ERRORS = [item for item in recorded.exchanges() if item.status >= 400]
needs_recordings = pytest.mark.skipif(not recorded.SHARED.exists(), reason=recorded.MISSING)


def assert_valid(model, value: Json) -> None:
    """Read with the official SDK's own types, strictly; service tiers of other providers are theirs to name."""
    value = {key: item for key, item in value.items() if key != "service_tier"}
    model.model_validate(value)


@needs_recordings
@pytest.mark.parametrize("exchange", WHOLES, ids=lambda exchange: exchange.name)
def test_recorded_whole_answers_come_out_as_openais(exchange):
    theirs = json.loads(exchange.data)
    if exchange.api == "embeddings":
        answer = ADAPTER.embeddings_answer(exchange.data, serve_as=SERVE_AS)
        assert_valid(CreateEmbeddingResponse, with_floats(answer.body))
        assert [row["embedding"] for row in answer.body["data"]] == [
            row["embedding"] for row in theirs["data"]
        ]
        assert answer.usage
        assert answer.usage.input_tokens == theirs["usage"]["prompt_tokens"]
        return

    answer = ADAPTER.chat_answer(exchange.data, serve_as=SERVE_AS)

    assert_valid(ChatCompletion, answer.body)
    assert set(theirs) <= set(answer.body)
    assert answer.upstream_id == theirs["id"]
    assert answer.usage
    assert answer.usage.input_tokens + answer.usage.output_tokens == theirs["usage"]["total_tokens"]
    for mine, other in zip(answer.body["choices"], theirs["choices"], strict=True):
        assert set(other["message"]) <= set(mine["message"])
        if not isinstance(other["message"].get("content"), list):
            assert mine["message"]["content"] == other["message"].get("content")
        for my_call, call in zip(
            mine["message"].get("tool_calls") or (),
            other["message"].get("tool_calls") or (),
            strict=True,
        ):
            assert my_call["function"] == call["function"]


def with_floats(body: Json) -> Json:
    """The SDK's type has lists of floats alone; base64 is decoded before it is made."""
    rows = [
        {**row, "embedding": [] if isinstance(row["embedding"], str) else row["embedding"]}
        for row in body["data"]
    ]
    return {**body, "data": rows}


BODY: Json = {"messages": [{"role": "developer", "content": "Hi"}], "max_completion_tokens": 5}


def sent(*quirks: str, stream: bool = False, body: Json = BODY) -> SimpleNamespace:
    upstream = Upstream("p", "openai", "https://p.example/v1/", "sk-secret", frozenset(quirks))
    request = ADAPTER.chat_request(upstream, upstream_model="m-1", body=body, stream=stream)
    return SimpleNamespace(
        url=request.url, headers=dict(request.headers), body=json.loads(request.body)
    )


def test_a_request_has_our_key_and_nothing_of_the_customers_headers():
    request = sent()

    assert request.url == "https://p.example/v1/chat/completions"
    assert request.body == {**BODY, "model": "m-1"}
    assert request.headers == {
        "content-type": "application/json",
        "accept": "application/json",
        "user-agent": "exerati/1",
        "authorization": "Bearer sk-secret",
    }


def test_a_stream_always_asks_for_usage():
    body = {**BODY, "stream_options": {"include_usage": False, "include_obfuscation": False}}

    assert sent(stream=True, body=body).body["stream_options"] == {
        "include_usage": True,
        "include_obfuscation": False,
    }
    assert "stream_options" not in sent(stream=False, body=body).body
    assert "stream_options" not in sent("no_stream_options", stream=True).body


def test_quirks_change_the_request_and_not_the_customers_body():
    request = sent("max_tokens_only", "no_developer_role", "api_key_header")

    assert request.body["max_tokens"] == 5
    assert "max_completion_tokens" not in request.body
    assert request.body["messages"][0]["role"] == "system"
    assert request.headers["api-key"] == "sk-secret"
    assert "authorization" not in request.headers
    assert BODY["messages"][0]["role"] == "developer"


def test_a_request_does_not_show_its_secret():
    upstream = Upstream("p", "openai", "https://p.example", "sk-secret")
    request = ADAPTER.embeddings_request(upstream, upstream_model="m", body={"input": "a"})

    assert "sk-secret" not in repr(upstream) + repr(request)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"{}", "bad_answer"),
        (b"not json", "bad_answer"),
        (b'{"choices":[{}]}', "bad_answer"),
        (b'{"error":{"code":429,"message":"Rate limit exceeded"}}', "rate_limited"),
        (b'{"choices":[{"message":{},"error":{"code":502,"message":"x"}}]}', "server"),
    ],
)
def test_a_bad_whole_answer_is_an_error(data, kind):
    with pytest.raises(ProviderError) as caught:
        ADAPTER.chat_answer(data, serve_as=SERVE_AS)

    assert caught.value.kind == kind


@pytest.mark.parametrize(
    ("message", "has_output"),
    [
        ({"content": ""}, False),
        ({"content": None, "tool_calls": []}, False),
        ({"content": "Hi"}, True),
        ({"content": None, "refusal": "No."}, True),
        ({"content": None, "reasoning": "Hmm"}, True),
    ],
)
def test_an_empty_answer_is_known_as_such(message, has_output):
    data = json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode()

    assert ADAPTER.chat_answer(data, serve_as=SERVE_AS).has_output is has_output


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        ({"function": {"name": "f", "arguments": "{}"}}, "function"),
        ({"function": {"name": "f", "arguments": "{}"}, "type": "tool"}, "function"),
        ({"custom": {"name": "f", "input": ""}, "type": "custom_tool"}, "custom"),
    ],
)
def test_a_tool_call_is_of_one_of_the_two_kinds_that_clients_know(call, kind):
    message = {"role": "assistant", "content": None, "tool_calls": [{"id": "t", **call}]}
    choices = [{"index": 0, "message": message, "finish_reason": "tool_calls"}]

    answer = ADAPTER.chat_answer(json.dumps({"choices": choices}).encode(), serve_as=SERVE_AS)

    assert answer.body["choices"][0]["message"]["tool_calls"][0]["type"] == kind


def embeddings_sent(given: Any, *quirks: str) -> Any:
    upstream = Upstream("p", "openai", "https://p.example", quirks=frozenset(quirks))
    request = ADAPTER.embeddings_request(upstream, upstream_model="m", body={"input": given})
    return json.loads(request.body)["input"]


@pytest.mark.parametrize(
    ("given", "texts"),
    [
        ([15339, 1917], ["hello world"]),
        ([[15339, 1917], [15339]], ["hello world", "hello"]),
        (["hello"], ["hello"]),
        ("hello", "hello"),
    ],
)
def test_tokens_are_decoded_for_servers_that_take_only_texts(given, texts):
    assert embeddings_sent(given, "no_token_inputs") == texts
    assert embeddings_sent(given) == given


def test_a_token_nobody_knows_is_refused_before_it_is_sent():
    with pytest.raises(ProviderError) as caught:
        embeddings_sent([2**31], "no_token_inputs")

    assert (caught.value.kind, caught.value.sent) == ("bad_request", False)


@pytest.mark.parametrize("received", [[0.5, -1.0], "AAAAPwAAgL8="])
def test_vectors_go_out_in_the_format_asked_for(received):
    body = {"data": [{"embedding": received}]}

    embedding_format.write_as(body, encoding_format="base64")
    assert body["data"][0]["embedding"] == "AAAAPwAAgL8="

    embedding_format.write_as(body, encoding_format="float")
    assert body["data"][0]["embedding"] == [0.5, -1.0]


@pytest.mark.parametrize(
    ("received", "wanted"),
    [(["a"], "base64"), ([1e300], "base64"), ("AAA=", "float"), ("!", "float")],
)
def test_a_vector_that_is_none_is_a_bad_answer(received, wanted):
    with pytest.raises(ProviderError) as caught:
        embedding_format.write_as({"data": [{"embedding": received}]}, encoding_format=wanted)

    assert caught.value.kind == "bad_answer"


def test_an_api_without_translator_is_named():
    with pytest.raises(registry.NoAdapter) as caught:
        registry.adapter("smoke-signals")

    assert caught.value.api == "smoke-signals"
