"""What OpenAI-compatible providers send comes out as OpenAI would have sent it, whole, streamed and refused."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from billing.types import TokenUsage
from gateway.providers import embedding_format, openai_usage, registry
from gateway.providers.base import ProviderError, ServeAs, Upstream
from gateway.sse import SseDecoder
from tests.gateway import recorded

Json = dict[str, Any]
ADAPTER = registry.adapter("openai")
SERVE_AS = ServeAs(id="chatcmpl-ours", model="public/name", created=1_790_000_001)
WITH_USAGE = ServeAs(id="chatcmpl-ours", model="public/name", created=1, include_usage=True)
STREAMS = recorded.streams()
WHOLES = [item for item in recorded.exchanges() if not item.streamed and item.status == 200]
ERRORS = [item for item in recorded.exchanges() if item.status >= 400]
needs_recordings = pytest.mark.skipif(not recorded.SHARED.exists(), reason=recorded.MISSING)


def run(data: bytes, *, serve_as: ServeAs = SERVE_AS):
    """Return the chunks that go out for a stream, its translator, and the error it ended with."""
    decoder, translator = SseDecoder(), ADAPTER.chat_stream(serve_as=serve_as, quirks=frozenset())
    sent, error = [], None
    try:
        for event, payload in decoder.feed(data) + decoder.flush():
            sent += translator.feed(event, payload)
        sent += translator.finish()
    except ProviderError as caught:
        error = caught
    return SimpleNamespace(
        chunks=[json.loads(chunk) for chunk in sent], translator=translator, error=error
    )


def own(name: str) -> bytes:
    return (recorded.OWN / f"{name}.sse").read_bytes()


def upstream_chunks(data: bytes) -> list[Json]:
    """Return the provider's own chunks, read with nothing but the standard library."""
    lines = data.decode().split("\n")
    payloads = [line[6:] for line in lines if line.startswith("data: ") and "[DONE]" not in line]
    return [json.loads(payload) for payload in payloads]


def text_of(chunks: list[Json], *names: str) -> str:
    """Return the joined text of a field of every delta; parts (Mistral) count by their own text."""
    texts = []
    for chunk in chunks:
        for choice in chunk.get("choices") or ():
            delta = choice.get("delta") or {}
            value = next((delta[name] for name in names if delta.get(name)), "")
            if isinstance(value, list):
                value = "".join(part.get("text", "") for part in value)
            texts.append(value)
    return "".join(texts)


def arguments_of(chunks: list[Json]) -> list[str]:
    return [
        call["function"].get("arguments") or ""
        for chunk in chunks
        for choice in chunk.get("choices") or ()
        for call in (choice.get("delta") or {}).get("tool_calls") or ()
    ]


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_recorded_streams_come_out_as_openai_chunks(stream):
    theirs = upstream_chunks(stream.data)
    failed = any(chunk.get("error") for chunk in theirs)

    result = run(stream.data)

    assert (result.error is not None) == failed
    assert text_of(result.chunks, "content") == text_of(
        [chunk for chunk in theirs if not chunk.get("error")], "content"
    )
    assert arguments_of(result.chunks) == arguments_of(theirs)
    for chunk in result.chunks:
        assert (chunk["id"], chunk["model"]) == ("chatcmpl-ours", "public/name")
        assert not chunk.get("usage")
        assert_valid(ChatCompletionChunk, chunk)


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_usage_of_recorded_streams_is_the_providers(stream):
    theirs = [chunk for chunk in upstream_chunks(stream.data) if usage_in(chunk)]

    result = run(stream.data, serve_as=WITH_USAGE)

    if not theirs:
        assert result.translator.usage is None
        return
    expected = usage_in(theirs[-1])
    assert result.translator.usage.input_tokens == expected["prompt_tokens"]
    assert result.translator.usage.output_tokens == expected["completion_tokens"]


def usage_in(chunk: Json) -> Any:
    return chunk.get("usage") or (chunk.get("x_groq") or {}).get("usage")


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_unknown_fields_of_recorded_chunks_survive(stream):
    ours = run(stream.data).chunks
    theirs = [
        chunk
        for chunk in upstream_chunks(stream.data)
        if not chunk.get("error") and (chunk["choices"] or not chunk.get("usage"))
    ]

    for sent, received in zip(ours, theirs, strict=False):
        assert set(received) - {"usage"} <= set(sent)
        for mine, other in zip(sent["choices"], received["choices"], strict=True):
            assert set(other) <= set(mine)
            assert set(other.get("delta") or {}) <= set(mine["delta"])


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


