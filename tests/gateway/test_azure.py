"""Azure: OpenAI's bodies at each form of Azure's addresses, and its filter's results where clients find them."""

import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletionChunk

from gateway.providers import registry
from gateway.providers.base import ProviderError, ServeAs, Upstream
from gateway.sse import SseDecoder

ADAPTER = registry.adapter("azure")
HOST = "https://resource.openai.azure.com"
SERVE_AS = ServeAs(id="chatcmpl-ours", model="public/name", created=1)


def request(base_url: str, *, model: str = "gpt-4o", body: Any = None) -> Any:
    upstream = Upstream("azure", "azure", base_url, '{"api_key":"secret-key"}')
    if body is not None:
        return ADAPTER.embeddings_request(upstream, upstream_model=model, body=body)
    chat = {"messages": [{"role": "user", "content": "Hi"}], "max_completion_tokens": 5}
    return ADAPTER.chat_request(upstream, upstream_model=model, body=chat, stream=True)


@pytest.mark.parametrize(
    ("base_url", "expected"),
    [
        (f"{HOST}/openai/v1", f"{HOST}/openai/v1/chat/completions"),
        (f"{HOST}/openai/v1/", f"{HOST}/openai/v1/chat/completions"),
        (
            f"{HOST}/openai?api-version=2024-12-01-preview",
            f"{HOST}/openai/deployments/gpt-4o/chat/completions?api-version=2024-12-01-preview",
        ),
        (
            f"{HOST}/openai",
            f"{HOST}/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21",
        ),
        (
            "https://resource.services.ai.azure.com/models?api-version=2024-05-01-preview",
            "https://resource.services.ai.azure.com/models/chat/completions"
            "?api-version=2024-05-01-preview",
        ),
    ],
)
def test_each_form_of_address_leads_to_the_deployment(base_url, expected):
    made = request(base_url)

    assert made.url == expected
    assert json.loads(made.body)["model"] == "gpt-4o"
    assert "secret-key" not in str(made.headers)


def test_embeddings_go_to_the_same_place():
    made = request(f"{HOST}/openai", model="text-embedding-3-small", body={"input": "a"})

    assert made.url.endswith(
        "/deployments/text-embedding-3-small/embeddings?api-version=2024-10-21"
    )


@pytest.mark.parametrize("model", ["../x", "a/b", "a?b", ""])
def test_a_name_that_would_change_the_address_is_no_deployment(model):
    with pytest.raises(ProviderError) as caught:
        request(f"{HOST}/openai", model=model)

    assert (caught.value.kind, caught.value.sent) == ("not_found", False)


def test_the_filters_results_come_with_the_first_choice():
    filtered = {"prompt_index": 0, "content_filter_results": {"hate": {"filtered": False}}}
    events: list[Any] = [
        {"choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": [filtered]},
        {"id": "t", "object": "chat.completion.chunk", "created": 2, "model": "gpt",
         "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hi"}, "finish_reason": None}]},
        {"id": "", "object": "", "created": 0, "model": "",
         "choices": [{"index": 0, "finish_reason": None, "content_filter_offsets": {"check_offset": 0}}]},
        {"id": "t", "object": "chat.completion.chunk", "created": 2, "model": "gpt",
         "choices": [{"index": 0, "delta": {}, "finish_reason": "content_filter"}]},
    ]  # fmt: skip
    data = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
    translator = ADAPTER.chat_stream(serve_as=SERVE_AS)

    sent = [
        chunk for name, line in SseDecoder().feed(data) for chunk in translator.feed(name, line)
    ]

    chunks = [json.loads(chunk) for chunk in sent]
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk)
        assert chunk["choices"]
        assert (chunk["id"], chunk["created"] > 0) == ("chatcmpl-ours", True)
    assert chunks[0]["prompt_filter_results"] == [filtered]
    assert "prompt_filter_results" not in chunks[1]
    assert chunks[1]["choices"][0]["content_filter_offsets"] == {"check_offset": 0}
    assert (translator.finish_reason, translator.upstream_id) == ("content_filter", "t")


def test_a_prompt_that_the_filter_refused_is_told_as_such():
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {}}
    error = {
        "message": "The response was filtered due to the prompt triggering Azure's policy.",
        "code": "content_filter",
        "status": 400,
        "innererror": inner,
    }

    found = ADAPTER.error(400, {}, json.dumps({"error": error}).encode())

    assert (found.kind, found.retryable) == ("content_policy", False)
