"""
The sandbox's images, audio, moderation and reranking: deterministic, small, and real files of their formats.

Answers are OpenAI's; see `sandbox` for where they come from and go to.
"""

import hashlib
import math
import struct
import zlib
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from gateway import vocabulary
from gateway.media import audio_length
from gateway.providers import form_data
from gateway.providers.base import UpstreamRequest
from gateway.providers.sandbox import sandbox_logprobs, sandbox_sound

_IMAGE_TOKENS: Final = 196  # of one in low quality, 1024x1024
_INPUT_IMAGE_TOKENS: Final = 1_120
_TOKENS_PER_SECOND: Final = 21
_PIECES: Final = 8
_FLAG: Final = "violence"  # the word that the sandbox finds

_CATEGORIES: Final = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)

_encode: Final = msgspec.json.Encoder().encode


class Simulated(NamedTuple):
    """One answer: its parts come one by one."""

    parts: Sequence[bytes]
    content_type: str = "application/json"
    status: int = 200


def respond(request: UpstreamRequest, *, now: int) -> Simulated | None:
    """Return the answer to a request for media, None for one that is none; `now` is its Unix time."""
    url = request.url
    if url.endswith(("/images/generations", "/images/edits")):
        return _images(_fields(request), now=now, edit=url.endswith("edits"))
    if url.endswith("/audio/speech"):
        return _speech(_fields(request))
    if url.endswith(("/audio/transcriptions", "/audio/translations")):
        task = "translate" if url.endswith("translations") else "transcribe"
        return _transcript(_fields(request), task=task)
    if url.endswith("/moderations"):
        return _moderation(_fields(request))
    return _rerank(_fields(request)) if url.endswith("/rerank") else None


def _fields(request: UpstreamRequest) -> dict[str, Any]:
    """Return the fields of the body, JSON or form; files under their names as bytes."""
    content_type = dict(request.headers).get("content-type", "")
    if not content_type.startswith("multipart/"):
        body: dict[str, Any] = msgspec.json.decode(request.body)
        return body
    texts, files = form_data.decode(content_type, request.body)
    found: dict[str, Any] = dict(texts)
    found["files"] = [part.data for part in files]
    return found


# Images


def _images(body: Mapping[str, Any], *, now: int, edit: bool) -> Simulated:
    size = str(body.get("size") or "auto")
    width, height = map(int, size.split("x")) if "x" in size else (1_024, 1_024)
    count = int(body.get("n") or 1)
    inputs = len(body.get("files") or body.get("images") or ())
    pictures = [
        b64encode(png(f"{body['prompt']}/{number}", width, height)).decode()
        for number in range(count)
    ]
    text_tokens = vocabulary.count_tokens(body["prompt"], model=body["model"])
    usage = _image_usage(text_tokens, inputs * _INPUT_IMAGE_TOKENS, count * _IMAGE_TOKENS)
    told = {
        "background": "opaque",
        "output_format": "png",
        "quality": "low",
        "size": f"{width}x{height}",
    }
    if _is_true(body.get("stream")):
        kind = "image_edit" if edit else "image_generation"
        return _image_events(pictures, body, kind=kind, now=now, told=told, usage=usage)
    if body.get("response_format") == "url":
        if "gpt-image" in body["model"]:
            return _refusal(
                "response_format", "GPT Image answers in 'b64_json' only. Leave it out."
            )
        data = [{"url": f"data:image/png;base64,{picture}"} for picture in pictures]
    else:
        data = [{"b64_json": picture} for picture in pictures]
    return Simulated([_encode({"created": now, "data": data, **told, "usage": usage})])


def _image_events(
    pictures: Sequence[str],
    body: Mapping[str, Any],
    *,
    kind: str,
    now: int,
    told: Mapping[str, Any],
    usage: Mapping[str, Any],
) -> Simulated:
    shared = {"created_at": now, **told}
    events: list[dict[str, Any]] = [
        {
            "type": f"{kind}.partial_image",
            "b64_json": pictures[0],
            "partial_image_index": number,
            **shared,
        }
        for number in range(int(body.get("partial_images") or 0))
    ]
    events += [
        {"type": f"{kind}.completed", "b64_json": picture, **shared, "usage": usage}
        for picture in pictures[:1]
    ]
    return _events(events)


def _image_usage(text: int, images: int, output: int) -> dict[str, Any]:
    return {
        "input_tokens": text + images,
        "input_tokens_details": {"text_tokens": text, "image_tokens": images},
        "output_tokens": output,
        "output_tokens_details": {"text_tokens": 0, "image_tokens": output},
        "total_tokens": text + images + output,
    }


