"""Chats that answer in audio: what is sent, what comes back under our names, and what it costs."""

import base64
import io
import json
import wave
from datetime import UTC, datetime
from typing import Any

import pytest
from openai.types.chat import ChatCompletion

from billing.pricing import upper_bound_nanousd
from billing.types import Price, Rates
from gateway import spoken, tokens
from gateway.models import Route
from gateway.providers.base import ProviderError, ServeAs
from gateway.providers.openai.openai import OpenAIAdapter
from gateway.serializers import ChatLimits, parse_chat
from gateway.wire_checks import InvalidRequest
from tests import factories
from tests.gateway import books, media_shop
from tests.gateway.caller import Caller

SINCE = datetime(2021, 1, 1, tzinfo=UTC)
SPOKEN: dict[str, Any] = {
    "modalities": ["text", "audio"],
    "audio": {"voice": "alloy", "format": "wav"},
}
STREAMED: dict[str, Any] = {
    "modalities": ["text", "audio"],
    "audio": {"voice": "alloy", "format": "pcm16"},
}
SERVE_AS = ServeAs(id="chatcmpl-abc", model="our-model", created=1_700_000_000)
SECOND = base64.b64encode(bytes(48_000)).decode()  # of pcm16, and nearly of wav
USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 30,
    "total_tokens": 39,
    "prompt_tokens_details": {"audio_tokens": 0, "text_tokens": 9},
    "completion_tokens_details": {"audio_tokens": 20, "text_tokens": 10, "reasoning_tokens": 0},
}
MESSAGE: dict[str, Any] = {
    "content": None,
    "audio": {
        "id": "audio_theirs",
        "expires_at": 1_800_000_000,
        "data": SECOND,
        "transcript": "Hello",
    },
}
# Rates of 2 and 10 micro-USD a token; sound costs 64.
RATES = {
    "input_microusd_per_mtok": 2_000_000,
    "output_microusd_per_mtok": 10_000_000,
    "audio_output_microusd_per_mtok": 64_000_000,
}


def parsed(**fields):
    messages = [{"role": "user", "content": "Hi"}]
    return parse_chat({"model": "m", "messages": messages, **fields}, limits=ChatLimits())


def refusal(**fields):
    with pytest.raises(InvalidRequest) as caught:
        parsed(**fields)
    return caught.value.param, caught.value.code


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"modalities": ["audio"]}, "audio", "missing_required_parameter"),
        ({"modalities": ["text", "video"]}, "modalities", "unsupported_value"),
        ({"modalities": [["audio"]]}, "modalities", "unsupported_value"),
        ({"modalities": "audio"}, "modalities", "invalid_type"),
        ({**SPOKEN, "audio": "alloy"}, "audio", "invalid_type"),
        ({**SPOKEN, "audio": {"format": "wav"}}, "audio.voice", "missing_required_parameter"),
        ({**SPOKEN, "audio": {"voice": "alloy"}}, "audio.format", "missing_required_parameter"),
        (
            {**SPOKEN, "audio": {"voice": {"id": "voice_1"}, "format": "wav"}},
            "audio.voice",
            "invalid_value",
        ),
        ({**SPOKEN, "audio": {"voice": 1, "format": "wav"}}, "audio.voice", "invalid_type"),
        ({**SPOKEN, "audio": {"voice": "a", "format": "midi"}}, "audio.format", "invalid_value"),
        ({**SPOKEN, "audio": {"voice": "a", "format": "wav", "x": 1}}, "audio", "invalid_value"),
    ],
)
def test_what_nobody_could_speak_is_refused_with_its_path(fields, param, code):
    assert refusal(**fields) == (param, code)


def test_how_to_speak_is_set_aside_where_nothing_is_spoken():
    call = parsed(audio=SPOKEN["audio"])

    assert "audio" not in call.body
    assert call.ignored == ("audio",)


def test_all_output_may_be_sound_at_its_own_rate():
    def upper(**fields):
        bound = tokens.chat_bound(
            parsed(max_completion_tokens=100, **fields),
            context_tokens=None,
            max_output_tokens=100,
            key_max_output_tokens=None,
        )
        return upper_bound_nanousd(bound, price=Price(1, Rates(**RATES)))

    assert upper(**SPOKEN) - upper() == 100 * (64 - 10) * 1_000


def test_sound_is_counted_by_its_length():
    assert spoken.tokens(len(SECOND), audio_format="pcm16") == 21
    assert spoken.tokens(10 * len(SECOND), audio_format="wav") == 210


