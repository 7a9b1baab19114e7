"""Answers of images and audio have each field that OpenAI's schemas require, also where the provider told another."""

import json
from typing import Any

import pytest

from tests.gateway import books
from tests.gateway.media_shop import client_of, sell
from tests.gateway.test_audio import BY_TOKENS, PER_SECOND, WAV, events

Json = dict[str, Any]
# Mistral's (https://docs.mistral.ai/api/#tag/audio.transcriptions, read 2026-11).
VOXTRAL: Json = {"prompt_audio_seconds": 7, "prompt_tokens": 70, "completion_tokens": 5}


def sound(answer: Any) -> Any:
    """Return the answer, checked against its model as the SDK itself never does."""
    type(answer).model_validate(answer.to_dict())
    return answer


@pytest.mark.parametrize(
    ("rates", "usage", "expected"),
    [
        (BY_TOKENS, VOXTRAL, ("tokens", 70)),
        (BY_TOKENS, None, ("tokens", 70)),
        (PER_SECOND, VOXTRAL, ("duration", 7)),
        (PER_SECOND, None, ("duration", 7)),
    ],
)
def test_transcripts_tell_usage_in_one_of_two_forms(shop, rates, usage, expected):
    model = sell(shop, "transcription", **rates)
    raw = {"text": "Hi", **({"usage": usage} if usage else {})}
    shop.upstream.script(model, raw=json.dumps(raw).encode())

    answer = sound(client_of(shop).audio.transcriptions.create(model=model, file=WAV))

    told = answer.usage
    found = told.input_tokens if told.type == "tokens" else told.seconds
    assert (told.type, found) == expected


@pytest.mark.parametrize("rates", [BY_TOKENS, PER_SECOND])
def test_streamed_transcripts_tell_tokens_alone(shop, rates):
    model = sell(shop, "transcription", **rates)
    parts = events({"type": "transcript.text.done", "text": "Hi", "usage": VOXTRAL})
    if rates is BY_TOKENS:
        shop.upstream.script(model, parts=parts, content_type="text/event-stream")

    got = list(client_of(shop).audio.transcriptions.create(model=model, file=WAV, stream=True))

    usage = sound(got[-1]).usage
    expected = 70 if rates is BY_TOKENS else 0
    assert (usage.type, usage.input_tokens, usage.seconds) == ("tokens", expected, 7)
    assert usage.cost * 10**9 == pytest.approx(books.only(shop.organization).charge_nanousd)


def test_verbose_transcript_is_whole_whoever_made_it(shop):
    model = sell(shop, "transcription", **BY_TOKENS)
    raw: Json = {"text": "Hi", "language": None, "segments": [], "words": [], "usage": VOXTRAL}
    shop.upstream.script(model, raw=json.dumps(raw).encode())

    answer = client_of(shop).audio.transcriptions.create(
        model=model, file=WAV, response_format="verbose_json", language="fr"
    )

    assert (sound(answer).language, answer.duration) == ("fr", 7.0)
    assert (answer.usage.type, answer.usage.seconds) == ("duration", 7)
    assert answer.words is None  # nobody asked for them


@pytest.mark.parametrize("stream", [False, True])
def test_images_tell_the_tokens_that_are_charged(shop, stream):
    model = sell(shop, "image", **BY_TOKENS)
    shop.upstream.script(model, raw=b'{"created": 1, "data": [{"b64_json": "AAAA"}]}')

    answer = client_of(shop).images.generate(
        model=model, prompt="A cat", size="1024x1024", quality="low", stream=stream
    )

    usage = (list(answer)[-1] if stream else sound(answer)).usage
    event = books.only(shop.organization)
    assert usage.input_tokens == event.input_tokens > 0
    assert usage.output_tokens == event.output_tokens > 0
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens
    assert sound(usage).input_tokens_details.image_tokens == 0


def test_test_keys_get_logprobs_and_no_words_that_nobody_asked_for(shop):
    model = sell(shop, "transcription", **BY_TOKENS)
    client = client_of(shop, shop.make_key(mode="test"))
    asked: Json = {"model": shop.model, "messages": [{"role": "user", "content": "Hi"}]}
    asked |= {"logprobs": True, "top_logprobs": 2}

    whole = sound(client.chat.completions.create(**asked)).choices[0]
    chunks = [sound(chunk) for chunk in client.chat.completions.create(**asked, stream=True)]
    text = client.audio.transcriptions.create(model=model, file=WAV, include=["logprobs"])
    with pytest.warns(DeprecationWarning, match="deprecated"):  # the SDK, of translations
        verbose = client.audio.translations.create(
            model=model, file=WAV, response_format="verbose_json"
        )

    tokens = whole.logprobs.content
    assert "".join(token.token for token in tokens) == whole.message.content
    assert {len(token.top_logprobs) for token in tokens} == {2}
    streamed = [c.choices[0].logprobs for c in chunks if c.choices and c.choices[0].logprobs]
    assert "".join(token.token for one in streamed for token in one.content) == (
        whole.message.content
    )
    assert "".join(token.token for token in sound(text).logprobs) == text.text
    assert verbose.task == "translate"
    assert "words" not in verbose.to_dict()
