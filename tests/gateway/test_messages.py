"""Anthropic's Messages API as a dialect: requests in, answers and streams out, without a network."""

import json
from typing import Any

import pytest

from billing.types import TokenUsage
from gateway import errors, serializers
from gateway.api_error import CODES
from gateway.dialects.messages import MessagesDialect, error_body
from gateway.dialects.messages_request import fitted, read_prompt, read_request
from gateway.errors import ApiError
from gateway.providers.anthropic import anthropic_messages
from gateway.providers.base import ServeAs
from gateway.snapshot import ModelSnapshot
from gateway.sse import SseDecoder
from gateway.wire_checks import InvalidRequest

SERVED = ServeAs(id="msg_1", model="m", created=1)
LIMITS = serializers.ChatLimits(max_messages=100, max_tools=50)
ASKED: Any = {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}]}
TOOL: Any = {"name": "f", "input_schema": {"type": "object"}}


def chat(**fields):
    """Return the chat of a request, checked like any other."""
    return serializers.parse_chat(read_request({**ASKED, **fields}), limits=LIMITS)


def said(*turns):
    return chat(messages=list(turns)).body["messages"]


def events_of(data):
    decoder = SseDecoder()
    found = [(name.decode(), json.loads(line)) for name, line in decoder.feed(data)]
    assert all(name == event["type"] for name, event in found)
    return [event for _, event in found if event["type"] != "ping"]


def streamed(*deltas, finish="stop", usage=None, **choice):
    """Return the events of a stream of these deltas."""
    writer = MessagesDialect().stream(SERVED)
    chunks = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish, **choice}]})
    data = b"".join(writer.events([json.dumps(chunk).encode()]) for chunk in chunks)
    return events_of(data + writer.end(usage or TokenUsage(), extra={}, cost_nanousd=0))


def read_input(text):
    try:
        return json.loads(text or "{}")
    except ValueError:
        return {"INVALID_JSON": text}


def accumulated(events):
    """Return the message that a stream adds up to, as a client of Anthropic's reads it."""
    message: Any = {}
    inputs: dict[int, str] = {}
    for event in events:
        kind = event["type"]
        if kind == "message_start":
            message = event["message"]
        elif kind == "content_block_start":
            assert event["index"] == len(message["content"])
            message["content"].append(event["content_block"])
        elif kind == "content_block_delta":
            block, delta = message["content"][event["index"]], event["delta"]
            if delta["type"] == "input_json_delta":
                inputs[event["index"]] = inputs.get(event["index"], "") + delta["partial_json"]
            elif delta["type"] != "citations_delta":
                name = delta["type"].removesuffix("_delta")
                block[name] = block.get(name, "") + delta[name]
        elif kind == "message_delta":
            message |= event["delta"] | {"usage": event["usage"]}
    for index, text in inputs.items():
        message["content"][index]["input"] = read_input(text)
    return message


def whole(message, finish="stop", usage=None, **choice):
    answer = {
        "id": "msg_1",
        "model": "m",
        "choices": [{"message": message, "finish_reason": finish, **choice}],
        "usage": usage,
    }
    return MessagesDialect().whole(answer, cost_nanousd=2500)


# Requests


def test_parameters_are_translated():
    body = chat(
        stop_sequences=["END"],
        temperature=0.5,
        system="Be brief.",
        metadata={"user_id": "user-1"},
        tools=[{**TOOL, "description": "d", "cache_control": {"type": "ephemeral"}}],
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
        output_config={"effort": "low", "format": {"type": "json_schema", "schema": {}}},
    ).body

    assert body["max_completion_tokens"] == 100
    assert body["stop"] == ["END"]
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert body["safety_identifier"] == "user-1"
    assert body["tools"] == [
        {
            "type": "function",
            "function": {"name": "f", "parameters": {"type": "object"}, "description": "d"},
            "cache_control": {"type": "ephemeral"},
        }
    ]
    assert (body["tool_choice"], body["parallel_tool_calls"]) == ("required", False)
    assert body["reasoning_effort"] == "low"
    assert body["response_format"]["json_schema"]["schema"] == {}


