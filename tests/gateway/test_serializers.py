"""Requests are checked with OpenAI's words, known fields pass untouched, and what costs unpriced money is refused."""

import pytest

from gateway.serializers import ChatLimits, parse_chat, parse_embeddings
from gateway.wire_checks import InvalidRequest
from tests.gateway import recorded

LIMITS = ChatLimits(max_messages=10, max_tools=3)
USER = {"role": "user", "content": "Hi"}
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}


def chat(**fields):
    return parse_chat({"model": "gpt-4o", "messages": [USER], **fields}, limits=LIMITS)


def refusal(function, *arguments, **fields) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        function(*arguments, **fields)
    return caught.value


def test_known_fields_pass_untouched_and_unknown_ones_are_set_aside():
    call = chat(temperature=0.5, tools=[TOOL], seed=7, user="u1", top_k=40, thinking={"a": 1})

    assert call.body == {
        "messages": [USER],
        "temperature": 0.5,
        "tools": [TOOL],
        "seed": 7,
        "user": "u1",
    }
    assert call.ignored == ("top_k", "thinking")


def test_names_of_unknown_fields_are_fit_for_a_header():
    call = chat(**{"a\r\nset-cookie: x": 1, "ü": 2, "b" * 100: 3})

    assert call.ignored == ("?",)


def test_null_means_not_given():
    call = chat(
        stop=None, tools=None, stream=None, max_tokens=None, metadata=None, stream_options=None
    )

    assert call.body == {"messages": [USER]}
    assert not call.stream


@pytest.mark.parametrize(
    ("asked", "tier"),
    [
        ("auto", ""),
        ("default", ""),
        ("flex", "flex"),
        ("priority", "priority"),
        ("fast", "priority"),
    ],
)
def test_the_service_tier_is_known_by_its_own_name_and_set_aside(asked, tier):
    call = chat(service_tier=asked)

    assert call.service_tier == tier
    assert "service_tier" not in call.body


@pytest.mark.parametrize(
    ("fields", "most"),
    [
        ({}, None),
        ({"max_tokens": 5}, 5),
        ({"max_completion_tokens": 6}, 6),
        ({"max_tokens": 5, "max_completion_tokens": 6}, 5),
    ],
)
def test_both_names_of_the_output_limit_mean_the_same(fields, most):
    call = chat(**fields)

    assert call.max_output_tokens == most
    assert call.body.get("max_completion_tokens") == most
    assert "max_tokens" not in call.body


def test_usage_in_a_stream_is_asked_for_by_stream_options():
    assert chat(stream=True, stream_options={"include_usage": True}).include_usage
    assert not chat(stream=True, stream_options={"include_usage": False}).include_usage
    assert not chat(stream=True).include_usage


