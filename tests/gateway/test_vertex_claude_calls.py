"""Claude on Vertex AI through a running gateway, in Anthropic's own words: address, proof, answers, errors, counts."""

import json
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic

from gateway.models import Model, Provider
from gateway.providers import credentials
from gateway.routes import provider_accounts
from tests.gateway import books
from tests.gateway.conftest import SEARCH_FEE
from tests.gateway.test_authorize import ACCOUNT
from tests.gateway.test_messages_native import SEARCH
from tests.gateway.test_messages_native_sdk import BLOCKS, USAGE, message, stream_of_a_search
from tests.gateway.test_messages_sdk import ASK, base_url_of, body_of

Json = dict[str, Any]
PLACE = "/v1/projects/{project}/locations/{region}/publishers/anthropic"
OURS = "/v1/projects/exerati-test/locations/europe-west1/publishers/anthropic/models"
TOKEN = json.dumps({"access_token": "CANARY-token", "expires_in": 3600}).encode()


@pytest.fixture
def vertex(claude):
    """The shop, its provider now Claude on Vertex AI with a service account of ours."""
    provider = Provider.objects.get(pk=claude.provider.pk)
    root = claude.upstream.base_url.removesuffix("/v1")
    provider.api, provider.base_url = "vertex-claude", root + PLACE
    account = json.dumps({**ACCOUNT, "token_uri": claude.upstream.base_url + "/token"})
    places = {"region": "europe-west1", "project": "exerati-test"}
    text = credentials.compose("vertex-claude", account, places=places)
    provider_accounts.seal(provider, credential=text)
    provider.save()
    Model.objects.get(name=claude.model).routes.update(upstream_model="claude-opus-5")
    claude.upstream.script("token", raw=TOKEN)
    claude.relearn()
    return claude


@pytest.fixture
def client(vertex):
    with Anthropic(base_url=base_url_of(vertex), api_key=vertex.secret, max_retries=0) as found:
        yield found


def script(vertex, **behaviour):
    vertex.upstream.script("claude-opus-5", **behaviour)


@pytest.mark.parametrize(("streamed", "verb"), [(False, "rawPredict"), (True, "streamRawPredict")])
def test_a_message_goes_to_our_project_and_comes_back_whole(vertex, client, streamed, verb):
    raw = stream_of_a_search() if streamed else message(*BLOCKS)
    script(vertex, raw=raw, content_type="text/event-stream" if streamed else "application/json")
    asked: Any = {
        **ASK,
        "model": vertex.model,
        "tools": [{**SEARCH, "max_uses": 2}],
        "service_tier": "auto",
        "extra_body": {"top_k": 3},
    }

    if streamed:
        with client.messages.stream(**asked) as events:
            answer = events.get_final_message()
    else:
        answer = client.messages.create(**asked)

    assert [block.type for block in answer.content] == [block["type"] for block in BLOCKS]
    assert answer.content[2].citations[0].encrypted_index == "x"
    assert (answer.id[:4], answer.model) == ("msg_", vertex.model)
    [call] = vertex.upstream.calls_of("claude-opus-5")
    assert call.path == f"{OURS}/claude-opus-5:{verb}"
    assert call.headers["authorization"] == "Bearer CANARY-token"
    assert "x-api-key" not in call.headers
    assert "anthropic-version" not in call.headers
    assert call.headers["accept"] == ("text/event-stream" if streamed else "application/json")
    assert call.body == {
        "anthropic_version": "vertex-2023-10-16",
        "max_tokens": 50,
        "messages": ASK["messages"],
        "tools": [{**SEARCH, "max_uses": 2}],
        "top_k": 3,
        **({"stream": True} if streamed else {}),
    }
    event = books.only(vertex.organization)
    assert event.basis == "reported"
    tokens = USAGE["input_tokens"] * 100 + USAGE["output_tokens"] * 400
    assert event.charge_nanousd == tokens + 2 * SEARCH_FEE


def googles(code: int, status: str) -> bytes:
    told = f"Quota of project CANARY-project at https://x.example: {status}"
    return json.dumps({"error": {"code": code, "status": status, "message": told}}).encode()


def anthropics(kind: str, told: str) -> bytes:
    return json.dumps({"type": "error", "error": {"type": kind, "message": told}}).encode()


@pytest.mark.parametrize(
    ("status", "body", "expected", "kind"),
    [
        (429, googles(429, "RESOURCE_EXHAUSTED"), 503, "overloaded_error"),
        (403, googles(403, "PERMISSION_DENIED"), 503, "overloaded_error"),
        (401, googles(401, "UNAUTHENTICATED"), 503, "overloaded_error"),
        (404, googles(404, "NOT_FOUND"), 503, "overloaded_error"),
        (500, googles(500, "INTERNAL"), 502, "api_error"),
        (529, anthropics("overloaded_error", "busy"), 503, "overloaded_error"),
        (400, anthropics("invalid_request_error", "prompt is too long: 2 > 1"), 400, "invalid_request_error"),
        (400, anthropics("invalid_request_error", "top_k: too large"), 400, "invalid_request_error"),
    ],
)  # fmt: skip
def test_errors_of_platform_and_model(vertex, client, status, body, expected, kind):
    script(vertex, status=status, error=body)

    with pytest.raises(anthropic.APIStatusError) as caught:
        client.messages.create(model=vertex.model, **ASK)

    assert (caught.value.status_code, body_of(caught)["error"]["type"]) == (expected, kind)
    assert "CANARY" not in json.dumps(body_of(caught))
    event = books.only(vertex.organization)
    assert event.charge_nanousd == 0


def test_tokens_are_counted_at_our_project(vertex, client):
    vertex.upstream.script("count-tokens", raw=json.dumps({"input_tokens": 12}).encode())

    raw = client.messages.with_raw_response.count_tokens(
        model=vertex.model, messages=ASK["messages"]
    )

    assert (raw.parse().input_tokens, raw.headers["x-exerati-count-basis"]) == (12, "reported")
    [call] = vertex.upstream.calls_of("count-tokens")
    assert call.path == f"{OURS}/count-tokens:rawPredict"
    assert call.headers["authorization"] == "Bearer CANARY-token"
    assert call.body == {
        "anthropic_version": "vertex-2023-10-16",
        "model": "claude-opus-5",
        "messages": ASK["messages"],
    }


def test_a_picture_by_address_is_refused_unless_another_route_takes_it(vertex, client):
    picture = {"type": "image", "source": {"type": "url", "url": "https://a.example/a.png"}}
    turn: Any = {"role": "user", "content": [picture]}

    with pytest.raises(anthropic.BadRequestError) as caught:
        client.messages.create(model=vertex.model, max_tokens=50, messages=[turn])

    assert "base64" in body_of(caught)["error"]["message"]
    assert vertex.upstream.calls_of("claude-opus-5") == []