def test_text_reaches_the_customer_byte_for_byte():
    result = run(own("openai/chat_stream_usage"))

    assert text_of(result.chunks, "content") == "Grüße 世界 🙂\u2028"
    assert "".join(result.translator.output_text) == "Grüße 世界 🙂\u2028"
    assert result.translator.finish_reason == "stop"
    assert result.translator.upstream_id == "chatcmpl-A1"
    assert result.translator.done


def test_the_usage_chunk_is_held_back_and_the_others_keep_their_null():
    plain, asked = (
        run(own("openai/chat_stream_usage"), serve_as=s) for s in (SERVE_AS, WITH_USAGE)
    )

    assert len(plain.chunks) == len(asked.chunks) == 4
    assert all("usage" not in chunk for chunk in plain.chunks)
    assert all(chunk["usage"] is None for chunk in asked.chunks)
    assert asked.translator.usage == TokenUsage(input_tokens=9, output_tokens=3)


def test_tool_calls_without_index_are_numbered():
    chunks = run(own("mistral/chat_stream_tools")).chunks

    calls = chunks[-1]["choices"][0]["delta"]["tool_calls"]
    assert [call["index"] for call in calls] == [0, 1]
    assert {call["type"] for call in calls} == {"function"}


def test_thinking_parts_become_reasoning_content():
    result = run(own("mistral/chat_stream_thinking"))

    assert text_of(result.chunks, "content") == "4"
    assert text_of(result.chunks, "reasoning_content") == "Hmm"
    assert result.translator.output_text == ["Hmm", "4"]


def test_an_error_event_ends_the_stream_as_what_it_is():
    result = run(own("groq/chat_stream_error"))

    assert result.error.kind == "bad_request"
    assert result.error.code == "tool_use_failed"
    assert result.translator.output_text == ["Let me"]


def test_usage_under_x_groq_is_found():
    assert run(own("groq/chat_stream_x_groq")).translator.usage == TokenUsage(
        input_tokens=12, output_tokens=26
    )


def test_a_first_chunk_without_choices_passes_with_our_names():
    first = run(own("azure/chat_stream_filter")).chunks[0]

    assert first["choices"] == []
    assert first["prompt_filter_results"]
    assert first["object"] == "chat.completion.chunk"
    assert first["created"] == SERVE_AS.created


def test_a_stream_without_done_is_complete_by_its_finish_reason():
    result = run(own("perplexity/chat_stream_no_done"))

    assert result.error is None
    assert result.translator.usage.output_tokens == 3
    assert "cost" not in result.translator.usage_extra
    assert result.translator.usage_extra["search_context_size"] == "low"


def test_a_stream_cut_short_is_an_error_after_what_was_delivered():
    data = own("openai/chat_stream_usage").split(b"\n\n")

    result = run(b"\n\n".join(data[:3]) + b"\n\n")

    assert result.error.kind == "connection"
    assert len(result.chunks) == 3


def test_a_stream_that_ends_without_a_finish_reason_gets_one():
    chunk = {
        "id": "a",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": {"content": "Hi"}}],
    }
    data = b"data: " + json.dumps(chunk).encode() + b"\n\ndata: [DONE]\n\n"

    result = run(data)

    assert result.chunks[-1]["choices"][0]["finish_reason"] == "stop"


def one_chunk(**fields) -> bytes:
    choice = {"index": 0, "delta": {"content": "Hi"}, "finish_reason": None}
    chunk = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [choice],
        **fields,
    }
    return json.dumps(chunk, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    "payload",
    [
        one_chunk(),
        one_chunk(choices=[{"index": 0, "delta": {"content": '"id":"chatcmpl-1","model":"m"'}}]),
        one_chunk(provider={"id": "chatcmpl-1", "model": "m"}),
        one_chunk(model="a/b").replace(b"a/b", rb"a\/b"),
        json.dumps(json.loads(one_chunk()), indent=1).encode(),
        one_chunk(id=""),
    ],
)
def test_only_the_chunks_own_id_and_model_are_exchanged(payload):
    translator = ADAPTER.chat_stream(serve_as=SERVE_AS, quirks=frozenset())

    (sent,) = translator.feed(b"", payload)

    theirs, ours = json.loads(payload), json.loads(sent)
    assert ours == {**theirs, "id": "chatcmpl-ours", "model": "public/name"} | (
        {"choices": ours["choices"]}
    )
    assert ours["choices"][0]["delta"] == theirs["choices"][0]["delta"]


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (b"not json", "bad_answer"),
        (b"[1]", "bad_answer"),
        (one_chunk(error={"code": 502, "message": "Provider disconnected"}), "server"),
        (one_chunk(error={"message": "Overloaded", "type": "overloaded_error"}), "overloaded"),
        (b'{"error":{"code":500,"message":"does not match the expected format"}}', "server"),
        (one_chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "error"}]), "server"),
        (one_chunk(choices=[{"index": 0, "delta": {"content": 7}}]), "bad_answer"),
    ],
)
def test_broken_chunks_end_the_stream(payload, kind):
    translator = ADAPTER.chat_stream(serve_as=SERVE_AS, quirks=frozenset())

    with pytest.raises(ProviderError) as caught:
        translator.feed(b"", payload)

    assert caught.value.kind == kind


