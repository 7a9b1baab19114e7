"""
Generated chat requests, and what a provider may charge for them within the protocol.

A second opinion on `gateway.tokens`: prompts are counted with real vocabularies (or a token a byte, the worst that a
vocabulary can do), images and audio by the providers' published formulas from the true pixels and seconds, which
the code under test never sees. What providers add to a prompt is the most that recorded traffic shows.
"""

import io
import json
import math
import random
import wave
from base64 import b64encode
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from billing.types import Price, Rates, Tier, TokenUsage
from gateway import tokens, vocabulary
from gateway.serializers import ChatCall, ChatLimits, parse_chat

WORDS: Final = (
    "the quick brown fox",
    "def f(x):\n    return x\n",
    '{"a": [1, 2.5e10, null]}',
    "Übergröße naïve",
    "世界你好",
    "こんにちは",
    "🙂👩‍👩‍👧‍👦",
    "\ufdfa",
    "\uff41\uff42\uff43",
    "<|endoftext|>",
    "\t\t\n  ",
    "مرحبا",
    "0123456789" * 3,
    'he said "\\n"',
)
FAMILIES: Final = (
    "gpt-4o",
    "gpt-4o-mini",
    "gpt-4.1",
    "gpt-4.1-mini",
    "gpt-4.1-nano",
    "gpt-5-mini",
    "claude-opus-5",
    "claude-haiku-4-5",
    "claude-sonnet-5",
    "qwen3-vl-plus",
    "llama-4-scout",
    "voxtral-small-2507",
)
# The most that templates and system texts of providers were seen to add.
PREAMBLE: Final = 130
PER_MESSAGE: Final = 6
TOOLS_TEXT: Final = 804
FORMAT_TEXT: Final = 400
PATCHES: Final = {
    "gpt-4.1-mini": 1.62,
    "gpt-4.1-nano": 2.46,
    "gpt-4.1": 1.0,
    "gpt-5-mini": 1.62,
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, the model it is for, and its true size in tokens, which only a provider knows."""

    call: ChatCall
    price: Price
    context: int
    most: int
    input_tokens: int
    image_tokens: int
    audio_tokens: int
    seconds: int


def request(rng: random.Random) -> Asked:
    """Return any request that we would send on, with any price."""
    model = rng.choice(FAMILIES)
    media = _media(rng, model)
    messages = [_message(rng) for _ in range(rng.randint(1, 5))]
    messages.append({"role": "user", "content": [{"type": "text", "text": "?"}, *media["parts"]]})
    body: dict[str, Any] = {"model": model, "messages": messages, **_options(rng)}
    _mark(rng, body)
    context = rng.choice((8_192, 128_000, 1_000_000))
    call = parse_chat(body, limits=ChatLimits())
    size = _size(rng, call) + media["images"] + media["audio"] + media["files"]
    return Asked(
        call=call,
        price=rng.choice(_prices()),
        context=context,
        most=rng.choice((256, 4_096, 64_000)),
        input_tokens=min(size, context),
        image_tokens=media["images"] + media["files"],
        audio_tokens=media["audio"],
        seconds=media["seconds"],
    )


def usage(rng: random.Random, asked: Asked, sent: dict[str, Any]) -> TokenUsage:
    """Return any usage that a provider may report for the request as it was sent."""
    output = _some(rng, sent.get("n", 1) * _most_output(asked, sent))
    return TokenUsage(
        input_tokens=asked.input_tokens,
        output_tokens=output,
        **_output_classes(rng, asked, output),
        seconds=_some(rng, asked.seconds),
        service_tier=rng.choice(("", asked.call.service_tier)),
        **_input_classes(rng, asked),
    )


def _input_classes(rng: random.Random, asked: Asked) -> dict[str, int]:
    """Return how the input splits into classes: any split that the request allows, whole ones among them."""
    left = asked.input_tokens
    most = {
        "cache_read_tokens": left,
        "cache_write_5m_tokens": left if _may_be_written(asked.call) else 0,
        "cache_write_1h_tokens": left if _may_live_an_hour(asked.call) else 0,
        "audio_input_tokens": asked.audio_tokens,
        "image_input_tokens": asked.image_tokens,
    }
    classes = {}
    for name in rng.sample(list(most), k=len(most)):
        classes[name] = _some(rng, min(most[name], left))
        left -= classes[name]
    return classes


def _output_classes(rng: random.Random, asked: Asked, output: int) -> dict[str, int]:
    """Return how the output splits into classes; sound only where it was asked for."""
    reasoning = _some(rng, output)
    spoken = "audio" in asked.call.body
    sound = _some(rng, output - reasoning) if spoken else 0
    return {"reasoning_tokens": reasoning, "audio_output_tokens": sound}


def _most_output(asked: Asked, sent: dict[str, Any]) -> int:
    """One choice: up to the limit that was sent, or the model's own and all of a prediction that came to nothing."""
    prediction = sent.get("prediction")
    if prediction is None:
        return int(sent["max_completion_tokens"])
    return asked.most + vocabulary.count_tokens(str(prediction["content"]), model="gpt-4o")


def _some(rng: random.Random, most: int) -> int:
    return rng.choice((0, most, rng.randint(0, most)))


def _text(rng: random.Random) -> str:
    return rng.choice((" ", "")).join(rng.choices(WORDS, k=rng.choice((1, 3, 12))))


def _message(rng: random.Random) -> dict[str, Any]:
    role = rng.choice(("user", "assistant", "system", "developer"))
    content: Any = _text(rng)
    if rng.random() < 0.3:
        content = [{"type": "text", "text": _text(rng)} for _ in range(rng.randint(1, 3))]
    return {"role": role, "content": content}


def _options(rng: random.Random) -> dict[str, Any]:
    schema = {"type": "object", "properties": {_text(rng): {"description": _text(rng)}}}
    function = {"name": "f", "description": _text(rng), "parameters": schema}
    kind = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    options: dict[str, Any] = {
        "n": rng.randint(1, 128),
        "max_completion_tokens": rng.choice((1, 300, 5_000, 10**6)),
        "tools": [{"type": "function", "function": function}] * rng.randint(1, 3),
        "response_format": kind,
        "prediction": {"type": "content", "content": _text(rng)},
        "service_tier": rng.choice(("auto", "default", "flex", "priority", "fast")),
        "reasoning_effort": "high",
        "stop": ["\n"],
        "logprobs": True,
        "seed": 1,
    }
    chosen = {name: value for name, value in options.items() if rng.random() < 0.3}
    if rng.random() < 0.2:
        chosen["modalities"] = ["text", "audio"]
        chosen["audio"] = {"voice": "alloy", "format": rng.choice(("wav", "pcm16"))}
    return chosen


def _mark(rng: random.Random, body: dict[str, Any]) -> None:
    mark = {"type": "ephemeral", **rng.choice(({}, {"ttl": "5m"}, {"ttl": "1h"}))}
    places = [body["messages"][-1], body["messages"][-1]["content"][-1], *body.get("tools", ())]
    if rng.random() < 0.5:
        rng.choice(places)["cache_control"] = mark


def _may_be_written(call: ChatCall) -> bool:
    return not call.model.startswith("claude") or bool(_marks(call))


def _may_live_an_hour(call: ChatCall) -> bool:
    return any(mark.get("ttl") == "1h" for mark in _marks(call))


def _marks(call: ChatCall) -> list[Any]:
    last = call.body["messages"][-1]
    places = [last, *last["content"], *call.body.get("tools", ())]
    return [place["cache_control"] for place in places if "cache_control" in place]


def _size(rng: random.Random, call: ChatCall) -> int:
    """Return the tokens of all text, as some vocabulary makes them, with what the provider adds."""
    body = call.body
    texts = [text for message in body["messages"] for text in _strings(message.get("content"))]
    texts += [_json(body[name]) for name in ("tools", "response_format") if name in body]
    text = "".join(texts)
    count = rng.choice(
        (
            lambda: vocabulary.count_tokens(text, model="gpt-4o"),
            lambda: vocabulary.count_tokens(text, model="gpt-4"),
            lambda: len(text.encode()),
        )
    )
    added = PREAMBLE + PER_MESSAGE * len(body["messages"])
    added += TOOLS_TEXT if "tools" in body else 0
    added += FORMAT_TEXT if "response_format" in body else 0
    return count() + rng.choice((0, added))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [part["text"] for part in value or () if part["type"] == "text"]


def _media(rng: random.Random, model: str) -> dict[str, Any]:
    found: dict[str, Any] = {"parts": [], "images": 0, "audio": 0, "files": 0, "seconds": 0}
    for _ in range(rng.choice((0, 0, 1, 3))):
        kind = rng.choice(("image", "image", "audio", "file"))
        if kind == "image":
            detail = rng.choice(("auto", "low", "high"))
            url = rng.choice(("https://a/b.png", "data:image/png;base64,iVBO"))
            part = {"type": "image_url", "image_url": {"url": url, "detail": detail}}
            found["images"] += image_tokens(
                model, detail, width=rng.randint(1, 9_000), height=rng.randint(1, 9_000)
            )
        elif kind == "audio":
            seconds, data = _audio(rng)
            audio = {"data": b64encode(data).decode(), "format": "wav"}
            part = {"type": "input_audio", "input_audio": audio}
            found["seconds"] += math.ceil(seconds)
            found["audio"] += math.ceil(max(seconds, 30) * rng.choice((10, 12.5, 32)))
        else:
            part = {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBE"}}
            found["files"] += rng.randint(1, 900_000)
        found["parts"].append(part)
    return found


def image_tokens(model: str, detail: str, *, width: int, height: int) -> int:
    """Return what an image costs by its provider's formula; the sources are in `gateway.media_bounds`."""
    if model.startswith("gpt-4o"):
        base, tile = (2_833, 5_667) if model == "gpt-4o-mini" else (85, 170)
        return base if detail == "low" else base + tile * _tile_count(width, height)
    if model in PATCHES:
        patches = min(1_536, math.ceil(width / 32) * math.ceil(height / 32))
        return math.ceil(patches * PATCHES[model])
    if model.startswith("claude"):
        scale = min(1.0, 2_576 / max(width, height))
        return min(4_784, math.ceil(width * scale * height * scale / 750))
    return min(16_384, math.ceil(width / 28) * math.ceil(height / 28))


def _tile_count(width: float, height: float) -> int:
    scale = min(1.0, 2_048 / max(width, height))
    width, height = width * scale, height * scale
    scale = min(1.0, 768 / min(width, height))
    return math.ceil(width * scale / 512) * math.ceil(height * scale / 512)


def _audio(rng: random.Random) -> tuple[float, bytes]:
    """Return seconds and bytes: plain samples, MPEG frames of some bit rate, or packed silence of any length."""
    kind = rng.choice(("wav", "mp3", "flac"))
    if kind == "flac":
        return rng.uniform(1, 30_000), b"fLaC" + bytes(rng.randint(40, 400))
    seconds = rng.uniform(0.1, 3)
    if kind == "mp3":
        return seconds, b"\xff\xfb\x10\xc4" + bytes(int(seconds * rng.choice((1_000, 4_000))))
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(1)
        writer.setframerate(rng.choice((1_000, 8_000)))
        writer.writeframes(bytes(int(seconds * writer.getframerate())))
    return seconds, file.getvalue()


@cache
def _prices() -> list[Price]:
    rng = random.Random("prices")
    return [_price(rng) for _ in range(500)]


def _price(rng: random.Random) -> Price:
    rates = _rates(rng)
    return Price(
        1,
        rates,
        tiers=_tiers(rng),
        service_tiers={
            name: Price(1, _rates(rng), tiers=_tiers(rng)) for name in ("flex", "priority")
        },
    )


def _tiers(rng: random.Random) -> tuple[Tier, ...]:
    thresholds = sorted(rng.sample((500, 5_000, 200_000), k=rng.randint(0, 2)))
    return tuple(Tier(above, _rates(rng)) for above in thresholds)


def _rates(rng: random.Random) -> Rates:
    def rate(least: float) -> int | None:
        return None if rng.random() < least else rng.randint(1, 10**8)

    return Rates(*(rate(0.0) for _ in range(2)), *(rate(0.5) for _ in range(13)))


def bounded(asked: Asked) -> Any:
    """Return the bound of the request by the code under test."""
    return tokens.chat_bound(
        asked.call,
        context_tokens=asked.context,
        max_output_tokens=asked.most,
        key_max_output_tokens=None,
    )
