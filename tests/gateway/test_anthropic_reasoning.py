"""Effort is said as each Claude generation wants it, and thoughts come back as they were signed."""

import json
from typing import Any

import pytest

from gateway.providers import registry
from gateway.providers.base import ServeAs
from tests.gateway.test_anthropic_request import HI, refusal, sent

Json = dict[str, Any]
ADAPTER = registry.adapter("anthropic")
SERVE_AS = ServeAs(id="chatcmpl-ours", model="public/name", created=1)

ADAPTIVE = {"type": "adaptive", "display": "summarized"}


@pytest.mark.parametrize(
    ("model", "effort", "thinking", "guided"),
    [
        ("claude-opus-5-5", "high", ADAPTIVE, "high"),
        ("claude-opus-4-6", "minimal", ADAPTIVE, "low"),
        ("claude-mythos-preview", "max", ADAPTIVE, "max"),
        ("claude-haiku-4-5-20251001", "medium", {"type": "enabled", "budget_tokens": 2_000}, None),
        ("claude-sonnet-4-20250514", "low", {"type": "enabled", "budget_tokens": 1_024}, None),
        ("claude-3-7-sonnet-latest", "xhigh", {"type": "enabled", "budget_tokens": 3_800}, None),
        ("claude-opus-4-7", "none", None, None),
        ("claude-haiku-4-5", "none", None, None),
        ("claude-3-opus-20240229", "none", None, None),
        ("claude-opus-5", "none", {"type": "disabled"}, None),
        ("claude-sonnet-5", "none", {"type": "disabled"}, None),
        ("claude-sonnet-5-5", "none", {"type": "between_tools"}, None),
    ],
)
def test_effort_is_said_as_each_generation_wants_it(model, effort, thinking, guided):
    body = sent(model=model, reasoning_effort=effort)

    assert body.get("thinking") == thinking
    assert body.get("output_config", {}).get("effort") == guided


def test_effort_is_refused_where_a_model_does_not_reason_or_has_no_room_to():
    plain = refusal(model="claude-3-5-haiku-20241022", reasoning_effort="low")
    short = refusal(model="claude-haiku-4-5", reasoning_effort="low", max_completion_tokens=1_024)

    assert plain.param == "reasoning_effort"
    assert short.param == "max_completion_tokens"


def replayed(*blocks: Json) -> list[Json]:
    """Return the blocks that go out when an answer of these blocks is sent back as it came."""
    data = json.dumps({"content": list(blocks), "stop_reason": "end_turn"}).encode()
    message = ADAPTER.chat_answer(data, serve_as=SERVE_AS).body["choices"][0]["message"]
    written: list[Json] = sent(messages=[*HI, message])["messages"][1]["content"]
    return written


def thought(value: str, signature: str) -> Json:
    return {"type": "thinking", "thinking": value, "signature": signature}


TOOL_USE = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}}
SECOND = {**TOOL_USE, "id": "toolu_2"}


@pytest.mark.parametrize(
    "blocks",
    [
        [thought("Hmm 🙂\u2028", "Eq/+=="), {"type": "text", "text": "Hi"}],
        [thought("", "omitted"), TOOL_USE],
        [{"type": "redacted_thinking", "data": "EmwK="}, thought("a", "s"), TOOL_USE],
        [
            thought("a", "1"),
            {"type": "text", "text": "One 🙂"},
            thought("b", "2"),
            {"type": "text", "text": "Two"},
            TOOL_USE,
            thought("c", "3"),
            SECOND,
        ],
        [thought("a", "1"), TOOL_USE, SECOND, thought("b", "2")],
    ],
)
def test_thinking_comes_back_byte_for_byte_and_in_its_place(blocks):
    assert replayed(*blocks) == blocks


def test_pieces_of_a_stream_that_were_only_collected_are_joined():
    details = [
        {"type": "reasoning.text", "text": "", "format": "anthropic-claude-v1", "index": 0},
        {"type": "reasoning.text", "text": "a", "index": 0},
        {"type": "reasoning.text", "text": "b", "index": 0},
        {"type": "reasoning.text", "signature": "s", "index": 0},
    ]

    body = sent(messages=[{"role": "assistant", "content": "Hi", "reasoning_details": details}])

    assert body["messages"][0]["content"][0] == thought("ab", "s")


@pytest.mark.parametrize(
    "detail",
    [
        {"type": "reasoning.text", "text": "unsigned", "format": "anthropic-claude-v1"},
        {"type": "reasoning.text", "text": "a", "signature": "s", "format": "google-gemini-v1"},
        {"type": "reasoning.encrypted", "data": "x", "format": "openai-responses-v1"},
        {"type": "reasoning.summary", "summary": "x"},
    ],
)
def test_what_others_thought_is_left_out(detail):
    message = {"role": "assistant", "content": "Hi", "reasoning_details": [detail]}

    body = sent(messages=[*HI, message | {"reasoning_content": "unsigned"}])

    assert body["messages"][1]["content"] == [{"type": "text", "text": "Hi"}]
