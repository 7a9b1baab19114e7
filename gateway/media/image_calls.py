"""Requests for images: what is checked, and the most they may use. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from billing.types import Price, TokenBound, TokenUsage
from gateway import wire_checks
from gateway.media import form_fields, units
from gateway.media.forms import Form, Upload
from gateway.serializers import checked_fields
from gateway.tokens import count_text
from gateway.wire_checks import Check, missing, unsupported_value, wrong_type, wrong_value

MAX_IMAGES: Final = 10
MAX_INPUT_IMAGES: Final = 16
_SIZE: Final = re.compile(r"([1-9][0-9]{1,4})x([1-9][0-9]{1,4})")

# Output tokens of a square image, from the calculator in OpenAI's image generation guide
# (https://platform.openai.com/docs/guides/image-generation, formula as published at
# https://community.openai.com/t/1382699, read 2026-11): factor² x (2,000,000 + pixels) / 4,000,000, less for other
# shapes. GPT Image 1 and 1.5 take fewer (4,160 for 1024x1024 in high quality, where this gives 7,024).
_QUALITY_FACTORS: Final = {"low": 16, "medium": 48, "high": 96}
_OFFSET_PIXELS: Final = 2_000_000
_SCALE: Final = 4_000_000
_AUTO_PIXELS: Final = 1_536 * 1_024  # the largest size that `auto` chooses
_MAX_PIXELS: Final = 3_840 * 2_160
_MARGIN_TOKENS: Final = 1_024  # GPT Image 2.5 plans before it draws; no figure is published
_PARTIAL_TOKENS: Final = (
    100  # "each partial image will incur an additional 100 image output tokens", same guide
)
# GPT Image 1 in high fidelity: 65 + 129 a tile + 6,240 at most; later models always look that closely (same guide).
_INPUT_IMAGE_TOKENS: Final = 8_192
_INPUT_IMAGE_COUNTED: Final = 4_160
_PROMPT_TOKENS: Final = 128

_NOT_BOUNDED: Final = "No figure is published for what it costs."
_QUALITY: Final = wire_checks.choice(*_QUALITY_FACTORS, "auto", "standard", "hd", "xhigh", "max")


@dataclass(frozen=True, slots=True)
class ImageCall:
    """
    A checked request for images.

    `body` holds the known fields but for the model; `uploads` are the files of an edit, in the fields `image` and
    `mask`; `input_images` counts them, and those named by address.
    """

    model: str
    body: dict[str, Any]
    prompt: str
    n: int = 1
    stream: bool = False
    uploads: tuple[Upload, ...] = ()
    input_images: int = 0
    ignored: tuple[str, ...] = ()

    def bound(self, price: Price, *, least_each: int = 0) -> TokenBound:
        """
        Return the most this call may use; `least_each` is what an image may take of a provider that has its own
        measure. Raises PriceMissing.
        """
        rates = units.require(
            price, "image_nanousd", "output_microusd_per_mtok", "image_output_microusd_per_mtok"
        )
        pictures = self.input_images * _INPUT_IMAGE_TOKENS
        bound = TokenBound(
            input_tokens=_PROMPT_TOKENS + units.bytes_of(self.prompt) + pictures,
            output_tokens=self.n * max(self._output_tokens() + _MARGIN_TOKENS, least_each),
            images=self.n,
        )
        return units.priced(bound, rates=rates)

    @property
    def size(self) -> str:
        """The size asked for, "auto" for none."""
        return str(self.body.get("size", "auto"))

    def as_asked(self, price: Price, *, each: int | None = None) -> TokenUsage:
        """
        Return what the call uses if it is answered as asked, for when the provider does not tell; `each` is what an
        image takes where that is not OpenAI's measure.

        It is also what a client pays that leaves: providers draw on, and bill it.
        """
        pictures = self.input_images * _INPUT_IMAGE_COUNTED
        output = self.n * (self._output_tokens() if each is None else each)
        usage = TokenUsage(
            input_tokens=count_text(self.prompt, model=self.model) + pictures,
            output_tokens=output,
            image_input_tokens=pictures,
            image_output_tokens=output,
            images=self.n,
        )
        return units.priced(usage, rates=price.rates)

    def _output_tokens(self) -> int:
        factor = _QUALITY_FACTORS.get(self.body.get("quality", "auto"), _QUALITY_FACTORS["high"])
        tokens = -(-factor * factor * (_OFFSET_PIXELS + self._pixels()) // _SCALE)
        partial = self.body.get("partial_images", 0) if self.stream else 0
        return tokens + int(partial) * _PARTIAL_TOKENS

    def _pixels(self) -> int:
        size = _SIZE.fullmatch(self.size)
        return int(size[1]) * int(size[2]) if size else _AUTO_PIXELS


def parse_generation(body: dict[str, Any]) -> ImageCall:
    """Return the checked call of POST /v1/images/generations. Raises InvalidRequest."""
    return _call(body, _GENERATION_CHECKS)


def parse_edit(body: dict[str, Any]) -> ImageCall:
    """Return the checked call of POST /v1/images/edits with a JSON body. Raises InvalidRequest."""
    images = body.get("images")
    call = _call(body, _EDIT_JSON_CHECKS)
    if images is None:
        missing("images")
    return _with_images(call, count=len(call.body["images"]) + ("mask" in call.body))


def parse_edit_form(form: Form) -> ImageCall:
    """Return the checked call of POST /v1/images/edits with a form. Raises InvalidRequest."""
    images, masks = form.files_of("image"), form.files_of("mask")
    for upload in form.files:
        if upload.field not in ("image", "mask"):
            wrong_value(upload.field[:60] or "file", "files belong in 'image' or 'mask'.")
    if not images:
        missing("image")
    if len(images) > MAX_INPUT_IMAGES or len(masks) > 1:
        wrong_value("image", f"expected at most {MAX_INPUT_IMAGES} images and one mask.")
    for upload in form.files:
        if not content_type_of(upload.data):
            wrong_value(upload.field, "the file is none of these: png, webp, jpeg.")
    call = _call(form_fields.typed(form.texts, _FORM_TYPES), _EDIT_FORM_CHECKS)
    return _with_images(call, count=len(form.files), uploads=(*images, *masks))


def content_type_of(data: bytes) -> str:
    """Return the media type that the first bytes of an image show, "" for none that providers take."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    return "image/webp" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else ""


