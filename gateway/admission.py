"""
Admission of one request: a slot in the rate limits, then the upper bound of its price reserved on every budget.

Nothing is sent to a provider before both are done; from then on the call must be settled.
"""

import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple
from uuid import UUID

import msgspec
from django.conf import settings
from msgspec.structs import replace

from apikeys.snapshots import KeySnapshot
from billing import price_book, pricing
from billing.budgets import BudgetExceeded
from billing.types import Price, ReserveRequest, TokenBound, TokenUsage
from gateway import service_tiers
from gateway.engine import Engine
from gateway.open_call import Candidate, OpenCall
from gateway.provider_tools import PASSES
from gateway.rate_limits.limit_types import Allowance, TakeSlot
from gateway.routes import preferences
from gateway.routes.preferences import Preferences
from gateway.routes.routing import ModelNotFound
from gateway.settlement import input_cost
from gateway.snapshot import ModelSnapshot, RouteSnapshot

MIN_AFFORDABLE_TOKENS = 256
DEFAULT_RPM: int = settings.KEY_DEFAULT_RPM
DEFAULT_TPM: int = settings.KEY_DEFAULT_TPM
DEFAULT_CONCURRENCY: int = settings.KEY_DEFAULT_CONCURRENCY
HEADROOM_SHARE = 4  # a call that names no maximum may take a quarter of what is left


class RequestTooDear(Exception):
    """The request may cost more than its key's cap per request."""

    def __init__(self, *, needed_nanousd: int, cap_nanousd: int) -> None:
        super().__init__(needed_nanousd)
        self.needed_nanousd = needed_nanousd
        self.cap_nanousd = cap_nanousd


class Fallback(msgspec.Struct, frozen=True):
    """A model that the customer named to be tried after the one asked for, with this request's bound for it."""

    model: ModelSnapshot
    bound: TokenBound
    routes: tuple[RouteSnapshot, ...] = ()


class Admission(msgspec.Struct, frozen=True):
    """
    What `admit` needs to know of a request. `fixed_output`: the client itself set a maximum of tokens.

    `repeats` says that the provider may read the prompt several times, and its bound is of all readings.
    `routes` are those that may serve it (empty: all of the model's), `timeout_seconds` the client's own deadline,
    `tags` the labels in its body, `audio_format` that of an answer to be spoken.
    """

    request_id: UUID
    public_id: str
    key: KeySnapshot
    model: ModelSnapshot
    endpoint: str
    bound: TokenBound
    streamed: bool = False
    choices: int = 1
    fixed_output: bool = True
    service_tier: str = ""
    client_request_id: str = ""
    tags: str = ""
    count_input: Callable[[], int] = lambda: 0
    measure: Callable[[OpenCall], TokenUsage] | None = None
    routes: tuple[RouteSnapshot, ...] = ()
    fallbacks: tuple[Fallback, ...] = ()
    wishes: Preferences = preferences.NONE
    sticky_key: str = ""
    timeout_seconds: float | None = None
    drain: bool = False
    audio_format: str = ""
    repeats: bool = False


class Rehearsed(NamedTuple):
    """What an admission would hold: the bound of each model that may serve, the slot, and the most it may cost."""

    candidates: tuple[Candidate, ...]
    slot: TakeSlot
    allowance: Allowance
    upper_nanousd: int


Reserve = Callable[[ReserveRequest], Awaitable[None]]
Look = Callable[[TakeSlot], Awaitable[Allowance]]


async def admit(engine: Engine, admission: Admission) -> OpenCall:
    """
    Let the call in: rate limits, then money. From here on it must be settled.

    Raises RateLimited, BudgetExceeded, KeyInactive, RequestTooDear, BillingUnavailable, or InvalidRequest for a
    service tier without a price; then nothing is held.
    """
    candidates = _candidates(admission)
    slot = _slot(admission)
    allowance = await engine.limits.take(slot)
    try:
        candidates, upper = await _reserve(engine.budgets.reserve, admission, candidates)
    except BaseException:
        engine.limits.free(slot, unused_tokens=slot.tokens)
        raise
    first = candidates[0]
    call = OpenCall(
        request_id=admission.request_id,
        public_id=admission.public_id,
        endpoint=admission.endpoint,
        key=admission.key,
        model=first.model,
        price=first.price,
        bound=first.bound,
        upper_nanousd=upper,
        slot=slot,
        allowance=allowance,
        streamed=admission.streamed,
        candidates=candidates,
        repeats=admission.repeats,
        wishes=admission.wishes,
        sticky_key=f"{admission.key.id} {admission.sticky_key}",
        deadline_is_theirs=admission.timeout_seconds is not None,
        drain=admission.drain,
        may_extend=not admission.fixed_output,
        audio_format=admission.audio_format,
        client_request_id=admission.client_request_id,
        count_input=admission.count_input,
        measure=admission.measure,
    )
    if admission.timeout_seconds is not None:
        call.deadline = call.started + admission.timeout_seconds
    engine.opened(call)
    return call


async def rehearse(look: Look, reserve: Reserve, admission: Admission) -> Rehearsed:
    """
    Say what `admit` would do, by the same rules and in the same order; raises what it raises.

    `look` and `reserve` answer as the doors to limits and money do, and change nothing.
    """
    candidates = _candidates(admission)
    slot = _slot(admission)
    allowance = await look(slot)
    candidates, upper = await _reserve(reserve, admission, candidates)
    return Rehearsed(candidates, slot, allowance, upper)


