"""Bedrock's whole answers, errors and embeddings come out as OpenAI's; requests go out as Bedrock accepts them."""

import json
from typing import Any

import pytest
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion

from billing.types import TokenUsage
from gateway import tokens
from gateway.providers import registry
from gateway.providers.amazon import bedrock_request
from gateway.providers.base import ProviderError, ServeAs, Upstream
from gateway.serializers import ChatLimits, parse_chat
from tests.gateway import recorded, recorded_bedrock

Json = dict[str, Any]
ADAPTER = registry.adapter("bedrock")
SERVE_AS = ServeAs(id="chatcmpl-ours", model="public/name", created=1_790_000_001)
UPSTREAM = Upstream("bedrock", "bedrock", "https://bedrock-runtime.{region}.amazonaws.com")
CLAUDE = "us.anthropic.claude-sonnet-4-6"
NOVA = "us.amazon.nova-2-lite-v1:0"
WHOLES = recorded_bedrock.converse(streamed=False)
ERRORS = [item for item in recorded_bedrock.exchanges() if item.status >= 400]
ASKED = recorded_bedrock.askable()
EMBEDDED = [item for item in recorded_bedrock.exchanges() if "embed" in item.model]
needs_recordings = pytest.mark.skipif(not recorded.SHARED.exists(), reason=recorded.MISSING)


def answer(*content: Json, **fields: Any):
    body = {"output": {"message": {"role": "assistant", "content": list(content)}}, **fields}
    return ADAPTER.chat_answer(json.dumps(body).encode(), serve_as=SERVE_AS)


def message_of(*content: Json, **fields: Any) -> Json:
    message: Json = answer(*content, **fields).body["choices"][0]["message"]
    return message


def sent(messages: Any, *, model: str = CLAUDE, **fields: Any) -> Json:
    body = {"messages": messages, "max_completion_tokens": 4096, **fields}
    return bedrock_request.translate(body, model=model)


