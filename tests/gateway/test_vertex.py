"""Vertex AI: Gemini's and Claude's own bodies at addresses with our project and region."""

import json
from typing import Any

import pytest

from billing.types import TokenUsage
from gateway.providers import registry
from gateway.providers.base import ProviderError, ServeAs, Upstream

Json = dict[str, Any]
GEMINI = registry.adapter("vertex")
CLAUDE = registry.adapter("vertex-claude")
SERVE_AS = ServeAs(id="chatcmpl-ours", model="public/name", created=1)
PLACE = "https://{google_host}/v1beta1/projects/{project}/locations/{region}/publishers"
AT_GOOGLE = Upstream("vertex", "vertex", f"{PLACE}/google", '{"api_key":"k"}')
AT_ANTHROPIC = Upstream("vertex-claude", "vertex-claude", f"{PLACE}/anthropic", '{"api_key":"k"}')
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TURNS = [
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "call_1", "content": "1"},
]


def gemini(model: str, *, stream: bool = False) -> Any:
    body = {"messages": TURNS, "max_completion_tokens": 10}
    return GEMINI.chat_request(AT_GOOGLE, upstream_model=model, body=body, stream=stream)


@pytest.mark.parametrize("adapter", [GEMINI, registry.adapter("gemini")])
def test_hints_that_gemini_has_no_word_for_are_named(adapter):
    body = {"messages": TURNS[:1], "max_completion_tokens": 10, "prompt_cache_key": "k", "seed": 1}

    made = adapter.chat_request(AT_GOOGLE, upstream_model="gemini-2.5-pro", body=body, stream=False)

    assert made.ignored == ("prompt_cache_key",)


def test_gemini_is_asked_at_our_project_without_a_credential_yet():
    request = gemini("gemini-2.5-pro", stream=True)

    assert request.url == (f"{PLACE}/google/models/gemini-2.5-pro:streamGenerateContent?alt=sse")
    assert {name for name, _ in request.headers} == {"content-type", "accept", "user-agent"}


@pytest.mark.parametrize(
    ("model", "has_ids"),
    [("gemini-2.5-pro", False), ("gemini-3-flash-preview", True), ("gemini-3.5-flash", True)],
)
def test_ids_of_calls_go_only_to_models_that_take_them(model, has_ids):
    contents = json.loads(gemini(model).body)["contents"]

    assert ("id" in contents[1]["parts"][0]["functionCall"]) is has_ids
    assert ("id" in contents[2]["parts"][0]["functionResponse"]) is has_ids


def test_claude_has_its_model_in_the_address_and_its_version_in_the_body():
    body = {"messages": TURNS[:1], "max_completion_tokens": 10, "seed": 1}

    request = CLAUDE.chat_request(
        AT_ANTHROPIC, upstream_model="claude-sonnet-4-5@20250929", body=body, stream=True
    )

    assert request.url == f"{PLACE}/anthropic/models/claude-sonnet-4-5@20250929:streamRawPredict"
    assert json.loads(request.body) == {
        "anthropic_version": "vertex-2023-10-16",
        "max_tokens": 10,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
        "stream": True,
    }
    assert {name for name, _ in request.headers} == {"content-type", "accept", "user-agent"}
    assert request.ignored == ("seed",)


def test_claudes_answers_are_anthropics():
    data = {
        "content": [{"type": "text", "text": "Hi"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 3, "output_tokens": 1},
    }

    result = CLAUDE.chat_answer(json.dumps(data).encode(), serve_as=SERVE_AS)

    assert result.body["choices"][0]["message"]["content"] == "Hi"
    assert result.usage == TokenUsage(input_tokens=3, output_tokens=1)


@pytest.mark.parametrize("adapter", [GEMINI, CLAUDE])
@pytest.mark.parametrize("model", ["../x", "a/b", "a?b", ""])
def test_a_name_that_would_change_the_address_is_no_model(adapter, model):
    body = {"messages": TURNS[:1], "max_completion_tokens": 10}

    with pytest.raises(ProviderError) as caught:
        adapter.chat_request(AT_GOOGLE, upstream_model=model, body=body, stream=False)

    assert (caught.value.kind, caught.value.sent) == ("not_found", False)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "q"}}, "rate_limited"),
        (403, {"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "no"}}, "auth"),
        (
            400,
            {"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long: 2 > 1"}},
            "context_length",
        ),
        (529, {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}, "overloaded"),
    ],
)  # fmt: skip
def test_errors_are_googles_or_anthropics(status, body, kind):
    assert CLAUDE.error(status, {}, json.dumps(body).encode()).kind == kind


def test_embeddings_are_predictions():
    def request(given: Any, model: str, **fields: Any) -> Json:
        body = {"input": given, **fields}
        made = GEMINI.embeddings_request(AT_GOOGLE, upstream_model=model, body=body)
        assert made.url.endswith(f"/models/{model}:predict")
        sent: Json = json.loads(made.body)
        return sent

    values = {"values": [0.5], "statistics": {"token_count": 3, "truncated": False}}
    data = json.dumps({"predictions": [{"embeddings": values}, {"embeddings": values}]})

    answered = GEMINI.embeddings_answer(data.encode(), serve_as=SERVE_AS)

    assert request(["a", "b"], "text-embedding-005", dimensions=256) == {
        "instances": [{"content": "a"}, {"content": "b"}],
        "parameters": {"autoTruncate": False, "outputDimensionality": 256},
    }
    assert answered.usage == TokenUsage(input_tokens=6)
    assert [row["embedding"] for row in answered.body["data"]] == [[0.5], [0.5]]
    with pytest.raises(ProviderError) as caught:
        request(["a", "b"], "gemini-embedding-001")
    assert caught.value.param == "input"
    with pytest.raises(ProviderError):
        GEMINI.embeddings_answer(b'{"predictions":[{}]}', serve_as=SERVE_AS)
