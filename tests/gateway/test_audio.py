"""Speech, transcriptions and translations by the official client: through the one path, priced by their units."""

import base64
import json
import wave
from io import BytesIO

import openai
import pytest

from tests.gateway import books, media_files
from tests.gateway.caller import Caller
from tests.gateway.media_shop import client_of, form, sell
from tests.upstream import wait_until
from tests.upstream_media import AUDIO

PER_SECOND = {"second_nanousd": 100_000}
PER_CHARACTER = {"character_nanousd": 15_000}
BY_TOKENS = {"input_microusd_per_mtok": 1_000_000, "output_microusd_per_mtok": 10_000_000}
WAV = ("speech.wav", media_files.wav(7), "audio/wav")


def events(*bodies):
    return [b"data: " + json.dumps(body).encode() + b"\n\n" for body in bodies]


# Transcriptions


def test_transcript_is_charged_by_the_seconds_its_provider_tells(shop):
    model = sell(shop, "transcription", **PER_SECOND)

    answer = client_of(shop).audio.transcriptions.create(model=model, file=WAV)

    assert answer.text == "Hello world"
    assert answer.usage.type == "duration"
    assert answer.usage.seconds == 7
    assert answer.usage.cost == pytest.approx(0.0007)
    event = books.only(shop.organization)
    assert (event.endpoint, event.basis, event.outcome) == (
        "audio.transcriptions",
        "reported",
        "finished",
    )
    assert event.usage_details == {"seconds": 7}
    assert event.charge_nanousd == 700_000
    assert event.input_tokens == event.output_tokens == 0


def test_file_goes_on_under_a_name_of_ours_with_its_bytes_unchanged(shop):
    model = sell(shop, "transcription", **PER_SECOND)
    file = ('../../etc/"pass wd\r\nx: y.wav', WAV[1], "text/html")

    client_of(shop).audio.transcriptions.create(
        model=model,
        file=file,
        language="en",
        prompt="Exerati",
        temperature=0.5,
        chunking_strategy={"type": "server_vad", "threshold": 0.4},
    )

    [call] = shop.upstream.calls_of(model)
    assert call.body["files"] == [("file", "audio.wav", "audio/wav", WAV[1])]
    assert call.body["model"] == model
    assert (call.body["language"], call.body["prompt"], call.body["temperature"]) == (
        "en",
        "Exerati",
        "0.5",
    )
    assert call.body["response_format"] == "verbose_json"
    assert call.body["chunking_strategy[type]"] == "server_vad"
    assert call.body["chunking_strategy[threshold]"] == "0.4"
    assert "exerati-" in call.headers["content-type"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("text", "Hello world\n"),
        ("srt", "1\n00:00:00,000 --> 00:00:06,500\nHello world\n"),
        ("vtt", "WEBVTT\n\n00:00:00.000 --> 00:00:06.500\nHello world\n"),
    ],
)
def test_plain_formats_are_written_here_so_that_usage_is_always_told(shop, wanted, expected):
    model = sell(shop, "transcription", **PER_SECOND)

    raw = client_of(shop).audio.transcriptions.with_raw_response.create(
        model=model, file=WAV, response_format=wanted
    )

    assert raw.text == expected
    assert raw.headers["content-type"] == "text/plain; charset=utf-8"
    assert raw.headers["x-exerati-cost-usd"] == "0.0007"
    assert raw.headers["x-request-id"].startswith("req_")


def test_verbose_transcript_keeps_everything(shop):
    model = sell(shop, "transcription", **PER_SECOND)

    answer = client_of(shop).audio.transcriptions.create(
        model=model,
        file=WAV,
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )

    assert answer.duration == 6.5
    assert answer.segments[0].text == " Hello world"
    [call] = shop.upstream.calls_of(model)
    assert call.body["timestamp_granularities[]"] == ["word", "segment"]


