"""Values that billing exchanges with the gateway: frozen, plain, without Django."""

from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

Basis = Literal["reported", "counted", "estimated", "waived"]
Outcome = Literal["finished", "client_left", "failed", "empty", "lost"]
Mode = Literal["live", "test"]
UsageFlag = Literal["", "negative", "inconsistent", "over_bound", "clamped"]


class TokenUsage(msgspec.Struct, frozen=True):
    """
    What one call used. Cached, audio and image input are inside `input_tokens`; reasoning, audio and image
    output are inside `output_tokens`. All counts are 0 or more. `service_tier` is the provider's own word for the
    tier that served the call, empty for the ordinary one.

    `input_tokens` of a call whose prompt was read several times (a tool that the provider runs) are those of all
    readings; `longest_prompt_tokens` are those of the longest one then, and 0 where there was one reading, or where
    nobody told.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    audio_input_tokens: int = 0
    audio_output_tokens: int = 0
    image_input_tokens: int = 0
    image_output_tokens: int = 0
    images: int = 0
    seconds: int = 0
    characters: int = 0
    searches: int = 0
    calls: int = 0
    longest_prompt_tokens: int = 0
    service_tier: str = ""


class TokenBound(msgspec.Struct, frozen=True):
    """
    The most a call may use: input tokens, output tokens in all (every choice, reasoning included), units.

    The classes say how many of the input (output) tokens may be of a class that has a rate of its own; None is
    any number, up to all of them.
    """

    input_tokens: int
    output_tokens: int = 0
    images: int = 0
    seconds: int = 0
    characters: int = 0
    searches: int = 0
    calls: int = 1
    cache_write_5m_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    audio_input_tokens: int | None = None
    image_input_tokens: int | None = None
    audio_output_tokens: int | None = None
    image_output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Rates:
    """Rates in micro-USD per million tokens (= pico-USD per token) and nano-USD per unit; None: not priced."""

    input_microusd_per_mtok: int | None = None
    output_microusd_per_mtok: int | None = None
    cache_read_microusd_per_mtok: int | None = None
    cache_write_5m_microusd_per_mtok: int | None = None
    cache_write_1h_microusd_per_mtok: int | None = None
    reasoning_microusd_per_mtok: int | None = None
    audio_input_microusd_per_mtok: int | None = None
    audio_output_microusd_per_mtok: int | None = None
    image_input_microusd_per_mtok: int | None = None
    image_output_microusd_per_mtok: int | None = None
    image_nanousd: int | None = None
    second_nanousd: int | None = None
    character_nanousd: int | None = None
    search_nanousd: int | None = None
    call_nanousd: int | None = None

    def given(self) -> dict[str, int]:
        """Return the rates that are priced, by name."""
        pairs = ((name, getattr(self, name)) for name in RATE_NAMES)
        return {name: rate for name, rate in pairs if rate is not None}


RATE_NAMES = tuple(rate.name for rate in fields(Rates))


@dataclass(frozen=True, slots=True)
class Tier:
    """Rates that hold for the whole request once its input has more than so many tokens."""

    above_input_tokens: int
    rates: Rates


@dataclass(frozen=True, slots=True)
class Price:
    """One price version: base rates, tiers by prompt size in rising order, and rates by service tier."""

    version_id: int
    rates: Rates
    tiers: tuple[Tier, ...] = ()
    service_tiers: dict[str, "Price"] = field(default_factory=dict)


class ReserveRequest(msgspec.Struct, frozen=True):
    """
    What `budgets.reserve` asks for one call. `upper_nanousd` is 0 or more, and 0 for test keys.

    `fallback_models` are the other models that may serve it: the bound is held on their counters, too.
    `input_cost_nanousd` is what a provider may charge us once it has the request, whatever becomes of it; None:
    unknown.
    """

    request_id: UUID
    organization_id: int
    project_id: int
    key_id: int
    mode: Mode
    endpoint: str
    model: str
    price_version_id: int
    upper_nanousd: int
    streamed: bool
    fallback_models: tuple[str, ...] = ()
    input_cost_nanousd: int | None = None
    service_tier: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a call was not admitted: the scope that refused, its counters, and when the period ends."""

    scope: str
    period: str
    cap_nanousd: int
    posted_nanousd: int
    held_nanousd: int
    needed_nanousd: int
    frees_at: datetime | None

    @property
    def affordable_nanousd(self) -> int:
        """What would still fit."""
        return max(0, self.cap_nanousd - self.posted_nanousd - self.held_nanousd)


class AttemptRecord(msgspec.Struct):
    """One try at one provider, filled while it runs and stored with the settlement."""

    number: int
    provider: str
    upstream_model: str
    started_at: datetime
    upstream_id: str = ""
    status: int | None = None
    error_code: str = ""
    provider_cost_nanousd: int | None = None
    first_byte_ms: int | None = None
    duration_ms: int | None = None


class Settlement(msgspec.Struct, frozen=True):
    """
    How one call ended, for `metering.settle`. `charge_nanousd` is what is to be posted (never above the
    reservation), `price_nanousd` what the usage costs by the rates.

    `model` and `price_version_id` are what served; left out, they are those of the reservation. A model that
    the reservation does not name fails the settlement. `tags` are labels for reports, never a payer. `service_tier`
    is that of the price version whose rates made the price, empty for its base rates.
    """

    request_id: UUID
    usage: TokenUsage
    outcome: Outcome
    basis: Basis
    price_nanousd: int
    charge_nanousd: int
    provider_cost_nanousd: int | None = None
    provider: str = ""
    upstream_model: str = ""
    upstream_id: str = ""
    status: int = 200
    error_code: str = ""
    finish_reason: str = ""
    first_token_ms: int | None = None
    duration_ms: int | None = None
    client_request_id: str = ""
    attempts: tuple[AttemptRecord, ...] = ()
    model: str = ""
    price_version_id: int | None = None
    usage_flag: UsageFlag = ""
    tags: tuple[str, ...] = ()
    service_tier: str = ""
