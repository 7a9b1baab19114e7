"""
Images drawn by Gemini: OpenAI's image request as `generateContent`, and its answer as OpenAI's. Pure.

Source: https://ai.google.dev/gemini-api/docs/image-generation (read 2026-11). One call draws one image, always in
base64; a picture of up to 2K takes some 1,300 tokens, one of 4K some 2,500, and thoughts before it are beside them.
"""

import math
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import Any, Final

from msgspec.structs import replace

from gateway.providers import wire_json
from gateway.providers.base import ProviderError, ServeAs, Upstream, UpstreamRequest, WholeAnswer
from gateway.providers.google import gemini_config, gemini_errors, gemini_media, gemini_usage
from gateway.providers.google.gemini import GeminiAdapter
from gateway.providers.google.gemini_answer import check_prompt
from gateway.providers.google.gemini_errors import refused

USUAL_TOKENS: Final = 1_290
_USUAL_TOKENS_4K: Final = 2_520
_MOST_TOKENS: Final = 4_096
_MOST_TOKENS_4K: Final = 8_192
_SIZE: Final = re.compile(r"(\d+)x(\d+)")
_RATIOS: Final = ((1, 1), (2, 3), (3, 2), (3, 4), (4, 3), (4, 5), (5, 4), (9, 16), (16, 9), (21, 9))
_TOLERANCE: Final = 0.03  # OpenAI's 1792x1024 is 7:4, which is meant as 16:9
# The longest edge, in pixels, up to which each size is the nearest.
_EDGES: Final = (("1K", 1_600), ("2K", 2_600), ("4K", 4_096))
_SIZES_FROM: Final = (3, 0)
_SET_ASIDE: Final = ("quality", "style", "moderation", "output_compression", "partial_images")

Picture = str | tuple[str, bytes]  # an address or data URL, or a media type and the bytes


def request(
    adapter: GeminiAdapter,
    upstream: Upstream,
    *,
    upstream_model: str,
    body: Mapping[str, Any],
    pictures: Iterable[Picture],
    most_tokens: int,
) -> UpstreamRequest:
    """Return the request that draws or edits. Raises ProviderError for what Gemini cannot do."""
    _check(body)
    parts = [_picture(picture, position) for position, picture in enumerate(pictures)]
    config: dict[str, Any] = {"responseModalities": ["IMAGE"], "maxOutputTokens": most_tokens}
    if shape := _shape(str(body.get("size", "auto")), model=upstream_model):
        config["imageConfig"] = shape
    content = {"role": "user", "parts": [*parts, {"text": body["prompt"]}]}
    made = adapter.generate(
        upstream, model=upstream_model, body={"contents": [content], "generationConfig": config}
    )
    return replace(made, ignored=tuple(name for name in _SET_ASIDE if _is_wish(body, name)))


def answer(data: bytes, *, serve_as: ServeAs) -> WholeAnswer:
    """Return the image. Raises ProviderError, `content_policy` where a filter kept it back."""
    theirs = wire_json.decode_whole(data)
    if theirs.get("error"):
        raise gemini_errors.error_of(theirs)
    check_prompt(theirs)
    drawn, reason = _drawn(theirs)
    if not drawn:
        raise _kept_back(reason)
    raw = wire_json.mapping(theirs.get("usageMetadata"))
    usage = gemini_usage.read_usage(raw, has_output=True)
    body: dict[str, Any] = {
        "created": serve_as.created,
        "data": [{"b64_json": image["data"]} for image in drawn],
        "output_format": str(drawn[0].get("mimeType")).rpartition("/")[2],
    }
    if usage is not None:
        usage = replace(usage, images=len(drawn))
        body["usage"] = {
            "input_tokens": usage.input_tokens,
            "input_tokens_details": _by_kind(usage.input_tokens, usage.image_input_tokens),
            "output_tokens": usage.output_tokens,
            "output_tokens_details": _by_kind(usage.output_tokens, usage.image_output_tokens),
            "total_tokens": usage.input_tokens + usage.output_tokens,
        }
    return WholeAnswer(body=body, usage=usage, upstream_id=str(theirs.get("responseId") or ""))