def test_transcript_without_usage_is_charged_by_the_length_of_the_file(shop):
    model = sell(shop, "transcription", **PER_SECOND)
    shop.upstream.script(model, raw=b'{"text": "Hi", "usage": {"input_tokens": 9}}')

    client_of(shop).audio.transcriptions.create(model=model, file=WAV)

    event = books.only(shop.organization)
    assert (event.basis, event.charge_nanousd) == ("counted", 700_000)


def test_provider_that_tells_more_than_the_bound_is_cut_to_it(shop):
    model = sell(shop, "transcription", **PER_SECOND)
    shop.upstream.script(model, raw=b'{"text": "Hi", "usage": {"seconds": 1e6}}')

    client_of(shop).audio.transcriptions.create(model=model, file=WAV)

    event = books.only(shop.organization)
    assert event.charge_nanousd == event.upper_nanousd == 1_000_000  # ten seconds


def test_transcript_by_tokens_is_charged_by_them(shop):
    model = sell(shop, "transcription", **BY_TOKENS)
    usage = {
        "type": "tokens",
        "input_tokens": 70,
        "input_token_details": {"audio_tokens": 70, "text_tokens": 0},
        "output_tokens": 5,
        "total_tokens": 75,
    }
    shop.upstream.script(model, raw=json.dumps({"text": "Hi", "usage": usage}).encode())

    answer = client_of(shop).audio.transcriptions.create(model=model, file=WAV)

    assert answer.usage.input_tokens == 70
    assert answer.usage.cost == pytest.approx(0.00012)
    event = books.only(shop.organization)
    assert (event.input_tokens, event.output_tokens, event.charge_nanousd) == (70, 5, 120_000)


def test_empty_transcript_is_free(shop):
    model = sell(shop, "transcription", **PER_SECOND)
    shop.upstream.script(model, raw=b'{"text": " ", "usage": {"seconds": 7}}')

    answer = client_of(shop).audio.transcriptions.create(model=model, file=WAV)

    assert answer.usage.cost == 0
    event = books.only(shop.organization)
    assert (event.outcome, event.charge_nanousd) == ("empty", 0)


def test_streamed_transcript(shop):
    model = sell(shop, "transcription", **BY_TOKENS)
    usage = {"type": "tokens", "input_tokens": 70, "output_tokens": 2, "total_tokens": 72}
    parts = events(
        {"type": "transcript.text.delta", "delta": "Hello"},
        {"type": "transcript.text.delta", "delta": " world"},
        {"type": "transcript.text.done", "text": "Hello world", "usage": usage},
    )
    shop.upstream.script(model, parts=parts, content_type="text/event-stream")

    with client_of(shop).audio.transcriptions.create(model=model, file=WAV, stream=True) as stream:
        got = list(stream)

    assert [event.type for event in got] == ["transcript.text.delta"] * 2 + ["transcript.text.done"]
    assert "".join(event.delta for event in got[:2]) == got[2].text == "Hello world"
    assert got[2].usage.input_tokens == 70
    assert got[2].usage.cost == pytest.approx(0.00009)
    [call] = shop.upstream.calls_of(model)
    assert call.body["stream"] == "true"
    event = books.only(shop.organization)
    assert (event.streamed, event.basis, event.charge_nanousd) == (True, "reported", 90_000)


def test_model_without_streams_is_streamed_as_one_piece(shop):
    model = sell(shop, "transcription", **PER_SECOND)

    with client_of(shop).audio.transcriptions.create(model=model, file=WAV, stream=True) as stream:
        got = list(stream)

    assert [event.type for event in got] == ["transcript.text.delta", "transcript.text.done"]
    assert got[1].text == "Hello world"
    assert books.only(shop.organization).charge_nanousd == 700_000
    [call] = shop.upstream.calls_of(model)
    assert "stream" not in call.body