HI = [{"role": "user", "content": "Hi"}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


@needs_recordings
@pytest.mark.parametrize("exchange", WHOLES, ids=lambda exchange: exchange.name)
def test_recorded_whole_answers_come_out_as_openais(exchange):
    theirs = json.loads(exchange.data)
    content = theirs["output"]["message"]["content"]

    result = ADAPTER.chat_answer(exchange.data, serve_as=SERVE_AS)

    ChatCompletion.model_validate(result.body)
    (choice,) = result.body["choices"]
    message = choice["message"]
    texts = [block.get("text") or "" for block in content] + [
        part["text"] for block in content for part in cited_parts(block)
    ]
    assert (message["content"] or "") == "".join(texts)
    uses = [block["toolUse"] for block in content if "toolUse" in block]
    assert [json.loads(call["function"]["arguments"]) for call in calls(message)] == [
        use["input"] for use in uses if use.get("type") != "server_tool_use"
    ]
    assert choice["native_finish_reason"] == theirs["stopReason"]
    assert result.has_output
    assert result.usage
    raw = theirs["usage"]
    assert result.usage.input_tokens + result.usage.output_tokens == raw["totalTokens"]
    assert result.usage.cache_read_tokens == raw.get("cacheReadInputTokens", 0)
    written = result.usage.cache_write_5m_tokens + result.usage.cache_write_1h_tokens
    assert written == raw.get("cacheWriteInputTokens", 0)


def cited_parts(block: Json) -> list[Json]:
    parts: list[Json] = (block.get("citationsContent") or {}).get("content") or []
    return parts


def calls(message: Json) -> list[Json]:
    found: list[Json] = message.get("tool_calls", [])
    return found


@needs_recordings
@pytest.mark.parametrize("exchange", WHOLES, ids=lambda exchange: exchange.name)
def test_recorded_thinking_goes_back_byte_for_byte(exchange):
    content = json.loads(exchange.data)["output"]["message"]["content"]
    thoughts = [block for block in content if "reasoningContent" in block]
    signed = [b for b in thoughts if "signature" in b["reasoningContent"]["reasoningText"]]
    message = ADAPTER.chat_answer(exchange.data, serve_as=SERVE_AS).body["choices"][0]["message"]

    again = sent([*HI, message], tools=[TOOL])["messages"][1]["content"]

    assert [block for block in again if "reasoningContent" in block] == signed


@needs_recordings
@pytest.mark.parametrize(("exchange", "body"), ASKED, ids=lambda item: getattr(item, "name", ""))
def test_recorded_requests_come_out_as_they_were_accepted(exchange, body):
    call = parse_chat(body, limits=ChatLimits())
    limit = tokens.chat_bound(
        call, context_tokens=None, max_output_tokens=None, key_max_output_tokens=None
    )

    written = bedrock_request.translate(
        {**call.body, "max_completion_tokens": 100}, model=exchange.model
    )

    assert normal(written) == normal(exchange.request)
    if not exchange.streamed:
        usage = ADAPTER.chat_answer(exchange.data, serve_as=SERVE_AS).usage
        assert usage
        assert usage.input_tokens <= limit.input_tokens


def normal(request: Json) -> Json:
    """Return a request without what we say by ourselves, and with one spelling for what may be said in two ways."""
    ours = ("inferenceConfig", "additionalModelRequestFields")
    request = json.loads(json.dumps({k: v for k, v in request.items() if k not in ours}))
    if not request.get("system"):
        request.pop("system", None)
    config = request.get("toolConfig") or {}
    if config.get("toolChoice") == {"auto": {}}:
        del config["toolChoice"]
    if "outputConfig" in request:
        schema = request["outputConfig"]["textFormat"]["structure"]["jsonSchema"]
        schema["schema"] = json.loads(schema["schema"])
    return request


@needs_recordings
@pytest.mark.parametrize("exchange", ERRORS, ids=lambda exchange: exchange.name)
def test_recorded_refusals_are_understood(exchange):
    error = ADAPTER.error(exchange.status, exchange.headers, exchange.data)

    text = exchange.data.decode()
    kind = {403: "auth", 429: "rate_limited"}.get(exchange.status, "bad_request")
    if "model identifier is invalid" in text:
        kind = "not_found"
    if "Input Tokens Exceeded" in text:
        kind = "context_length"
    assert (error.kind, error.status) == (kind, exchange.status)


@pytest.mark.parametrize(
    ("name", "status", "message", "kind"),
    [
        ("AccessDeniedException", 403, "User: arn:aws:iam::123456789012:user/x is not", "auth"),
        ("ExpiredTokenException", 403, "The security token included is expired", "auth"),
        ("ThrottlingException", 429, "Too many requests", "rate_limited"),
        ("ThrottlingException", 400, "Rate exceeded", "rate_limited"),
        ("ServiceQuotaExceededException", 400, "You have reached your quota", "quota"),
        ("ModelNotReadyException", 429, "The model is not ready", "overloaded"),
        ("ModelTimeoutException", 408, "It took too long", "timeout"),
        ("ModelErrorException", 424, "The model failed", "server"),
        ("InternalServerException", 500, "Oh", "server"),
        ("ServiceUnavailableException", 503, "Busy", "overloaded"),
        ("ResourceNotFoundException", 404, "No such model", "not_found"),
        ("ValidationException", 400, "Input is too long for requested model.", "context_length"),
        ("ValidationException", 400, "Invocation of model ID x with on-demand throughput "
         "isn't supported.", "not_found"),
        ("ValidationException", 400, "Operation not allowed", "auth"),
        ("ValidationException", 400, "messages.0: rate limit is no role", "bad_request"),
        ("SomethingNewException", 400, "Hm", "bad_request"),
        ("SomethingNewException", 500, "Hm", "server"),
    ],
)  # fmt: skip
def test_errors_are_understood_by_the_name_of_the_exception(name, status, message, kind):
    data = json.dumps({"message": message}).encode()
    headers = {"x-amzn-errortype": f"{name}:http://internal.amazon.com/coral/", "retry-after": "3"}

    error = ADAPTER.error(status, headers, data)

    assert (error.kind, error.status, error.retry_after_seconds) == (kind, status, 3)
    assert "123456789012" not in error.message
    assert "arn:" not in error.message


def test_reasoning_redacted_and_provider_blocks_stay_in_their_order():
    message = message_of(
        {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "c2ln"}}},
        {"reasoningContent": {"redactedContent": "cmVk"}},
        {"toolUse": {"toolUseId": "t0", "name": "nova", "input": {}, "type": "server_tool_use"}},
        {"toolResult": {"toolUseId": "t0", "content": [{"json": {}}], "type": "nova_result"}},
        {"text": "Let me look."},
        {"toolUse": {"toolUseId": "t1", "name": "f", "input": {"a": 1}}},
        stopReason="tool_use",
    )

    assert message["reasoning_content"] == "Hm."
    assert [part["type"] for part in message["reasoning_details"]] == [
        "reasoning.text",
        "reasoning.encrypted",
    ]
    assert [block["name"] for block in message["provider_blocks"]] == ["nova", "nova_result"]
    assert message["tool_calls"][0]["function"] == {"name": "f", "arguments": '{"a":1}'}
    again = sent([*HI, message], tools=[TOOL])["messages"][1]["content"]
    assert again == [
        {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "c2ln"}}},
        {"reasoningContent": {"redactedContent": "cmVk"}},
        {"text": "Let me look."},
        {"toolUse": {"toolUseId": "t1", "name": "f", "input": {"a": 1}}},
    ]


