"""Gemini's whole answers and embeddings as OpenAI would have sent them, and what goes out to ask for them."""

import json
from typing import Any

import pytest
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion

from billing.types import TokenUsage
from gateway import tokens
from gateway.providers import registry
from gateway.providers.base import ProviderError, ServeAs, Upstream
from gateway.serializers import ChatLimits, parse_chat
from tests.gateway import recorded, recorded_gemini

Json = dict[str, Any]
ADAPTER = registry.adapter("gemini")
SERVE_AS = ServeAs(id="chatcmpl-ours", model="public/name", created=1_790_000_001)
UPSTREAM = Upstream("gemini", "gemini", "https://g.example/v1beta/", "secret")
EXCHANGES = list(recorded_gemini.exchanges())
GOOD = [item for item in EXCHANGES if item.status == 200 and not item.streamed]
# An answer of countTokens, filed with the others by the repository it is from.
NO_ANSWER = {"vertex/fx-unary-success-detailed-token-response-04be/0"}
WHOLES = [item for item in GOOD if item.api != "embeddings" and item.name not in NO_ANSWER]
BOUNDED = [
    item
    for item in EXCHANGES
    if item.status == 200
    and item.request
    and "contents" in item.request
    and recorded_gemini.has_only_text_and_functions(item.request)
]
needs_recordings = pytest.mark.skipif(not recorded.SHARED.exists(), reason=recorded.MISSING)


def parts_of(body: Json) -> list[Json]:
    parts: list[Json] = body["candidates"][0].get("content", {}).get("parts", [])
    return parts


def answered(*parts: Json, **fields: Any) -> Json:
    """Return our answer to one candidate of these parts."""
    candidate = {"content": {"role": "model", "parts": list(parts)}, "finishReason": "STOP"}
    body = {"candidates": [{**candidate, **fields}]}
    return ADAPTER.chat_answer(json.dumps(body).encode(), serve_as=SERVE_AS).body


@needs_recordings
@pytest.mark.parametrize("exchange", WHOLES, ids=lambda exchange: exchange.name)
def test_recorded_whole_answers_come_out_as_openais(exchange):
    theirs = exchange.bodies[0]

    answer = ADAPTER.chat_answer(exchange.data, serve_as=SERVE_AS)

    ChatCompletion.model_validate(answer.body)
    message = answer.body["choices"][0]["message"]
    texts = [part for part in parts_of(theirs) if part.get("text")]
    assert (message["content"] or "") == "".join(p["text"] for p in texts if not p.get("thought"))
    assert message.get("reasoning_content", "") == "".join(
        part["text"] for part in texts if part.get("thought")
    )
    assert answer.has_output == bool([part for part in parts_of(theirs) if part.get("text") != ""])
    assert answer.upstream_id == theirs.get("responseId", "")
    assert set(theirs["candidates"][0]) - {"content", "finishReason"} <= set(
        answer.body["choices"][0]
    ) | {"logprobsResult"}
    total = (theirs.get("usageMetadata") or {}).get("totalTokenCount")
    if total is None:
        assert answer.usage is None
        assert answer.output_text
    else:
        assert answer.usage
        assert answer.usage.input_tokens + answer.usage.output_tokens == total


@needs_recordings
@pytest.mark.parametrize("exchange", WHOLES, ids=lambda exchange: exchange.name)
def test_recorded_calls_and_signatures_go_back_as_they_came(exchange):
    answer = ADAPTER.chat_answer(exchange.data, serve_as=SERVE_AS)
    message = answer.body["choices"][0]["message"]
    received = [part for part in parts_of(exchange.bodies[0]) if "functionCall" in part]
    if not received and not message["content"]:
        pytest.skip("nothing to send back")

    replayed = contents_of([{"role": "user", "content": "Hi"}, message])[1]["parts"]

    calls = [part for part in replayed if "functionCall" in part]
    for mine, theirs in zip(calls, received, strict=True):
        assert mine["functionCall"]["name"] == theirs["functionCall"]["name"]
        assert mine["functionCall"]["args"] == theirs["functionCall"].get("args", {})
        assert mine.get("thoughtSignature") == theirs.get("thoughtSignature")
        if "id" in theirs["functionCall"]:
            assert mine["functionCall"]["id"] == theirs["functionCall"]["id"]


def contents_of(messages: list[Json], *, model: str = "gemini-2.5-flash") -> list[Json]:
    request = ADAPTER.chat_request(
        UPSTREAM, upstream_model=model, body={"messages": messages}, stream=False
    )
    contents: list[Json] = json.loads(request.body)["contents"]
    return contents


