"""Streams of OpenAI-compatible providers come out as OpenAI's chunks, at the provider's own words."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionChunk

from billing.types import TokenUsage
from gateway.providers import registry
from gateway.providers.base import ProviderError, ServeAs
from gateway.sse import SseDecoder
from tests.gateway import recorded

Json = dict[str, Any]
ADAPTER = registry.adapter("openai")
SERVE_AS = ServeAs(id="chatcmpl-ours", model="public/name", created=1_790_000_001)
WITH_USAGE = ServeAs(id="chatcmpl-ours", model="public/name", created=1, include_usage=True)
STREAMS = recorded.streams()


def run(data: bytes, *, serve_as: ServeAs = SERVE_AS):
    """Return the chunks that go out for a stream, its translator, and the error it ended with."""
    decoder, translator = SseDecoder(), ADAPTER.chat_stream(serve_as=serve_as)
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
        assert_valid(chunk)


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
    received_all = [chunk for chunk in upstream_chunks(stream.data) if not chunk.get("error")]
    theirs = [chunk for chunk in received_all if chunk["choices"]]

    if received_all and not received_all[0]["choices"]:
        assert set(received_all[0]) - {"usage"} <= set(ours[0])
    for sent, received in zip(ours, theirs, strict=False):
        assert set(received) - {"usage"} <= set(sent)
        for mine, other in zip(sent["choices"], received["choices"], strict=True):
            assert set(other) <= set(mine)
            assert set(other.get("delta") or {}) <= set(mine["delta"])


def assert_valid(chunk: Json) -> None:
    """Read with the official SDK's own type, strictly; service tiers of other providers are theirs to name."""
    ChatCompletionChunk.model_validate(
        {key: item for key, item in chunk.items() if key != "service_tier"}
    )


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


def test_what_is_told_before_the_first_choice_comes_with_it():
    first, second = run(own("azure/chat_stream_filter")).chunks[:2]

    assert first["choices"]
    assert first["prompt_filter_results"]
    assert "prompt_filter_results" not in second
    assert first["object"] == "chat.completion.chunk"


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

    result = run(data, serve_as=WITH_USAGE)

    assert result.chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert result.chunks[-1]["usage"] is None


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
    translator = ADAPTER.chat_stream(serve_as=SERVE_AS)

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
    translator = ADAPTER.chat_stream(serve_as=SERVE_AS)

    with pytest.raises(ProviderError) as caught:
        translator.feed(b"", payload)

    assert caught.value.kind == kind


def test_half_a_surrogate_pair_does_not_break_the_stream():
    payload = one_chunk().replace(b"Hi", rb"\ud83d")
    translator = ADAPTER.chat_stream(serve_as=SERVE_AS)

    (sent,) = translator.feed(b"", payload)

    assert json.loads(sent)["choices"][0]["delta"]["content"] == "\ud83d"


def test_content_and_reasoning_in_one_delta_are_both_counted():
    choice = {"index": 0, "delta": {"content": "a", "reasoning": "b", "reasoning_content": "b"}}
    translator = ADAPTER.chat_stream(serve_as=SERVE_AS)

    translator.feed(b"", one_chunk(choices=[choice]))

    assert translator.output_text == ["a", "b"]


def chunk_of(**changes: Any) -> Json:
    return {
        "id": "theirs",
        "object": "chat.completion.chunk",
        "created": 5,
        "model": "upstream",
        "choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": None}],
    } | changes


def test_an_ordinary_chunk_is_not_written_anew():
    data = json.dumps(chunk_of(), separators=(",", ":")).replace("Hi", "\\u0048i").encode()

    sent = ADAPTER.chat_stream(serve_as=SERVE_AS).feed(b"", data)

    assert b"\\u0048i" in sent[0]


CALLS = st.lists(
    st.fixed_dictionaries(
        {"index": st.integers(0, 2)},
        optional={
            "id": st.just("call_1"),
            "type": st.sampled_from(("function", None)),
            "function": st.fixed_dictionaries({"arguments": st.sampled_from(("{", '"id":'))}),
        },
    ),
    max_size=2,
)
DELTAS = st.fixed_dictionaries(
    {},
    optional={
        "role": st.just("assistant"),
        "content": st.sampled_from((None, "", "Hi", '"id":"theirs"', ',"usage":null')),
        "tool_calls": CALLS,
        "reasoning": st.just("hm"),
        "unknown": st.just([1]),
    },
)
CHOICES = st.fixed_dictionaries(
    {"index": st.integers(0, 2), "delta": DELTAS},
    optional={
        "finish_reason": st.sampled_from((None, "stop", "eos", "", "tool_calls")),
        "usage": st.none(),
        "logprobs": st.none(),
    },
)
CHUNKS = st.fixed_dictionaries(
    {
        "id": st.just("theirs"),
        "model": st.just("upstream"),
        "choices": st.lists(CHOICES, max_size=2),
    },
    optional={
        "object": st.sampled_from(("chat.completion.chunk", "other")),
        "created": st.integers(0, 2),
        "usage": st.none(),
        "service_tier": st.just("default"),
        "system_fingerprint": st.none(),
    },
)


@given(
    chunks=st.lists(CHUNKS, min_size=1, max_size=3),
    serve_as=st.sampled_from((SERVE_AS, WITH_USAGE)),
)
@example(chunks=[{"usage": None, **chunk_of()}], serve_as=SERVE_AS)
@example(chunks=[{"usage": None, **chunk_of()}], serve_as=WITH_USAGE)
@example(
    chunks=[
        chunk_of(choices=[{"index": 0, "delta": {}, "finish_reason": None, "usage": None}]),
        chunk_of(unknown={"a": 1, "usage": None}, usage=None),
    ],
    serve_as=WITH_USAGE,
)
@example(chunks=[chunk_of(unknown={"a": 1, "usage": None}, usage=None)], serve_as=SERVE_AS)
def test_chunks_that_are_relabelled_say_what_chunks_written_anew_say(chunks, serve_as):
    def run_all(separators):
        stream = ADAPTER.chat_stream(serve_as=serve_as)
        sent = [
            json.loads(data)
            for chunk in chunks
            for data in stream.feed(b"", json.dumps(chunk, separators=separators).encode())
        ]
        return sent, stream.output_text, stream.finish_reason, stream.usage, stream.upstream_id

    # Blanks after the colons keep a chunk off the short way.
    short, long = run_all((",", ":")), run_all((", ", ": "))

    without_null = [[drop_null_usage(chunk) for chunk in sent] for sent in (short[0], long[0])]
    assert without_null[0] == without_null[1]
    assert short[1:] == long[1:]


def drop_null_usage(chunk: Json) -> Json:
    """A null beside a choice says nothing, whether it is there or not."""
    for choice in chunk["choices"]:
        choice.pop("usage", None)
    return chunk


def choice(index: int, reason: str | None, text: str = "") -> Json:
    return {"index": index, "delta": {"content": text}, "finish_reason": reason}


@pytest.mark.parametrize(
    ("ended", "is_complete"), [([0, 1], True), ([0], False), ([1], False), ([], False)]
)
def test_a_stream_of_several_choices_is_complete_when_all_have_ended(ended, is_complete):
    texts = [one_chunk(choices=[choice(index, None, "one")]) for index in (0, 1)]
    ends = [one_chunk(choices=[choice(index, "stop")]) for index in ended]

    result = run(b"".join(b"data: " + data + b"\n\n" for data in (*texts, *ends)))

    assert result.translator.is_complete is is_complete
    assert (result.error is None) is is_complete