def _call(body: dict[str, Any], checks: Mapping[str, Check]) -> ImageCall:
    known, ignored = checked_fields(body, checks)
    for name in ("model", "prompt"):
        if name not in known:
            missing(name)
    stream = known.get("stream", False)
    if "partial_images" in known and not stream:
        wrong_value("partial_images", "it is only allowed when 'stream' is true.")
    return ImageCall(
        model=known.pop("model"),
        body=known,
        prompt=known["prompt"],
        n=known.get("n", 1),
        stream=stream,
        ignored=ignored,
    )


def _with_images(call: ImageCall, *, count: int, uploads: tuple[Upload, ...] = ()) -> ImageCall:
    return ImageCall(
        model=call.model,
        body=call.body,
        prompt=call.prompt,
        n=call.n,
        stream=call.stream,
        uploads=uploads,
        input_images=count,
        ignored=call.ignored,
    )


def _prompt(value: Any, param: str) -> None:
    wire_checks.text(value, param)
    if not 0 < len(value) <= 32_000:
        wrong_value(param, "expected 1 to 32,000 characters.")


def _quality(value: Any, param: str) -> None:
    _QUALITY(value, param)
    if value in ("xhigh", "max"):
        unsupported_value(param, f"'{value}' is not offered yet. {_NOT_BOUNDED} Use 'high'.")


def _size(value: Any, param: str) -> None:
    wire_checks.text(value, param)
    size = _SIZE.fullmatch(value)
    if size is None and value != "auto":
        wrong_value(param, "expected 'auto' or WIDTHxHEIGHT, such as '1024x1024'.")
    if size is not None and int(size[1]) * int(size[2]) > _MAX_PIXELS:
        wrong_value(param, "expected at most 3840x2160 pixels in all.")


def _output_format(value: Any, param: str) -> None:
    wire_checks.choice("png", "jpeg", "webp", "gif", "svg")(value, param)
    if value in ("gif", "svg"):
        unsupported_value(param, f"'{value}' is not offered yet. {_NOT_BOUNDED} Use 'png'.")


def _reference(value: Any, param: str) -> None:
    """An image named by address (data URL or public); files of OpenAI's storage would be another customer's."""
    wire_checks.mapping(value, param)
    if value.get("file_id") is not None:
        unsupported_value(f"{param}.file_id", "files are not stored here. Send 'image_url'.")
    if set(value) - {"image_url", "file_id"}:
        wrong_value(param, "expected an object with 'image_url' only.")
    wire_checks.text(value.get("image_url"), f"{param}.image_url")
    if not value["image_url"].startswith(("https://", "data:image/")):
        wrong_value(f"{param}.image_url", "expected an https address or a data URL of an image.")


def _references(value: Any, param: str) -> None:
    if value.__class__ is not list:
        wrong_type(value, param, expected="an array of objects")
    if not 0 < len(value) <= MAX_INPUT_IMAGES:
        wrong_value(param, f"expected 1 to {MAX_INPUT_IMAGES} images, but got {len(value)}.")
    for position, item in enumerate(value):
        _reference(item, f"{param}[{position}]")


# Every parameter of OpenAI's specification 2.3.0 (2026-08-21) and of its SDK 3.54. What may raise the price without a
# published figure is refused.
_SHARED: Final[Mapping[str, Check]] = {
    "model": wire_checks.name,
    "prompt": _prompt,
    "n": wire_checks.integer(1, MAX_IMAGES),
    "quality": _quality,
    "size": _size,
    "background": wire_checks.choice("transparent", "opaque", "auto"),
    "output_format": _output_format,
    "output_compression": wire_checks.integer(0, 100),
    "response_format": wire_checks.choice("url", "b64_json"),
    "stream": wire_checks.boolean,
    "partial_images": wire_checks.integer(0, 3),
    "user": wire_checks.name,
    "safety_identifier": wire_checks.name,
    "complexity": wire_checks.unsupported(_NOT_BOUNDED),
    "frame_count": wire_checks.unsupported(_NOT_BOUNDED),
    "frame_duration_ms": wire_checks.unsupported(_NOT_BOUNDED),
    "svg": wire_checks.unsupported(_NOT_BOUNDED),
}
_GENERATION_CHECKS: Final[Mapping[str, Check]] = {
    **_SHARED,
    "moderation": wire_checks.choice("low", "auto"),
    "style": wire_checks.choice("vivid", "natural"),
}
_EDIT_FORM_CHECKS: Final[Mapping[str, Check]] = {
    **_SHARED,
    "input_fidelity": wire_checks.choice("high", "low"),
}
_EDIT_JSON_CHECKS: Final[Mapping[str, Check]] = {
    **_EDIT_FORM_CHECKS,
    "moderation": wire_checks.choice("low", "auto"),
    "images": _references,
    "mask": _reference,
}
_FORM_TYPES: Final = {
    "n": "integer",
    "output_compression": "integer",
    "partial_images": "integer",
    "stream": "boolean",
}