@pytest.mark.parametrize(
    ("fields", "effort"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 20}}, "low"),
        ({"thinking": {"type": "enabled", "budget_tokens": 50}}, "medium"),
        ({"thinking": {"type": "enabled", "budget_tokens": 90}}, "high"),
        ({"thinking": {"type": "adaptive"}}, "high"),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, "max"),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "max"}}, "none"),
        ({}, None),
    ],
    ids=str,
)
def test_thinking_becomes_an_effort(fields, effort):
    assert chat(**fields).body.get("reasoning_effort") == effort


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"messages": None}, "messages"),
        ({"messages": {}}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        (
            {"messages": [{"role": "user", "content": [{"text": "x"}]}]},
            "messages[0].content[0].type",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "container_upload"}]}]},
            "messages[0].content[0].type",
        ),
        (
            {
                "messages": [
                    {
                        "role": "assistant",
                        "content": [{"type": "thinking", "thinking": 1, "signature": "x"}],
                    }
                ]
            },
            "messages[0].content[0].thinking",
        ),
        ({"temperature": 1.5}, "temperature"),
        ({"n": 3}, "n"),
        ({"tools": [{"type": 3, "name": "bash"}]}, "tools[0].type"),
        ({"tools": [{"name": "f"}]}, "tools[0].input_schema"),
        ({"tool_choice": {"type": "maybe"}}, "tool_choice.type"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({"service_tier": "priority"}, "service_tier"),
        ({"system": [{"type": "image"}]}, "system[0].type"),
    ],
    ids=str,
)
def test_what_cannot_be_served_is_refused_with_its_path(fields, param):
    with pytest.raises(InvalidRequest) as caught:
        chat(**fields)

    assert caught.value.param == param


def test_results_of_tools_come_right_behind_their_calls_and_media_after_them():
    png = {"type": "base64", "media_type": "image/png", "data": "AAAA"}
    messages = said(
        {"role": "user", "content": "Go"},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "Yes"},
                {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}},
                {"type": "tool_use", "id": "b", "name": "f", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Look"},
                {
                    "type": "tool_result",
                    "tool_use_id": "a",
                    "content": [{"type": "text", "text": "seen"}, {"type": "image", "source": png}],
                },
                {"type": "tool_result", "tool_use_id": "b", "is_error": True, "content": "no"},
            ],
        },
    )

    assert [message["role"] for message in messages] == [
        "user",
        "assistant",
        "tool",
        "tool",
        "user",
    ]
    assert messages[1]["tool_calls"][0]["function"] == {"name": "f", "arguments": '{"x":1}'}
    assert messages[2] == {"role": "tool", "tool_call_id": "a", "content": "seen"}
    assert messages[3]["content"] == "Error: no"
    assert [part["type"] for part in messages[4]["content"]] == ["text", "text", "image_url"]
    assert messages[4]["content"][2]["image_url"]["url"] == "data:image/png;base64,AAAA"


def test_documents_are_files_or_text_and_system_turns_stay_in_place():
    pdf = {"type": "base64", "media_type": "application/pdf", "data": "AAAA"}
    plain = {"type": "text", "media_type": "text/plain", "data": "words"}
    messages = said(
        {"role": "user", "content": [{"type": "document", "source": pdf, "title": "a.pdf"}]},
        {"role": "system", "content": "Mind the date."},
        {"role": "user", "content": [{"type": "document", "source": plain, "title": "T"}]},
    )

    assert messages[0]["content"] == [
        {
            "type": "file",
            "file": {"file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"},
        }
    ]
    assert messages[1] == {"role": "system", "content": "Mind the date."}
    assert messages[2]["content"] == "T\n\nwords"


def test_thinking_reaches_claude_byte_for_byte_and_in_place():
    turn = {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "c2ln+/="},
            {"type": "text", "text": "One. "},
            {"type": "redacted_thinking", "data": "c2VjcmV0"},
            {"type": "text", "text": "Two."},
            {"type": "tool_use", "id": "a", "name": "f", "input": {"x": [1]}},
            {"type": "thinking", "thinking": "again", "signature": "c2lnMg=="},
            {"type": "tool_use", "id": "b", "name": "f", "input": {}},
        ],
    }
    messages = said({"role": "user", "content": "Hi"}, turn)

    _, turns = anthropic_messages.translate(messages)

    assert turns[1] == turn


