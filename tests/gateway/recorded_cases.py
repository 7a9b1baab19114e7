"""
Every recorded case of every provider, run through what would read it in production.

`run` plays a case: refusals become errors, whole answers OpenAI's objects, streams OpenAI's chunks, the same ones
however the bytes are cut and whichever ends of lines they have. A case of an API that we do not speak has a reason
instead.
"""

import base64
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from openai.types import (
    CreateEmbeddingResponse,
    ImagesResponse,
    ModerationCreateResponse,
)
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from billing.types import TokenUsage
from gateway.providers import registry, rerank
from gateway.providers.base import Adapter, ProviderError, ServeAs, WholeAnswer
from gateway.providers.openai import openai_errors, openai_media
from tests.gateway import event_stream
from tests.gateway.recorded import SHARED

Json = dict[str, Any]
SERVE_AS: Final = ServeAs(id="chatcmpl-ours", model="public/name", created=1_790_000_001)
RANDOM_CUTS: Final = 20
EVERY_CUT_BELOW_BYTES: Final = 4096

_ADAPTERS: Final = {
    "chat": "openai",
    "embeddings": "openai",
    "messages": "anthropic",
    "converse": "bedrock",
    "converse-stream": "bedrock",
    "generateContent": "gemini",
    "streamGenerateContent": "gemini",
    "chat-v2": "cohere",
}
# Providers that have a translator of their own for what others share.
_OWN: Final = {
    ("azure", "chat"): "azure",
    ("azure-foundry", "chat"): "azure",
    ("azure-foundry", "embeddings"): "azure",
    ("cohere", "embeddings"): "cohere",
    ("gemini", "embeddings"): "gemini",
    ("vertex", "generateContent"): "vertex",
    ("vertex", "streamGenerateContent"): "vertex",
}
_MEDIA: Final = ("audio-transcriptions", "images-generations", "images-edits", "moderations", "rerank")  # fmt: skip
# Why a case is not run: the API is none that we speak to a provider.
UNSPOKEN: Final = {
    "responses": "OpenAI's Responses API; `/v1/responses` is made of chats, which every provider has",
    "responses-input_tokens": "token counts of the Responses API; tokens are counted here",
    "completions": "legacy text completions; `/v1/completions` is made of chats",
    "count-tokens": "token counts of Anthropic; tokens are counted here",
    "countTokens": "token counts of Gemini; tokens are counted here",
    "models": "a provider's list of models; ours is the catalog",
    "interactions": "Gemini's Interactions API, which keeps answers at Google",
    "chat-v1": "Cohere's first API, which Cohere has retired",
    "ollama-chat": "Ollama's own API; its OpenAI-compatible one is used",
    "invoke": "chats by InvokeModel, in each maker's words; every chat goes through Converse",
    "invoke-stream": "chats by InvokeModel, in each maker's words; every chat goes through Converse",
}
_OLLAMA_EMBEDDINGS: Final = "Ollama's own API; its OpenAI-compatible one is used"
# What went wrong at the provider, or is wrong in a fixture made to be so: a clear error is the right answer.
BROKEN: Final = {
    # two answers that a proxy spliced into one
    "anthropic/fx-messages-spliced-message-start-stream-d6e3/0": "bad_answer",
    "anthropic/rp-in-stream-overloaded-b272/0": "overloaded",
    "gemini/fx-streaming-failure-prompt-blocked-safety-ab03/0": "content_policy",
    "groq/chat-stream-instreamerror-toolcall-toolresult-reasoning-85d2/0": "bad_request",
    "openrouter/rp-in-stream-provider-error-a1d8/0": "server",
    # an object of nothing we know
    "vertex/fx-streaming-failure-invalid-json-ffab/0": "connection",
    # of the time before Gemini, without a reason to finish
    "vertex/fx-streaming-success-quotes-escaped-6186/0": "connection",
    # a count of tokens in the place of an answer
    "vertex/fx-unary-success-detailed-token-response-04be/0": "bad_answer",
}


