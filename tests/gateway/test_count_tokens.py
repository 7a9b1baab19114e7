"""Tokens of a prompt: told by the provider where its API counts, else counted by us; free, and never in the way."""

import json
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic

from billing.models import UsageEvent
from gateway.dialects import messages_native
from gateway.models import Provider
from gateway.providers.anthropic.anthropic import AnthropicAdapter
from gateway.providers.base import Upstream
from gateway.providers.google.vertex import VertexClaudeAdapter
from gateway.routes.route_health import FAILURES_IN_A_ROW
from tests.gateway.test_messages_native import SEARCH
from tests.gateway.test_messages_sdk import ASK, WEATHER, base_url_of, body_of

Json = dict[str, Any]
TURNS: Any = ASK["messages"]
BASIS = "x-exerati-count-basis"
TOLD = json.dumps({"input_tokens": 4_711}).encode()
PICTURE: Any = {"type": "image", "source": {"type": "url", "url": "https://a.example/a.png"}}


@pytest.fixture
def client(claude):
    with Anthropic(base_url=base_url_of(claude), api_key=claude.secret, max_retries=0) as found:
        yield found


def counted(client, model, **fields) -> tuple[int, str]:
    """Return the tokens that the client is told of, and who counted them."""
    raw = client.messages.with_raw_response.count_tokens(
        **{"model": model, "messages": TURNS, **fields}
    )
    return raw.parse().input_tokens, raw.headers[BASIS]


def test_the_provider_counts_what_it_would_be_sent(claude, client):
    claude.script(raw=TOLD)
    fields: Any = {
        "system": "Be brief.",
        "tools": [WEATHER, {"type": "bash_20250124", "name": "bash"}],
        "tool_choice": {"type": "any"},
        "thinking": {"type": "adaptive"},
    }

    assert counted(client, claude.model, **fields) == (4_711, "reported")
    [call] = claude.upstream.calls
    assert call.path == "/v1/messages/count_tokens"
    assert call.body == {"model": claude.model, "messages": TURNS, **fields}
    assert not UsageEvent.objects.filter(organization=claude.organization).exists()


def test_beta_features_of_a_count(claude, client):
    told: Json = {"input_tokens": 5, "context_management": {"original_input_tokens": 9}}
    claude.script(raw=json.dumps(told).encode())
    edits: Any = {"edits": [{"type": "clear_tool_uses_20250919"}]}

    raw = client.beta.messages.with_raw_response.count_tokens(
        model=claude.model,
        messages=TURNS,
        context_management=edits,
        betas=["context-management-2025-06-27", "fast-mode-2026-02-01"],
    )

    answer = raw.parse()
    assert answer.context_management.original_input_tokens == 9
    assert raw.headers["x-exerati-ignored-betas"] == "fast-mode-2026-02-01"
    [call] = claude.upstream.calls
    assert call.body["context_management"] == edits
    assert "context-management-2025-06-27" in call.headers["anthropic-beta"]


@pytest.mark.parametrize(
    "behaviour",
    [
        {"status": 500},
        {"status": 404, "error": {"message": "no such page"}},
        {"status": 429},
        {"raw": b'{"count": 1}'},
        {"raw": b"<html>"},
        {"abort_at": "request"},
    ],
)
def test_where_the_provider_does_not_count_we_do(claude, client, behaviour):
    claude.script(**behaviour)

    tokens, basis = counted(client, claude.model)

    assert (0 < tokens < 50, basis) == (True, "counted")
    assert len(claude.upstream.calls) == 1


def test_a_slow_provider_is_not_waited_for_beyond_the_deadline(claude, client):
    claude.script(raw=TOLD, delay_seconds=60)

    raw = client.messages.with_raw_response.count_tokens(
        model=claude.model, messages=TURNS, extra_headers={"x-exerati-timeout": "0.2"}
    )

    assert raw.headers[BASIS] == "counted"


