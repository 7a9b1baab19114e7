"""Anthropic's whole answers and errors come out as OpenAI's; requests go out as Anthropic accepts them."""

import json
from typing import Any

import pytest
from anthropic.types.message_create_params import (
    MessageCreateParamsNonStreaming,
    MessageCreateParamsStreaming,
)
from openai.types.chat import ChatCompletion
from pydantic import TypeAdapter

from billing.types import TokenUsage
from gateway import tokens
from gateway.providers import registry
from gateway.providers.anthropic import anthropic_request, anthropic_usage
from gateway.providers.base import ProviderError, ServeAs, Upstream
from gateway.serializers import ChatLimits, parse_chat
from tests.gateway import recorded, recorded_anthropic

Json = dict[str, Any]
ADAPTER = registry.adapter("anthropic")
SERVE_AS = ServeAs(id="chatcmpl-ours", model="public/name", created=1_790_000_001)
WHOLES = recorded_anthropic.wholes()
ERRORS = [item for item in recorded_anthropic.exchanges() if item.status >= 400]
ASKED = recorded_anthropic.askable()
needs_recordings = pytest.mark.skipif(not recorded.SHARED.exists(), reason=recorded.MISSING)


def answer(*blocks: Json, **fields: Any):
    body = {"id": "msg_1", "type": "message", "role": "assistant", "content": list(blocks)}
    return ADAPTER.chat_answer(json.dumps(body | fields).encode(), serve_as=SERVE_AS)


def message_of(*blocks: Json, **fields: Any) -> Json:
    message: Json = answer(*blocks, **fields).body["choices"][0]["message"]
    return message


def text(value: str, **fields: Any) -> Json:
    return {"type": "text", "text": value, **fields}


def thought(value: str, signature: str = "sig") -> Json:
    return {"type": "thinking", "thinking": value, "signature": signature}


def tool_use(number: int, **arguments: Any) -> Json:
    return {"type": "tool_use", "id": f"toolu_{number}", "name": "f", "input": arguments}


@needs_recordings
@pytest.mark.parametrize("exchange", WHOLES, ids=lambda exchange: exchange.name)
def test_recorded_whole_answers_come_out_as_openais(exchange):
    theirs = json.loads(exchange.data)

    result = ADAPTER.chat_answer(exchange.data, serve_as=SERVE_AS)

    ChatCompletion.model_validate(result.body)
    (choice,) = result.body["choices"]
    message, blocks = choice["message"], theirs["content"]
    assert result.body["id"] == "chatcmpl-ours"
    assert result.upstream_id == theirs["id"]
    assert (message["content"] or "") == "".join(b["text"] for b in blocks if b["type"] == "text")
    assert [
        json.loads(call["function"]["arguments"]) for call in message.get("tool_calls", [])
    ] == [block["input"] for block in blocks if block["type"] == "tool_use"]
    assert [part["signature"] for part in message.get("reasoning_details", [])] == [
        block["signature"] for block in blocks if block["type"] == "thinking"
    ]
    assert choice["native_finish_reason"] == theirs["stop_reason"]
    assert_billed(result.usage, theirs["usage"])


def assert_billed(usage: TokenUsage | None, raw: Json) -> None:
    assert usage is not None
    read, written = raw.get("cache_read_input_tokens"), raw.get("cache_creation_input_tokens")
    assert usage.input_tokens == raw["input_tokens"] + (read or 0) + (written or 0)
    assert usage.output_tokens == raw["output_tokens"]
    assert usage.cache_read_tokens == (read or 0)
    assert usage.cache_write_5m_tokens + usage.cache_write_1h_tokens == (written or 0)


@needs_recordings
@pytest.mark.parametrize("exchange", ERRORS, ids=lambda exchange: exchange.name)
def test_recorded_refusals_are_understood(exchange):
    error = ADAPTER.error(exchange.status, exchange.headers, exchange.data)

    too_long = b"prompt is too long" in exchange.data
    assert error.kind == ("context_length" if too_long else "bad_request")
    assert error.status == exchange.status


@pytest.mark.parametrize(
    ("iterations", "longest"),
    [
        ([("message", 40), ("message", 61), ("compaction", 99)], 61),
        ([("message", 101)], 0),  # the only one
        ([("message", "many"), "message", None], 0),
        ({}, 0),
    ],
)
def test_the_longest_of_several_prompts(iterations, longest):
    def told(entry):
        if not isinstance(entry, tuple):
            return entry
        kind, tokens = entry
        return {
            "type": kind,
            "input_tokens": tokens,
            "cache_read_input_tokens": 2,
            "cache_creation_input_tokens": 1,
        }

    given = [told(entry) for entry in iterations] if iterations else iterations
    raw = {"input_tokens": 104, "output_tokens": 4, "iterations": given}

    found = anthropic_usage.read_usage(raw)

    assert found is not None
    assert found.longest_prompt_tokens == (longest and longest + 3)


