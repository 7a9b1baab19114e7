"""The official Anthropic client, with nothing changed but base URL and key, against a running gateway."""

import json
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic, AsyncAnthropic

from billing.models import UsageEvent
from gateway.models import Provider
from tests import factories
from tests.gateway import books
from tests.gateway.test_anthropic_stream import end, sse, start

ASK: Any = {
    "max_tokens": 50,
    "messages": [{"role": "user", "content": "What is the capital of France?"}],
}
WEATHER: Any = {
    "name": "get_weather",
    "description": "Weather of a city",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}


def base_url_of(shop):
    """What these clients take: they add /v1 themselves."""
    return shop.gateway.base_url.removesuffix("/v1")


def body_of(caught) -> Any:
    """What the gateway answered with, as the client's exception keeps it."""
    return caught.value.body


@pytest.fixture
def client(shop):
    with Anthropic(base_url=base_url_of(shop), api_key=shop.secret, max_retries=0) as client:
        yield client


@pytest.fixture
def trying(shop):
    secret = shop.make_key(mode="test")
    with Anthropic(base_url=base_url_of(shop), api_key=secret, max_retries=0) as client:
        yield client


def test_whole_message(shop, client):
    message = client.messages.create(model=shop.model, **ASK)

    assert message.id.startswith("msg_")
    assert (message.type, message.role, message.model) == ("message", "assistant", shop.model)
    assert [(block.type, block.text) for block in message.content] == [("text", "Hello world")]
    assert message.stop_reason == "end_turn"
    assert (message.usage.input_tokens, message.usage.output_tokens) == (9, 4)
    assert message.usage.cost == pytest.approx(2500e-9)
    assert str(message._request_id).startswith("req_")
    event = books.only(shop.organization)
    assert (event.endpoint, event.charge_nanousd, event.basis) == ("messages", 2500, "reported")


def test_streamed_message(shop, client):
    with client.messages.stream(model=shop.model, **ASK) as stream:
        text = "".join(stream.text_stream)
        message = stream.get_final_message()

    assert text == message.content[0].text == "Hello world"
    assert (message.usage.input_tokens, message.usage.output_tokens) == (9, 4)
    assert message.stop_reason == "end_turn"
    event = books.only(shop.organization)
    assert (event.endpoint, event.charge_nanousd, event.basis) == ("messages", 2500, "reported")


@pytest.mark.anyio
async def test_async_client(shop):
    async with AsyncAnthropic(base_url=base_url_of(shop), api_key=shop.secret) as client:
        whole = await client.messages.create(model=shop.model, **ASK)
        async with client.messages.stream(model=shop.model, **ASK) as stream:
            pieces = [piece async for piece in stream.text_stream]
        counted = await client.messages.count_tokens(model=shop.model, messages=ASK["messages"])

    assert whole.content[0].text == "".join(pieces) == "Hello world"
    assert counted.input_tokens > 5


@pytest.mark.parametrize("stream", [False, True])
def test_tools_and_back(trying, shop, stream):
    asked: Any = {**ASK, "model": shop.model, "tools": [WEATHER], "tool_choice": {"type": "any"}}
    if stream:
        with trying.messages.stream(**asked) as events:
            message = events.get_final_message()
    else:
        message = trying.messages.create(**asked)
    [call] = [block for block in message.content if block.type == "tool_use"]
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}
    turns: Any = [
        {"role": "assistant", "content": message.content},
        {"role": "user", "content": [result]},
    ]

    answer = trying.messages.create(**{**asked, "messages": [*ASK["messages"], *turns]})

    assert message.stop_reason == "tool_use"
    assert (call.name, call.input) == ("get_weather", {"city": "example"})
    assert answer.content[0].type == "text"


def test_counting_is_free(shop, client):
    counted = client.messages.count_tokens(
        model=shop.model, messages=ASK["messages"], system="Be brief.", tools=[WEATHER]
    )

    assert 20 < counted.input_tokens < 100
    assert shop.upstream.calls == []
    assert not UsageEvent.objects.filter(organization_id=shop.organization.pk).exists()


