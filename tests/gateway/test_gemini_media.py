"""Images and speech by Gemini through the official client: translated, billed by its tokens, refused clearly."""

import base64
import json
import struct

import openai
import pytest

from gateway.models import Provider, Route
from gateway.providers.base import ProviderError, ServeAs
from gateway.providers.google import gemini_images
from tests.gateway import books, media_files
from tests.gateway.media_shop import client_of, sell

PNG = base64.b64encode(media_files.picture()).decode()
IMAGE_RATES = {
    "input_microusd_per_mtok": 300_000,
    "output_microusd_per_mtok": 2_500_000,
    "image_output_microusd_per_mtok": 30_000_000,
}
SPEECH_RATES = {"input_microusd_per_mtok": 1_000_000, "output_microusd_per_mtok": 18_000_000}
SAMPLES = bytes(range(200)) * 48  # 0.2 s
CAT = ("cat.png", media_files.picture(), "image/png")


@pytest.fixture
def gemini(shop):
    """The shop, whose provider speaks Gemini's API."""
    Provider.objects.filter(pk=shop.provider.pk).update(api="gemini")
    shop.relearn()
    return shop


def part(kind, data, **more):
    return {"inlineData": {"mimeType": kind, "data": data}, **more}


def told(*parts, reason="STOP", modality="IMAGE", tokens=1_290, thoughts=0):
    """Return a whole answer of Gemini."""
    return {
        "candidates": [{"content": {"parts": list(parts)}, "finishReason": reason, "index": 0}],
        "usageMetadata": {
            "promptTokenCount": 8,
            "candidatesTokenCount": tokens,
            "thoughtsTokenCount": thoughts,
            "totalTokenCount": 8 + tokens + thoughts,
            "candidatesTokensDetails": [{"modality": modality, "tokenCount": tokens}],
        },
        "responseId": "r-1",
    }


def refusal(shop, path, **body):
    """Return the error that a call is answered with, which is a 400."""
    answer = shop.gateway.request("POST", path, key=shop.secret, body=body)
    assert answer.status == 400
    return answer.json["error"]


def image_model(shop, **answer):
    model = sell(shop, "image", **IMAGE_RATES)
    shop.upstream.script(model, raw=json.dumps(told(part("image/png", PNG), **answer)).encode())
    return model


def speech_model(shop, *, raw, **behaviour):
    model = sell(shop, "speech", **SPEECH_RATES)
    shop.upstream.script(model, raw=raw, **behaviour)
    return model


def spoken(samples=SAMPLES, **more):
    encoded = base64.b64encode(samples).decode()
    said = part("audio/L16;codec=pcm;rate=24000", encoded)
    return json.dumps(told(said, modality="AUDIO", tokens=48, **more)).encode()


def test_image_is_drawn_and_charged_by_its_tokens(gemini):
    model = image_model(gemini, thoughts=100)

    answer = client_of(gemini).images.generate(
        model=model, prompt="A cat", size="1536x1024", quality="high"
    )

    assert answer.data[0].b64_json == PNG
    assert answer.usage.output_tokens_details.image_tokens == 1_290
    cost = 8 * 300 + 1_290 * 30_000 + 100 * 2_500
    assert answer.usage.cost == pytest.approx(cost / 10**9)
    event = books.only(gemini.organization)
    assert (event.basis, event.charge_nanousd, event.output_tokens) == ("reported", cost, 1_390)
    assert event.charge_nanousd <= event.upper_nanousd
    [call] = gemini.upstream.calls_of(model)
    assert call.path == f"/v1/models/{model}:generateContent"
    assert call.body == {
        "contents": [{"role": "user", "parts": [{"text": "A cat"}]}],
        "generationConfig": {
            "responseModalities": ["IMAGE"],
            "imageConfig": {"aspectRatio": "3:2"},
            "maxOutputTokens": event_bound(event),
        },
    }


def event_bound(event):
    """Return the output bound that was reserved, which is what the provider is held to."""
    return (event.upper_nanousd - 300 * input_bound(event)) // 30_000


def input_bound(event):
    return 128 + len("A cat")


def test_what_gemini_has_no_word_for_is_named_as_set_aside(gemini):
    model = image_model(gemini)

    raw = client_of(gemini).images.with_raw_response.generate(
        model=model, prompt="A cat", quality="low", moderation="low", style="vivid"
    )

    assert raw.headers["x-exerati-ignored-params"] == "quality,style,moderation"