@dataclass(frozen=True, slots=True)
class Case:
    """One file of the collection."""

    provider: str
    name: str
    api: str
    streamed: bool
    interactions: Sequence[Json]

    @property
    def unspoken(self) -> str:
        """Why the case is not run, "" where it is."""
        if self.api in _MEDIA or self.api in _ADAPTERS:
            urls = [(found["request"] or {}).get("url", "") for found in self.interactions]
            return _OLLAMA_EMBEDDINGS if any("/api/embed" in url for url in urls) else ""
        if self.api.startswith("invoke") and (_is_embedding(self) or _is_refused(self)):
            return ""
        return UNSPOKEN[self.api]


@dataclass(frozen=True, slots=True)
class Played:
    """What came out of one stream."""

    chunks: tuple[bytes, ...]
    usage: TokenUsage | None
    error: str


def cases() -> Iterator[Case]:
    """Yield every case, by provider and name."""
    for path in sorted(SHARED.glob("*/*.json")):
        yield _case(path)


def run(case: Case) -> None:
    """Play a case; raises AssertionError, or what the translator does not foresee."""
    for number, found in enumerate(case.interactions):
        request, response = found["request"] or {}, found["response"]
        api = _api(case, request.get("url", ""))
        wrong = BROKEN.get(f"{case.provider}/{case.name}/{number}", "")
        if response["status"] >= 400:
            _run_refusal(case, api, response)
        elif _is_stream(response):
            _run_stream(case, api, response, wrong=wrong)
        elif api in _MEDIA:
            _run_media(api, request.get("body"), _body(response))
        else:
            _run_whole(case, api, _body(response), wrong=wrong)


def _case(path: Path) -> Case:
    case = json.loads(path.read_text())
    return Case(
        path.parent.name, path.stem, case["api"], bool(case["stream"]), case["interactions"]
    )


def _is_embedding(case: Case) -> bool:
    return all("embed" in found["request"]["url"] for found in case.interactions)


def _is_refused(case: Case) -> bool:
    return all(found["response"]["status"] >= 400 for found in case.interactions)


def _api(case: Case, url: str) -> str:
    """One case of chats asks the endpoint of embeddings too."""
    if case.api.startswith("invoke") or url.endswith("/embeddings"):
        return "embeddings"
    return case.api


def _adapter(case: Case, api: str) -> Adapter:
    if case.provider == "bedrock":
        return registry.adapter("bedrock")
    return registry.adapter(_OWN.get((case.provider, api), _ADAPTERS[api]))


def _is_stream(response: Json) -> bool:
    encoding, body = response["body_encoding"], response["body"]
    if encoding == "text":  # some whole answers have blank lines before them
        return not body.lstrip().startswith("{")
    return encoding in ("base64", "sse-data-lines") or isinstance(body, list)


def _body(response: Json) -> bytes:
    body = response["body"]
    return (body if response["body_encoding"] == "text" else json.dumps(body)).encode()


def _run_refusal(case: Case, api: str, response: Json) -> None:
    headers = {key.lower(): value for key, value in (response["headers"] or {}).items()}
    read = openai_errors.read_error if api in _MEDIA else _adapter(case, api).error
    error = read(response["status"], headers, _body(response))
    assert (error.status, bool(error.message)) == (response["status"], True)
    if response["status"] in (401, 403):
        assert error.kind == "auth"
    elif response["status"] == 429:
        assert error.kind in ("rate_limited", "quota")
    elif response["status"] >= 500:
        assert error.retryable


def _run_whole(case: Case, api: str, data: bytes, *, wrong: str) -> None:
    adapter, kind = _adapter(case, api), ""
    try:
        if api == "embeddings":
            _check_embeddings(adapter.embeddings_answer(data, serve_as=SERVE_AS))
        else:
            _check_chat(adapter.chat_answer(data, serve_as=SERVE_AS))
    except ProviderError as error:
        kind = error.kind
    assert kind == wrong


def _check_chat(answer: WholeAnswer) -> None:
    _assert_valid(ChatCompletion, answer.body)
    assert (answer.body["id"], answer.body["model"]) == ("chatcmpl-ours", "public/name")
    assert answer.finish_reason
    assert answer.usage is not None or answer.output_text or not answer.has_output


def _check_embeddings(answer: WholeAnswer) -> None:
    rows = [{**row, "embedding": []} for row in answer.body["data"]]
    usage = answer.body.get("usage") or {"prompt_tokens": 0, "total_tokens": 0}
    CreateEmbeddingResponse.model_validate({**answer.body, "data": rows, "usage": usage})
    assert all(row["embedding"] for row in answer.body["data"])