def test_thinking_of_claude_keeps_its_signature(shop, client):
    Provider.objects.filter(pk=shop.provider.pk).update(api="anthropic")
    shop.relearn()
    usage = {"input_tokens": 9, "cache_read_input_tokens": 5, "output_tokens": 4}
    content: Any = [
        {"type": "thinking", "thinking": "hm", "signature": "c2ln+/=="},
        {"type": "text", "text": "Paris."},
    ]
    answer = {"id": "msg_77", "content": content, "stop_reason": "end_turn", "usage": usage}
    shop.script(raw=json.dumps(answer).encode())

    first = client.messages.create(model=shop.model, **ASK)
    turns: Any = [
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": "Sure?"},
    ]
    client.messages.create(model=shop.model, max_tokens=50, messages=[*ASK["messages"], *turns])

    assert [block.model_dump(exclude_none=True) for block in first.content] == content
    assert (first.usage.input_tokens, first.usage.cache_read_input_tokens) == (9, 5)
    assert shop.upstream.calls[-1].body["messages"][1]["content"] == content


def test_an_error_in_the_midst_of_a_stream_raises(shop, client):
    shop.script(abort_after=2)
    pieces: list[str] = []

    with pytest.raises(anthropic.APIStatusError) as caught:
        with client.messages.stream(model=shop.model, **ASK) as stream:
            pieces += list(stream.text_stream)

    assert body_of(caught)["error"]["code"] == "provider_error"


def test_the_runner_of_tools_goes_on_without_threads(shop, client):
    """The SDK asks for a conversation that is held for it, and sends it whole when it hears that there are none."""

    @anthropic.beta_tool
    def get_weather(city: str) -> str:
        """
        Tell the weather.

        Args:
            city: its name
        """
        return f"Sunny in {city}"

    call = {"name": "get_weather", "arguments": json.dumps({"city": "Paris"})}
    calls = [{"id": "call_1", "type": "function", "function": call}]
    shop.script(message={"content": None, "tool_calls": calls}, finish_reason="tool_calls")

    runner = client.beta.messages.tool_runner(
        model=shop.model, tools=[get_weather], max_iterations=2, **ASK
    )

    assert [message.stop_reason for message in runner] == ["tool_use", "tool_use"]
    first, second = shop.upstream.calls_of(shop.model)
    assert "thread" not in first.body
    assert [turn["role"] for turn in second.body["messages"]] == ["user", "assistant", "tool"]
    assert second.body["messages"][2]["content"] == "Sunny in Paris"


def test_what_we_lack_of_anthropics_is_told_so(shop, client):
    with pytest.raises(anthropic.APIStatusError) as caught:
        client.messages.batches.list()

    assert caught.value.status_code == 501
    assert "Anthropic's API" in body_of(caught)["error"]["message"]


def test_the_kinds_of_errors(shop, client):
    with Anthropic(base_url=base_url_of(shop), api_key="sk-wrong", max_retries=0) as stranger:
        with pytest.raises(anthropic.AuthenticationError) as caught:
            stranger.messages.create(model=shop.model, **ASK)
    assert body_of(caught)["error"]["type"] == "authentication_error"
    assert body_of(caught)["error"]["code"] == "invalid_api_key"
    assert body_of(caught)["request_id"].startswith("req_")
    with pytest.raises(anthropic.NotFoundError) as missing:
        client.messages.create(model="no-such", **ASK)
    assert body_of(missing)["error"]["type"] == "not_found_error"
    with pytest.raises(anthropic.BadRequestError) as bad:
        client.messages.create(model=shop.model, **{**ASK, "max_tokens": 0})
    assert body_of(bad)["error"]["param"] == "max_tokens"
    shop.script(status=429)
    with pytest.raises(anthropic.InternalServerError) as busy:
        client.messages.create(model=shop.model, **ASK)
    assert (busy.value.status_code, body_of(busy)["error"]["type"]) == (503, "overloaded_error")