@pytest.fixture
def speaking(shop):
    """The shop with a model that speaks, the first route of which cannot."""
    name = f"{shop.model}-speaks"
    model = factories.make_model(name, provider=shop.provider, output_modalities=["text", "audio"])
    deaf = factories.make_provider(api="anthropic", base_url=shop.upstream.base_url)
    Route.objects.filter(model=model).update(priority=1)
    Route.objects.create(model=model, provider=deaf, upstream_model=name, priority=0)
    factories.make_price(name, effective_from=SINCE, **RATES)
    shop.model = name
    shop.relearn()
    return shop


def chunk(delta, **fields):
    choice = {"index": 0, "delta": delta, "finish_reason": fields.pop("finish_reason", None)}
    return {
        "id": "chatcmpl-theirs",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "theirs",
        "choices": [choice],
        **fields,
    }


STREAM = (
    chunk(
        {"role": "assistant", "refusal": None, "audio": {"id": "audio_theirs", "transcript": ""}}
    ),
    chunk({"audio": {"id": "audio_theirs", "transcript": "Hello"}}),
    chunk({"audio": {"id": "audio_theirs", "data": SECOND}}),
    chunk({"audio": {"data": SECOND}}),
    chunk({"audio": {"id": "audio_theirs", "expires_at": 1_800_000_000}}),
)
END = (
    chunk({}, finish_reason="stop"),
    {**chunk({}), "choices": [], "usage": USAGE},
)


def sound_of(event):
    return event.usage_details["audio_output_tokens"]


def events(*chunks, done=True):
    lines = [b"data: " + json.dumps(one).encode() + b"\n\n" for one in chunks]
    return b"".join(lines) + (b"data: [DONE]\n\n" if done else b"")


def test_whole_answer_is_spoken_under_our_names_and_charged_by_its_classes(speaking):
    speaking.script(message=MESSAGE, usage=(USAGE,))

    answer = speaking.chat(**SPOKEN)

    shown = answer.headers["x-request-id"].removeprefix("req_")
    assert answer.json["choices"][0]["message"]["audio"] == {
        "id": f"audio_{shown}",
        "expires_at": answer.json["choices"][0]["message"]["audio"]["expires_at"],
        "data": SECOND,
        "transcript": "Hello",
    }
    assert answer.json["choices"][0]["message"]["audio"]["expires_at"] != 1_800_000_000
    assert b"audio_theirs" not in answer.body
    event = books.only(speaking.organization)
    assert (event.basis, event.charge_nanousd) == (
        "reported",
        9 * 2_000 + 10 * 10_000 + 20 * 64_000,
    )
    [call] = speaking.upstream.calls
    assert call.body["modalities"] == ["text", "audio"]
    assert call.body["audio"] == {"voice": "alloy", "format": "wav"}
    assert answer.json["usage"]["completion_tokens_details"]["audio_tokens"] == 20


def test_stream_is_spoken_under_our_names(speaking):
    speaking.script(raw=events(*STREAM, *END))

    answer = speaking.chat(stream=True, stream_options={"include_usage": True}, **STREAMED)

    told = [json.loads(line[6:]) for line in answer.body.split(b"\n\n") if line[:7] == b"data: {"]
    heard = [one["choices"][0]["delta"]["audio"] for one in told[:5]]
    own = "audio_" + answer.headers["x-request-id"].removeprefix("req_")
    assert [one.get("id") for one in heard] == [own, own, own, None, own]
    assert "".join(one.get("data", "") for one in heard) == 2 * SECOND
    assert "".join(one.get("transcript", "") for one in heard) == "Hello"
    assert heard[-1]["expires_at"] < 1_800_000_000
    assert b"theirs" not in answer.body
    assert told[-1]["usage"]["completion_tokens_details"]["audio_tokens"] == 20
    assert books.only(speaking.organization).charge_nanousd == 9 * 2_000 + 10 * 10_000 + 20 * 64_000


@pytest.mark.parametrize("stream", [False, True])
def test_without_usage_words_and_sound_are_counted(speaking, stream):
    if stream:
        speaking.script(raw=events(*STREAM, END[0]))
        speaking.chat(stream=True, **STREAMED)
    else:
        speaking.script(message=MESSAGE, usage=())
        speaking.chat(**SPOKEN)

    event = books.only(speaking.organization)
    seconds = 2 if stream else 1
    assert event.basis == "counted"
    assert (event.output_tokens, sound_of(event)) == (1 + 21 * seconds, 21 * seconds)
    prompt = event.input_tokens * 2_000
    assert event.charge_nanousd == prompt + 10_000 + 21 * seconds * 64_000


