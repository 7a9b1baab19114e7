"""The sandbox answers as a provider does, the same each time, and with any outcome on demand."""

import base64
import json
import math
import struct
import time
from typing import Any

import pytest

from gateway.providers import registry
from gateway.providers.base import ProviderError, ServeAs, Upstream
from gateway.providers.sandbox import sandbox
from gateway.sse import SseDecoder

pytestmark = pytest.mark.anyio
ADAPTER = registry.adapter("sandbox")
UPSTREAM = Upstream("sandbox", "sandbox", "")
SERVE_AS = ServeAs(id="chatcmpl-1", model="gpt-4o", created=1)
PARIS = "What is the capital of France?"
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"enum": ["celsius", "kelvin"]}},
        },
    },
}
TIME = {"type": "function", "function": {"name": "get_time"}}


async def ask(text: str = PARIS, *, model: str = "gpt-4o", stream: bool = False, **fields):
    body = {"messages": [{"role": "user", "content": text}], **fields}
    request = ADAPTER.chat_request(UPSTREAM, upstream_model=model, body=body, stream=stream)
    return await sandbox.respond(request, now=1_790_000_000)


async def answer(text: str = PARIS, *, model: str = "gpt-4o", **fields):
    response = await ask(text, model=model, **fields)
    return ADAPTER.chat_answer(await response.read(), serve_as=SERVE_AS)


async def streamed(text: str = PARIS, *, model: str = "gpt-4o", **fields):
    response = await ask(text, model=model, stream=True, **fields)
    decoder, translator = SseDecoder(), ADAPTER.chat_stream(serve_as=SERVE_AS)
    chunks = []
    async for part in response.chunks():
        for event, data in decoder.feed(part):
            chunks += [json.loads(chunk) for chunk in translator.feed(event, data)]
    translator.finish()
    return chunks, translator


def text_of(chunks) -> str:
    return "".join(
        choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"]
    )


async def test_a_question_is_answered_whole_and_streamed_alike():
    whole = await answer()
    chunks, translator = await streamed()

    assert whole.body["choices"][0]["message"]["content"] == "The capital of France is Paris."
    assert text_of(chunks) == "The capital of France is Paris."
    assert whole.usage == translator.usage
    assert whole.usage.output_tokens == 7
    assert translator.done


async def test_the_same_request_has_the_same_bytes():
    first, second = await ask("Tell me more"), await ask("Tell me more")

    assert await first.read() == await second.read()


async def test_an_unknown_question_says_that_the_answer_is_simulated():
    content = (await answer("Explain money")).body["choices"][0]["message"]["content"]

    assert "simulated" in content
    assert "Explain money" in content


async def test_the_output_limit_is_kept():
    whole = await answer(max_completion_tokens=3)

    assert whole.finish_reason == "length"
    assert whole.usage.output_tokens == 3
    assert whole.body["choices"][0]["message"]["content"] == "The capital of"


async def test_a_stop_sequence_ends_the_text():
    assert (await answer(stop=[" France"])).body["choices"][0]["message"][
        "content"
    ] == "The capital of"


async def test_each_choice_is_answered_and_counted():
    whole = await answer(n=3)
    chunks, translator = await streamed(n=3)

    assert [choice["index"] for choice in whole.body["choices"]] == [0, 1, 2]
    assert whole.usage.output_tokens == 21
    assert translator.usage.output_tokens == 21
    assert {chunk["choices"][0]["index"] for chunk in chunks} == {0, 1, 2}


async def test_usage_in_a_stream_is_sent_only_when_asked_for():
    body = {"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
    request = ADAPTER.embeddings_request(UPSTREAM, upstream_model="gpt-4o", body=body)
    unasked = type(request)(url="/chat/completions", headers=(), body=request.body)

    data = await (await sandbox.respond(unasked, now=1)).read()

    assert b"usage" not in data


async def test_tools_are_called_with_arguments_that_fit_their_schema():
    whole = await answer("Weather?", tools=[WEATHER, TIME])
    chunks, _ = await streamed("Weather?", tools=[WEATHER, TIME])

    (call,) = whole.body["choices"][0]["message"]["tool_calls"]
    assert call["function"]["name"] == "get_weather"
    assert json.loads(call["function"]["arguments"]) == {"city": "example", "unit": "celsius"}
    assert whole.finish_reason == "tool_calls"
    pieces = [
        piece["function"]["arguments"]
        for chunk in chunks
        for piece in chunk["choices"][0]["delta"].get("tool_calls", ())
    ]
    assert "".join(pieces) == call["function"]["arguments"]


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({}, ["get_weather", "get_time"]),
        ({"parallel_tool_calls": False}, ["get_weather"]),
        ({"tool_choice": {"type": "function", "function": {"name": "get_time"}}}, ["get_time"]),
        ({"tool_choice": "none"}, []),
    ],
)
async def test_the_tools_model_calls_what_the_choice_allows(fields, names):
    whole = await answer("Go", model="sandbox/tools", tools=[WEATHER, TIME], **fields)

    calls = whole.body["choices"][0]["message"].get("tool_calls", [])
    assert [call["function"]["name"] for call in calls] == names