def test_usage_holds_cached_tokens_inside_the_input_and_keeps_what_is_new():
    raw = {
        "input_tokens": 3,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 50,
        "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 30},
        "output_tokens": 40,
        "output_tokens_details": {"thinking_tokens": 25},
        "server_tool_use": {"web_search_requests": 2},
        "service_tier": "standard",
        "quarks": {"up": 1},
    }

    result = answer(text("Hi"), stop_reason="end_turn", usage=raw)

    assert result.usage == TokenUsage(
        input_tokens=153,
        output_tokens=40,
        cache_read_tokens=100,
        cache_write_5m_tokens=20,
        cache_write_1h_tokens=30,
        reasoning_tokens=25,
        searches=2,
    )
    usage = result.body["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (
        153,
        40,
        193,
    )
    assert usage["prompt_tokens_details"]["cached_tokens"] == 100
    assert usage["prompt_tokens_details"]["cache_write_tokens"] == 50
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 25
    assert usage["quarks"] == {"up": 1}
    assert "input_tokens" not in usage


def test_an_answer_without_usage_tells_its_text_to_be_counted():
    result = answer(thought("Hmm"), text("Hi"), tool_use(1, a=1), stop_reason="tool_use")

    assert result.usage is None
    assert result.output_text == 'HiHmmf{"a":1}'


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("something_new", "stop"),
    ],
)
def test_reasons_to_stop_are_openais_and_the_native_one_is_told(theirs, ours):
    choice = answer(text("Hi"), stop_reason=theirs).body["choices"][0]

    assert (choice["finish_reason"], choice["native_finish_reason"]) == (ours, theirs)


def test_a_refusal_is_told_without_the_ids_beside_it_and_is_no_output():
    details = {"type": "refusal", "explanation": "Blocked.", "fallback_credit_token": "tok_1"}

    result = answer(stop_reason="refusal", stop_details=details)

    assert result.body["choices"][0]["message"]["refusal"] == "Blocked."
    assert not result.has_output
    assert "tok_1" not in json.dumps(result.body)


def test_web_citations_are_openais_annotations_and_all_are_kept():
    page = {"type": "web_search_result_location", "url": "https://a.example", "title": "A"}
    place = {"type": "char_location", "cited_text": "x", "document_index": 0}

    message = message_of(text("See "), text("this", citations=[page, place]))

    assert message["annotations"] == [
        {
            "type": "url_citation",
            "url_citation": {
                "url": "https://a.example",
                "title": "A",
                "start_index": 4,
                "end_index": 8,
            },
        }
    ]
    assert message["citations"] == [page, place]


@pytest.mark.parametrize(
    "data",
    [
        b"{}",
        b"not json",
        b'{"content":[{"type":"hologram"}]}',
        b'{"content":["text"]}',
        b'{"content":[{"type":"text","text":7}]}',
    ],
)
def test_an_answer_that_is_none_is_a_bad_answer(data):
    with pytest.raises(ProviderError) as caught:
        ADAPTER.chat_answer(data, serve_as=SERVE_AS)

    assert caught.value.kind == "bad_answer"


@pytest.mark.parametrize(
    ("status", "word", "message", "kind"),
    [
        (400, "invalid_request_error", "temperature: must be at most 1", "bad_request"),
        (400, "invalid_request_error", "prompt is too long: 9 tokens > 8", "context_length"),
        (
            400,
            "invalid_request_error",
            "input length and `max_tokens` exceed context limit: 1 + 2 > 2",
            "context_length",
        ),
        (400, "invalid_request_error", "Your credit balance is too low to access the", "quota"),
        (400, "invalid_request_error", "You have reached your specified API usage limits", "quota"),
        (400, "invalid_request_error", "This organization has been disabled.", "auth"),
        (
            400,
            "invalid_request_error",
            "Output blocked by content filtering policy",
            "content_policy",
        ),
        (400, "invalid_request_error", "tools.0.name: rate limit is a bad name", "bad_request"),
        (401, "authentication_error", "invalid x-api-key", "auth"),
        (402, "billing_error", "There is an issue with your billing", "quota"),
        (403, "permission_error", "Your API key does not have permission", "auth"),
        (404, "not_found_error", "model: claude-0", "not_found"),
        (413, "request_too_large", "Request exceeds the maximum size", "bad_request"),
        (429, "rate_limit_error", "This request would exceed your rate limit", "rate_limited"),
        (500, "api_error", "Internal server error", "server"),
        (504, "timeout_error", "Request timed out", "timeout"),
        (529, "overloaded_error", "Overloaded", "overloaded"),
    ],
)
def test_errors_are_understood_with_and_without_a_status(status, word, message, kind):
    body = {"type": "error", "error": {"type": word, "message": message}, "request_id": "req_011C"}
    data = json.dumps(body).encode()

    error = ADAPTER.error(status, {"retry-after": "7"}, data)
    with pytest.raises(ProviderError) as streamed:
        ADAPTER.chat_stream(serve_as=SERVE_AS).feed(b"error", data)
    with pytest.raises(ProviderError) as whole:
        ADAPTER.chat_answer(data, serve_as=SERVE_AS)

    assert error.kind == streamed.value.kind == whole.value.kind == kind
    assert (error.status, error.retry_after_seconds) == (status, 7)


