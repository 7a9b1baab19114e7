"""Cohere's answers, whole and streamed, come out as OpenAI's; requests go out as Cohere accepts them."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from billing.types import TokenUsage
from gateway import tokens
from gateway.providers import registry
from gateway.providers.base import ProviderError, ServeAs, Upstream
from gateway.providers.cohere import cohere_request
from gateway.serializers import ChatLimits, parse_chat
from tests.gateway import recorded, recorded_cohere

Json = dict[str, Any]
ADAPTER = registry.adapter("cohere")
SERVE_AS = ServeAs(id="chatcmpl-ours", model="public/name", created=1_790_000_001)
UPSTREAM = Upstream("cohere", "cohere", "https://c.example/v2", "co-secret")
EXCHANGES = list(recorded_cohere.exchanges())
CHATS = [item for item in EXCHANGES if item.api == "chat-v2" and item.status == 200]
WHOLES = [item for item in CHATS if not item.streamed]
STREAMS = [item for item in CHATS if item.streamed]
ERRORS = [item for item in EXCHANGES if item.status >= 400]
EMBEDDED = [item for item in EXCHANGES if item.api == "embeddings" and item.status == 200]
ASKED = [item for item in CHATS if item.request and "documents" not in item.request]
needs_recordings = pytest.mark.skipif(not recorded.SHARED.exists(), reason=recorded.MISSING)
HI = [{"role": "user", "content": "Hi"}]


def answer(message: Json, **fields: Any):
    body = {"id": "x", "message": {"role": "assistant", **message}, **fields}
    return ADAPTER.chat_answer(json.dumps(body).encode(), serve_as=SERVE_AS)


def sent(messages: Any = HI, **fields: Any) -> Json:
    body = {"messages": messages, **fields}
    return cohere_request.translate(body, model="command", stream=False)


def run(*pieces: bytes):
    """Return the chunks that go out for a stream, its translator, and the error it ended with."""
    decoder = ADAPTER.stream_decoder()
    translator = ADAPTER.chat_stream(serve_as=SERVE_AS)
    out, error = [], None
    try:
        for piece in pieces:
            for name, data in decoder.feed(piece):
                out += translator.feed(name, data)
        for name, data in decoder.flush():
            out += translator.feed(name, data)
        out += translator.finish()
    except ProviderError as caught:
        error = caught
    chunks = [json.loads(chunk) for chunk in out]
    return SimpleNamespace(sent=out, chunks=chunks, translator=translator, error=error)


def sse(*events: Json) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def joined(chunks: list[Json], name: str) -> str:
    return "".join(chunk["choices"][0]["delta"].get(name) or "" for chunk in chunks)


def says(**message: Any) -> Json:
    return {"message": message}


@needs_recordings
@pytest.mark.parametrize("exchange", WHOLES, ids=lambda exchange: exchange.name)
def test_recorded_whole_answers_come_out_as_openais(exchange):
    theirs = json.loads(exchange.data)

    result = ADAPTER.chat_answer(exchange.data, serve_as=SERVE_AS)

    ChatCompletion.model_validate(result.body)
    (choice,) = result.body["choices"]
    parts = theirs["message"].get("content") or []
    plan = theirs["message"].get("tool_plan") or ""
    assert (choice["message"]["content"] or "") == plan + "".join(
        part.get("text", "") for part in parts
    )
    assert choice["message"].get("reasoning_content", "") == "".join(
        part.get("thinking", "") for part in parts
    )
    for call in choice["message"].get("tool_calls", ()):
        assert isinstance(json.loads(call["function"]["arguments"]), dict)
    assert choice["message"].get("citations") == theirs["message"].get("citations")
    assert choice["native_finish_reason"] == theirs["finish_reason"]
    assert (result.upstream_id, result.has_output) == (theirs["id"], True)
    assert_billed(result.usage, theirs["usage"])


def assert_billed(usage: TokenUsage | None, raw: Json) -> None:
    assert usage
    assert usage.input_tokens == raw["billed_units"]["input_tokens"]
    assert usage.output_tokens == raw["billed_units"]["output_tokens"]


@needs_recordings
@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_recorded_streams_come_out_as_openais_chunks_however_they_are_cut(stream, line_end):
    data = stream.data.replace(b"\r\n", b"\n").replace(b"\n", line_end)
    events = recorded_cohere.events_of(stream.data)

    whole = run(data)
    pieces = run(*(data[at : at + 1] for at in range(len(data))))

    assert whole.error is None
    assert pieces.sent == whole.sent
    assert pieces.translator.usage == whole.translator.usage
    for chunk in whole.chunks:
        ChatCompletionChunk.model_validate(chunk)
    contents = [
        event["delta"]["message"]["content"] for event in events if "content-" in event["type"]
        and "delta" in event
    ]  # fmt: skip
    assert joined(whole.chunks, "content") == "".join(part.get("text", "") for part in contents)
    assert joined(whole.chunks, "reasoning_content") == "".join(
        part.get("thinking", "") for part in contents
    )
    cited = [
        event["delta"]["message"]["citations"]
        for event in events
        if event["type"] == "citation-start"
    ]
    assert whole.chunks[-1]["choices"][0]["delta"].get("citations", []) == cited
    assert_billed(whole.translator.usage, events[-1]["delta"]["usage"])


@needs_recordings
@pytest.mark.parametrize("exchange", ASKED, ids=lambda exchange: exchange.name)
def test_recorded_requests_come_out_as_they_were_accepted(exchange):
    theirs = exchange.request
    body: Json = {"model": "m", "messages": theirs["messages"]}
    if "tools" in theirs:
        body["tools"] = theirs["tools"]
    if "stop_sequences" in theirs:
        body["stop"] = theirs["stop_sequences"]
    if schema := (theirs.get("response_format") or {}).get("json_schema"):
        named = {"name": "person", "schema": schema}
        body["response_format"] = {"type": "json_schema", "json_schema": named}
    if "thinking" in theirs:
        body["reasoning_effort"] = "high"
    call = parse_chat(body, limits=ChatLimits())
    limit = tokens.chat_bound(
        call, context_tokens=None, max_output_tokens=None, key_max_output_tokens=None
    )

    written = cohere_request.translate(call.body, model=theirs["model"], stream=theirs["stream"])

    assert written == theirs
    if not exchange.streamed:
        usage = ADAPTER.chat_answer(exchange.data, serve_as=SERVE_AS).usage
        assert usage
        assert usage.input_tokens <= limit.input_tokens


@needs_recordings
@pytest.mark.parametrize("exchange", EMBEDDED, ids=lambda exchange: exchange.name)
def test_recorded_embeddings_come_out_as_openais(exchange):
    theirs = exchange.request
    body = {"input": theirs["texts"], "dimensions": theirs["output_dimension"]}

    request = ADAPTER.embeddings_request(UPSTREAM, upstream_model=theirs["model"], body=body)
    result = ADAPTER.embeddings_answer(exchange.data, serve_as=SERVE_AS)

    assert json.loads(request.body) == {**theirs, "truncate": "NONE"}
    CreateEmbeddingResponse.model_validate(result.body)
    assert [row["embedding"] for row in result.body["data"]] == json.loads(exchange.data)[
        "embeddings"
    ]["float"]
    assert result.usage == TokenUsage(input_tokens=3)


@needs_recordings
@pytest.mark.parametrize("exchange", ERRORS, ids=lambda exchange: exchange.name)
def test_recorded_refusals_are_understood(exchange):
    error = ADAPTER.error(exchange.status, exchange.headers, exchange.data)

    assert (error.kind, error.status) == ("not_found", 404)


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (400, "invalid request: temperature", "bad_request"),
        (400, "too many tokens: size limit exceeded by 3 tokens", "context_length"),
        (401, "invalid api token", "auth"),
        (402, "please add a payment method", "quota"),
        (404, "model 'x' not found", "not_found"),
        (429, "You are using a Trial key, which is limited to 1000 API calls / month.", "quota"),
        (429, "too many requests", "rate_limited"),
        (498, "blocked output", "content_policy"),
        (500, "internal server error", "server"),
        (503, "unavailable", "overloaded"),
        (504, "timeout", "timeout"),
    ],
)
def test_errors_are_understood(status, message, kind):
    error = ADAPTER.error(status, {}, json.dumps({"id": "1", "message": message}).encode())

    assert error.kind == kind


def test_reasoning_and_the_plan_go_back_as_they_came():
    message = {
        "content": [{"type": "thinking", "thinking": "Hm."}],
        "tool_plan": "I will look.",
        "tool_calls": [
            {"id": "t1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
        ],
    }
    said = answer(message, finish_reason="TOOL_CALL").body["choices"][0]["message"]

    assert said["content"] == "I will look."
    assert sent([*HI, said])["messages"][1] == {"role": "assistant", **message}


def test_reasoning_of_a_stream_is_joined_and_anothers_stays_away():
    stream = run(
        sse(
            {"type": "message-start", "id": "x", "delta": says(role="assistant")},
            {"type": "content-delta", "index": 0, "delta": says(content={"thinking": "H"})},
            {"type": "content-delta", "index": 0, "delta": says(content={"thinking": "m"})},
            {"type": "message-end", "delta": {"finish_reason": "COMPLETE"}},
        )
    )
    details = [
        entry
        for chunk in stream.chunks
        for entry in chunk["choices"][0]["delta"].get("reasoning_details", ())
    ]
    message = {"role": "assistant", "content": "Hi", "reasoning_details": details}
    foreign = {**message, "reasoning_details": [{**details[0], "format": "other"}]}

    assert sent([*HI, message])["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "Hm"},
        {"type": "text", "text": "Hi"},
    ]
    assert sent([*HI, foreign])["messages"][1]["content"] == [{"type": "text", "text": "Hi"}]


def test_streamed_tool_calls_come_out_piece_by_piece():
    def call(**function: str) -> Json:
        return says(tool_calls={"id": "t", "type": "function", "function": function})

    stream = run(
        sse(
            {"type": "message-start", "id": "x", "delta": says(role="assistant", tool_calls=[])},
            {"type": "tool-plan-delta", "delta": says(tool_plan="Look.")},
            {"type": "tool-call-start", "index": 0, "delta": call(name="f", arguments="")},
            {"type": "tool-call-delta", "index": 0, "delta": call(arguments='{"a"')},
            {"type": "tool-call-delta", "index": 0, "delta": call(arguments=":1}")},
            {"type": "tool-call-end", "index": 0},
            {"type": "tool-call-start", "index": 1, "delta": call(name="g", arguments="")},
            {"type": "tool-call-delta", "index": 1, "delta": call(arguments="null")},
            {"type": "tool-call-end", "index": 1},
            {"type": "message-end", "delta": {"finish_reason": "TOOL_CALL"}},
        )
    )

    found = ["", ""]
    for chunk in stream.chunks:
        for piece in chunk["choices"][0]["delta"].get("tool_calls", ()):
            found[piece["index"]] += piece["function"]["arguments"]
    assert found == ['{"a":1}', "{}"]
    assert joined(stream.chunks, "content") == "Look."
    assert stream.chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"
    assert stream.translator.usage is None
    assert "".join(stream.translator.output_text) == 'Look.f{"a":1}g{}'


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("COMPLETE", "stop"),
        ("STOP_SEQUENCE", "stop"),
        ("MAX_TOKENS", "length"),
        ("TOOL_CALL", "tool_calls"),
        ("SOMETHING_NEW", "stop"),
    ],
)
def test_finish_reasons_are_openais(theirs, ours):
    result = answer({"content": [{"type": "text", "text": "Hi"}]}, finish_reason=theirs)

    assert result.finish_reason == ours


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({}, "bad_answer"),
        ({"message": {"content": [{"type": "hologram"}]}}, "bad_answer"),
        ({"message": {"content": [{"type": "text", "text": 7}]}}, "bad_answer"),
        ({"message": {"content": 7}}, "bad_answer"),
        ({"message": {"tool_calls": [{"id": "t"}]}}, "bad_answer"),
        ({"message": {"content": []}, "finish_reason": "ERROR"}, "server"),
        ({"message": {"content": []}, "finish_reason": "TIMEOUT"}, "timeout"),
    ],
)
def test_an_answer_that_is_none_is_an_error(body, kind):
    with pytest.raises(ProviderError) as caught:
        ADAPTER.chat_answer(json.dumps(body).encode(), serve_as=SERVE_AS)

    assert caught.value.kind == kind


@pytest.mark.parametrize(
    ("events", "kind"),
    [
        ([{"type": "content-delta", "delta": says(content={"text": "Hi"})}], "connection"),
        ([{"type": "content-start", "delta": says(content={"type": "hologram"})}], "bad_answer"),
        ([{"type": "content-delta", "delta": says(content={"text": 7})}], "bad_answer"),
        ([{"type": "tool-call-start", "delta": says(tool_calls={"id": "t"})}], "bad_answer"),
        ([{"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "x"}}], "server"),
        ([{"id": "x", "message": "internal server error"}], "server"),
    ],
)
def test_a_stream_that_is_broken_is_an_error(events, kind):
    assert run(sse(*events)).error.kind == kind


TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
OTHER = {"type": "function", "function": {"name": "g", "strict": True}}


@pytest.mark.parametrize(
    ("choice", "names", "mode"),
    [
        ("auto", ["f", "g"], None),
        ("required", ["f", "g"], "REQUIRED"),
        ("none", ["f", "g"], "NONE"),
        ({"type": "function", "function": {"name": "g"}}, ["g"], "REQUIRED"),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [TOOL]}},
            ["f"],
            None,
        ),
    ],
)
def test_a_tool_that_must_be_called_stands_alone(choice, names, mode):
    written = sent(tools=[TOOL, OTHER], tool_choice=choice)

    assert [tool["function"]["name"] for tool in written["tools"]] == names
    assert written.get("tool_choice") == mode
    assert written["strict_tools"] is True


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"logit_bias": {"1": 1}}, "logit_bias"),
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"frequency_penalty": -1}, "frequency_penalty"),
        ({"stop": ["a"] * 6}, "stop"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [TOOL], "parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"tools": [{"type": "custom", "custom": {"name": "c"}}]}, "tools[0].type"),
        ({"reasoning_effort": "huge"}, "reasoning_effort"),
        ({"verbosity": "low"}, "verbosity"),
    ],
)
def test_what_cohere_cannot_do_is_refused_before_anything_is_sent(fields, param):
    with pytest.raises(ProviderError) as caught:
        sent(**fields)

    assert (caught.value.kind, caught.value.param, caught.value.sent) == (
        "bad_request",
        param,
        False,
    )


def test_media_that_cohere_does_not_take_are_refused_by_path():
    part = {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA=="}}

    with pytest.raises(ProviderError) as caught:
        sent([{"role": "user", "content": [part]}])

    assert caught.value.param == "messages[0].content[0].type"


def test_the_request_has_our_key_its_bounds_and_names_what_was_set_aside():
    body = {
        "messages": [{"role": "developer", "content": "S"}, *HI],
        "max_completion_tokens": 100,
        "temperature": 2,
        "seed": -1,
        "reasoning_effort": "medium",
        "prompt_cache_key": "k",
    }

    request = ADAPTER.chat_request(UPSTREAM, upstream_model="command", body=body, stream=True)

    written = json.loads(request.body)
    assert request.url == "https://c.example/v2/chat"
    assert dict(request.headers)["authorization"] == "Bearer co-secret"
    assert request.ignored == ("prompt_cache_key",)
    assert written["messages"][0] == {"role": "system", "content": "S"}
    assert (written["max_tokens"], written["temperature"]) == (100, 1)
    assert written["thinking"] == {"type": "enabled", "token_budget": 50}
    assert written["seed"] >= 0


def test_usage_without_billed_units_is_what_the_model_saw():
    raw = {"tokens": {"input_tokens": 10, "output_tokens": 4, "reasoning_tokens": 9}}

    result = answer({"content": []}, usage=raw)

    assert result.usage == TokenUsage(input_tokens=10, output_tokens=4, reasoning_tokens=4)
    assert result.body["usage"]["tokens"] == raw["tokens"]
