"""
The cells of the matrix: a fault, at a moment, in a stream or a whole answer, of one API; and what must come of it.

What is expected is written by hand from docs/site/errors.md and the settlement policy (docs/site/budgets.md), not
taken from the product: a kind of failure has one status and one code, wherever it comes from.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from tests.gateway.upstream_faults.dialects import DELIVERED_WORDS, Dialect
from tests.gateway.upstream_faults.stand_in import Link

Moment = Literal["headers", "start", "middle", "usage", "end"]
MOMENTS: Final[Mapping[Moment, str]] = {
    "headers": "before headers",
    "start": "before output",
    "middle": "in the middle",
    "usage": "before usage",
    "end": "after usage",
}
STREAM_MOMENTS: Final[tuple[Moment, ...]] = ("start", "middle", "usage", "end")
WHOLE_MOMENTS: Final[tuple[Moment, ...]] = ("middle", "usage", "end")

# Kind of failure -> what the customer is told.
TOLD: Final[Mapping[str, tuple[int, str]]] = {
    "bad_request": (400, "invalid_request"),
    "too_large": (413, "request_too_large"),
    "auth": (503, "provider_unavailable"),
    "quota": (503, "provider_unavailable"),
    "not_found": (503, "provider_unavailable"),
    "rate_limited": (503, "provider_overloaded"),
    "overloaded": (503, "provider_overloaded"),
    "server": (502, "provider_error"),
    "connection": (502, "provider_error"),
    "timeout": (504, "provider_timeout"),
    "bad_answer": (502, "provider_bad_answer"),
}
TRIES: Final = 3


@dataclass(frozen=True, slots=True)
class Expected:
    """
    What must come of a cell. `code` is "" for a good answer; `after_output`: the error comes inside a stream of status
    200. `bill`: nothing, the provider's word, or what was delivered by count. `tries` were sent, or tried to be.
    `rests`: the provider's account is left alone afterwards. `retry_after` is what the customer may be told.
    """

    status: int = 200
    code: str = ""
    bill: Literal["free", "reported", "counted"] = "free"
    tries: int = 1
    after_output: bool = False
    rests: bool = False
    retry_after: tuple[int, int] | None = None

    def __str__(self) -> str:
        told = "answered" if not self.code else f"{self.status} `{self.code}`"
        told = f"error event `{self.code}`" if self.after_output else told
        billed = {"free": "free", "reported": "charged", "counted": "charged by count"}[self.bill]
        tries = f", {self.tries} tries" if self.tries > 1 else ""
        return f"{told}, {billed}{tries}"


ANSWERED: Final = Expected(bill="reported")
COUNTED: Final = Expected(bill="counted")


def refused(kind: str, *, tries: int = 1, rests: bool = False) -> Expected:
    """Return what comes of a failure before any output."""
    status, code = TOLD[kind]
    return Expected(status, code, tries=tries, rests=rests)


def broken(kind: str) -> Expected:
    """Return what comes of a failure after output: an event in the stream, and a bill for what was delivered."""
    return Expected(200, TOLD[kind][1], bill="counted", after_output=True)


@dataclass(frozen=True, slots=True)
class Cell:
    """One case; `address` is where the provider's row points to when it is not the stand-in."""

    fault: str
    moment: Moment
    stream: bool
    dialect: Dialect
    expected: Expected
    play: Callable[["Cell", Link], Awaitable[bool]] | None
    address: str = ""

    def __str__(self) -> str:
        form = "stream" if self.stream else "whole"
        return f"{self.dialect.api}, {form}, {self.fault}, {MOMENTS[self.moment]}"

    @property
    def before(self) -> bytes:
        """What the provider has sent of its answer when the fault comes."""
        dialect = self.dialect
        if not self.stream:
            body = dialect.whole_body
            cut = {"middle": len(body) // 2, "usage": len(dialect.whole_before_usage)}
            return body[: cut.get(self.moment, len(body))]
        words = b"".join(dialect.words)
        told = b"" if dialect.finish_has_usage else dialect.finish
        return {
            "headers": b"",
            "start": dialect.start,
            "middle": dialect.start + b"".join(dialect.words[:DELIVERED_WORDS]),
            "usage": dialect.start + words + told,
            "end": dialect.start + words + dialect.finish + dialect.usage,
        }[self.moment]


def after_a_break(cell_moment: Moment, *, stream: bool, dialect: Dialect, kind: str) -> Expected:
    """
    Return what comes of an answer that ends at a moment by no fault in what was said.

    A stream whose provider has said why it ends is complete: with its usage, or without.
    """
    if not stream or cell_moment in ("headers", "start"):
        return refused(kind)
    if cell_moment == "end":
        return ANSWERED
    if cell_moment == "usage" and not dialect.finish_has_usage:
        return COUNTED
    return broken(kind)