def test_out_of_money_is_a_rate_limit_error_that_is_not_retried(shop):
    poor = factories.make_api_key(factories.make_organization())

    with Anthropic(base_url=base_url_of(shop), api_key=poor.secret) as client:
        with pytest.raises(anthropic.RateLimitError) as caught:
            client.messages.create(model=shop.model, **ASK)

    assert body_of(caught)["error"]["code"] == "insufficient_quota"
    assert caught.value.response.headers["x-should-retry"] == "false"


def test_counting_too_often_is_a_rate_limit_error(shop):
    secret = shop.make_key(requests_per_minute=1)

    with Anthropic(base_url=base_url_of(shop), api_key=secret, max_retries=0) as client:
        with pytest.raises(anthropic.RateLimitError) as caught:  # noqa: PT012  the second or third
            for _ in range(3):
                client.messages.count_tokens(model=shop.model, messages=ASK["messages"])

    assert body_of(caught)["error"]["type"] == "rate_limit_error"


def test_a_key_may_be_kept_from_messages(shop):
    secret = shop.make_key(endpoints=["embeddings"])

    with Anthropic(base_url=base_url_of(shop), api_key=secret, max_retries=0) as client:
        with pytest.raises(anthropic.PermissionDeniedError):
            client.messages.create(model=shop.model, **ASK)


@pytest.mark.parametrize("header", ["authorization", "x-api-key"])
def test_what_claude_code_sends_is_answered(shop, header):
    tools = [{**WEATHER, "name": f"tool_{n}", "description": "x" * 3000} for n in range(24)]
    mark = {"cache_control": {"type": "ephemeral"}}
    body = {
        "model": shop.model,
        "max_tokens": 1000,
        "stream": True,
        "system": [{"type": "text", "text": "You are Claude Code", **mark}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Hi", **mark}]},
            {"role": "system", "content": "reminder"},
        ],
        "tools": tools,
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "high"},
        "context_management": {"edits": []},
        "metadata": {"user_id": "user_1"},
    }
    shop.script(delay_seconds=1)  # as a real one takes, while the prompt is counted
    secret = f"Bearer {shop.secret}" if header == "authorization" else shop.secret
    headers = {
        header: secret,
        "anthropic-version": "2023-06-01",
        "anthropic-beta": "claude-code-20250219,context-management-2025-06-27",
    }

    answer = shop.gateway.request("POST", "/v1/messages?beta=true", body=body, headers=headers)

    assert answer.status == 200
    assert answer.headers["x-exerati-ignored-params"] == "context_management"
    lines = answer.body.decode().split("\n")  # keep-alive comments may come before and between
    events = [line for line in lines if line.startswith("event: ")]
    assert events[:2] == ["event: message_start", "event: ping"]
    assert events[-1] == "event: message_stop"
    first = json.loads(next(line for line in lines if line.startswith("data: "))[6:])
    assert first["message"]["usage"]["input_tokens"] > 1000
    assert "reasoning_effort" not in shop.upstream.calls[0].body


def test_a_body_that_is_too_large_has_the_envelope_too(shop):
    answer = shop.gateway.request("POST", "/v1/messages", key=shop.secret, body=b" " * (2 * 2**20))

    assert (answer.status, answer.json["error"]["type"]) == (413, "request_too_large")


def test_batches_are_not_offered(shop):
    answer = shop.gateway.request("POST", "/v1/messages/batches", key=shop.secret, body={})

    assert (answer.status, answer.json["error"]["code"]) == (501, "not_supported")


def test_a_stream_of_claude_comes_back_as_it_was(shop, client):
    Provider.objects.filter(pk=shop.provider.pk).update(api="anthropic")
    shop.relearn()
    usage = {"input_tokens": 9, "output_tokens": 4}
    deltas = [
        {"type": "thinking_delta", "thinking": "hm"},
        {"type": "signature_delta", "signature": "c2ln+/=="},
    ]
    thinking = [
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "thinking", "thinking": "", "signature": ""},
        },
        *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": 0},
    ]
    shop.script(raw=b"".join(sse(start(**usage), *thinking, *end("end_turn", **usage))))

    with client.messages.stream(model=shop.model, **ASK) as stream:
        message = stream.get_final_message()

    assert [(block.thinking, block.signature) for block in message.content] == [("hm", "c2ln+/==")]
