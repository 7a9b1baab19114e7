"""What only Claude, Gemini and OpenRouter understand does not reach providers that refuse unknown fields."""

import json
from typing import Any

import pytest

from gateway.providers.base import Upstream
from gateway.providers.openai.openai import OpenAIAdapter

MARK = {"cache_control": {"type": "ephemeral"}}
BODY: dict[str, Any] = {
    "messages": [
        {"role": "system", "content": [{"type": "text", "text": "Be brief.", **MARK}]},
        {
            "role": "assistant",
            "content": None,
            "reasoning_content": "Let me look.",
            "reasoning_details": [{"type": "reasoning.text", "signature": "c2ln"}],
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "look", "arguments": '{"cache_control": 1}'},
                    "extra_content": {"google": {"thought_signature": "c2ln"}},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "cache_control"},
    ],
    "tools": [
        {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}, **MARK}
    ],
}


def sent(*quirks: str) -> Any:
    upstream = Upstream("p", "openai", "http://127.0.0.1/v1", quirks=frozenset(quirks))
    request = OpenAIAdapter().chat_request(upstream, upstream_model="m", body=BODY, stream=False)
    return json.loads(request.body)


def test_extensions_stay_here_and_all_else_goes_out():
    body = sent()

    assert body["messages"][0]["content"] == [{"type": "text", "text": "Be brief."}]
    assert body["messages"][1] == {
        "role": "assistant",
        "content": None,
        "reasoning_content": "Let me look.",
        "tool_calls": [
            {
                "id": "call_1",
                "type": "function",
                "function": {"name": "look", "arguments": '{"cache_control": 1}'},
            }
        ],
    }
    assert body["messages"][2] == BODY["messages"][2]
    assert set(body["tools"][0]) == {"type", "function"}


def test_customers_own_request_is_not_changed():
    before = json.dumps(BODY)

    sent()

    assert json.dumps(BODY) == before


@pytest.mark.parametrize("field", ["messages", "tools"])
def test_openrouter_gets_them(field):
    assert sent("keeps_extensions")[field] == BODY[field]