def _candidates(admission: Admission) -> tuple[Candidate, ...]:
    """Return the model asked for and those named after it, each at its price of this moment."""
    tier = admission.service_tier
    wanted = (Fallback(admission.model, admission.bound, admission.routes), *admission.fallbacks)
    return tuple(
        Candidate(
            one.model,
            service_tiers.price_asked(current_price(one.model), service_tier=tier),
            one.bound,
            one.routes,
        )
        for one in wanted
    )


def current_price(model: ModelSnapshot) -> Price:
    """Return the model's price of this moment; raises ModelNotFound when none holds yet."""
    price = price_book.at(model.prices, time.time())
    if price is None:
        raise ModelNotFound(model.name)
    return price


async def _reserve(
    reserve: Reserve, admission: Admission, candidates: tuple[Candidate, ...]
) -> tuple[tuple[Candidate, ...], int]:
    """
    Reserve the dearest candidate's bound, or, if the client named no maximum, as much output as the budget affords.
    """
    upper = _upper(candidates)
    cap = admission.key.max_request_nanousd
    if cap is not None and upper > cap:
        candidates = _affordable(candidates, headroom=cap, admission=admission, share=1)
        upper = _upper(candidates)
        if upper > cap:
            raise RequestTooDear(needed_nanousd=upper, cap_nanousd=cap)
    try:
        await reserve(_request(admission, candidates, upper))
    except BudgetExceeded as error:
        headroom = error.refusal.affordable_nanousd
        smaller = _affordable(
            candidates, headroom=headroom, admission=admission, share=HEADROOM_SHARE
        )
        upper = _upper(smaller)
        if smaller == candidates or upper > headroom:
            error.affordable_tokens = (
                min(_affordable_tokens(one, headroom=headroom) for one in candidates)
                if admission.measure is None  # images and audio have no limit that could be lowered
                else 0
            )
            raise
        await reserve(_request(admission, smaller, upper))
        return smaller, upper
    return candidates, upper


def _upper(candidates: tuple[Candidate, ...]) -> int:
    """Return the most that the call may cost, whichever candidate serves it."""
    first = candidates[0]
    upper = pricing.upper_bound_nanousd(first.bound, price=first.price)
    for one in candidates[1:]:
        upper = max(upper, pricing.upper_bound_nanousd(one.bound, price=one.price))
    return upper


def _affordable(
    candidates: tuple[Candidate, ...], *, headroom: int, admission: Admission, share: int
) -> tuple[Candidate, ...]:
    """Return the candidates with their output cut to a share of the headroom, where the client left it to us."""
    if admission.fixed_output:
        return candidates
    floor = MIN_AFFORDABLE_TOKENS * admission.choices
    cut = []
    for one in candidates:
        tokens = max(floor, _affordable_tokens(one, headroom=headroom // share))
        tokens = min(one.bound.output_tokens, tokens)
        cut.append(replace(one, bound=replace(one.bound, output_tokens=tokens)))
    return tuple(cut)


def _affordable_tokens(candidate: Candidate, *, headroom: int) -> int:
    """
    Return how many output tokens fit into the headroom beside the input bound; 0 where a client cannot choose them.
    """
    bound, price = candidate.bound, candidate.price
    if not bound.output_tokens or price.rates.output_microusd_per_mtok is None:
        return 0
    without = pricing.upper_bound_nanousd(replace(bound, output_tokens=0), price=price)
    million = (
        pricing.upper_bound_nanousd(replace(bound, output_tokens=1_000_000), price=price) - without
    )
    left = headroom - without
    return max(0, left * 1_000_000 // million) if million > 0 and left > 0 else 0


def _request(
    admission: Admission, candidates: tuple[Candidate, ...], upper_nanousd: int
) -> ReserveRequest:
    key = admission.key
    return ReserveRequest(
        request_id=admission.request_id,
        organization_id=key.organization_id,
        project_id=key.project_id,
        key_id=key.id,
        mode="test" if key.mode == "test" else "live",
        endpoint=admission.endpoint,
        model=candidates[0].model.name,
        price_version_id=candidates[0].price.version_id,
        upper_nanousd=upper_nanousd,
        streamed=admission.streamed,
        fallback_models=tuple([one.model.name for one in candidates[1:]]),
        input_cost_nanousd=_input_cost(candidates[0]),
        service_tier=admission.service_tier,
    )


def _input_cost(candidate: Candidate) -> int | None:
    """Return what the call may cost us once it is sent, by the first route: booked if this process dies of it."""
    routes = candidate.routes or candidate.model.routes
    return input_cost(candidate.bound, costs=routes[0].costs, now=time.time()) if routes else None


def _slot_tokens(admission: Admission, bound: TokenBound) -> int:
    """Where the prompt may be read several times, one reading counts: few calls make use of all."""
    readings = PASSES + 1 if admission.repeats else 1
    return bound.input_tokens // readings + bound.output_tokens


def _slot(admission: Admission) -> TakeSlot:
    key = admission.key
    tokens_per_minute = key.tokens_per_minute or DEFAULT_TPM
    tokens = _slot_tokens(admission, admission.bound)
    for other in admission.fallbacks:
        tokens = max(tokens, _slot_tokens(admission, other.bound))
    if not admission.fixed_output:
        # The client named no maximum, so the model's own must not keep it out: it takes what there is, and what
        # it uses beyond that is made up for by the calls after it.
        tokens = min(tokens, max(admission.bound.input_tokens, tokens_per_minute))
    return TakeSlot(
        organization_id=key.organization_id,
        key_id=key.id,
        request=admission.public_id,
        requests_per_minute=key.requests_per_minute or DEFAULT_RPM,
        tokens=tokens,
        tokens_per_minute=tokens_per_minute,
        concurrency=key.concurrency or DEFAULT_CONCURRENCY,
    )
