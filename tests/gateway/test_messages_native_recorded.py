"""Anthropic's recorded traffic out of `/v1/messages`: what the provider sent, and never dearer than its bound."""

import json

import pytest

from billing import pricing
from billing.types import Price
from gateway.dialects.messages import MessagesDialect
from gateway.providers import wire_json
from gateway.providers.anthropic.anthropic import AnthropicAdapter
from gateway.providers.base import ProviderError
from gateway.sse import SseDecoder
from gateway.wire_checks import InvalidRequest
from tests.gateway import recorded, recorded_anthropic
from tests.gateway.test_messages import events_of
from tests.gateway.test_messages_native import CONTEXT, RATES, bound_of, call_of, sent_to
from tests.gateway.test_messages_native_stream import SERVED

pytestmark = pytest.mark.skipif(not recorded.SHARED.exists(), reason=recorded.MISSING)


def replaced(event):
    """Return the provider's event with what is ours in it."""
    if event["type"] == "message_start":
        ours = {"id": SERVED.id, "model": SERVED.model}
        return {**event, "message": {**event["message"], **ours}}
    if event["type"] == "message_delta":
        return {**event, "usage": {**event["usage"], "cost": 1e-9}}
    return event


@pytest.mark.parametrize("item", recorded_anthropic.streams(), ids=lambda item: item.name)
def test_events_are_the_providers_apart_from_what_is_ours(item):
    adapter, decoder = AnthropicAdapter(), SseDecoder()
    translator = adapter.chat_stream(serve_as=SERVED)
    writer = MessagesDialect().stream(SERVED)
    out = b""
    theirs = [event for event in recorded_anthropic.events_of(item.data) if event["type"] != "ping"]
    try:
        for name, line in [*decoder.feed(item.data), *decoder.flush()]:
            out += writer.events(translator.feed(name, line))
        out += writer.events(translator.finish())
    except ProviderError:
        ours = events_of(out)
        assert ours == [replaced(event) for event in theirs[: len(ours)]]
        return
    out += writer.end(translator.usage, extra={}, cost_nanousd=1)

    expected = list(map(replaced, theirs))
    if "duplicate-message-start" in item.name:
        expected.remove(expected[0])
    assert events_of(out) == expected


@pytest.mark.parametrize("item", recorded_anthropic.wholes(), ids=lambda item: item.name)
def test_whole_answers_are_the_providers_apart_from_what_is_ours(item):
    recorded_answer = json.loads(item.data)
    answer = AnthropicAdapter().chat_answer(item.data, serve_as=SERVED)

    message = MessagesDialect().whole(answer.body, cost_nanousd=1)
    message = json.loads(wire_json.encode(message))  # as it is sent

    usage = {**recorded_answer["usage"], "cost": 1e-9}
    ours = {"id": SERVED.id, "model": SERVED.model, "usage": usage}
    assert message == {**recorded_answer, **ours}


def asked():
    """Return the recorded requests that we let through, each with its exchange."""
    found = []
    for item in recorded_anthropic.exchanges():
        if item.status == 200 and item.request:
            try:
                found.append((item, call_of(**item.request)))
            except InvalidRequest as error:
                text = json.dumps(item.request)
                assert "code_execution" in text or '"type": "file"' in text, error  # noqa: PT017
    return found


def test_recorded_requests_go_out_as_they_were_sent():
    names = set()
    for item, call in asked():
        body = sent_to(AnthropicAdapter(), call, model=item.request["model"], stream=item.streamed)[
            1
        ]
        wanted = {**item.request, "stream": item.streamed or None}
        assert slim(body) == slim(wanted), item.name
        names.add(item.name.rpartition("/")[0])

    assert len(names) >= 20
    assert any("citations" in name for name in names)


def slim(body):
    """Return a body without what says nothing; how often a search may run is ours to say where nobody does."""
    tools = [
        {name: value for name, value in tool.items() if value is not None and name != "max_uses"}
        for tool in body.get("tools") or ()
    ]
    kept = {n: v for n, v in json.loads(json.dumps(body)).items() if v is not None}
    for turn in kept["messages"]:
        for block in turn["content"] if isinstance(turn["content"], list) else ():
            for name in [name for name, value in block.items() if value is None]:
                del block[name]
    return {**kept, "tools": tools, "max_tokens": 0, "metadata": None}


def test_no_recorded_call_costs_more_than_its_bound():
    searches = 0
    price = Price(0, RATES)
    for item, call in asked():
        usage = usage_of(item)
        if usage is None:
            continue
        bound = bound_of(call, context_tokens=CONTEXT)
        assert usage.input_tokens <= bound.input_tokens, item.name
        assert usage.searches <= bound.searches, item.name
        charge = pricing.charge_nanousd(usage, price=price)
        assert charge <= pricing.upper_bound_nanousd(bound, price=price), item.name
        searches += usage.searches

    assert searches >= 3  # the fees were really among them


def usage_of(item):
    adapter = AnthropicAdapter()
    if not item.streamed:
        return adapter.chat_answer(item.data, serve_as=SERVED).usage
    translator, decoder = adapter.chat_stream(serve_as=SERVED), SseDecoder()
    for name, line in decoder.feed(item.data):
        translator.feed(name, line)
    return translator.usage