def test_anthropics_redacted_thinking_stays_away_and_its_signatures_go_to_bedrock():
    details = [
        {"type": "reasoning.encrypted", "data": "x", "format": "anthropic-claude-v1", "index": 0},
        {
            "type": "reasoning.text",
            "text": "Hm",
            "signature": "s",
            "format": "anthropic-claude-v1",
            "index": 1,
        },
    ]

    message = {"role": "assistant", "content": "Hi", "reasoning_details": details}

    assert sent([*HI, message])["messages"][1]["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "Hm", "signature": "s"}}},
        {"text": "Hi"},
    ]


def test_usage_counts_every_class_once():
    raw = {
        "inputTokens": 3,
        "outputTokens": 40,
        "totalTokens": 193,
        "cacheReadInputTokens": 100,
        "cacheWriteInputTokens": 50,
        "cacheDetails": [{"ttl": "5m", "inputTokens": 20}, {"ttl": "1h", "inputTokens": 30}],
        "serverToolUsage": {"webSearchRequests": 2},
    }

    result = answer({"text": "Hi"}, stopReason="end_turn", usage=raw)

    assert result.usage == TokenUsage(
        input_tokens=153,
        output_tokens=40,
        cache_read_tokens=100,
        cache_write_5m_tokens=20,
        cache_write_1h_tokens=30,
    )
    assert result.body["usage"]["serverToolUsage"] == {"webSearchRequests": 2}
    assert "inputTokens" not in result.body["usage"]


def test_cached_tokens_that_a_total_shows_inside_the_input_count_once():
    raw = {"inputTokens": 100, "outputTokens": 5, "totalTokens": 105, "cacheReadInputTokens": 60}

    usage = answer({"text": "Hi"}, usage=raw).usage

    assert usage
    assert (usage.input_tokens, usage.cache_read_tokens) == (100, 60)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
    ],
)
def test_reasons_to_stop_are_openais(theirs, ours):
    choice = answer({"text": "Hi"}, stopReason=theirs).body["choices"][0]

    assert (choice["finish_reason"], choice["native_finish_reason"]) == (ours, theirs)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"{}", "bad_answer"),
        (b"not json", "bad_answer"),
        (b'{"output":{"message":{"content":[{"hologram":{}}]}}}', "bad_answer"),
        (b'{"output":{"message":{"content":["text"]}}}', "bad_answer"),
        (b'{"output":{"message":{"content":[{"toolUse":{"toolUseId":7}}]}}}', "bad_answer"),
        (
            b'{"output":{"message":{"content":[{"citationsContent":{"content":[7]}}]}}}',
            "bad_answer",
        ),
        (b'{"output":{"message":{"content":[]}},"stopReason":"malformed_tool_use"}', "server"),
    ],
)
def test_an_answer_that_is_none_is_an_error(data, kind):
    with pytest.raises(ProviderError) as caught:
        ADAPTER.chat_answer(data, serve_as=SERVE_AS)

    assert caught.value.kind == kind


