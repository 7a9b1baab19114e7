"""Anthropic's recorded traffic through the dialect: requests are understood, answers come back as they were."""

import json
from typing import Any

import pytest

from gateway import serializers
from gateway.dialects.messages import MessagesDialect
from gateway.dialects.messages_request import read_request
from gateway.providers.anthropic import anthropic_request
from gateway.providers.anthropic.anthropic import AnthropicAdapter
from gateway.providers.base import ProviderError
from gateway.sse import SseDecoder
from tests.gateway import recorded_anthropic
from tests.gateway.test_messages import LIMITS, SERVED, accumulated, events_of

SAME = ("text", "thinking", "redacted_thinking", "tool_use")


def requests():
    """Return the accepted requests without what only Anthropic's own tools and files can do."""
    return [
        item
        for item in recorded_anthropic.exchanges()
        if item.request and item.status == 200 and not uses_own_tools(item.request)
    ]


def uses_own_tools(request):
    kinds = [tool.get("type") or "custom" for tool in request.get("tools") or ()]
    for turn in request["messages"]:
        for block in turn["content"] if isinstance(turn["content"], list) else ():
            kinds.append(block["type"])
            kinds += ["file"] if (block.get("source") or {}).get("type") == "file" else []
    return not set(kinds) <= {"custom", "image", "document", "tool_result", *SAME}


def answers():
    """Return the whole answers without what Anthropic's own tools did, for which we do not ask."""
    return [
        item
        for item in recorded_anthropic.wholes()
        if b"server_tool_use" not in item.data or b'"server_tool_use":null' in item.data
    ]


@pytest.mark.parametrize("item", requests(), ids=lambda item: item.name)
def test_recorded_requests_are_accepted(item):
    call = serializers.parse_chat(read_request(item.request), limits=LIMITS)

    body = {**call.body, "max_completion_tokens": call.max_output_tokens}
    sent = anthropic_request.translate(body, model="claude-opus-4-5", stream=False)
    assert sent["messages"][0]["role"] == "user"
    assert signatures(sent["messages"]) == signatures(item.request["messages"])


def signatures(turns):
    return [
        block.get("signature") or block.get("data")
        for turn in turns
        if isinstance(turn["content"], list)
        for block in turn["content"]
        if block["type"] in ("thinking", "redacted_thinking")
    ]


def plain(blocks):
    """Return the blocks that chats can carry, texts joined, without what Anthropic adds for its own tools."""
    found: list[Any] = []
    for block in blocks:
        if block["type"] not in SAME:
            continue
        kept = {
            n: v
            for n, v in block.items()
            if n in ("type", "text", "thinking", "signature", "data", "id", "name", "input")
        }
        if kept["type"] == "text" and found and found[-1]["type"] == "text":
            found[-1]["text"] += kept["text"]
        else:
            found.append(kept)
    return [block for block in found if block.get("text") != ""]


@pytest.mark.parametrize("item", answers(), ids=lambda item: item.name)
def test_recorded_answers_come_back_as_they_were(item):
    recorded = json.loads(item.data)
    answer = AnthropicAdapter().chat_answer(item.data, serve_as=SERVED)

    message = MessagesDialect().whole(answer.body, cost_nanousd=1)

    assert message["content"] == plain(recorded["content"])
    assert message["stop_reason"] == recorded["stop_reason"]
    for name in ("input_tokens", "output_tokens", "cache_read_input_tokens"):
        assert message["usage"][name] == (recorded["usage"].get(name) or 0)


@pytest.mark.parametrize("item", recorded_anthropic.streams(), ids=lambda item: item.name)
def test_recorded_streams_come_back_as_they_were(item):
    try:
        message = accumulated(events_of(through_chat(item.data)))
    except ProviderError:
        return  # recorded faults: the stream broke off, or another one was spliced in

    expected = accumulated(
        event for event in recorded_anthropic.events_of(item.data) if event["type"] != "ping"
    )
    assert message["content"] == plain(expected["content"])
    assert message["stop_reason"] == expected["stop_reason"]


def through_chat(data):
    """Return a recorded stream after its way through our chat format and back."""
    translator = AnthropicAdapter().chat_stream(serve_as=SERVED)
    writer = MessagesDialect().stream(SERVED)
    decoder = SseDecoder()
    out = [
        writer.events(translator.feed(event, line))
        for event, line in [*decoder.feed(data), *decoder.flush()]
    ]
    out.append(writer.events(translator.finish()))
    return b"".join(out) + writer.end(
        translator.usage, extra=translator.usage_extra, cost_nanousd=1
    )
