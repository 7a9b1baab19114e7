"""The state of one call between admission and settlement."""

import asyncio
import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal, Protocol
from uuid import UUID

import msgspec

from apikeys.snapshots import KeySnapshot
from billing.price_book import Dated
from billing.types import AttemptRecord, Price, TokenBound, TokenUsage
from gateway import spoken
from gateway.providers.anthropic.anthropic_stream import AnthropicStream
from gateway.providers.base import StreamTranslator
from gateway.providers.openai.openai_stream import OpenAIStream
from gateway.rate_limits.limit_types import Allowance, TakeSlot
from gateway.routes import preferences
from gateway.routes.preferences import Preferences
from gateway.snapshot import ModelSnapshot, RouteSnapshot
from gateway.tokens import count_text

CutReason = Literal[
    "",
    "client_left",
    "key_inactive",
    "deadline",
    "idle_upstream",
    "slow_reader",
    "lease_lost",
    "shutdown",
]


class CallCut(Exception):
    """The call was stopped before its answer was there; `reason` is a CutReason."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Pinged(Protocol):
    """A stream that can be kept open while its provider is silent."""

    async def ping(self) -> None: ...


class Candidate(msgspec.Struct, frozen=True):
    """
    One model that may serve a call: the one asked for, or a fallback that the customer named.

    `routes` are those that may serve it; empty: all of the model's.
    """

    model: ModelSnapshot
    price: Price
    bound: TokenBound
    routes: tuple[RouteSnapshot, ...] = ()


class OpenCall(msgspec.Struct, eq=False):
    """
    One admitted call. `cut` is how anybody stops it: the call itself then settles what was delivered.
    `count_input` counts the request's tokens, which is done only when the provider does not; `measure` does so for
    calls that are not priced by tokens alone, and returns all that was used so far.

    `model`, `price` and `bound` are those of the candidate that is being tried; `serving` is its route, in the
    call's try number `tries`. After `deadline` the call is cut; a
    deadline that the customer set is no fault of ours, so the prompt is charged then. `may_extend`: the customer
    named no maximum of output, so that its bound may be raised while it runs. `repeats`: the provider may read the
    prompt several times.

    Times are `time.monotonic()` seconds. `output_tokens` counts what was delivered up to the last progress
    report; the translator's text is counted and dropped then, so that long streams do not pile up. `audio_format` is
    that of an answer to be spoken, `audio_characters` the size in base64 of a whole one. `costs` are the versions of
    what the last route tried costs us.
    """

    request_id: UUID
    public_id: str
    endpoint: str
    key: KeySnapshot
    model: ModelSnapshot
    price: Price
    bound: TokenBound
    upper_nanousd: int
    slot: TakeSlot
    allowance: Allowance
    streamed: bool
    candidates: tuple[Candidate, ...] = ()
    wishes: Preferences = preferences.NONE
    sticky_key: str = ""
    deadline: float = math.inf
    deadline_is_theirs: bool = False
    drain: bool = False
    repeats: bool = False
    may_extend: bool = False
    audio_format: str = ""
    client_request_id: str = ""
    tags: tuple[str, ...] = ()
    started: float = msgspec.field(default_factory=time.monotonic)
    started_at: datetime = msgspec.field(default_factory=lambda: datetime.now(UTC))
    sent: bool = False
    client_left: bool = False
    cut_reason: CutReason = ""
    cuttable: "asyncio.Task[None] | None" = None
    translator: StreamTranslator | None = None
    stream: "Pinged | None" = None
    attempts: list[AttemptRecord] = msgspec.field(default_factory=list)
    costs: tuple[Dated, ...] = ()
    count_input: Callable[[], int] = lambda: 0
    measure: "Callable[[OpenCall], TokenUsage] | None" = None
    counted_input: int | None = None
    serving: RouteSnapshot | None = None
    tries: int = 0
    attempt_started: float = 0.0
    output_tokens: int = 0
    audio_characters: int = 0
    first_token_ms: int | None = None
    last_read: float = 0.0
    last_sent: float = 0.0
    sending_since: float = 0.0

    @property
    def elapsed_ms(self) -> int:
        """Milliseconds since admission."""
        return int((time.monotonic() - self.started) * 1000)

    @property
    def drains(self) -> bool:
        """Whether the provider may finish for a client that has left."""
        return self.drain or self.key.drain_on_disconnect

    def serve_with(self, candidate: Candidate) -> None:
        """Turn to a model that may serve the call."""
        self.model, self.price, self.bound = candidate.model, candidate.price, candidate.bound

    def cut(self, reason: CutReason) -> None:
        """Stop the call if it is waiting for its provider or its client; the first reason stands."""
        if self.cut_reason or self.cuttable is None:
            return
        self.cut_reason = reason
        self.cuttable.cancel()

    def take_back_cut(self) -> None:
        """Let the call go on after a cut that its own task has caught."""
        if self.cuttable is not None:
            self.cuttable.uncancel()
        self.cut_reason = ""

    def forgive(self, seconds: float) -> None:
        """Leave so many seconds out of what its provider and its client have been waited for."""
        if self.last_read:
            self.last_read += seconds
        if self.sending_since:
            self.sending_since += seconds

    def client_gone(self) -> None:
        """The client hung up: stop, unless its key asks to let the provider finish."""
        self.client_left = True
        if not self.drains:
            self.cut("client_left")

    def count_output(self) -> int:
        """Return the tokens delivered so far, audio included, counting the text that came since the last time."""
        if self.translator is not None and self.translator.output_text:
            text = "".join(self.translator.output_text)
            self.translator.output_text.clear()
            self.output_tokens += count_text(text, model=self.model.name)
            if isinstance(self.translator, AnthropicStream):
                self.translator.counted_tokens = self.output_tokens
        return self.output_tokens + self._count_audio()

    @property
    def prompt_is_told(self) -> bool:
        """Whether the provider has said how long the prompt is, before the end of its stream."""
        return isinstance(self.translator, AnthropicStream) and self.translator.prompt is not None

    def delivered_usage(self) -> TokenUsage:
        """
        Return what the client got, as usage: the counted output, and the input as the provider told it, else counted.

        A prompt that was read again for the results of the provider's tools counts again, longer each time.
        """
        if self.measure is not None:
            return self.measure(self)
        said = self.translator if isinstance(self.translator, AnthropicStream) else None
        output_tokens = min(self.count_output(), self.bound.output_tokens)
        prompt = (said.prompt if said else None) or self._counted_prompt()
        beyond = said.readings.beyond if said else []
        input_tokens = prompt.input_tokens * (1 + len(beyond)) + sum(beyond)
        return msgspec.structs.replace(
            prompt,
            input_tokens=min(input_tokens, self.bound.input_tokens),
            longest_prompt_tokens=prompt.input_tokens + beyond[-1] if beyond else 0,
            output_tokens=output_tokens,
            audio_output_tokens=min(self._count_audio(), output_tokens),
            # What the provider made of the searches that it has begun is in no text.
            searches=min(said.searches if said else 0, self.bound.searches),
            service_tier=next(iter(self.price.service_tiers), ""),  # that which was asked for
        )

    def _counted_prompt(self) -> TokenUsage:
        if self.counted_input is None:
            self.counted_input = min(self.count_input(), self.bound.input_tokens)
        return TokenUsage(input_tokens=self.counted_input)

    def _count_audio(self) -> int:
        """Return the tokens of the sound delivered so far, by its length."""
        if not self.audio_format:
            return 0
        said = self.translator
        streamed = said.audio_characters if isinstance(said, OpenAIStream) else 0
        return spoken.tokens(self.audio_characters + streamed, audio_format=self.audio_format)
