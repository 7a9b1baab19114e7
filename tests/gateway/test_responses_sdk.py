"""`/v1/responses` by the official OpenAI client, against a running gateway."""

import json
import warnings

import openai
import pytest
from openai import OpenAI
from openai.types.responses import Response
from pydantic import BaseModel

from billing.models import UsageEvent
from tests.gateway import books
from tests.gateway.open_responses import assert_valid_events, assert_valid_response, events_of

ASKED = "What is the capital of France?"
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Weather of a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


class City(BaseModel):
    """A structured answer."""

    name: str
    people: int


@pytest.fixture
def client(shop):
    with OpenAI(base_url=shop.gateway.base_url, api_key=shop.secret, timeout=60) as client:
        yield client


@pytest.fixture
def trying(shop):
    secret = shop.make_key(mode="test")
    with OpenAI(base_url=shop.gateway.base_url, api_key=secret, timeout=60) as client:
        yield client


def strictly(response):
    """Assert that the response is what the client's own type says, with no field of another type."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Response.model_validate(response.to_dict(), strict=True)


def stream_of(shop, **fields):
    """Return the answer to a streamed call, and its events."""
    body = {"model": shop.model, "input": ASKED, "stream": True, **fields}
    answer = shop.gateway.request("POST", "/v1/responses", key=shop.secret, body=body)
    return answer, events_of(answer.body)


def test_whole_response_and_its_bill(shop, client):
    raw = client.responses.with_raw_response.create(model=shop.model, input=ASKED)
    response = raw.parse()

    strictly(response)
    assert_valid_response(json.loads(raw.content))
    assert (response.output_text, response.status, response.model) == (
        "Hello world",
        "completed",
        shop.model,
    )
    assert response.id.startswith("resp_")
    assert response.store is False
    assert (response.usage.input_tokens, response.usage.output_tokens) == (9, 4)
    assert response.usage.total_tokens == 13
    assert response.usage.cost == pytest.approx(2500e-9)
    assert raw.headers["x-exerati-cost-usd"] == "0.0000025"
    assert shop.upstream.calls[0].body["messages"] == [{"role": "user", "content": ASKED}]
    event = books.only(shop.organization)
    assert (event.endpoint, event.charge_nanousd, event.basis) == ("responses", 2500, "reported")


def test_streamed_response_and_its_bill(shop, client):
    with client.responses.stream(model=shop.model, input=ASKED) as stream:
        pieces = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()

    assert pieces == ["Hel", "lo ", "wor", "ld"]
    assert final.output_text == "Hello world"
    strictly(final)
    assert final.usage.cost == pytest.approx(2500e-9)
    event = books.only(shop.organization)
    assert (event.endpoint, event.charge_nanousd, event.streamed) == ("responses", 2500, True)


def test_every_event_of_a_stream_is_as_specified(shop):
    answer, events = stream_of(shop)

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert_valid_events(events)
    assert [event["type"] for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        *["response.output_text.delta"] * 4,
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert b"[DONE]" not in answer.body


@pytest.mark.parametrize("streamed", [False, True])
def test_tool_is_called_and_its_result_sent_back(shop, trying, streamed):
    call = {"model": shop.model, "tools": [WEATHER], "tool_choice": "required"}
    conversation = [{"role": "user", "content": ASKED}]
    if streamed:
        with trying.responses.stream(**call, input=conversation) as stream:
            first = stream.get_final_response()
    else:
        first = trying.responses.create(**call, input=conversation)
    [called] = first.output
    conversation += [item.to_dict() for item in first.output]
    conversation.append(
        {"type": "function_call_output", "call_id": called.call_id, "output": "rain"}
    )

    second = trying.responses.create(model=shop.model, tools=[WEATHER], input=conversation)

    assert (called.type, called.name, called.status) == (
        "function_call",
        "get_weather",
        "completed",
    )
    assert "city" in json.loads(called.arguments)
    assert second.output_text


def test_structured_output(shop, trying):
    parsed = trying.responses.parse(model=shop.model, input=ASKED, text_format=City)
    with trying.responses.stream(model=shop.model, input=ASKED, text_format=City) as stream:
        streamed = stream.get_final_response()

    assert isinstance(parsed.output_parsed, City)
    assert parsed.output_parsed == streamed.output_parsed


@pytest.mark.parametrize("streamed", [False, True])
def test_answer_that_hits_its_limit_is_incomplete(shop, streamed):
    shop.script(finish_reason="length")

    if streamed:
        response = stream_of(shop)[1][-1]["response"]
    else:
        body = {"model": shop.model, "input": ASKED}
        response = shop.gateway.request("POST", "/v1/responses", key=shop.secret, body=body).json

    assert_valid_response(response)
    assert response["status"] == "incomplete"
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}
    assert response["output"][0]["status"] == "incomplete"
    assert response["completed_at"] is None


def test_stream_that_breaks_ends_as_failed_and_the_client_raises(shop, client):
    shop.script(abort_after=2)

    _, events = stream_of(shop)
    with pytest.raises(openai.APIError) as caught:
        with client.responses.create(model=shop.model, input=ASKED, stream=True) as stream:
            list(stream)

    assert_valid_events(events)
    assert [event["type"] for event in events[-2:]] == ["error", "response.failed"]
    failed = events[-1]["response"]
    assert (failed["status"], failed["error"]["code"]) == ("failed", "provider_error")
    assert failed["output"][0]["status"] == "incomplete"
    assert caught.value.code == "provider_error"
    books.settled(shop.organization, calls=2)


def test_error_before_the_stream_is_an_http_error(shop, client):
    shop.script(status=401)

    with pytest.raises(openai.InternalServerError) as caught:
        client.with_options(max_retries=0).responses.create(
            model=shop.model, input=ASKED, stream=True
        )

    assert (caught.value.status_code, caught.value.code) == (503, "provider_unavailable")


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id", "unsupported_parameter"),
        ({"conversation": "conv_1"}, "conversation", "unsupported_parameter"),
        ({"background": True}, "background", "unsupported_parameter"),
        ({"prompt": {"id": "p"}}, "prompt", "unsupported_parameter"),
        ({"store": True}, "store", "unsupported_value"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type", "unsupported_parameter"),
        ({"max_output_tokens": 0}, "max_output_tokens", "invalid_value"),
        ({"input": []}, "input", "invalid_value"),
        ({"extra_body": {"messages": []}}, "messages", "unsupported_parameter"),
    ],
    ids=str,
)
def test_what_cannot_be_honoured_is_refused_by_name(shop, client, fields, param, code):
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(**{"model": shop.model, "input": ASKED, **fields})

    assert (caught.value.param, caught.value.code) == (param, code)
    assert shop.upstream.calls == []


def test_request_of_codex_works_and_what_is_left_out_is_named(shop):
    body = {
        "model": shop.model,
        "input": [
            {
                "type": "message",
                "id": "msg_1",
                "role": "developer",
                "content": [{"type": "input_text", "text": "You are a coding agent."}],
            },
            {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "hello"}],
            },
        ],
        "stream": True,
        "store": False,
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "reasoning": {"summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "01a2055e",
        "client_metadata": {"x-codex-turn-metadata": "{}"},
        "tools": [
            {**WEATHER, "strict": False},
            {
                "type": "namespace",
                "name": "agents",
                "description": "Sub-agents",
                "tools": [WEATHER],
            },
            {"type": "web_search", "external_web_access": False},
        ],
    }

    answer = shop.gateway.request("POST", "/v1/responses", key=shop.secret, body=body)

    assert answer.status == 200
    assert events_of(answer.body)[-1]["type"] == "response.completed"
    ignored = answer.headers["x-exerati-ignored-params"].split(",")
    assert sorted(ignored) == ["client_metadata", "tools.web_search"]
    sent = shop.upstream.calls[0].body
    assert [tool["function"]["name"] for tool in sent["tools"]] == [
        "get_weather",
        "agents__get_weather",
    ]
    assert sent["prompt_cache_key"] == "01a2055e"


def test_key_that_may_not_call_responses_is_refused(shop):
    secret = shop.make_key(endpoints=["chat.completions"])

    answer = shop.gateway.request(
        "POST", "/v1/responses", key=secret, body={"model": shop.model, "input": ASKED}
    )

    assert (answer.status, answer.error["code"]) == (403, "endpoint_not_allowed")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/responses/resp_1"),
        ("DELETE", "/v1/responses/resp_1"),
        ("GET", "/v1/responses/resp_1/input_items"),
        ("POST", "/v1/responses/resp_1/cancel"),
    ],
)
def test_stored_responses_are_not_offered(shop, method, path):
    answer = shop.gateway.request(method, path, key=shop.secret)

    assert (answer.status, answer.error["code"]) == (501, "not_supported")


def test_input_tokens_are_counted_without_a_call(shop, client):
    plain = client.responses.input_tokens.count(model=shop.model, input=ASKED)
    tools = client.responses.input_tokens.count(
        model=shop.model, input=ASKED, instructions="Be brief.", tools=[WEATHER]
    )

    type(plain).model_validate(plain.to_dict(), strict=True)
    assert 5 < plain.input_tokens < 30
    assert tools.input_tokens > plain.input_tokens + 20
    with pytest.raises(openai.NotFoundError):
        client.responses.input_tokens.count(model="none", input=ASKED)
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.input_tokens.count(model=shop.model, previous_response_id="resp_1")
    assert refused.value.param == "previous_response_id"
    narrow = client.with_options(api_key=shop.make_key(endpoints=["embeddings"]))
    with pytest.raises(openai.PermissionDeniedError):
        narrow.responses.input_tokens.count(model=shop.model, input=ASKED)
    assert shop.upstream.calls == []
    assert not UsageEvent.objects.filter(organization=shop.organization).exists()