def test_counts_that_fail_are_not_held_against_the_calls_of_a_route(claude, client):
    claude.script(status=500)
    for _ in range(12):
        assert counted(client, claude.model)[1] == "counted"
    claude.script(raw=_message())

    assert client.messages.create(model=claude.model, **ASK).content[0].text == "Hi"


def test_what_is_wrong_with_the_request_is_told(claude, client):
    error = {"type": "invalid_request_error", "message": "tools.0: bad schema"}
    claude.script(status=400, error=json.dumps({"type": "error", "error": error}).encode())

    with pytest.raises(anthropic.BadRequestError) as caught:
        counted(client, claude.model)

    assert "bad schema" in body_of(caught)["error"]["message"]


@pytest.mark.parametrize(
    "fields",
    [{"tools": [SEARCH]}, {"messages": [{"role": "user", "content": [PICTURE]}]}],
)
def test_the_provider_is_not_asked_for_what_it_does_not_count(claude, client, fields):
    claude.script(raw=TOLD)

    assert counted(client, claude.model, **fields)[1] == "counted"
    assert claude.upstream.calls == []


def test_other_providers_and_test_keys_are_counted_here(shop):
    for secret in (shop.secret, shop.make_key(mode="test")):
        with Anthropic(base_url=base_url_of(shop), api_key=secret, max_retries=0) as client:
            assert counted(client, shop.model)[1] == "counted"
    assert shop.upstream.calls == []


def test_wishes_for_a_provider_hold_for_counts(claude):
    claude.script(raw=TOLD)
    body = {
        "model": claude.model,
        "messages": TURNS,
        "provider": {"ignore": [claude.provider.name]},
    }

    answer = claude.gateway.request(
        "POST", "/v1/messages/count_tokens", key=claude.secret, body=body
    )

    assert (answer.status, answer.headers[BASIS]) == (200, "counted")
    assert claude.upstream.calls == []


def test_scopes_and_limits_of_the_key_come_first(claude):
    def status(secret: str) -> int:
        body = {"model": claude.model, "messages": TURNS}
        path = "/v1/messages/count_tokens"
        return int(claude.gateway.request("POST", path, key=secret, body=body).status)

    claude.script(raw=TOLD)
    limited = claude.make_key(requests_per_minute=1)

    assert status(claude.make_key(endpoints=["embeddings"])) == 403
    assert status(claude.make_key(model_patterns=["other/*"])) == 403
    assert claude.upstream.calls == []
    assert [status(limited), status(limited)] == [200, 429]
    assert len(claude.upstream.calls) == 1


def test_a_full_provider_is_not_asked(claude, client):
    Provider.objects.filter(pk=claude.provider.pk).update(max_connections=0)
    claude.relearn()
    claude.script(raw=TOLD)

    assert counted(client, claude.model)[1] == "counted"
    assert claude.upstream.calls == []


def test_a_provider_that_cannot_be_reached_is_left_alone(claude, client):
    claude.script(abort_at="request")

    for _ in range(FAILURES_IN_A_ROW + 3):
        assert counted(client, claude.model)[1] == "counted"

    assert len(claude.upstream.calls) == FAILURES_IN_A_ROW


@pytest.mark.parametrize(
    ("adapter", "url", "extra"),
    [
        (AnthropicAdapter(), "https://a.example/v1/messages/count_tokens", {}),
        (
            VertexClaudeAdapter(),
            "https://a.example/v1/models/count-tokens:rawPredict",
            {"anthropic_version": "vertex-2023-10-16"},
        ),
    ],
)
def test_what_is_sent_to_be_counted(adapter, url, extra):
    upstream = Upstream("x", "anthropic", "https://a.example/v1", "")
    native = messages_native.read({**ASK, "stop_sequences": ["x"], "top_k": 3}).native

    request = adapter.count_request(upstream, upstream_model="claude-opus-5", native=native)

    assert request.url == url
    assert json.loads(request.body) == {"model": "claude-opus-5", "messages": TURNS, **extra}


def _message() -> bytes:
    return json.dumps(
        {
            "type": "message",
            "content": [{"type": "text", "text": "Hi"}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 3, "output_tokens": 1},
        }
    ).encode()