async def test_after_a_tools_result_text_follows():
    messages = [{"role": "tool", "tool_call_id": "a", "content": "18 degrees"}]
    body = {"messages": messages, "tools": [WEATHER]}
    request = ADAPTER.chat_request(UPSTREAM, upstream_model="gpt-4o", body=body, stream=False)

    data = await (await sandbox.respond(request, now=1)).read()

    assert "18 degrees" in json.loads(data)["choices"][0]["message"]["content"]


async def test_a_json_schema_is_followed():
    schema = {
        "type": "object",
        "properties": {"steps": {"type": "array", "items": {"$ref": "#/$defs/step"}}},
        "$defs": {"step": {"type": "object", "properties": {"n": {"type": "integer"}}}},
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "plan", "schema": schema}}

    content = (await answer(response_format=wanted)).body["choices"][0]["message"]["content"]

    assert json.loads(content) == {"steps": [{"n": 1}]}


async def test_a_schema_that_contains_itself_ends():
    schema = {"type": "object", "properties": {"next": {"$ref": "#"}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "list", "schema": schema}}

    content = (await answer(response_format=wanted)).body["choices"][0]["message"]["content"]

    assert json.loads(content)["next"]["next"]


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("sandbox/error-400", "bad_request"),
        ("sandbox/error-401", "auth"),
        ("sandbox/error-404", "not_found"),
        ("sandbox/error-429", "rate_limited"),
        ("sandbox/error-500", "server"),
        ("sandbox/error-503", "overloaded"),
    ],
)
async def test_each_error_is_answered_as_providers_do(model, kind):
    response = await ask(model=model, stream=True)

    error = ADAPTER.error(response.status, response.headers, await response.read())

    assert response.status == int(model[-3:])
    assert error.kind == kind


async def test_a_timeout_is_told_as_the_client_tells_it():
    with pytest.raises(ProviderError) as caught:
        await ask(model="sandbox/error-timeout")

    assert caught.value.kind == "timeout"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_broken_answer_breaks_after_some_of_it(stream):
    response = await ask(model="sandbox/broken-stream", stream=stream)
    chunks = response.chunks()

    assert await anext(chunks)
    with pytest.raises(ProviderError) as caught:
        await anext(chunks)
    assert caught.value.kind == "connection"


async def test_special_models_do_what_their_names_say():
    assert (await answer("Ping", model="sandbox/echo")).body["choices"][0]["message"][
        "content"
    ] == "Ping"
    assert not (await answer(model="sandbox/empty")).has_output
    assert (await answer(model="sandbox/no-usage")).usage is None
    assert (await streamed(model="sandbox/no-usage"))[1].usage is None
    assert (await answer(model="sandbox/length")).finish_reason == "length"
    overrun = await answer(model="sandbox/overrun", max_completion_tokens=20)
    assert overrun.usage.output_tokens == 40


async def test_the_slow_model_waits_as_long_as_it_is_told():
    started = time.perf_counter()

    chunks, translator = await streamed('{"delay_ms": 10, "tokens": 5}', model="sandbox/slow")

    assert text_of(chunks) == "one two three four five"
    assert translator.usage.output_tokens == 5
    assert time.perf_counter() - started >= 0.05


async def embedded(model: str, **fields) -> dict[str, Any]:
    request = ADAPTER.embeddings_request(UPSTREAM, upstream_model=model, body=fields)
    data = await (await sandbox.respond(request, now=1)).read()
    return ADAPTER.embeddings_answer(data, serve_as=SERVE_AS).body


@pytest.mark.parametrize(
    ("model", "fields", "dimensions"),
    [
        ("text-embedding-ada-002", {}, 1_536),
        ("text-embedding-3-large", {}, 3_072),
        ("text-embedding-3-large", {"dimensions": 256}, 256),
        ("sandbox/embedding", {}, 1_024),
    ],
)
async def test_embeddings_are_unit_vectors_of_the_models_size(model, fields, dimensions):
    body = await embedded(model, input="The food was delicious", **fields)

    (row,) = body["data"]
    assert len(row["embedding"]) == dimensions
    assert math.isclose(sum(value * value for value in row["embedding"]), 1, abs_tol=1e-4)
    assert body["usage"] == {"prompt_tokens": 4, "total_tokens": 4}


async def test_base64_holds_the_same_numbers():
    floats = await embedded("sandbox/embedding", input=["a", [1, 2]])
    coded = await embedded("sandbox/embedding", input=["a", [1, 2]], encoding_format="base64")

    for plain, packed in zip(floats["data"], coded["data"], strict=True):
        assert plain["embedding"] == list(
            struct.unpack("<1024f", base64.b64decode(packed["embedding"]))
        )
    assert floats["data"][0]["embedding"] != floats["data"][1]["embedding"]


async def test_every_sandbox_model_answers_or_fails_as_it_says():
    for model in sandbox.SANDBOX_MODELS:
        if model.kind == "embedding":
            assert (await embedded(model.name, input="a"))["data"]
        elif model.name != "sandbox/error-timeout":
            response = await ask("{}", model=model.name)
            assert response.status == 200 or model.name == f"sandbox/error-{response.status}"
            await response.close()