@needs_recordings
@pytest.mark.parametrize("exchange", BOUNDED, ids=lambda exchange: exchange.name)
def test_recorded_prompts_stay_inside_our_bound(exchange):
    chat = recorded_gemini.as_chat(exchange.request)
    call = parse_chat({"model": exchange.model, **chat}, limits=ChatLimits())
    bound = tokens.chat_bound(
        call, context_tokens=None, max_output_tokens=None, key_max_output_tokens=None
    )
    usage: Json = {}
    for body in exchange.bodies:
        usage |= body.get("usageMetadata") or {}

    assert 0 < usage["promptTokenCount"] <= bound.input_tokens


@needs_recordings
def test_a_recorded_answer_that_is_none_is_bad():
    (exchange,) = [item for item in GOOD if item.name in NO_ANSWER]

    with pytest.raises(ProviderError) as caught:
        ADAPTER.chat_answer(exchange.data, serve_as=SERVE_AS)

    assert caught.value.kind == "bad_answer"


@needs_recordings
@pytest.mark.parametrize(
    "exchange", [item for item in GOOD if item.api == "embeddings"], ids=lambda item: item.name
)
def test_recorded_embeddings_come_out_as_openais(exchange):
    answer = ADAPTER.embeddings_answer(exchange.data, serve_as=SERVE_AS)

    theirs = exchange.bodies[0]
    usage = answer.body.get("usage") or {"prompt_tokens": 1, "total_tokens": 1}
    CreateEmbeddingResponse.model_validate({**answer.body, "usage": usage})
    assert [row["embedding"] for row in answer.body["data"]] == [
        item["values"] for item in theirs["embeddings"]
    ]
    reported = theirs.get("usageMetadata")
    assert (answer.usage.input_tokens if answer.usage else None) == (
        reported["promptTokenCount"] if reported else None
    )


def test_an_answer_has_our_names_and_the_providers_extra_fields():
    body = {
        "candidates": [
            {
                "content": {"parts": [{"text": "a"}, {"text": "b", "thoughtSignature": "sig=="}]},
                "finishReason": "MAX_TOKENS",
                "index": 0,
                "groundingMetadata": {"x": 1},
            }
        ],
        "modelVersion": "gemini-x",
        "responseId": "theirs",
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2},
    }

    answer = ADAPTER.chat_answer(json.dumps(body).encode(), serve_as=SERVE_AS)

    (choice,) = answer.body.pop("choices")
    assert (answer.body["id"], answer.body["model"]) == ("chatcmpl-ours", "public/name")
    assert answer.body["modelVersion"] == "gemini-x"
    assert "responseId" not in answer.body
    assert answer.upstream_id == "theirs"
    assert choice["message"]["content"] == "ab"
    assert choice["message"]["extra_content"] == {"google": {"thought_signature": "sig=="}}
    assert choice["groundingMetadata"] == {"x": 1}
    assert (choice["finish_reason"], choice["native_finish_reason"]) == ("length", "MAX_TOKENS")
    assert answer.body["usage"]["total_tokens"] == 5


def test_calls_without_an_id_always_get_the_same_one():
    calls = ({"functionCall": {"name": "a", "args": {"x": 1}}}, {"functionCall": {"name": "b"}})

    first, second = answered(*calls), answered(*calls)

    made = first["choices"][0]["message"]["tool_calls"]
    assert made == second["choices"][0]["message"]["tool_calls"]
    assert made[0]["id"] != made[1]["id"]
    assert all(call["id"].startswith("call_") for call in made)
    assert [call["function"]["arguments"] for call in made] == ['{"x":1}', "{}"]
    assert all("index" not in call for call in made)
    assert first["choices"][0]["finish_reason"] == "tool_calls"


def test_images_and_parts_of_googles_own_tools_are_kept():
    code = {"executableCode": {"language": "PYTHON", "code": "1"}}

    answer = answered({"inlineData": {"mimeType": "image/png", "data": "AA=="}}, code)

    message = answer["choices"][0]["message"]
    assert message["images"][0]["image_url"]["url"] == "data:image/png;base64,AA=="
    assert message["extra_content"]["google"]["parts"] == [code]