def test_web_citations_are_openais_annotations():
    web = {"location": {"web": {"url": "https://a.example", "domain": "a.example"}}}
    cited = {"citationsContent": {"content": [{"text": "this"}], "citations": [web]}}

    message = message_of({"text": "See "}, cited)

    assert message["content"] == "See this"
    assert message["annotations"][0]["url_citation"] == {
        "url": "https://a.example",
        "title": "a.example",
        "start_index": 4,
        "end_index": 8,
    }


def test_the_models_name_is_one_part_of_the_address_and_nothing_else():
    def address(model: str) -> str:
        return ADAPTER.chat_request(
            UPSTREAM, upstream_model=model, body={"messages": HI, "max_completion_tokens": 1},
            stream=True,
        ).url  # fmt: skip

    assert address(NOVA).endswith("/model/us.amazon.nova-2-lite-v1%3A0/converse-stream")
    assert address("arn:aws:bedrock:us-east-1:1:inference-profile/a/b").count("/model/") == 1
    for bad in ("../x", "a?b", "a b", "", "a#b"):
        with pytest.raises(ProviderError) as caught:
            address(bad)
        assert (caught.value.kind, caught.value.sent) == ("not_found", False)


def test_media_become_blocks_and_addresses_are_refused():
    parts = [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
        {"type": "file", "file": {"filename": "a/b?.pdf", "file_data": "data:application/pdf;base64,BB=="}},
        {"type": "file", "file": {"filename": "a/b?.pdf", "file_data": "data:text/csv;base64,CC=="}},
    ]  # fmt: skip

    blocks = sent([{"role": "user", "content": parts}])["messages"][0]["content"]

    assert blocks[0] == {"image": {"format": "png", "source": {"bytes": "AA=="}}}
    assert blocks[1]["document"] == {"name": "a-b", "format": "pdf", "source": {"bytes": "BB=="}}
    assert (blocks[2]["document"]["name"], blocks[2]["document"]["format"]) == ("a-b 2", "csv")
    for url in ("https://a.example/x.png", "data:image/tiff;base64,AA=="):
        part = {"type": "image_url", "image_url": {"url": url}}
        with pytest.raises(ProviderError) as caught:
            sent([{"role": "user", "content": [part]}])
        assert caught.value.param == "messages[0].content[0].image_url.url"
        assert not caught.value.sent


def test_marks_of_the_cache_become_points_after_what_is_cached():
    mark = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    messages = [
        {"role": "system", "content": [{"type": "text", "text": "S", **mark}]},
        {"role": "user", "content": "Hi", "cache_control": {"type": "ephemeral"}},
    ]

    written = sent(messages, tools=[{**TOOL, **mark}])

    hour = {"cachePoint": {"type": "default", "ttl": "1h"}}
    assert written["system"] == [{"text": "S"}, hour]
    assert written["messages"][0]["content"] == [
        {"text": "Hi"},
        {"cachePoint": {"type": "default"}},
    ]
    assert written["toolConfig"]["tools"][1] == hour


@pytest.mark.parametrize(
    ("fields", "config", "extra"),
    [
        ({}, None, None),
        ({"tool_choice": "required"}, {"any": {}}, None),
        (
            {"tool_choice": {"type": "function", "function": {"name": "f"}}},
            {"tool": {"name": "f"}},
            None,
        ),
        (
            {"parallel_tool_calls": False},
            None,
            {"type": "auto", "disable_parallel_tool_use": True},
        ),
        (
            {"parallel_tool_calls": False, "tool_choice": "required"},
            None,
            {"type": "any", "disable_parallel_tool_use": True},
        ),
    ],
)
def test_tool_choices_are_converses_or_claudes_own(fields, config, extra):
    written = sent(HI, tools=[TOOL], **fields)

    assert written["toolConfig"].get("toolChoice") == config
    assert (written.get("additionalModelRequestFields") or {}).get("tool_choice") == extra


def test_only_claude_can_be_kept_from_parallel_calls():
    with pytest.raises(ProviderError) as caught:
        sent(HI, model=NOVA, tools=[TOOL], parallel_tool_calls=False)

    assert caught.value.param == "parallel_tool_calls"