def most_tokens(size: str) -> int:
    """Return the most output tokens of one image, which is also sent as the limit."""
    return _MOST_TOKENS_4K if _edge(size) > _EDGES[1][1] else _MOST_TOKENS


def usual_tokens(size: str) -> int:
    """Return the output tokens that one image usually takes."""
    return _USUAL_TOKENS_4K if _edge(size) > _EDGES[1][1] else USUAL_TOKENS


def no_mask() -> ProviderError:
    """Return the error for an edit that names the place to change by a mask."""
    return refused("This model takes no mask. Say in words what to change.", param="mask")


def _check(body: Mapping[str, Any]) -> None:
    if body.get("n", 1) != 1:
        raise refused("This model draws one image a call. Send 'n': 1.", param="n")
    if body.get("response_format") == "url":
        raise refused("This model answers in base64. Use 'b64_json'.", param="response_format")
    if body.get("output_format", "png") != "png":
        raise refused("This model chooses the format itself. Leave it out.", param="output_format")
    if body.get("background") == "transparent":
        raise refused("This model draws no transparent images.", param="background")
    if "mask" in body:
        raise no_mask()


def _is_wish(body: Mapping[str, Any], name: str) -> bool:
    """Whether a parameter was given that asks for something; `auto` asks for nothing."""
    return body.get(name) not in (None, "auto", 0)


def _picture(picture: Picture, position: int) -> dict[str, Any]:
    if isinstance(picture, str):
        return gemini_media.image_part({"url": picture}, param=f"images[{position}]")
    kind, data = picture
    return {"inlineData": {"mimeType": kind, "data": b64encode(data).decode()}}


def _shape(size: str, *, model: str) -> dict[str, str]:
    """Return ratio and size of the image, empty where the model is to choose."""
    found = _SIZE.fullmatch(size)
    if found is None:
        return {}
    width, height = int(found[1]), int(found[2])
    wide, high = min(_RATIOS, key=lambda ratio: abs(math.log(width * ratio[1] / height / ratio[0])))
    if abs(width * high / (height * wide) - 1) > _TOLERANCE:
        known = ", ".join(f"{w}:{h}" for w, h in _RATIOS)
        raise refused(f"This model draws images of {known}.", param="size")
    shape = {"aspectRatio": f"{wide}:{high}"}
    word = next((name for name, edge in _EDGES if max(width, height) <= edge), "4K")
    if gemini_config.generation(model) >= _SIZES_FROM:
        shape["imageSize"] = word
    elif word != "1K":
        raise refused("This model draws images of about 1024 pixels.", param="size")
    return shape


def _edge(size: str) -> int:
    found = _SIZE.fullmatch(size)
    return max(int(found[1]), int(found[2])) if found else 0


def _drawn(theirs: Mapping[str, Any]) -> tuple[list[Mapping[str, Any]], str]:
    """Return the images of all candidates but for those of the model's thoughts, and how the last one ended."""
    drawn: list[Mapping[str, Any]] = []
    reason = ""
    candidates = theirs.get("candidates")
    for candidate in candidates if isinstance(candidates, list) else ():
        candidate = wire_json.mapping(candidate)
        reason = str(candidate.get("finishReason") or reason)
        parts = wire_json.mapping(candidate.get("content")).get("parts")
        for part in parts if isinstance(parts, list) else ():
            part = wire_json.mapping(part)
            image = wire_json.mapping(part.get("inlineData"))
            if isinstance(image.get("data"), str) and image["data"] and not part.get("thought"):
                drawn.append(image)
    return drawn, reason


def _kept_back(reason: str) -> ProviderError:
    if reason in ("", "STOP", "MAX_TOKENS", "MALFORMED_RESPONSE"):
        return ProviderError("bad_answer", "The provider's answer has no image.")
    return ProviderError(
        "content_policy",
        f"The provider's content policy kept the image back ({reason[:60]}).",
        status=400,
        code=reason.lower()[:60],
    )


def _by_kind(all_tokens: int, image_tokens: int) -> dict[str, int]:
    return {"image_tokens": image_tokens, "text_tokens": all_tokens - image_tokens}
