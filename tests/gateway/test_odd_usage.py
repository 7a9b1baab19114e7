"""Usage on odd frames: every translator settles once, on the last thing its provider said that can be true."""

import json

import pytest

from billing.types import TokenUsage
from gateway.providers.anthropic.anthropic import AnthropicAdapter
from gateway.providers.base import ProviderError, ServeAs
from gateway.providers.google.gemini import GeminiAdapter
from gateway.providers.openai.openai import OpenAIAdapter
from gateway.sse import SseDecoder

SERVE_AS = ServeAs(id="chatcmpl-1", model="m", created=1_700_000_000)
TRUE = TokenUsage(9, 4)
ZERO = TokenUsage()
# What no count of tokens can be, in JSON.
NO_COUNTS = ["-1", "1e12", "1e400", "NaN", "Infinity", "null", "true", '"x"', '"1e3"', "[4]", "{}"]


def stream(adapter, events, *, cut=False):
    """Feed a stream; return the translator at its end."""
    translator = adapter.chat_stream(serve_as=SERVE_AS)
    decoder = SseDecoder()
    data = b"".join(b"data: " + event.encode() + b"\n\n" for event in events)
    for name, line in decoder.feed(data) + decoder.flush():
        translator.feed(name, line)
    if not cut:
        translator.finish()
    return translator


def usage_of(adapter, events):
    return stream(adapter, events).usage


# OpenAI and all that speak its dialect


def chunk(*, text="", reason=None, usage="", choices=None, **fields):
    choice = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": reason}
    body = {"id": "u", "object": "chat.completion.chunk", "model": "x", "created": 1, **fields}
    body["choices"] = [choice] if choices is None else choices
    text = json.dumps(body)
    return text if not usage else f'{text[:-1]}, "usage": {usage}}}'


def told(given=9, made=4, total=None, **fields):
    usage = {"prompt_tokens": given, "completion_tokens": made, **fields}
    return json.dumps(usage if total is None else {**usage, "total_tokens": total})


HI, STOP, DONE = chunk(text="Hi"), chunk(reason="stop"), "[DONE]"
OPENAI_STREAMS = {
    "in a frame of its own": ([HI, STOP, chunk(choices=[], usage=told()), DONE], TRUE),
    "twice": ([HI, STOP, *[chunk(choices=[], usage=told())] * 2, DONE], TRUE),
    "cumulative, with choices": (
        [
            chunk(text="H", usage=told(9, 1)),
            chunk(text="i", usage=told(9, 2)),
            STOP,
            chunk(choices=[], usage=told()),
            DONE,
        ],
        TRUE,
    ),
    "with the finish reason": ([HI, chunk(reason="stop", usage=told()), DONE], TRUE),
    "before the finish reason": ([HI, chunk(choices=[], usage=told()), STOP, DONE], TRUE),
    "after the finish reason, without an end mark": (
        [HI, STOP, chunk(choices=[], usage=told())],
        TRUE,
    ),
    "missing": ([HI, STOP, DONE], None),
    "null everywhere": ([chunk(text="Hi", usage="null"), chunk(reason="stop", usage="null")], None),
    "empty": ([HI, STOP, chunk(choices=[], usage="{}"), DONE], None),
    "not an object": ([HI, STOP, chunk(choices=[], usage="[9, 4]"), DONE], None),
    "explicit zeros": ([HI, STOP, chunk(choices=[], usage=told(0, 0, 0)), DONE], ZERO),
    "zeros first, then the truth": (
        [chunk(text="Hi", usage=told(0, 0, 0)), STOP, chunk(choices=[], usage=told()), DONE],
        TRUE,
    ),
    "the truth, then zeros": (
        [HI, chunk(reason="stop", usage=told()), chunk(choices=[], usage=told(0, 0, 0)), DONE],
        TRUE,
    ),
    "the truth, then nonsense": (
        [HI, chunk(reason="stop", usage=told()), chunk(choices=[], usage=told(9, -4)), DONE],
        TRUE,
    ),
    "cached more than input": (
        [HI, STOP, chunk(choices=[], usage=told(prompt_tokens_details={"cached_tokens": 99}))],
        TokenUsage(9, 4, cache_read_tokens=9),
    ),
    "reasoning more than output": (
        [
            HI,
            STOP,
            chunk(choices=[], usage=told(completion_tokens_details={"reasoning_tokens": 99})),
        ],
        TokenUsage(9, 4, reasoning_tokens=4),
    ),
    "a total that fits nothing": ([HI, STOP, chunk(choices=[], usage=told(total=10**6))], TRUE),
    "only a total beside the prompt": (
        [HI, STOP, chunk(choices=[], usage=told(9, None, 13))],
        TRUE,
    ),
    "in the choice": (
        [
            HI,
            chunk(
                choices=[
                    {"index": 0, "delta": {}, "finish_reason": "stop", "usage": json.loads(told())}
                ]
            ),
            DONE,
        ],
        TRUE,
    ),
    "in each choice": (
        [HI]
        + [
            chunk(
                choices=[
                    {
                        "index": index,
                        "delta": {},
                        "finish_reason": "stop",
                        "usage": json.loads(told(9, made)),
                    }
                ]
            )
            for index, made in enumerate((3, 1))
        ]
        + [DONE],
        TRUE,
    ),
    "in x_groq": ([HI, chunk(reason="stop", x_groq={"usage": json.loads(told())}), DONE], TRUE),
    "served by a tier": (
        [HI, STOP, chunk(choices=[], usage=told(), service_tier="priority"), DONE],
        TokenUsage(9, 4, service_tier="priority"),
    ),
    "served by a tier nobody sells": (
        [HI, STOP, chunk(choices=[], usage=told(), service_tier="scale"), DONE],
        TRUE,
    ),
}


