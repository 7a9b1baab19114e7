"""Images by the official client: drawn and edited, whole and streamed, priced by the image or by tokens."""

import base64
import json

import openai
import pytest

from billing.types import Price, Rates
from gateway.media import image_calls
from tests.gateway import books, media_files
from tests.gateway.caller import Caller
from tests.gateway.media_shop import client_of, sell
from tests.upstream_media import IMAGE_USAGE

PER_IMAGE = {"image_nanousd": 20_000_000}
BY_TOKENS = {
    "input_microusd_per_mtok": 5_000_000,
    "image_input_microusd_per_mtok": 8_000_000,
    "output_microusd_per_mtok": 30_000_000,
}
CAT = ("cat.png", media_files.picture(), "image/png")


def bound(**body):
    price = Price(1, Rates(**BY_TOKENS))
    call = image_calls.parse_generation({"model": "gpt-image-2", "prompt": "A cat", **body})
    return call.bound(price)


def test_images_with_a_fee_are_charged_by_the_number_delivered(shop):
    model = sell(shop, "image", **PER_IMAGE)
    body = {"data": [{"url": "https://images.example/1.jpeg"}], "usage": {"cost_in_usd_ticks": 5}}
    shop.upstream.script(model, raw=json.dumps(body).encode())

    answer = client_of(shop).images.generate(model=model, prompt="A cat", n=2)

    assert answer.data[0].url == "https://images.example/1.jpeg"
    assert answer.usage.cost == pytest.approx(0.02)
    assert "ticks" not in answer.to_json()
    event = books.only(shop.organization)
    assert (event.endpoint, event.usage_details) == ("images.generations", {"images": 1})
    assert (event.charge_nanousd, event.upper_nanousd) == (20_000_000, 40_000_000)


def test_images_by_tokens_are_charged_by_what_the_provider_tells(shop):
    model = sell(shop, "image", **BY_TOKENS)

    raw = client_of(shop).images.with_raw_response.generate(
        model=model, prompt="A cat", size="1024x1024", quality="low", output_format="webp"
    )

    answer = raw.parse()
    assert answer.data[0].b64_json == "aW1hZ2U="
    assert answer.usage.output_tokens == 196
    cost = 10 * 5_000 + 40 * 8_000 + 196 * 30_000
    assert raw.headers["x-exerati-cost-usd"] == "0.00625"
    event = books.only(shop.organization)
    assert (event.basis, event.charge_nanousd) == ("reported", cost)
    [call] = shop.upstream.calls_of(model)
    assert call.body == {
        "model": model,
        "prompt": "A cat",
        "size": "1024x1024",
        "quality": "low",
        "output_format": "webp",
    }


def test_images_by_tokens_without_usage_are_counted_by_size_and_quality(shop):
    model = sell(shop, "image", **BY_TOKENS)
    shop.upstream.script(model, raw=b'{"created": 1, "data": [{"b64_json": "aW1hZ2U="}]}')

    client_of(shop).images.generate(model=model, prompt="cat", size="1024x1024", quality="medium")

    event = books.only(shop.organization)
    assert (event.basis, event.output_tokens) == ("counted", 1_756)
    assert event.charge_nanousd <= event.upper_nanousd


def test_edit_sends_pictures_and_mask_on_under_names_of_ours(shop):
    model = sell(shop, "image", **BY_TOKENS)
    dog = ("../dog.php", media_files.picture("a dog"), "text/html")

    answer = client_of(shop).images.edit(
        model=model, prompt="Swap them", image=[CAT, dog], mask=CAT, n=2, input_fidelity="high"
    )

    assert len(answer.data) == 2
    [call] = shop.upstream.calls_of(model)
    assert call.path == "/v1/images/edits"
    assert call.body["files"] == [
        ("image[]", "image-0.png", "image/png", CAT[1]),
        ("image[]", "image-1.png", "image/png", dog[1]),
        ("mask", "mask-2.png", "image/png", CAT[1]),
    ]
    assert (call.body["n"], call.body["prompt"], call.body["input_fidelity"]) == (
        "2",
        "Swap them",
        "high",
    )
    assert books.only(shop.organization).endpoint == "images.edits"


def test_edit_takes_addresses_in_json_and_never_fetches_them(shop):
    model = sell(shop, "image", **BY_TOKENS)
    images = [
        {"image_url": "https://canary.example/x.png"},
        {"image_url": "data:image/png;base64,AA=="},
    ]

    answer = shop.gateway.request(
        "POST",
        "/v1/images/edits",
        key=shop.secret,
        body={"model": model, "prompt": "Swap", "images": images},
    )

    assert answer.status == 200
    assert shop.upstream.calls_of(model)[0].body["images"] == images


@pytest.mark.parametrize("edit", [False, True])
def test_streamed_image_comes_in_parts_and_its_last_event_has_the_cost(shop, edit):
    model = sell(shop, "image", **BY_TOKENS)
    kind = "image_edit" if edit else "image_generation"
    shared = {
        "created_at": 1,
        "size": "1024x1024",
        "quality": "low",
        "background": "opaque",
        "output_format": "png",
    }
    bodies = [
        {"type": f"{kind}.partial_image", "b64_json": "AAAA", "partial_image_index": 0, **shared},
        {"type": f"{kind}.completed", "b64_json": "BBBB", **shared, "usage": IMAGE_USAGE},
    ]
    parts = [f"event: {body['type']}\ndata: {json.dumps(body)}\n\n".encode() for body in bodies]
    shop.upstream.script(model, parts=parts, content_type="text/event-stream")
    client = client_of(shop).images

    if edit:
        stream = client.edit(model=model, prompt="cat", image=CAT, stream=True, partial_images=1)
    else:
        stream = client.generate(model=model, prompt="cat", stream=True, partial_images=1)
    with stream:
        got = list(stream)

    assert [event.type for event in got] == [f"{kind}.partial_image", f"{kind}.completed"]
    assert [event.b64_json for event in got] == ["AAAA", "BBBB"]
    assert got[1].usage.output_tokens == 196
    assert got[1].usage.cost == pytest.approx(0.00625)
    event = books.only(shop.organization)
    assert (event.streamed, event.charge_nanousd) == (True, 6_250_000)