def test_half_a_surrogate_pair_does_not_break_the_stream():
    payload = one_chunk().replace(b"Hi", rb"\ud83d")
    translator = ADAPTER.chat_stream(serve_as=SERVE_AS, quirks=frozenset())

    (sent,) = translator.feed(b"", payload)

    assert json.loads(sent)["choices"][0]["delta"]["content"] == "\ud83d"


def test_content_and_reasoning_in_one_delta_are_both_counted():
    choice = {"index": 0, "delta": {"content": "a", "reasoning": "b", "reasoning_content": "b"}}
    translator = ADAPTER.chat_stream(serve_as=SERVE_AS, quirks=frozenset())

    translator.feed(b"", one_chunk(choices=[choice]))

    assert translator.output_text == ["a", "b"]


@pytest.mark.parametrize(
    ("raw", "usage"),
    [
        (
            {"prompt_tokens": 10, "completion_tokens": 2, "prompt_cache_hit_tokens": 8},
            TokenUsage(10, 2, cache_read_tokens=8),
        ),
        (
            {"prompt_tokens": 10, "completion_tokens": 2, "cached_tokens": 8},
            TokenUsage(10, 2, cache_read_tokens=8),
        ),
        (
            {"prompt_tokens": 10, "completion_tokens": 2, "num_cached_tokens": 8},
            TokenUsage(10, 2, cache_read_tokens=8),
        ),
        # Anthropic through a proxy: cached tokens are not inside the prompt's.
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 2,
                "total_tokens": 20,
                "cache_read_input_tokens": 8,
            },
            TokenUsage(18, 2, cache_read_tokens=8),
        ),
        # xAI: reasoning is not inside the completion's.
        (
            {
                "prompt_tokens": 12,
                "completion_tokens": 2,
                "total_tokens": 334,
                "completion_tokens_details": {"reasoning_tokens": 320},
            },
            TokenUsage(12, 322, reasoning_tokens=320),
        ),
        # Mistral: audio is not inside the prompt's.
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 201,
                "total_tokens": 585,
                "prompt_tokens_details": {"audio_tokens": 375},
            },
            TokenUsage(384, 201, audio_input_tokens=375),
        ),
        # Grok on Azure: more cached than prompt.
        (
            {"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 9}},
            TokenUsage(5, 0, cache_read_tokens=5),
        ),
        (
            {"prompt_tokens": 9, "prompt_tokens_details": {"cache_write_tokens": 4}},
            TokenUsage(9, 0, cache_write_5m_tokens=4),
        ),
        ({"prompt_tokens": -1, "completion_tokens": None, "total_tokens": "x"}, TokenUsage()),
        ({"prompt_tokens": 3, "num_search_queries": 2}, TokenUsage(3, 0, searches=2)),
    ],
)
def test_every_spelling_of_usage_is_read(raw, usage):
    assert openai_usage.read_usage(raw) == usage