def test_pictures_to_edit_go_inside_the_request_and_addresses_are_googles_to_fetch(gemini):
    model = image_model(gemini)
    client_of(gemini).images.edit(model=model, prompt="Swap them", image=[CAT, CAT])
    images = [{"image_url": "https://canary.example/x.png"}]

    gemini.gateway.request(
        "POST",
        "/v1/images/edits",
        key=gemini.secret,
        body={"model": model, "prompt": "Swap", "images": images},
    )

    first, second = (call.body["contents"][0]["parts"] for call in gemini.upstream.calls_of(model))
    assert first == [part("image/png", PNG), part("image/png", PNG), {"text": "Swap them"}]
    assert second[0] == {
        "fileData": {"mimeType": "image/png", "fileUri": "https://canary.example/x.png"}
    }


def test_streamed_image_is_one_completed_event_with_the_cost(gemini):
    model = image_model(gemini)

    stream = client_of(gemini).images.generate(
        model=model, prompt="A cat", stream=True, partial_images=2
    )
    [event] = list(stream)

    assert (event.type, event.b64_json) == ("image_generation.completed", PNG)
    assert event.usage.cost == pytest.approx((8 * 300 + 1_290 * 30_000) / 10**9)
    assert books.only(gemini.organization).basis == "reported"


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"n": 2}, "n"),
        ({"response_format": "url"}, "response_format"),
        ({"background": "transparent"}, "background"),
        ({"output_format": "webp"}, "output_format"),
        ({"size": "1000x300"}, "size"),
    ],
)
def test_what_gemini_cannot_draw_is_refused_before_it_is_asked(gemini, asked, param):
    model = image_model(gemini)

    refused = refusal(gemini, "/v1/images/generations", model=model, prompt="A cat", **asked)

    assert (refused["code"], refused["param"]) == ("unsupported_value", param)
    assert gemini.upstream.calls_of(model) == []
    assert books.only(gemini.organization).charge_nanousd == 0


def test_mask_is_refused(gemini):
    model = image_model(gemini)

    named = {"image_url": f"data:image/png;base64,{PNG}"}

    by_address = refusal(
        gemini, "/v1/images/edits", model=model, prompt="Swap", images=[named], mask=named
    )

    assert by_address["param"] == "mask"
    with client_of(gemini) as client, pytest.raises(openai.BadRequestError, match="no mask"):
        client.images.edit(model=model, prompt="Swap", image=CAT, mask=CAT)
    assert gemini.upstream.calls_of(model) == []


def test_image_that_a_filter_keeps_back_is_a_refusal_that_costs_nothing(gemini):
    model = sell(gemini, "image", **IMAGE_RATES)
    gemini.upstream.script(model, raw=json.dumps(told(reason="IMAGE_SAFETY", tokens=0)).encode())

    refused = refusal(gemini, "/v1/images/generations", model=model, prompt="A cat")

    assert refused["code"] == "content_policy_violation"
    assert books.only(gemini.organization).charge_nanousd == 0


def test_pictures_of_the_models_thoughts_are_not_the_answer():
    data = told(part("image/png", "AAAA", thought=True), part("image/png", "BBBB"))

    answer = gemini_images.answer(json.dumps(data).encode(), serve_as=ServeAs("i", "m", 1))

    assert [image["b64_json"] for image in answer.body["data"]] == ["BBBB"]


@pytest.mark.parametrize(
    ("model", "size", "shape"),
    [
        ("gemini-2.5-flash-image", "auto", {}),
        ("gemini-2.5-flash-image", "1024x1024", {"aspectRatio": "1:1"}),
        ("gemini-3-pro-image", "1024x1792", {"aspectRatio": "9:16", "imageSize": "2K"}),
        ("gemini-3-pro-image", "3840x2160", {"aspectRatio": "16:9", "imageSize": "4K"}),
        ("gemini-3.1-flash-image", "1024x1536", {"aspectRatio": "2:3", "imageSize": "1K"}),
    ],
)
def test_sizes_become_ratios_and_classes_of_size(model, size, shape):
    assert gemini_images._shape(size, model=model) == shape


def test_model_of_one_size_refuses_larger_ones():
    with pytest.raises(ProviderError, match="about 1024 pixels"):
        gemini_images._shape("2048x2048", model="gemini-2.5-flash-image")