def test_no_image_is_free(shop):
    model = sell(shop, "image", **PER_IMAGE)
    shop.upstream.script(model, raw=b'{"data": []}')

    client_of(shop).images.generate(model=model, prompt="A cat")

    event = books.only(shop.organization)
    assert (event.outcome, event.charge_nanousd) == ("empty", 0)


def test_refusal_of_the_provider_is_told_in_its_words_and_free(shop):
    model = sell(shop, "image", **BY_TOKENS)
    error = {
        "message": "Invalid image data.",
        "type": "image_generation_user_error",
        "param": "images[0].image_url",
        "code": "invalid_image_file",
    }
    shop.upstream.script(model, status=400, error=error)

    with pytest.raises(openai.BadRequestError, match="Invalid image data") as caught:
        client_of(shop).images.edit(model=model, prompt="x", image=CAT)

    assert (caught.value.code, caught.value.param) == ("invalid_image_file", "images[0].image_url")
    assert books.only(shop.organization).charge_nanousd == 0


def test_client_that_leaves_pays_for_the_images_that_are_drawn_on(shop):
    model = sell(shop, "image", **PER_IMAGE)
    shop.upstream.script(model, delay_seconds=30)

    caller = Caller(
        shop, path="/v1/images/generations", model=model, prompt="A cat", n=3, stream=False
    )
    shop.upstream.wait_for(model)
    caller.hang_up()

    event = books.only(shop.organization)
    assert (event.outcome, event.charge_nanousd) == ("client_left", 60_000_000)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"n": 11}, "invalid_value"),
        ({"n": 0}, "invalid_value"),
        ({"size": "99999x99999"}, "invalid_value"),
        ({"size": "huge"}, "invalid_value"),
        ({"quality": "max"}, "unsupported_value"),
        ({"output_format": "gif"}, "unsupported_value"),
        ({"partial_images": 2}, "invalid_value"),
        ({"extra_body": {"complexity": "high"}}, "unsupported_parameter"),
        ({"extra_body": {"frame_count": 16}}, "unsupported_parameter"),
        ({"prompt": ""}, "invalid_value"),
    ],
)
def test_what_could_cost_more_than_is_bounded_is_refused(shop, fields, code):
    model = sell(shop, "image", **PER_IMAGE)

    with pytest.raises(openai.BadRequestError) as caught:
        client_of(shop).images.generate(**{"model": model, "prompt": "A cat", **fields})

    assert caught.value.code == code
    assert shop.upstream.calls_of(model) == []


@pytest.mark.parametrize(
    "image", [("x.svg", b"<svg/>", "image/svg+xml"), ("x.png", b"", "image/png")]
)
def test_what_is_no_picture_is_not_sent(shop, image):
    model = sell(shop, "image", **BY_TOKENS)

    with pytest.raises(openai.BadRequestError):
        client_of(shop).images.edit(model=model, prompt="x", image=image)

    assert shop.upstream.calls_of(model) == []


def test_files_of_a_provider_s_storage_are_nobody_s_here(shop):
    model = sell(shop, "image", **BY_TOKENS)
    body = {"model": model, "prompt": "x", "images": [{"file_id": "file-abc"}]}

    answer = shop.gateway.request("POST", "/v1/images/edits", key=shop.secret, body=body)

    assert (answer.status, answer.error["code"]) == (400, "unsupported_value")
    assert answer.error["param"] == "images[0].file_id"


def test_bound_follows_count_quality_size_and_partial_images():
    square = bound(size="1024x1024", quality="high")
    assert square.output_tokens >= 7_024  # OpenAI's own figure
    assert bound(size="1024x1024", quality="high", n=4).output_tokens == 4 * square.output_tokens
    assert bound(size="1024x1024", quality="low").output_tokens < square.output_tokens
    assert bound(size="3584x2048", quality="high").output_tokens >= 12_329
    streamed = bound(size="1024x1024", quality="high", stream=True, partial_images=3)
    assert streamed.output_tokens == square.output_tokens + 300
    assert bound().output_tokens >= bound(size="1536x1024", quality="high").output_tokens


def test_sandbox_draws_real_pictures_of_the_size_asked_for(shop):
    model = sell(shop, "image", **BY_TOKENS)
    client = client_of(shop, shop.make_key(mode="test"))

    answer = client.images.generate(model=model, prompt="A cat", n=2, size="640x480")
    again = client.images.generate(model=model, prompt="A cat", n=2, size="640x480")

    pictures = [base64.b64decode(image.b64_json) for image in answer.data]
    assert [media_files.pixels_of(picture) for picture in pictures] == [(640, 480)] * 2
    assert pictures[0] != pictures[1]
    assert answer.data[0].b64_json == again.data[0].b64_json
    edited = client.images.edit(model=model, prompt="A dog", image=CAT)
    assert edited.usage.input_tokens_details.image_tokens > 0
    with client.images.generate(
        model=model, prompt="A cat", stream=True, partial_images=2
    ) as stream:
        assert [event.type.rpartition(".")[2] for event in stream] == [
            "partial_image",
            "partial_image",
            "completed",
        ]