def test_metadata_is_kept_for_us_and_not_sent_on():
    call = chat(metadata={"team": "a"}, store=False, service_tier="auto")

    assert call.metadata == {"team": "a"}
    assert set(call.body) == {"messages"}


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"model": None}, "model", "missing_required_parameter"),
        ({"messages": None}, "messages", "missing_required_parameter"),
        ({"messages": "Hi"}, "messages", "invalid_type"),
        ({"messages": []}, "messages", "invalid_value"),
        ({"messages": [USER] * 11}, "messages", "invalid_value"),
        ({"model": 7}, "model", "invalid_type"),
        ({"model": "a\x00b"}, "model", "invalid_value"),
        ({"temperature": 3}, "temperature", "invalid_value"),
        ({"temperature": True}, "temperature", "invalid_type"),
        ({"stream": "yes"}, "stream", "invalid_type"),
        ({"stream_options": {"include_usage": True}}, "stream_options", "invalid_value"),
        ({"max_tokens": 0}, "max_tokens", "invalid_value"),
        ({"max_tokens": 1.5}, "max_tokens", "invalid_type"),
        ({"n": 129}, "n", "invalid_value"),
        ({"tools": [TOOL] * 4}, "tools", "invalid_value"),
        ({"tools": [{"type": "function"}]}, "tools[0].function", "invalid_type"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type", "unsupported_value"),
        ({"tool_choice": "any"}, "tool_choice", "invalid_value"),
        ({"response_format": {"type": "xml"}}, "response_format.type", "invalid_value"),
        (
            {"response_format": {"type": "json_schema"}},
            "response_format.json_schema",
            "invalid_type",
        ),
        ({"stop": ["a", 1]}, "stop[1]", "invalid_type"),
        ({"store": True}, "store", "unsupported_value"),
        ({"service_tier": "scale"}, "service_tier", "unsupported_value"),
        ({"modalities": ["text", "video"]}, "modalities", "unsupported_value"),
        ({"audio": {"voice": "alloy"}}, "audio.format", "missing_required_parameter"),
        ({"web_search_options": {}}, "web_search_options", "unsupported_parameter"),
        ({"metadata": {"a": 1}}, "metadata.a", "invalid_type"),
        ({"prediction": {"type": "content"}}, "prediction.content", "invalid_type"),
        ({"reasoning_effort": "herculean"}, "reasoning_effort", "invalid_value"),
        ({"verbosity": "chatty"}, "verbosity", "invalid_value"),
        ({"top_logprobs": 2}, "top_logprobs", "invalid_value"),
        ({"logit_bias": {"hello": 5}}, "logit_bias", "invalid_value"),
        ({"logit_bias": {"50256": 101}}, "logit_bias.50256", "invalid_value"),
    ],
)
def test_a_field_that_cannot_be_honoured_is_named(fields, param, code):
    error = refusal(chat, **fields)

    assert (error.param, error.code) == (param, code)
    assert param in error.message


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ("Hi", "messages[1]"),
        ({"content": "Hi"}, "messages[1].role"),
        ({"role": "robot", "content": "Hi"}, "messages[1].role"),
        ({"role": "user"}, "messages[1].content"),
        ({"role": "user", "content": 7}, "messages[1].content"),
        ({"role": "user", "content": []}, "messages[1].content"),
        ({"role": "user", "content": [{"text": "Hi"}]}, "messages[1].content[0].type"),
        ({"role": "user", "content": [{"type": "video_url"}]}, "messages[1].content[0].type"),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///a"}}]},
            "messages[1].content[0].image_url.url",
        ),
        (
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": "data:,", "detail": "huge"}}
                ],
            },
            "messages[1].content[0].image_url.detail",
        ),
        (
            {"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]},
            "messages[1].content[0].file.file_id",
        ),
        ({"role": "tool", "content": "18"}, "messages[1].tool_call_id"),
        (
            {
                "role": "assistant",
                "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": {}}}],
            },
            "messages[1].tool_calls[0].function.arguments",
        ),
    ],
)
def test_the_fault_in_a_message_has_its_path(message, param):
    assert refusal(chat, messages=[USER, message]).param == param


def test_reasoning_and_other_unknown_fields_of_messages_survive():
    message: dict[str, object] = {
        "role": "assistant",
        "content": None,
        "reasoning_content": "Hmm",
        "cache_control": {},
    }

    assert chat(messages=[USER, message]).body["messages"][1] == message


# What we refuse on purpose: provider-side tools and searches, audio out, other tiers, Mistral's own `any`.
REFUSED = {
    "tool_choice",
    "tools[0].type",
    "web_search_options",
    "modalities",
    "service_tier",
    "audio",
    "store",
}


@pytest.mark.skipif(not recorded.SHARED.exists(), reason=recorded.MISSING)
def test_recorded_requests_of_real_clients_are_accepted():
    requests = [item for item in recorded.exchanges() if (item.request or {}).get("model")]

    refused = {item.name: param for item in requests if (param := refused_param(item))}

    assert set(refused.values()) <= REFUSED, refused
    assert len(requests) - len(refused) > 100


def refused_param(exchange: recorded.Exchange) -> str | None:
    try:
        if exchange.api == "embeddings":
            parse_embeddings(exchange.request)
        else:
            parse_chat(exchange.request, limits=ChatLimits())
    except InvalidRequest as error:
        return error.param
    return None


@pytest.mark.parametrize(
    ("given", "inputs"),
    [
        ("one", ("one",)),
        (["one", "two"], ("one", "two")),
        ([1, 2, 3], ([1, 2, 3],)),
        ([[1, 2], [3]], ([1, 2], [3])),
    ],
)
def test_embeddings_take_texts_and_tokens_alone_or_in_lists(given, inputs):
    call = parse_embeddings({"model": "m", "input": given, "encoding_format": "base64"})

    assert call.inputs == inputs
    assert call.body == {"input": given, "encoding_format": "base64"}
    assert call.encoding_format == "base64"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "input"),
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": [""]}, "input[0]"),
        ({"input": ["a", 1]}, "input[1]"),
        ({"input": [1, "a"]}, "input"),
        ({"input": [[]]}, "input[0]"),
        ({"input": [[-1]]}, "input[0]"),
        ({"input": ["a"] * 2_049}, "input"),
        ({"input": "a", "encoding_format": "hex"}, "encoding_format"),
        ({"input": "a", "dimensions": 0}, "dimensions"),
    ],
)
def test_embeddings_that_cannot_be_made_are_refused(fields, param):
    assert refusal(parse_embeddings, {"model": "m", **fields}).param == param