def test_speech_is_a_wav_file_charged_by_its_tokens(gemini):
    model = speech_model(gemini, raw=spoken())

    answer = client_of(gemini).audio.speech.create(
        model=model, input="Hello", voice="alloy", instructions="Whisper"
    )

    head = answer.content[:44]
    assert answer.response.headers["content-type"] == "audio/wav"
    assert head[:4] + head[8:16] == b"RIFFWAVEfmt "
    assert struct.unpack("<HHI", head[20:28]) == (1, 1, 24_000)
    assert answer.content[44:] == SAMPLES
    event = books.only(gemini.organization)
    assert (event.basis, event.charge_nanousd) == ("reported", 8 * 1_000 + 48 * 18_000)
    [call] = gemini.upstream.calls_of(model)
    assert call.body["contents"][0]["parts"] == [{"text": "Whisper: Hello"}]
    config = call.body["generationConfig"]
    assert config["speechConfig"] == {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}}
    assert config["responseModalities"] == ["AUDIO"]


def test_later_models_stream_and_take_the_style_apart(gemini):
    model = sell(gemini, "speech", **SPEECH_RATES)
    route = f"gemini-3.8-flash-tts-{model}"
    Route.objects.filter(model__name=model).update(upstream_model=route)
    gemini.relearn()
    pieces = [SAMPLES[:100], SAMPLES[100:]]
    events = [
        b"data: "
        + spoken(piece, reason="" if last else "STOP").replace(b'"finishReason": "", ', b"")
        + b"\r\n\r\n"
        for piece, last in zip(pieces, (True, False), strict=True)
    ]
    gemini.upstream.script(route, raw=b"".join(events), content_type="text/event-stream")

    with client_of(gemini).audio.speech.with_streaming_response.create(
        model=model, input="Hello", voice="Puck", instructions="Whisper", response_format="pcm"
    ) as answer:
        said = b"".join(answer.iter_bytes())

    assert said == SAMPLES
    assert answer.headers["content-type"] == "audio/pcm"
    [call] = gemini.upstream.calls_of(route)
    assert call.path.endswith(":streamGenerateContent?alt=sse")
    assert call.body["contents"][0]["parts"] == [
        {"text": "Hello", "speechMetadata": {"style": "Whisper"}}
    ]
    assert call.body["generationConfig"]["speechConfig"] == {"voiceConfig": {"voice": "Puck"}}
    assert books.only(gemini.organization).charge_nanousd == 8 * 1_000 + 48 * 18_000


def test_speech_comes_as_events_where_they_are_asked_for(gemini):
    model = speech_model(gemini, raw=spoken())

    answer = gemini.gateway.request(
        "POST",
        "/v1/audio/speech",
        key=gemini.secret,
        body={"model": model, "input": "Hi", "voice": "Kore", "stream_format": "sse"},
    )

    events = [json.loads(block[6:]) for block in answer.body.decode().strip().split("\n\n")]
    assert [event["type"] for event in events] == ["speech.audio.delta", "speech.audio.done"]
    assert base64.b64decode(events[0]["audio"])[44:] == SAMPLES
    assert events[1]["usage"]["output_tokens"] == 48
    assert events[1]["usage"]["cost"] > 0


@pytest.mark.parametrize("asked", [{"response_format": "mp3"}, {"speed": 2.0}])
def test_what_gemini_cannot_speak_is_refused(gemini, asked):
    model = speech_model(gemini, raw=spoken())

    refused = refusal(gemini, "/v1/audio/speech", model=model, input="Hi", voice="Kore", **asked)

    assert refused["param"] == next(iter(asked))
    assert gemini.upstream.calls_of(model) == []


@pytest.mark.parametrize(
    "body",
    [told(reason="PROHIBITED_CONTENT", tokens=0), {"promptFeedback": {"blockReason": "SAFETY"}}],
)
def test_text_that_a_filter_refuses_is_a_refusal_that_costs_nothing(gemini, body):
    model = speech_model(gemini, raw=json.dumps(body).encode())

    refused = refusal(gemini, "/v1/audio/speech", model=model, input="Hi", voice="Kore")

    assert refused["code"] == "content_policy_violation"
    assert books.only(gemini.organization).charge_nanousd == 0