def test_an_errors_parameter_is_the_customers_and_ids_are_cut_out():
    message = "output_config.effort: not for req_011CeCGmMJJG, see https://console.example/org"
    body = {"type": "error", "error": {"type": "invalid_request_error", "message": message}}

    error = ADAPTER.error(400, {}, json.dumps(body).encode())

    assert error.param == "reasoning_effort"
    assert "011C" not in error.message
    assert "console" not in error.message
    assert ADAPTER.error(502, {}, b"<html>bad gateway</html>").kind == "server"


def test_embeddings_are_refused_before_anything_is_sent():
    upstream = Upstream("anthropic", "anthropic", "https://a.example/v1")

    with pytest.raises(ProviderError) as caught:
        ADAPTER.embeddings_request(upstream, upstream_model="m", body={"input": "a"})

    assert (caught.value.kind, caught.value.sent) == ("bad_request", False)


@needs_recordings
@pytest.mark.parametrize(("exchange", "body"), ASKED, ids=lambda item: getattr(item, "name", ""))
def test_recorded_requests_come_out_as_they_were_accepted(exchange, body):
    call = parse_chat(body, limits=ChatLimits())
    limit = tokens.chat_bound(
        call, context_tokens=None, max_output_tokens=None, key_max_output_tokens=None
    )

    written = anthropic_request.translate(
        call.body, model=exchange.request["model"], stream=exchange.request.get("stream", False)
    )

    kind = (
        MessageCreateParamsStreaming if written.get("stream") else MessageCreateParamsNonStreaming
    )
    TypeAdapter[Any](kind).validate_python(written)
    assert normal(written) == normal(exchange.request)
    assert usage_of(exchange).input_tokens <= limit.input_tokens


def usage_of(exchange: recorded_anthropic.Exchange) -> TokenUsage:
    if not exchange.streamed:
        return anthropic_usage.read_usage(json.loads(exchange.data)["usage"]) or TokenUsage()
    merged: Json = {}
    for event in recorded_anthropic.events_of(exchange.data):
        said = event.get("usage") or (event.get("message") or {}).get("usage") or {}
        merged = anthropic_usage.merged(merged, said)
    return anthropic_usage.read_usage(merged) or TokenUsage()


def normal(request: Json) -> Json:
    """Return a request with one spelling for what may be said in two ways, without what we say by ourselves."""
    request = {k: v for k, v in request.items() if k not in ("thinking", "output_config")}
    if not request.get("stream"):
        request.pop("stream", None)
    if request.get("tool_choice") == {"type": "auto"}:
        del request["tool_choice"]
    if request.get("temperature") == 1:
        del request["temperature"]
    if isinstance(request.get("system"), str):
        request["system"] = [text(request["system"])]
    if not request.get("system"):
        request.pop("system", None)
    turns: list[tuple[str, list[Json]]] = []
    for turn in request["messages"]:
        if turns and turns[-1][0] == turn["role"]:
            turns[-1][1].extend(normal_blocks(turn["content"]))
        else:
            turns.append((turn["role"], normal_blocks(turn["content"])))
    request["messages"] = turns
    request["tools"] = [normal_tool(tool) for tool in request.get("tools", ())]
    return request


def normal_blocks(content: Any) -> list[Json]:
    blocks = [text(content)] if isinstance(content, str) else [dict(block) for block in content]
    for block in blocks:
        if block["type"] == "tool_result":
            block["content"] = normal_blocks(block["content"])
            if not block.get("is_error"):
                block.pop("is_error", None)
    return blocks


def normal_tool(tool: Json) -> Json:
    return {name: value for name, value in tool.items() if value}