def _run_media(api: str, request: Any, data: bytes) -> None:
    if api == "rerank":
        asked = request["documents"]
        texts = [found if isinstance(found, str) else found["text"] for found in asked]
        read = rerank.answer(data, serve_as=SERVE_AS, documents=texts, return_documents=False)
        assert read.usage
        assert len(read.body["results"]) <= len(texts)
    elif api == "audio-transcriptions":
        assert openai_media.transcript(data, quirks=frozenset()).body["text"]
    elif api == "moderations":
        read = openai_media.moderation_answer(data, serve_as=SERVE_AS)
        ModerationCreateResponse.model_validate(read.body)
    else:
        read = openai_media.image_answer(data, serve_as=SERVE_AS)
        ImagesResponse.model_validate(read.body)


def _assert_valid(model: Any, value: Json) -> None:
    """Read with the official SDK's own types; service tiers of other providers are theirs to name."""
    model.model_validate({key: item for key, item in value.items() if key != "service_tier"})


def _run_stream(case: Case, api: str, response: Json, *, wrong: str) -> None:
    adapter = _adapter(case, api)
    data = stream_bytes(case, response)
    whole = play(adapter, [data])
    assert whole.error == wrong
    for chunk in whole.chunks:
        _assert_valid(ChatCompletionChunk, json.loads(chunk))
    if not whole.error:
        last = json.loads(whole.chunks[-1])
        assert any(choice["finish_reason"] for choice in last["choices"]) or whole.usage
    for cut in _cuts(case, data):
        assert play(adapter, cut) == whole


def play(adapter: Adapter, pieces: Sequence[bytes]) -> Played:
    """Return what goes out for a stream that comes in such pieces."""
    decoder = adapter.stream_decoder()
    translator = adapter.chat_stream(serve_as=SERVE_AS)
    sent, kind = [], ""
    try:
        for piece in pieces:
            for event, data in decoder.feed(piece):
                sent += translator.feed(event, data)
        for event, data in decoder.flush():
            sent += translator.feed(event, data)
        sent += translator.finish()
    except ProviderError as error:
        kind = error.kind
    return Played(tuple(sent), translator.usage, kind)


def _cuts(case: Case, data: bytes) -> Iterator[list[bytes]]:
    """
    Yield the stream one byte at a time with each end of lines, in two pieces cut at every byte where it is short, and
    in pieces of random sizes where it is long (design 9.17).
    """
    is_binary = case.provider == "bedrock"
    for line_end in (b"\n",) if is_binary else (b"\n", b"\r\n", b"\r"):
        told = data if is_binary else data.replace(b"\n", line_end)
        yield [told[at : at + 1] for at in range(len(told))]
    if len(data) < EVERY_CUT_BELOW_BYTES:
        yield from ([data[:at], data[at:]] for at in range(len(data)))
        return
    chance = random.Random(case.name)
    for _ in range(RANDOM_CUTS):
        edges = sorted(chance.sample(range(len(data)), 50))
        pairs = zip([0, *edges], [*edges, len(data)], strict=True)
        yield [data[start:end] for start, end in pairs]


def stream_bytes(case: Case, response: Json) -> bytes:
    """Return a stream as it was on the wire, with LF; fixtures of bare payloads get their frames back."""
    encoding, body = response["body_encoding"], response["body"]
    if encoding == "base64":
        return base64.b64decode(body)
    if encoding == "text":
        text: str = body.replace("\r\n", "\n")
        if not text.lstrip().startswith("["):
            return text.encode()
        body = json.loads(text)
    lines = [line if isinstance(line, str) else json.dumps(line) for line in body]
    return b"".join(_frame(case, line) for line in lines)


def _frame(case: Case, line: str) -> bytes:
    if case.provider == "bedrock":
        ((name, payload),) = json.loads(line).items()
        return event_stream.event(name, payload)
    named = case.api in ("messages", "chat-v2") and line.startswith("{")
    head = f"event: {json.loads(line)['type']}\n" if named else ""
    return f"{head}data: {line}\n\n".encode()
