"""
Checks of single request fields, and the one exception they raise. Pure, and on the hot path.

Each check takes a value and the path of its field, as OpenAI writes it (`messages[0].role`), and returns nothing
or raises InvalidRequest with a sentence that says what to do.
"""

from collections.abc import Callable
from typing import Any, Final, NoReturn

Check = Callable[[Any, str], None]

_KINDS: Final = {
    bool: "a boolean",
    dict: "an object",
    float: "a number",
    int: "an integer",
    list: "an array",
    str: "a string",
    type(None): "null",
}


class InvalidRequest(Exception):
    """A field of the request cannot be honoured; `code` is OpenAI's word for why."""

    def __init__(self, message: str, *, param: str | None, code: str) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code


def missing(param: str) -> NoReturn:
    """Refuse a request without a field it needs."""
    raise InvalidRequest(
        f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter"
    )


def wrong_type(value: object, param: str, *, expected: str) -> NoReturn:
    """Refuse a value of another type than `expected` (such as "a string")."""
    found = _KINDS.get(value.__class__, "something else")
    raise InvalidRequest(
        f"Invalid type for '{param}': expected {expected}, but got {found} instead.",
        param=param,
        code="invalid_type",
    )


def wrong_value(param: str, message: str) -> NoReturn:
    """Refuse a value of the right type that means nothing here; `message` says which ones do."""
    raise InvalidRequest(
        f"Invalid value for '{param}': {message}", param=param, code="invalid_value"
    )


def unsupported_value(param: str, message: str) -> NoReturn:
    """Refuse a value that OpenAI knows and Exerati does not serve."""
    raise InvalidRequest(
        f"Unsupported value for '{param}': {message}", param=param, code="unsupported_value"
    )


def unsupported(reason: str) -> Check:
    """Return a check that refuses a parameter whatever its value, and says why."""

    def check(value: Any, param: str) -> None:
        raise InvalidRequest(
            f"Unsupported parameter: '{param}' is not supported. {reason}",
            param=param,
            code="unsupported_parameter",
        )

    return check


def text(value: Any, param: str) -> None:
    """Demand a string."""
    if value.__class__ is not str:
        wrong_type(value, param, expected="a string")


def name(value: Any, param: str) -> None:
    """Demand a short string that PostgreSQL can store."""
    text(value, param)
    if not value or len(value) > 512 or "\x00" in value:
        wrong_value(param, "expected 1 to 512 characters, without NUL.")


def boolean(value: Any, param: str) -> None:
    """Demand true or false."""
    if value.__class__ is not bool:
        wrong_type(value, param, expected="a boolean")


def mapping(value: Any, param: str) -> None:
    """Demand an object."""
    if value.__class__ is not dict:
        wrong_type(value, param, expected="an object")


def integer(low: int, high: int) -> Check:
    """Return a check for an integer in [low, high]."""

    def check(value: Any, param: str) -> None:
        if value.__class__ is not int:
            wrong_type(value, param, expected="an integer")
        if not low <= value <= high:
            wrong_value(param, f"expected an integer from {low} to {high}, but got {value}.")

    return check


def number(low: float, high: float) -> Check:
    """Return a check for a number in [low, high]."""

    def check(value: Any, param: str) -> None:
        if value.__class__ is not float and value.__class__ is not int:
            wrong_type(value, param, expected="a number")
        if not low <= value <= high:
            wrong_value(param, f"expected a number from {low:g} to {high:g}, but got {value}.")

    return check


def choice(*values: str) -> Check:
    """Return a check for one of some strings."""
    allowed = frozenset(values)
    listed = ", ".join(f"'{value}'" for value in values)

    def check(value: Any, param: str) -> None:
        text(value, param)
        if value not in allowed:
            wrong_value(param, f"expected one of {listed}, but got '{value[:60]}'.")

    return check