def test_sound_without_words_is_an_answer(speaking):
    speaking.script(raw=events(chunk({"audio": {"data": SECOND}}), END[0]))

    answer = speaking.chat(stream=True, **STREAMED)

    assert SECOND.encode() in answer.body
    assert sound_of(books.only(speaking.organization)) == 21


def test_client_that_leaves_pays_for_what_it_heard(speaking):
    speaking.script(raw=events(*STREAM, done=False), stall_after=0)
    caller = Caller(speaking, **STREAMED)
    caller.read_until(SECOND.encode(), times=2)

    caller.hang_up()

    event = books.only(speaking.organization)
    assert (event.basis, sound_of(event)) == ("counted", 42)


def test_model_that_cannot_speak_says_so_before_anything_is_sent(shop):
    answer = shop.chat(**SPOKEN)

    assert (answer.status, answer.error["param"]) == (400, "modalities")
    assert answer.error["code"] == "unsupported_value"
    assert "output modalities" in answer.error["message"]
    assert not shop.upstream.calls


def test_fallback_that_cannot_speak_is_left_out(speaking, upstream):
    silent = speaking.model.removesuffix("-speaks")
    speaking.script(status=500)

    answer = speaking.chat(models=[silent], **SPOKEN)

    assert answer.status == 502
    assert {call.model for call in upstream.calls} == {speaking.model}


@pytest.mark.parametrize("audio", ["Hello", {"id": "a"}, {"data": 1}, []])
def test_audio_that_is_none_is_a_bad_answer(audio):
    body = {"choices": [{"index": 0, "message": {"audio": audio}, "finish_reason": "stop"}]}

    with pytest.raises(ProviderError) as caught:
        OpenAIAdapter().chat_answer(json.dumps(body).encode(), serve_as=SERVE_AS)

    assert caught.value.kind == "bad_answer"


def test_each_choice_has_its_own_id():
    choices = [{"index": 0, "message": dict(MESSAGE, audio=dict(MESSAGE["audio"]))} for _ in "ab"]

    answer = OpenAIAdapter().chat_answer(
        json.dumps({"choices": choices}).encode(), serve_as=SERVE_AS
    )

    found = [choice["message"]["audio"]["id"] for choice in answer.body["choices"]]
    assert found == ["audio_abc", "audio_abc_1"]


def test_sandbox_speaks_to_the_official_client(speaking):
    client = media_shop.client_of(speaking, speaking.make_key(mode="test"))
    asked = {"model": speaking.model, "messages": [{"role": "user", "content": "Hello there"}]}

    whole = client.chat.completions.create(**asked, **SPOKEN)
    chunks = list(client.chat.completions.create(**asked, **STREAMED, stream=True))

    ChatCompletion.model_validate(whole.model_dump(), strict=True)
    audio = whole.choices[0].message.audio
    with wave.open(io.BytesIO(base64.b64decode(audio.data))) as sound:
        seconds = sound.getnframes() / sound.getframerate()
    assert seconds > 1
    deltas = [one.choices[0].delta for one in chunks if one.choices]
    pieces = [delta.audio for delta in deltas if getattr(delta, "audio", None)]
    assert "".join(piece.transcript or "" for piece in pieces) == audio.transcript
    samples = b"".join(base64.b64decode(piece.data) for piece in pieces if piece.data)
    assert len(samples) == pytest.approx(seconds * 48_000, rel=0.01)
    assert whole.usage.completion_tokens_details.audio_tokens > 20


def test_sandbox_stops_speaking_at_the_limit(speaking):
    key = speaking.make_key(mode="test")

    answer = speaking.gateway.chat(key, model=speaking.model, max_completion_tokens=15, **SPOKEN)

    assert answer.json["choices"][0]["finish_reason"] == "length"
    assert answer.json["usage"]["completion_tokens"] == 15


def test_sandbox_says_which_formats_it_speaks(speaking):
    audio = {"voice": "alloy", "format": "opus"}

    answer = speaking.gateway.chat(
        speaking.make_key(mode="test"), model=speaking.model, modalities=["audio"], audio=audio
    )

    assert (answer.status, answer.error["param"]) == (400, "audio.format")