def test_stream_that_breaks_off_is_an_error_and_what_came_is_charged(shop):
    model = sell(shop, "transcription", **BY_TOKENS)
    parts = events({"type": "transcript.text.delta", "delta": "Hello"})
    shop.upstream.script(model, parts=parts, content_type="text/event-stream")

    with (
        pytest.raises(openai.APIError, match="broke"),
        client_of(shop).audio.transcriptions.create(model=model, file=WAV, stream=True) as stream,
    ):
        list(stream)

    event = books.only(shop.organization)
    assert (event.outcome, event.basis) == ("failed", "counted")
    assert (event.input_tokens, event.output_tokens) == (70, 1)


def test_client_that_leaves_pays_for_the_recording(shop):
    model = sell(shop, "transcription", **PER_SECOND)
    shop.upstream.script(model, delay_seconds=30)

    name, sound, kind = WAV
    content_type, data = form(("model", model), ("file", (name, kind, sound)))
    caller = Caller(shop, path="/v1/audio/transcriptions", data=data, content_type=content_type)
    shop.upstream.wait_for(model)
    caller.hang_up()

    event = books.only(shop.organization)
    assert (event.outcome, event.charge_nanousd) == ("client_left", 700_000)


def test_translation_takes_its_own_route(shop):
    model = sell(shop, "transcription", **PER_SECOND)

    with pytest.warns(
        DeprecationWarning, match="deprecated"
    ):  # the SDK's: Whisper is its last model
        answer = client_of(shop).audio.translations.create(model=model, file=WAV)

    assert answer.text == "Hello world"
    assert books.only(shop.organization).endpoint == "audio.translations"
    assert shop.upstream.calls_of(model)[0].path == "/v1/audio/translations"


def test_call_is_refused_before_it_is_sent_when_the_longest_it_can_be_is_too_dear(shop):
    model = sell(shop, "transcription", **PER_SECOND)
    secret = shop.make_key(budget_total_nanousd=500_000)

    with pytest.raises(openai.RateLimitError) as caught:
        client_of(shop, secret).audio.transcriptions.create(model=model, file=WAV)

    assert caught.value.code == "insufficient_quota"
    assert shop.upstream.calls_of(model) == []


def test_fields_nobody_knows_are_set_aside_and_named(shop):
    model = sell(shop, "transcription", **PER_SECOND)

    raw = client_of(shop).audio.transcriptions.with_raw_response.create(
        model=model, file=WAV, extra_body={"turbo": "yes"}
    )

    assert raw.headers["x-exerati-ignored-params"] == "turbo"
    assert "turbo" not in shop.upstream.calls_of(model)[0].body


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"response_format": "diarized_json"}, "unsupported_value"),
        ({"response_format": "yaml"}, "invalid_value"),
        ({"temperature": 2}, "invalid_value"),
        ({"stream": True, "response_format": "srt"}, "invalid_value"),
        ({"file": ("x.txt", b"hello", "text/plain")}, "invalid_value"),
        ({"chunking_strategy": {"type": "other"}}, "invalid_value"),
    ],
)
def test_what_cannot_be_served_is_refused_by_name(shop, fields, code):
    model = sell(shop, "transcription", **PER_SECOND)

    with pytest.raises(openai.BadRequestError) as caught:
        client_of(shop).audio.transcriptions.create(**{"model": model, "file": WAV, **fields})

    assert caught.value.code == code
    assert shop.upstream.calls_of(model) == []


WHOLE_FORM = form(("model", "a"), ("file", ("a.wav", "audio/wav", WAV[1])))
BAD_FORMS = {
    "no boundary": ("multipart/form-data", b"--x\r\n"),
    "no end": ("multipart/form-data; boundary=x", b"--x\r\ncontent-disposition: form-data\r\n"),
    "empty": ("multipart/form-data; boundary=x", b""),
    "cut short": (WHOLE_FORM[0], WHOLE_FORM[1].removesuffix(b"--b0--\r\n")),
    "many fields": form(*[(f"f{n}", "x") for n in range(80)]),
    "many files": form(*[("file", ("a.wav", "audio/wav", b"RIFF")) for _ in range(30)]),
    "long head": form(("x" * 5_000, "x")),
    "twice": form(("model", "a"), ("model", "b"), ("file", ("a.wav", "audio/wav", WAV[1]))),
    "no file": form(("model", "a")),
    "nul": form(("model", "a\0b"), ("file", ("a.wav", "audio/wav", WAV[1]))),
}