def test_usage_goes_out_in_openais_words_beside_the_providers_own():
    raw = {
        "prompt_tokens": 10,
        "completion_tokens": 2,
        "total_tokens": 12,
        "prompt_cache_hit_tokens": 8,
        "prompt_tokens_details": {"video_tokens": 1},
        "cost": 0.1,
        "queue_time": 0.5,
    }

    wire = openai_usage.wire_usage(
        openai_usage.read_usage(raw), extra=openai_usage.extra_usage(raw)
    )

    assert wire["prompt_tokens_details"] == {
        "video_tokens": 1,
        "cached_tokens": 8,
        "audio_tokens": 0,
    }
    assert (wire["prompt_cache_hit_tokens"], wire["queue_time"]) == (8, 0.5)
    assert "cost" not in wire


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
    ("status", "body", "kind"),
    [
        (400, {"error": {"message": "bad", "code": "invalid_value"}}, "bad_request"),
        (400, {"error": {"type": "exceed_context_size_error", "code": 400}}, "context_length"),
        (400, {"error": {"message": "maximum context length is 8192 tokens"}}, "context_length"),
        (400, {"error": {"code": "content_filter", "message": "filtered"}}, "content_policy"),
        (
            400,
            {"error": {"innererror": {"code": "ResponsibleAIPolicyViolation"}}},
            "content_policy",
        ),
        (401, {"error": {"code": "invalid_api_key"}}, "auth"),
        (402, {"error": {"message": "Insufficient Balance"}}, "quota"),
        (403, {"error": {"message": "country not supported"}}, "auth"),
        (404, {"error": {"code": "404", "message": "Resource not found"}}, "not_found"),
        (
            413,
            {"error": {"code": "rate_limit_exceeded", "message": "Request too large"}},
            "rate_limited",
        ),
        (422, {"detail": [{"loc": ["body"], "msg": "extra fields not permitted"}]}, "bad_request"),
        (429, {"error": {"code": "insufficient_quota"}}, "quota"),
        (429, {"error": {"code": 429, "message": "Provider returned error"}}, "rate_limited"),
        (500, {"error": {"message": "oops", "type": "server_error"}}, "server"),
        (501, {"error": {"code": 501}}, "server"),
        (503, {"error": "Server overloaded"}, "overloaded"),
        (529, {}, "overloaded"),
        (504, {}, "timeout"),
        (524, {}, "timeout"),
    ],
)
def test_a_refusal_is_understood(status, body, kind):
    error = ADAPTER.error(status, {}, json.dumps(body).encode())

    assert error.kind == kind
    assert error.message
    assert error.status == status


@needs_recordings
@pytest.mark.parametrize("exchange", ERRORS, ids=lambda exchange: exchange.name)
def test_recorded_refusals_are_understood_and_scrubbed(exchange):
    error = ADAPTER.error(exchange.status, exchange.headers, exchange.data)

    kinds = {401: "auth", 404: "not_found", 429: "rate_limited", 500: "server", 503: "overloaded"}
    assert error.kind == kinds.get(exchange.status, error.kind)
    if exchange.status == 400:
        assert error.kind in ("bad_request", "context_length")
    for secret in ("http", "REDACTED", "****", "org-", "org_"):
        assert secret not in error.message


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-AbC123def456",
        "org-Zx81hs2kq0",
        "user_2Nf8sK1q",
        "https://platform.openai.com/account/api-keys",
        "me@example.com",
        "Bearer abc.def",
        "sk-wrong****-key",
        "0b1e6c3a-9d2f-4c5b-8a7e-1f2d3c4b5a69",
        "5f4dcc3b5aa765d61d8327deb882cf99",
    ],
)
def test_nothing_of_our_account_is_in_a_message(secret):
    data = json.dumps({"error": {"message": f"Denied for {secret}."}}).encode()

    message = ADAPTER.error(400, {}, data).message

    assert message.startswith("Denied for [removed]")
    assert secret not in message


def test_names_of_parameters_stay_in_a_message():
    data = json.dumps({"error": {"message": "user_location and key_points are wrong"}}).encode()

    assert ADAPTER.error(400, {}, data).message == "user_location and key_points are wrong"


@pytest.mark.parametrize(
    ("headers", "message", "seconds"),
    [
        ({"retry-after": "7"}, "", 7),
        ({"retry-after-ms": "250", "retry-after": "7"}, "", 0.25),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, "", None),
        ({}, "Please try again in 644ms.", 0.644),
        ({}, "Please try again in 1m30s.", 90),
        ({}, "Please try again later.", None),
    ],
)
def test_the_wait_a_provider_asks_for_is_read(headers, message, seconds):
    data = json.dumps({"error": {"message": message}}).encode()

    assert ADAPTER.error(429, headers, data).retry_after_seconds == pytest.approx(seconds)


def test_a_page_of_html_is_no_message():
    assert "<html>" not in ADAPTER.error(502, {}, b"<html>nginx</html>").message


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