@pytest.mark.parametrize("fields", [{}, {"tools": [TOOL], "tool_choice": "none"}])
def test_without_tools_to_call_earlier_calls_are_told_as_text(fields):
    call = {"id": "t1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    messages = [
        *HI,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "t1", "content": "Sunny"},
    ]

    written = sent(messages, **fields)

    assert "toolConfig" not in written
    assert [turn["content"] for turn in written["messages"][1:]] == [
        [{"text": '[Called f with {"a":1}]'}],
        [{"text": "[Result: Sunny]"}],
    ]


def test_reasoning_is_asked_for_in_the_words_of_each_family():
    def asked(model: str, effort: str) -> Json:
        written = sent(HI, model=model, reasoning_effort=effort)
        extra: Json = written.get("additionalModelRequestFields", {})
        return extra

    assert asked(CLAUDE, "high") == {
        "thinking": {"type": "adaptive", "display": "summarized"},
        "output_config": {"effort": "high"},
    }
    assert asked("us.anthropic.claude-sonnet-4-20250514-v1:0", "low") == {
        "thinking": {"type": "enabled", "budget_tokens": 1024}
    }
    assert asked(NOVA, "medium") == {
        "reasoningConfig": {"type": "enabled", "maxReasoningEffort": "medium"}
    }
    assert asked("openai.gpt-oss-120b-1:0", "low") == {"reasoning_effort": "low"}
    assert asked("meta.llama4-maverick-v1:0", "none") == {}
    for model, effort in ((NOVA, "high"), ("openai.gpt-oss-120b-1:0", "max"), ("meta.x", "low")):
        with pytest.raises(ProviderError) as caught:
            asked(model, effort)
        assert caught.value.param == "reasoning_effort"


def test_the_output_is_bounded_and_sampling_is_inside_what_converse_takes():
    written = sent(HI, model=NOVA, temperature=1.7, top_p=0.5, stop="END")

    assert written["inferenceConfig"] == {
        "maxTokens": 4096,
        "temperature": 1,
        "topP": 0.5,
        "stopSequences": ["END"],
    }
    assert sent(HI, temperature=1)["inferenceConfig"] == {"maxTokens": 4096}


def test_parameters_set_aside_are_named():
    body = {"messages": HI, "max_completion_tokens": 1, "seed": 1, "prompt_cache_key": "k"}

    request = ADAPTER.chat_request(UPSTREAM, upstream_model=CLAUDE, body=body, stream=False)

    assert request.ignored == ("seed", "prompt_cache_key")
    assert b"seed" not in request.body


@needs_recordings
@pytest.mark.parametrize("exchange", EMBEDDED, ids=lambda exchange: exchange.name)
def test_recorded_embeddings_come_out_as_openais(exchange):
    theirs = exchange.request
    body = {"input": theirs["texts"], "dimensions": theirs["output_dimension"]}

    request = ADAPTER.embeddings_request(UPSTREAM, upstream_model=exchange.model, body=body)
    answered = ADAPTER.embeddings_answer(exchange.data, serve_as=SERVE_AS)

    written = json.loads(request.body)
    assert request.url.endswith("/model/cohere.embed-v4%3A0/invoke")
    assert {**written, "input_type": theirs["input_type"]} == {
        **theirs,
        "embedding_types": ["float"],
    }
    CreateEmbeddingResponse.model_validate(
        {**answered.body, "usage": {"prompt_tokens": 0, "total_tokens": 0}}
    )
    assert len(answered.body["data"][0]["embedding"]) == theirs["output_dimension"]


def test_titan_embeds_one_text_and_tells_its_tokens():
    def request(given: Any) -> Any:
        return ADAPTER.embeddings_request(
            UPSTREAM, upstream_model="amazon.titan-embed-text-v2:0", body={"input": given}
        )

    data = b'{"embedding":[0.5],"inputTextTokenCount":3}'
    answered = ADAPTER.embeddings_answer(data, serve_as=SERVE_AS)

    assert json.loads(request("a").body) == {"inputText": "a"}
    assert answered.usage == TokenUsage(input_tokens=3)
    with pytest.raises(ProviderError):
        request(["a", "b"])
    with pytest.raises(ProviderError):
        ADAPTER.embeddings_request(UPSTREAM, upstream_model=CLAUDE, body={"input": "a"})
    with pytest.raises(ProviderError):
        ADAPTER.embeddings_answer(b'{"embeddings":7}', serve_as=SERVE_AS)