@pytest.mark.parametrize("name", BAD_FORMS)
def test_forms_that_mean_nothing_are_refused_in_json(shop, name):
    content_type, body = BAD_FORMS[name]

    answer = shop.gateway.request(
        "POST",
        "/v1/audio/transcriptions",
        key=shop.secret,
        body=body,
        headers={"content-type": content_type},
    )

    assert answer.status == 400, answer.body
    told = {
        "twice": "invalid_value",
        "nul": "invalid_value",
        "no file": "missing_required_parameter",
    }
    assert answer.error["code"] == told.get(name, "invalid_form")
    assert shop.upstream.calls == []


def test_json_is_no_form(shop):
    answer = shop.gateway.request("POST", "/v1/audio/transcriptions", key=shop.secret, body={})

    assert (answer.status, answer.error["code"]) == (415, "unsupported_media_type")
    assert "multipart/form-data" in answer.error["message"]


# Speech


def test_speech_comes_as_it_is_spoken_and_is_charged_by_characters(shop):
    model = sell(shop, "speech", **PER_CHARACTER)

    with client_of(shop).audio.speech.with_streaming_response.create(
        model=model, voice="alloy", input="Hello 👋"
    ) as answer:
        data = answer.read()

    assert data == b"".join(AUDIO)
    assert answer.headers["content-type"] == "audio/mpeg"
    assert answer.headers["x-exerati-cost-usd"] == "0.000105"
    assert answer.headers["x-request-id"].startswith("req_")
    event = books.only(shop.organization)
    assert (event.endpoint, event.usage_details) == ("audio.speech", {"characters": 7})
    assert event.charge_nanousd == 105_000


def test_speech_by_tokens_is_asked_for_in_events_which_alone_tell_them(shop):
    model = sell(shop, "speech", **BY_TOKENS)
    usage = {"input_tokens": 4, "output_tokens": 21, "total_tokens": 25}
    parts = events(
        {"type": "speech.audio.delta", "audio": base64.b64encode(b"abc").decode()},
        {"type": "speech.audio.delta", "audio": base64.b64encode(b"def").decode()},
        {"type": "speech.audio.done", "usage": usage},
    )
    shop.upstream.script(model, parts=parts, content_type="text/event-stream")

    answer = client_of(shop).audio.speech.create(
        model=model, voice="alloy", input="Hello", response_format="wav", instructions="Calm"
    )

    assert answer.content == b"abcdef"
    assert answer.response.headers["content-type"] == "audio/wav"
    [call] = shop.upstream.calls_of(model)
    assert (call.body["stream_format"], call.body["instructions"]) == ("sse", "Calm")
    event = books.only(shop.organization)
    assert (event.basis, event.input_tokens, event.output_tokens) == ("reported", 4, 21)
    assert event.charge_nanousd == 4_000 + 210_000


@pytest.mark.parametrize("rates", [PER_CHARACTER, BY_TOKENS])
def test_speech_in_events_works_for_every_model(shop, rates):
    model = sell(shop, "speech", **rates)
    if rates is BY_TOKENS:
        parts = events(
            {"type": "speech.audio.delta", "audio": base64.b64encode(b"abc").decode()},
            {
                "type": "speech.audio.done",
                "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
            },
        )
        shop.upstream.script(model, parts=parts, content_type="text/event-stream")

    answer = client_of(shop).audio.speech.create(
        model=model, voice="alloy", input="Hello", stream_format="sse"
    )

    lines = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    audio = b"".join(base64.b64decode(line["audio"]) for line in lines[:-1])
    assert audio == (b"abc" if rates is BY_TOKENS else b"".join(AUDIO))
    assert lines[-1]["type"] == "speech.audio.done"
    assert lines[-1]["usage"]["cost"] > 0
    assert books.only(shop.organization).charge_nanousd > 0


