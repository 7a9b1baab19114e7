"""Requests to moderate content: what is checked, and the most they may use. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from billing.types import Price, TokenBound
from gateway import wire_checks
from gateway.media import units
from gateway.serializers import checked_fields
from gateway.wire_checks import Check, missing, wrong_type, wrong_value

MAX_INPUTS: Final = 2_048
DEFAULT_MODEL: Final = "omni-moderation-latest"  # OpenAI's own default


@dataclass(frozen=True, slots=True)
class ModerationCall:
    """A checked request; `body` holds the input alone."""

    model: str
    body: dict[str, Any]
    ignored: tuple[str, ...] = ()

    def bound(self, price: Price) -> TokenBound:
        """Return the most this call may use. Raises PriceMissing."""
        rates = units.require(price, "call_nanousd", "input_microusd_per_mtok")
        return units.priced(
            TokenBound(input_tokens=len(msgspec.json.encode(self.body)), calls=1), rates=rates
        )


def parse_moderation(body: dict[str, Any]) -> ModerationCall:
    """Return the checked call of POST /v1/moderations. Raises InvalidRequest."""
    known, ignored = checked_fields(body, _CHECKS)
    if "input" not in known:
        missing("input")
    return ModerationCall(
        model=known.pop("model", DEFAULT_MODEL), body={"input": known["input"]}, ignored=ignored
    )


def _input(value: Any, param: str) -> None:
    if value.__class__ is str:
        return
    if value.__class__ is not list:
        wrong_type(value, param, expected="a string, an array of strings, or an array of parts")
    if not 0 < len(value) <= MAX_INPUTS:
        wrong_value(param, f"expected 1 to {MAX_INPUTS:,} inputs, but got {len(value)}.")
    texts = value[0].__class__ is str
    for position, item in enumerate(value):
        path = f"{param}[{position}]"
        wire_checks.text(item, path) if texts else _part(item, path)


def _part(value: Any, param: str) -> None:
    wire_checks.mapping(value, param)
    kind = value.get("type")
    wire_checks.choice("text", "image_url")(kind, f"{param}.type")
    if kind == "text":
        wire_checks.text(value.get("text"), f"{param}.text")
        return
    wire_checks.mapping(value.get("image_url"), f"{param}.image_url")
    url = value["image_url"].get("url")
    wire_checks.text(url, f"{param}.image_url.url")
    if not url.startswith(("https://", "data:image/")):
        wrong_value(
            f"{param}.image_url.url", "expected an https address or a data URL of an image."
        )


_CHECKS: Final[Mapping[str, Check]] = {"model": wire_checks.name, "input": _input}