def snapshot_of(**facts):
    names = ModelSnapshot.__dataclass_fields__
    return ModelSnapshot(
        **{name: facts.get(name, "" if name == "owned_by" else ()) for name in names}
    )


@pytest.mark.parametrize(
    ("facts", "asked", "sent"),
    [
        ({"owned_by": "anthropic"}, "max", "max"),
        ({"owned_by": "anthropic"}, "none", "none"),
        ({"features": ("reasoning",)}, "max", "high"),
        ({"features": ("reasoning",)}, "low", "low"),
        ({"features": ("reasoning",)}, "none", None),
        ({}, "high", None),
    ],
    ids=str,
)
def test_effort_is_fitted_to_the_model(facts, asked, sent):
    call = chat(output_config={"effort": "low"})
    call.body["reasoning_effort"] = asked

    assert fitted(call, model=snapshot_of(**facts)).body.get("reasoning_effort") == sent


def test_claude_code_is_understood():
    tools = [{**TOOL, "name": f"tool_{n}", "description": "x" * 3000} for n in range(24)]
    mark = {"cache_control": {"type": "ephemeral"}}
    call = chat(
        system=[{"type": "text", "text": "You are Claude Code", **mark}],
        messages=[
            {"role": "user", "content": [{"type": "text", "text": "Hi", **mark}]},
            {"role": "system", "content": [{"type": "text", "text": "reminder"}]},
        ],
        tools=tools,
        thinking={"type": "adaptive"},
        output_config={"effort": "high"},
        context_management={"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        metadata={"user_id": "user_1_account__session_2"},
        stream=True,
    )

    assert call.stream
    assert len(call.body["tools"]) == 24
    assert call.ignored == ()
    assert call.body["messages"][1]["content"][0]["cache_control"] == {"type": "ephemeral"}


# Answers

CASES: Any = {
    "text": [{"content": "Hel"}, {"content": "lo"}],
    "plain reasoning": [{"reasoning_content": "h"}, {"reasoning_content": "m"}, {"content": "A"}],
    "refusal": [{"refusal": "No"}],
    "call without arguments": [
        {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}}]}
    ],
    "parallel calls": [
        {"content": "So:"},
        {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"x"'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]},
        {"tool_calls": [{"index": 1, "id": "b", "function": {"name": "g", "arguments": "{}"}}]},
    ],
    "interleaved calls": [
        {
            "tool_calls": [
                {"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}},
                {"index": 1, "id": "b", "function": {"name": "g", "arguments": '{"y"'}},
            ]
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"x":'}}]},
        {"tool_calls": [{"index": 1, "function": {"arguments": ":2}"}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]},
    ],
    "signed call": [
        {
            "tool_calls": [
                {
                    "index": 0,
                    "id": "a",
                    "function": {"name": "f", "arguments": "{}"},
                    "extra_content": {"google": {"thought_signature": "xx"}},
                }
            ]
        }
    ],
}


def joined(deltas):
    """Return the whole message of a stream's deltas."""
    message: Any = {"role": "assistant", "content": None}
    for delta in deltas:
        for name, value in delta.items():
            if name != "tool_calls":
                message[name] = (message.get(name) or "") + value
                continue
            calls = message.setdefault("tool_calls", [])
            for piece in value:
                if piece["index"] == len(calls):
                    calls.append({**piece, "function": dict(piece["function"])})
                    del calls[-1]["index"]
                else:
                    calls[piece["index"]]["function"]["arguments"] += piece["function"]["arguments"]
    return message


@pytest.mark.parametrize("name", CASES)
def test_a_stream_adds_up_to_the_whole_answer(name):
    events = streamed(*CASES[name])
    message = whole(joined(CASES[name]))

    found = accumulated(events)

    assert found["content"] == message["content"]
    assert found["stop_reason"] == message["stop_reason"]
    starts = [event["index"] for event in events if event["type"] == "content_block_start"]
    stops = [event["index"] for event in events if event["type"] == "content_block_stop"]
    assert starts == list(range(len(starts))) == sorted(stops)


def test_blocks_of_parallel_calls_end_before_the_next_begins():
    kinds = [
        (event["type"], event["index"])
        for event in streamed(*CASES["parallel calls"])
        if event["type"] in ("content_block_start", "content_block_stop")
    ]

    assert kinds == [(f"content_block_{word}", n) for n in range(3) for word in ("start", "stop")]


@pytest.mark.parametrize("name", ["plain reasoning", "signed call"])
def test_what_a_model_wants_to_see_again_comes_back(name):
    answer = whole(joined(CASES[name]))

    (_, message) = said(
        {"role": "user", "content": "Hi"}, {"role": "assistant", "content": answer["content"]}
    )

    if name == "plain reasoning":
        assert message["reasoning_content"] == "hm"
    else:
        assert message["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": "xx"}}


def test_another_models_reasoning_is_left_out():
    answer = whole(joined(CASES["plain reasoning"]))
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": answer["content"]}]

    message = chat(model="other", messages=turns).body["messages"][1]

    assert message == {"role": "assistant", "content": "A"}


@pytest.mark.parametrize(
    ("finish", "choice", "told"),
    [
        ("stop", {}, ("end_turn", None)),
        ("length", {}, ("max_tokens", None)),
        ("tool_calls", {}, ("tool_use", None)),
        ("content_filter", {}, ("refusal", None)),
        ("stop", {"native_finish_reason": "pause_turn"}, ("pause_turn", None)),
        (
            "stop",
            {"native_finish_reason": "stop_sequence", "stop_sequence": "END"},
            ("stop_sequence", "END"),
        ),
        ("stop", {"native_finish_reason": "STOP"}, ("end_turn", None)),
    ],
)
def test_reasons_to_stop(finish, choice, told):
    message = whole({"content": "A"}, finish=finish, **choice)

    assert (message["stop_reason"], message["stop_sequence"]) == told
    assert (
        accumulated(streamed({"content": "A"}, finish=finish, **choice))["stop_reason"] == told[0]
    )


def test_cached_tokens_are_told_apart():
    usage = TokenUsage(
        input_tokens=100, output_tokens=7, cache_read_tokens=50, cache_write_5m_tokens=20,
        cache_write_1h_tokens=10, reasoning_tokens=3,
    )  # fmt: skip

    found = streamed({"content": "A"}, usage=usage)[-2]["usage"]

    assert found["input_tokens"] == 20
    assert found["cache_read_input_tokens"] == 50
    assert found["cache_creation_input_tokens"] == 30
    assert found["cache_creation"] == {
        "ephemeral_5m_input_tokens": 20,
        "ephemeral_1h_input_tokens": 10,
    }
    assert (found["output_tokens"], found["cost"]) == (7, 0)


def test_arguments_that_are_no_json_are_wrapped():
    call = {"id": "a", "function": {"name": "f", "arguments": '{"x'}}

    (block,) = whole({"tool_calls": [call]}, finish="length")["content"]

    assert block["input"] == {"INVALID_JSON": '{"x'}


def test_half_surrogates_pass():
    assert accumulated(streamed({"content": "\ud83d"}))["content"][0]["text"] == "\ud83d"


def test_errors_have_anthropics_envelope_and_our_code():
    body = error_body(errors.unknown_url("GET", "/x"), request_id="req_1")

    assert body["type"] == "error"
    assert (body["error"]["type"], body["error"]["code"]) == ("not_found_error", "unknown_url")
    assert body["error"]["docs_url"].endswith("#unknown_url")
    assert body["request_id"] == "req_1"


@pytest.mark.parametrize("code", CODES)
def test_every_error_has_a_type_of_anthropics(code):
    kind = error_body(ApiError(code, "x"), request_id="req_1")["error"]["type"]

    assert kind.endswith("_error") or kind == "request_too_large"


def test_a_stream_that_fails_ends_with_an_error_event():
    writer = MessagesDialect().stream(SERVED)

    (event,) = events_of(writer.error(ApiError("provider_overloaded", "x"), request_id="req_1"))

    assert (event["type"], event["error"]["type"]) == ("error", "overloaded_error")


def test_counting_needs_no_maximum():
    assert read_prompt({"model": "m", "messages": ASKED["messages"]})["model"] == "m"