def test_log_probabilities_have_openais_form():
    result = {
        "chosenCandidates": [{"token": "é", "logProbability": -0.5}, {"token": "!"}],
        "topCandidates": [{"candidates": [{"token": "e", "logProbability": -1.5}]}],
    }

    answer = answered({"text": "é!"}, logprobsResult=result)

    ChatCompletion.model_validate(answer)
    first, second = answer["choices"][0]["logprobs"]["content"]
    assert (first["token"], first["logprob"], first["bytes"]) == ("é", -0.5, [195, 169])
    assert first["top_logprobs"][0]["token"] == "e"
    assert (second["logprob"], second["top_logprobs"]) == (0.0, [])


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("BLOCKLIST", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("SPII", "content_filter"),
        ("OTHER", "content_filter"),
        ("A_REASON_OF_TOMORROW", "stop"),
        (None, "stop"),
    ],
)
def test_finish_reasons_are_openais(theirs, ours):
    assert answered({"text": "a"}, finishReason=theirs)["choices"][0]["finish_reason"] == ours


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"{}", "bad_answer"),
        (b"not json", "bad_answer"),
        (b'{"candidates":[7]}', "bad_answer"),
        (b'{"candidates":[{"content":{"parts":[7]}}]}', "bad_answer"),
        (b'{"promptFeedback":{"blockReason":"SAFETY"}}', "content_policy"),
        (b'{"error":{"code":503,"status":"UNAVAILABLE","message":"busy"}}', "overloaded"),
        (b'{"candidates":[{"finishReason":"MALFORMED_FUNCTION_CALL"}]}', "server"),
        (b'{"candidates":[{"finishReason":"PUP_LIMITED_DISABLED"}]}', "auth"),
    ],
)
def test_a_bad_whole_answer_is_an_error(data, kind):
    with pytest.raises(ProviderError) as caught:
        ADAPTER.chat_answer(data, serve_as=SERVE_AS)

    assert caught.value.kind == kind


def usage_of(**counts: Any) -> TokenUsage | None:
    body = {
        "candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"}],
        "usageMetadata": counts,
    }
    return ADAPTER.chat_answer(json.dumps(body).encode(), serve_as=SERVE_AS).usage


def test_usage_counts_every_class_once():
    def modality(name: str, count: int) -> Json:
        return {"modality": name, "tokenCount": count}

    usage = usage_of(
        promptTokenCount=100,
        cachedContentTokenCount=40,
        toolUsePromptTokenCount=7,
        candidatesTokenCount=20,
        thoughtsTokenCount=5,
        promptTokensDetails=[modality("TEXT", 50), modality("AUDIO", 30), modality("IMAGE", 20)],
        cacheTokensDetails=[modality("AUDIO", 10), modality("TEXT", 30)],
        candidatesTokensDetails=[modality("IMAGE", 12)],
    )

    assert usage == TokenUsage(
        input_tokens=107,
        output_tokens=25,
        cache_read_tokens=40,
        reasoning_tokens=5,
        audio_input_tokens=20,
        image_input_tokens=20,
        image_output_tokens=12,
    )


@pytest.mark.parametrize(
    "counts",
    [
        {},
        {"promptTokenCount": 6},
        {"candidatesTokenCount": 18, "thoughtsTokenCount": 58},
        {"trafficType": "ON_DEMAND"},
        {"promptTokenCount": -1, "candidatesTokenCount": 5},
    ],
)
def test_usage_that_leaves_out_half_is_counted_instead(counts):
    assert usage_of(**counts) is None


def embeddings_request(given: Any, *, model: str = "gemini-embedding-001", **fields: Any) -> Any:
    return ADAPTER.embeddings_request(
        UPSTREAM, upstream_model=model, body={"input": given, **fields}
    )


def test_embeddings_of_texts_and_tokens_are_asked_for_in_one_batch():
    request = embeddings_request(["a", [15339, 1917]], dimensions=768, encoding_format="base64")

    assert request.url == "https://g.example/v1beta/models/gemini-embedding-001:batchEmbedContents"
    assert json.loads(request.body)["requests"] == [
        {
            "model": "models/gemini-embedding-001",
            "outputDimensionality": 768,
            "content": {"parts": [{"text": text}]},
        }
        for text in ("a", "hello world")
    ]


def test_a_batch_that_gemini_would_refuse_is_refused_by_us():
    with pytest.raises(ProviderError) as caught:
        embeddings_request(["a"] * 101)

    assert (caught.value.kind, caught.value.param, caught.value.sent) == (
        "bad_request",
        "input",
        False,
    )


def test_an_embeddings_answer_without_vectors_is_bad():
    for data in (b"{}", b'{"embeddings":[{}]}', b'{"embeddings":7}'):
        with pytest.raises(ProviderError) as caught:
            ADAPTER.embeddings_answer(data, serve_as=SERVE_AS)
        assert caught.value.kind == "bad_answer"