def png(text: str, width: int, height: int) -> bytes:
    """Return a PNG of stripes in two colours, both made from the text."""
    digest = hashlib.sha256(text.encode()).digest()
    row = b"\0" + bytes(digest[6 + column % 26] for column in range(-(-width // 8)))
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 3, 0, 0, 0)),
        (b"PLTE", digest[:6]),
        (b"IDAT", zlib.compress(row * height, 6)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


# Audio


def _speech(body: Mapping[str, Any]) -> Simulated:
    text = body["input"]
    seconds = len(text) / sandbox_sound.CHARACTERS_PER_SECOND
    wanted = body.get("response_format", "mp3")
    types = {"mp3": "audio/mpeg", "wav": "audio/wav", "pcm": "audio/pcm"}
    if wanted not in types:
        return _refusal("response_format", "The sandbox speaks mp3, wav and pcm only.")
    pieces = sandbox_sound.pieces(sandbox_sound.MAKERS[wanted](seconds), most=_PIECES)
    if body.get("stream_format") != "sse":
        return Simulated(pieces, types[wanted])
    given = vocabulary.count_tokens(text, model=body["model"])
    made = math.ceil(seconds * _TOKENS_PER_SECOND)
    usage = {"input_tokens": given, "output_tokens": made, "total_tokens": given + made}
    events = [
        {"type": "speech.audio.delta", "audio": b64encode(piece).decode()} for piece in pieces
    ]
    return _events([*events, {"type": "speech.audio.done", "usage": usage}])


def _transcript(body: Mapping[str, Any], *, task: str) -> Simulated:
    recording = audio_length.measure(body["files"][0], param="file")
    text = f"This is a simulated transcript of {recording.seconds} seconds of audio."
    if _is_true(body.get("stream")):
        return _transcript_events(text, body, seconds=recording.seconds)
    usage: dict[str, Any] = {"type": "duration", "seconds": recording.seconds}
    if body.get("response_format") != "verbose_json":
        usage = _transcript_usage(text, body, seconds=recording.seconds)
        told = {"text": text, **_logprobs(text, body), "usage": usage}
        return Simulated([_encode(told)])
    words = text.split()
    step = recording.seconds / len(words)
    answer: dict[str, Any] = {
        "task": task,
        "language": "english",
        "duration": float(recording.seconds),
        "text": text,
        "usage": usage,
    }
    answer["segments"] = [_segment(text, seconds=recording.seconds)]
    answer["words"] = [
        {"word": word, "start": round(number * step, 2), "end": round((number + 1) * step, 2)}
        for number, word in enumerate(words)
    ]
    return Simulated([_encode(answer)])


def _segment(text: str, *, seconds: int) -> dict[str, Any]:
    return {
        "id": 0,
        "seek": 0,
        "start": 0.0,
        "end": float(seconds),
        "text": f" {text}",
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": -0.1,
        "compression_ratio": 1.0,
        "no_speech_prob": 0.0,
    }


def _transcript_usage(text: str, body: Mapping[str, Any], *, seconds: int) -> dict[str, Any]:
    audio, output = seconds * 10, vocabulary.count_tokens(text, model=body["model"])
    return {
        "type": "tokens",
        "input_tokens": audio,
        "input_token_details": {"text_tokens": 0, "audio_tokens": audio},
        "output_tokens": output,
        "total_tokens": audio + output,
    }


def _transcript_events(text: str, body: Mapping[str, Any], *, seconds: int) -> Simulated:
    words = text.split(" ")
    pieces = [words[0], *(f" {word}" for word in words[1:])]
    events: list[dict[str, Any]] = [
        {"type": "transcript.text.delta", "delta": piece, **_logprobs(piece, body)}
        for piece in pieces
    ]
    usage = _transcript_usage(text, body, seconds=seconds)
    told = {"text": text, **_logprobs(text, body), "usage": usage}
    return _events([*events, {"type": "transcript.text.done", **told}])


def _logprobs(text: str, body: Mapping[str, Any]) -> dict[str, Any]:
    if "include[]" not in body:
        return {}
    return {"logprobs": sandbox_logprobs.plain(text, model=body["model"])}


# Moderation and reranking


def _moderation(body: Mapping[str, Any]) -> Simulated:
    given = body["input"]
    inputs: list[Any] = [given] if isinstance(given, str) or isinstance(given[0], dict) else given
    results = [_judged(item) for item in inputs]
    return Simulated([_encode({"id": "modr-sandbox", "model": body["model"], "results": results})])


def _judged(item: Any) -> dict[str, Any]:
    parts = item if isinstance(item, list) else [item]
    texts = [part if isinstance(part, str) else str(part.get("text", "")) for part in parts]
    flagged = any(_FLAG in text.lower() for text in texts)
    return {
        "flagged": flagged,
        "categories": {name: flagged and name == _FLAG for name in _CATEGORIES},
        "category_scores": {
            name: 0.98 if flagged and name == _FLAG else 0.0001 for name in _CATEGORIES
        },
        "category_applied_input_types": {name: ["text"] for name in _CATEGORIES},
    }


def _rerank(body: Mapping[str, Any]) -> Simulated:
    """Score each document by the share of the query's words in it."""
    query = set(str(body["query"]).lower().split())
    documents = body["documents"]
    scored = [
        (round(len(query & set(text.lower().split())) / max(1, len(query)), 4), -index)
        for index, text in enumerate(documents)
    ]
    best = sorted(scored, reverse=True)[: body.get("top_n") or body.get("top_k") or len(documents)]
    results = [{"index": -index, "relevance_score": score} for score, index in best]
    tokens = vocabulary.count_tokens("\n".join([body["query"], *documents]), model=body["model"])
    answer = {
        "id": "rerank-sandbox",
        "results": results,
        "meta": {"billed_units": {"search_units": -(-len(documents) // 100)}},
        "usage": {"total_tokens": tokens},
    }
    return Simulated([_encode(answer)])


def _events(events: Iterable[Mapping[str, Any]]) -> Simulated:
    return Simulated(
        [b"data: " + _encode(event) + b"\n\n" for event in events], "text/event-stream"
    )


def _refusal(param: str, message: str) -> Simulated:
    error = {
        "message": message,
        "type": "invalid_request_error",
        "param": param,
        "code": "unsupported_value",
    }
    return Simulated([_encode({"error": error})], status=400)


def _is_true(value: object) -> bool:
    return value is True or value == "true"
