"""
What a provider answers that nobody foresaw: one place where it becomes an error of the provider's, not one of ours.

Translators refuse by name what they know to be wrong. Here is the rest: values of a wrong type that would go on to a
customer whose types break on them, and whatever a translator stumbles over. Both are a `bad_answer`, so that another
route is tried as long as nothing was sent.
"""

import logging
from typing import Any, Final, TypeVar

import msgspec

from gateway.providers.base import ProviderError

Kind = TypeVar("Kind", bound=msgspec.Struct)

logger = logging.getLogger(__name__)

# What code raises that reads values of a shape it did not expect.
MALFORMED: Final = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    msgspec.MsgspecError,
)


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _Call(msgspec.Struct):
    id: str | None = None
    type: str | None = None
    function: _Function | None = None
    custom: dict[str, Any] | None = None


class _Detail(msgspec.Struct):
    type: str | None = None
    format: str | None = None
    text: str | None = None
    summary: str | None = None
    signature: str | None = None
    data: str | None = None


class _Words(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    reasoning_details: list[_Detail] | None = None
    function_call: _Function | None = None
    annotations: list[dict[str, Any]] | None = None


class _Said(_Words):
    tool_calls: list[_Call] | None = None


class _Piece(msgspec.Struct):
    index: int
    delta: _Said
    finish_reason: str | None = None


class _WholeFunction(msgspec.Struct):
    name: str
    arguments: str


class _WholeCall(msgspec.Struct):
    id: str
    type: str
    function: _WholeFunction | None = None
    custom: dict[str, Any] | None = None


class _Message(_Words):
    tool_calls: list[_WholeCall] | None = None


class _Choice(msgspec.Struct):
    index: int
    message: _Message
    finish_reason: str | None = None


class _Answer(msgspec.Struct):
    choices: list[_Choice]


def check_choice(choice: dict[str, Any]) -> None:
    """Refuse a choice of a stream's chunk that is not of OpenAI's types. Raises ProviderError."""
    _converted(choice, _Piece)


def check_answer(body: dict[str, Any]) -> None:
    """Refuse a whole chat answer that is not of OpenAI's types. Raises ProviderError."""
    for choice in _converted(body, _Answer).choices:
        if any(not (call.function or call.custom) for call in choice.message.tool_calls or ()):
            raise _wrong()


def unreadable(error: BaseException) -> ProviderError:
    """Return what to tell of an answer that a translator stumbled over; the log has where."""
    logger.error("an answer of a provider could not be read", exc_info=error)
    return ProviderError("bad_answer", "The provider's answer could not be read.")


def _converted(value: dict[str, Any], kind: type[Kind]) -> Kind:
    try:
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, UnicodeEncodeError):
        raise _wrong() from None


def _wrong() -> ProviderError:
    return ProviderError("bad_answer", "The provider's answer has values of wrong types.")
