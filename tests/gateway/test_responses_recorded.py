"""Recorded chats of every provider as responses: each valid, and each stream true to its own events."""

import json

import msgspec
import pytest

from gateway.dialects.responses import ResponsesDialect
from gateway.errors import from_exception
from gateway.providers.anthropic.anthropic import AnthropicAdapter
from gateway.providers.base import ProviderError, ServeAs
from gateway.providers.google.gemini import GeminiAdapter
from gateway.providers.openai.openai import OpenAIAdapter
from gateway.sse import SseDecoder
from tests.gateway import recorded, recorded_anthropic, recorded_gemini
from tests.gateway.open_responses import (
    assert_told,
    assert_valid_events,
    assert_valid_response,
    events_of,
)

SERVE_AS = ServeAs(id="resp_1", model="m", created=1_700_000_000)


def streams():
    yield from ((OpenAIAdapter(), item.name, item.data) for item in recorded.streams())
    yield from ((AnthropicAdapter(), item.name, item.data) for item in recorded_anthropic.streams())
    for found in recorded_gemini.exchanges():
        if found.api != "embeddings" and found.streamed and found.status == 200:
            yield GeminiAdapter(), found.name, found.sse


def wholes():
    for item in recorded.exchanges():
        if item.api == "chat" and item.status == 200 and not item.streamed:
            yield OpenAIAdapter(), item
    yield from ((AnthropicAdapter(), item) for item in recorded_anthropic.wholes())
    for found in recorded_gemini.exchanges():
        if found.api != "embeddings" and not found.streamed and found.status == 200:
            yield GeminiAdapter(), found


def dialect():
    """Return a dialect that has read a request for all there is."""
    asked = ResponsesDialect()
    include = ["reasoning.encrypted_content", "message.output_text.logprobs"]
    asked.chat_body({"model": "m", "input": "Hi", "include": include})
    return asked


def last_bytes(adapter, data, writer):
    """Feed a recorded stream; return all that the client gets, whether it ended well or not."""
    translator = adapter.chat_stream(serve_as=SERVE_AS)
    decoder = SseDecoder()
    sent = b""
    try:
        for event, line in decoder.feed(data) + decoder.flush():
            sent += writer.events(translator.feed(event, line))
        sent += writer.events(translator.finish())
    except ProviderError as error:
        return sent + writer.error(from_exception(error), request_id="req_1")
    return sent + writer.end(translator.usage, extra=translator.usage_extra, cost_nanousd=1)


@pytest.mark.parametrize(
    ("adapter", "data"),
    [pytest.param(adapter, data, id=name) for adapter, name, data in streams()],
)
def test_stream_makes_a_valid_response(adapter, data):
    events = events_of(last_bytes(adapter, data, dialect().stream(SERVE_AS)))

    assert_valid_events(events)
    if events[-1]["type"] != "response.failed":
        assert_told(events)


@pytest.mark.skipif(not recorded.SHARED.exists(), reason=recorded.MISSING)
def test_whole_answers_make_valid_responses():
    seen = 0
    for adapter, exchange in wholes():
        try:
            answer = adapter.chat_answer(exchange.data, serve_as=SERVE_AS)
        except ProviderError:
            continue
        response = dialect().whole(answer.body, cost_nanousd=1)
        assert_valid_response(json.loads(msgspec.json.encode(response)))
        seen += 1
    assert seen > 100