def test_broken_speech_is_cut_before_its_end_and_charged_whole(shop):
    model = sell(shop, "speech", **PER_CHARACTER)
    shop.upstream.script(model, parts=[b"a" * 1000, b"b"], abort_after=1, piece_seconds=0.2)

    with pytest.raises((openai.APIConnectionError, Exception)) as caught:
        client_of(shop).audio.speech.create(model=model, voice="alloy", input="Hello")

    assert "incomplete" in repr(caught.value) + repr(caught.value.__cause__)
    event = books.only(shop.organization)
    assert (event.outcome, event.basis, event.charge_nanousd) == ("failed", "counted", 75_000)


def test_silence_of_the_provider_puts_nothing_into_the_audio(shop):
    model = sell(shop, "speech", **PER_CHARACTER)
    shop.upstream.script(model, parts=[b"one", b"two"], piece_seconds=1.5)

    answer = client_of(shop).audio.speech.create(model=model, voice="alloy", input="Hello")

    assert answer.content == b"onetwo"


def test_client_that_leaves_speech_stops_the_provider(shop):
    model = sell(shop, "speech", **PER_CHARACTER)
    shop.upstream.script(model, parts=[b"x" * 1000] * 500, piece_seconds=0.05)

    with client_of(shop).audio.speech.with_streaming_response.create(
        model=model, voice="alloy", input="Hello"
    ) as answer:
        next(answer.iter_bytes())

    event = books.only(shop.organization, seconds=30)
    assert (event.outcome, event.charge_nanousd) == ("client_left", 75_000)
    [call] = shop.upstream.calls_of(model)
    wait_until(lambda: call.ended_at is not None, seconds=30)
    assert not call.finished


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"input": "x" * 4_097}, "invalid_value"),
        ({"input": ""}, "invalid_value"),
        ({"voice": {"id": "voice_1"}}, "invalid_value"),
        ({"response_format": "ogg"}, "invalid_value"),
        ({"speed": 9}, "invalid_value"),
    ],
)
def test_speech_that_cannot_be_is_refused(shop, fields, code):
    model = sell(shop, "speech", **PER_CHARACTER)

    with pytest.raises(openai.BadRequestError) as caught:
        client_of(shop).audio.speech.create(
            **{"model": model, "voice": "alloy", "input": "x", **fields}
        )

    assert caught.value.code == code


def test_model_whose_price_names_no_unit_of_audio_is_never_free(shop):
    model = sell(shop, "speech", image_nanousd=1)

    with pytest.raises(openai.InternalServerError) as caught:
        client_of(shop).audio.speech.create(model=model, voice="alloy", input="Hello")

    assert caught.value.code == "no_provider"
    assert shop.upstream.calls_of(model) == []


# The sandbox


def test_every_format_of_the_sandbox_can_be_read(shop):
    speech, transcription = (
        sell(shop, "speech", **PER_CHARACTER),
        sell(shop, "transcription", **PER_SECOND),
    )
    client = client_of(shop, shop.make_key(mode="test"))
    tone = client.audio.speech.create(
        model=speech, voice="alloy", input="Hello " * 10, response_format="wav"
    ).content

    with wave.open(BytesIO(tone)) as file:
        assert file.getnframes() == 4 * file.getframerate()
    heard = client.audio.transcriptions.create(
        model=transcription, file=("tone.wav", tone, "audio/wav")
    )
    assert heard.text == "This is a simulated transcript of 4 seconds of audio."
    mp3 = client.audio.speech.create(model=speech, voice="alloy", input="Hello").content
    assert mp3.startswith(b"\xff\xfb")