@pytest.mark.parametrize("events", OPENAI_STREAMS.values(), ids=OPENAI_STREAMS)
def test_openai_stream(events):
    frames, usage = events

    assert usage_of(OpenAIAdapter(), frames) == usage


@pytest.mark.parametrize("count", NO_COUNTS)
@pytest.mark.parametrize("name", ["prompt_tokens", "completion_tokens"])
def test_what_cannot_be_a_count_is_no_usage_of_openais(name, count):
    usage = told().replace(f'"{name}": {9 if name[0] == "p" else 4}', f'"{name}": {count}')
    whole = json.dumps(
        {"choices": [{"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}]}
    )
    whole = f'{whole[:-1]}, "usage": {usage}}}'

    assert count in usage
    assert usage_of(OpenAIAdapter(), [HI, STOP, chunk(choices=[], usage=usage), DONE]) is None
    answer = OpenAIAdapter().chat_answer(whole.encode(), serve_as=SERVE_AS)
    assert (answer.usage, answer.output_text) == (None, "Hi")


@pytest.mark.parametrize("count", ["4", "4.0", '"4"'])
def test_counts_are_read_however_they_are_written(count):
    usage = told().replace(": 4", f": {count}")

    assert usage_of(OpenAIAdapter(), [HI, STOP, chunk(choices=[], usage=usage), DONE]) == TRUE


def test_a_stream_that_breaks_off_has_no_last_word():
    events = [chunk(text="Hi", usage=told(9, 1))]

    with pytest.raises(ProviderError):
        stream(OpenAIAdapter(), events)


def test_no_frame_of_usage_reaches_the_client():
    translator = OpenAIAdapter().chat_stream(serve_as=SERVE_AS)
    frames = [chunk(choices=[], usage=usage) for usage in (told(), "{}", "[]", told(-1))]
    frames.append(chunk(choices=[{"index": 0, "delta": {}, "usage": json.loads(told())}]))

    sent = b"".join(out for frame in frames for out in translator.feed(b"", frame.encode()))

    assert b"prompt_tokens" not in sent


# Anthropic


def start(**usage):
    return json.dumps({"type": "message_start", "message": {"id": "m", "usage": usage}})


def delta(**usage):
    return json.dumps(
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}
    )


BLOCK = [
    '{"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "Hi"}}',
    '{"type": "content_block_stop", "index": 0}',
]
END = ['{"type": "message_stop"}']
STARTED = {"input_tokens": 9, "output_tokens": 1}
ANTHROPIC_STREAMS = {
    "as documented": ([start(**STARTED), *BLOCK, delta(output_tokens=4), *END], TRUE),
    "twice": ([start(**STARTED), *BLOCK, *[delta(output_tokens=4)] * 2, *END], TRUE),
    "cumulative": (
        [start(**STARTED), *BLOCK, delta(output_tokens=2), delta(output_tokens=4), *END],
        TRUE,
    ),
    "nothing at the start": (
        [
            start(input_tokens=0, output_tokens=0),
            *BLOCK,
            delta(input_tokens=9, output_tokens=4),
            *END,
        ],
        TRUE,
    ),
    "zeros filled in at the end": (
        [start(**STARTED), *BLOCK, delta(input_tokens=0, output_tokens=4), *END],
        TRUE,
    ),
    "nulls at the end": (
        [start(**STARTED), *BLOCK, delta(input_tokens=None, output_tokens=4), *END],
        TRUE,
    ),
    "output never told": ([start(**STARTED), *BLOCK, delta(), *END], None),
    "output null": ([start(**STARTED), *BLOCK, delta(output_tokens=None), *END], None),
    "output negative": ([start(**STARTED), *BLOCK, delta(output_tokens=-4), *END], None),
    "input never told": ([start(), *BLOCK, delta(output_tokens=4), *END], None),
    "explicit zeros": (
        [
            start(input_tokens=0, output_tokens=0),
            *BLOCK,
            delta(input_tokens=0, output_tokens=0),
            *END,
        ],
        ZERO,
    ),
    "after the end": ([start(**STARTED), *BLOCK, delta(output_tokens=4), *END, *END], TRUE),
    "cache beside the input": (
        [
            start(input_tokens=3, cache_read_input_tokens=6, output_tokens=1),
            *BLOCK,
            delta(output_tokens=4),
            *END,
        ],
        TokenUsage(9, 4, cache_read_tokens=6),
    ),
    "a cache that cannot be": (
        [
            start(input_tokens=9, cache_read_input_tokens=-6, output_tokens=1),
            *BLOCK,
            delta(output_tokens=4),
            *END,
        ],
        TRUE,
    ),
}


@pytest.mark.parametrize("events", ANTHROPIC_STREAMS.values(), ids=ANTHROPIC_STREAMS)
def test_anthropic_stream(events):
    frames, usage = events

    assert usage_of(AnthropicAdapter(), frames) == usage


@pytest.mark.parametrize("count", NO_COUNTS)
@pytest.mark.parametrize("name", ["input_tokens", "output_tokens"])
def test_what_cannot_be_a_count_is_no_usage_of_anthropics(name, count):
    usage = {"input_tokens": "9", "output_tokens": "4", name: count}
    raw = "{" + ", ".join(f'"{key}": {value}' for key, value in usage.items()) + "}"
    whole = f'{{"content": [{{"type": "text", "text": "Hi"}}], "usage": {raw}}}'
    last = f'{{"type": "message_delta", "delta": {{"stop_reason": "end_turn"}}, "usage": {raw}}}'

    answer = AnthropicAdapter().chat_answer(whole.encode(), serve_as=SERVE_AS)

    assert (answer.usage, answer.output_text) == (None, "Hi")
    assert "usage" not in answer.body
    assert usage_of(AnthropicAdapter(), [start(), *BLOCK, last, *END]) is None


# Gemini


def part(text="", *, reason="", raw_usage="", **usage):
    candidate = {"content": {"parts": [{"text": text}] if text else []}, "index": 0}
    body = {"candidates": [{**candidate, **({"finishReason": reason} if reason else {})}]}
    raw = raw_usage or (json.dumps(usage) if usage else "")
    return json.dumps(body) if not raw else f'{json.dumps(body)[:-1]}, "usageMetadata": {raw}}}'


GIVEN = {"promptTokenCount": 9, "candidatesTokenCount": 4}
GEMINI_STREAMS = {
    "at the end": ([part("Hi"), part(reason="STOP", **GIVEN)], TRUE),
    "cumulative": (
        [part("H", promptTokenCount=9, candidatesTokenCount=1), part("i", reason="STOP", **GIVEN)],
        TRUE,
    ),
    "after the reason": ([part("Hi", reason="STOP"), part(**GIVEN)], TRUE),
    "only the prompt": ([part("Hi", reason="STOP", promptTokenCount=9)], None),
    "only the output": ([part("Hi", reason="STOP", candidatesTokenCount=4)], None),
    "missing": ([part("Hi", reason="STOP")], None),
    "explicit zeros": (
        [part("Hi", reason="STOP", promptTokenCount=0, candidatesTokenCount=0)],
        ZERO,
    ),
    "nulls after the truth": (
        [part("Hi", **GIVEN), part(reason="STOP", promptTokenCount=None, candidatesTokenCount=-1)],
        TRUE,
    ),
    "as text": (
        [part("Hi", reason="STOP", promptTokenCount="9", candidatesTokenCount="4")],
        TRUE,
    ),
    "cached more than the prompt": (
        [part("Hi", reason="STOP", **GIVEN, cachedContentTokenCount=99)],
        TokenUsage(9, 4, cache_read_tokens=9),
    ),
    "a total that fits nothing": ([part("Hi", reason="STOP", **GIVEN, totalTokenCount=1)], TRUE),
    "thoughts beside the output": (
        [part("Hi", reason="STOP", **GIVEN, thoughtsTokenCount=3)],
        TokenUsage(9, 7, reasoning_tokens=3),
    ),
}


@pytest.mark.parametrize("events", GEMINI_STREAMS.values(), ids=GEMINI_STREAMS)
def test_gemini_stream(events):
    frames, usage = events

    assert usage_of(GeminiAdapter(), frames) == usage


@pytest.mark.parametrize("count", NO_COUNTS)
@pytest.mark.parametrize("name", ["promptTokenCount", "candidatesTokenCount"])
def test_what_cannot_be_a_count_is_no_usage_of_geminis(name, count):
    usage = {"promptTokenCount": "9", "candidatesTokenCount": "4", name: count}
    raw = "{" + ", ".join(f'"{key}": {value}' for key, value in usage.items()) + "}"
    frame = part("Hi", reason="STOP", raw_usage=raw)

    answer = GeminiAdapter().chat_answer(frame.encode(), serve_as=SERVE_AS)

    assert (answer.usage, answer.output_text) == (None, "Hi")
    assert usage_of(GeminiAdapter(), [frame]) is None
