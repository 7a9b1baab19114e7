"""Reasoning in the Responses API: back to the model that made it, signed, and to no other."""

import base64
import json

import msgspec
import pytest

from gateway.dialects.responses import ResponsesDialect
from gateway.providers.anthropic.anthropic import AnthropicAdapter
from gateway.providers.base import Upstream
from gateway.providers.google.gemini import GeminiAdapter
from tests.gateway.test_responses_request import OUTPUT, chat, messages, refused, said

INCLUDE = ["reasoning.encrypted_content"]


def answered(message, **fields):
    """Return the output items of an answer that the model `m` gave."""
    dialect = ResponsesDialect()
    dialect.chat_body({"model": "m", "input": "Hi", "include": INCLUDE, **fields})
    choice = {"message": message, "finish_reason": "tool_calls"}
    answer = {"id": "resp_1", "model": "m", "created": 1, "choices": [choice]}
    return json.loads(msgspec.json.encode(dialect.whole(answer, cost_nanousd=0)))["output"]


def called(**fields):
    return {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}, **fields}


def test_thinking_of_claude_goes_back_signed():
    details = [
        {
            "type": "reasoning.text",
            "text": "Hm.",
            "signature": "sig",
            "format": "anthropic-claude-v1",
            "index": 0,
        }
    ]
    message = {"reasoning_content": "Hm.", "reasoning_details": details, "tool_calls": [called()]}

    body = chat(input=[said("Hi"), *answered(message), OUTPUT])

    assert body["messages"][1]["reasoning_details"] == details
    request = AnthropicAdapter().chat_request(
        Upstream(name="a", api="anthropic", base_url="https://a.example"),
        upstream_model="claude-sonnet-4-5",
        body={"messages": body["messages"], "max_completion_tokens": 4096},
        stream=False,
    )
    [thinking, *_] = json.loads(request.body)["messages"][1]["content"]
    assert thinking == {"type": "thinking", "thinking": "Hm.", "signature": "sig"}


def test_signatures_of_gemini_go_back_where_they_were():
    google = {"google": {"thought_signature": "c2ln"}}
    message = {"content": "I look.", "tool_calls": [called(extra_content=google)]}

    body = chat(input=[said("Hi"), *answered(message), OUTPUT])

    assert body["messages"][1]["tool_calls"][0]["extra_content"] == google
    request = GeminiAdapter().chat_request(
        Upstream(name="g", api="gemini", base_url="https://g.example"),
        upstream_model="gemini-3-pro",
        body={"messages": body["messages"], "max_completion_tokens": 4096},
        stream=False,
    )
    assert b'"thoughtSignature":"c2ln"' in request.body


def test_plain_reasoning_goes_back_only_within_its_turn():
    items = answered({"reasoning_content": "Hm.", "tool_calls": [called()]})

    within = messages(said("Hi"), *items, OUTPUT)
    after = messages(said("Hi"), *items, OUTPUT, said("And now?"))

    assert within[1]["reasoning_content"] == "Hm."
    assert "reasoning_content" not in after[1]


def test_reasoning_of_another_model_or_service_is_left_out():
    items = answered({"reasoning_content": "Hm.", "tool_calls": [called()]})
    foreign = {"type": "reasoning", "summary": [], "encrypted_content": "gAAAAABqX6NT"}

    body = chat(input=[said("Hi"), *items, OUTPUT], model="other")

    assert "reasoning_content" not in body["messages"][1]
    assert messages(said("Hi"), foreign) == [said("Hi")]


def test_reasoning_is_kept_only_where_it_was_asked_for():
    [item, _] = answered({"reasoning_content": "Hm.", "tool_calls": [called()]}, include=[])

    assert "encrypted_content" not in item


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"model":"m","role":"system"}',
        b'{"model":"m","reasoning_details":["x"]}',
        b'{"model":"m","calls":{"c1":5}}',
        b'{"model":"m","reasoning_details":' + b"[" * 99 + b"]" * 99 + b"}",
    ],
    ids=str,
)
def test_reasoning_that_was_changed_is_refused(payload):
    kept = "exr1." + base64.urlsafe_b64encode(payload).decode()
    item = {"type": "reasoning", "summary": [], "encrypted_content": kept}

    assert refused(input=[said("Hi"), item]) == ("input[1].encrypted_content", "invalid_value")
