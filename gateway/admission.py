"""
Admission of one request: a slot in the rate limits, then the upper bound of its price reserved on every budget.

Nothing is sent to a provider before both are done; from then on the call must be settled.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from uuid import UUID

from django.conf import settings

from apikeys.snapshots import KeySnapshot
from billing import price_book, pricing
from billing.budgets import BudgetExceeded
from billing.types import Price, ReserveRequest, TokenBound
from gateway import service_tiers
from gateway.engine import Engine
from gateway.limit_types import TakeSlot
from gateway.open_call import OpenCall
from gateway.routing import ModelNotFound
from gateway.snapshot import ModelSnapshot

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


@dataclass(frozen=True, slots=True)
class Admission:
    """What `admit` needs to know of a request. `fixed_output`: the client itself set a maximum of tokens."""

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
    count_input: Callable[[], int] = lambda: 0


async def admit(engine: Engine, admission: Admission) -> OpenCall:
    """
    Let the call in: rate limits, then money. From here on it must be settled.

    Raises RateLimited, BudgetExceeded, KeyInactive, RequestTooDear, BillingUnavailable, or InvalidRequest for a
    service tier without a price; then nothing is held.
    """
    price = service_tiers.price_asked(
        current_price(admission.model), service_tier=admission.service_tier
    )
    slot = _slot(admission)
    allowance = await engine.limits.take(slot)
    try:
        bound, upper = await _reserve(engine, admission, price)
    except BaseException:
        engine.limits.free(slot, unused_tokens=slot.tokens)
        raise
    call = OpenCall(
        request_id=admission.request_id,
        public_id=admission.public_id,
        endpoint=admission.endpoint,
        key=admission.key,
        model=admission.model,
        price=price,
        bound=bound,
        upper_nanousd=upper,
        slot=slot,
        allowance=allowance,
        streamed=admission.streamed,
        client_request_id=admission.client_request_id,
        count_input=admission.count_input,
    )
    engine.opened(call)
    return call


def current_price(model: ModelSnapshot) -> Price:
    """Return the model's price of this moment; raises ModelNotFound when none holds yet."""
    price = price_book.at(model.prices, time.time())
    if price is None:
        raise ModelNotFound(model.name)
    return price


async def _reserve(engine: Engine, admission: Admission, price: Price) -> tuple[TokenBound, int]:
    """Reserve the bound, or, if the client named no maximum, as much output as the budget affords."""
    bound = admission.bound
    upper = pricing.upper_bound_nanousd(bound, price=price)
    cap = admission.key.max_request_nanousd
    if cap is not None and upper > cap:
        bound = _affordable(bound, price=price, headroom=cap, admission=admission, share=1)
        upper = pricing.upper_bound_nanousd(bound, price=price)
        if upper > cap:
            raise RequestTooDear(needed_nanousd=upper, cap_nanousd=cap)
    try:
        await engine.budgets.reserve(_request(admission, price, upper))
    except BudgetExceeded as error:
        headroom = error.refusal.affordable_nanousd
        smaller = _affordable(
            bound, price=price, headroom=headroom, admission=admission, share=HEADROOM_SHARE
        )
        upper = pricing.upper_bound_nanousd(smaller, price=price)
        if smaller == bound or upper > headroom:
            error.affordable_tokens = _affordable_tokens(bound, price=price, headroom=headroom)
            raise
        await engine.budgets.reserve(_request(admission, price, upper))
        return smaller, upper
    return bound, upper


def _affordable(
    bound: TokenBound, *, price: Price, headroom: int, admission: Admission, share: int
) -> TokenBound:
    """Return the bound with its output cut to a share of the headroom, where the client left it to us."""
    if admission.fixed_output or not bound.output_tokens:
        return bound
    floor = MIN_AFFORDABLE_TOKENS * admission.choices
    tokens = max(floor, _affordable_tokens(bound, price=price, headroom=headroom // share))
    return replace(bound, output_tokens=min(bound.output_tokens, tokens))


def _affordable_tokens(bound: TokenBound, *, price: Price, headroom: int) -> int:
    """Return how many output tokens fit into the headroom beside the input bound."""
    without = pricing.upper_bound_nanousd(replace(bound, output_tokens=0), price=price)
    million = (
        pricing.upper_bound_nanousd(replace(bound, output_tokens=1_000_000), price=price) - without
    )
    left = headroom - without
    return max(0, left * 1_000_000 // million) if million > 0 and left > 0 else 0


def _request(admission: Admission, price: Price, upper_nanousd: int) -> ReserveRequest:
    key = admission.key
    return ReserveRequest(
        request_id=admission.request_id,
        organization_id=key.organization_id,
        project_id=key.project_id,
        key_id=key.id,
        mode="test" if key.mode == "test" else "live",
        endpoint=admission.endpoint,
        model=admission.model.name,
        price_version_id=price.version_id,
        upper_nanousd=upper_nanousd,
        streamed=admission.streamed,
    )


def _slot(admission: Admission) -> TakeSlot:
    key = admission.key
    tokens_per_minute = key.tokens_per_minute or DEFAULT_TPM
    tokens = admission.bound.input_tokens + admission.bound.output_tokens
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
