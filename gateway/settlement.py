"""
The settlement policy: from how a call ended to what is charged for it, and on which basis.

Finished: the provider's usage, else counted. Client left, key revoked, stopped by us for the client's sake:
input and delivered output. Failed after output: the same. Failed before output, empty answer, our own
error: nothing. Published in docs/site/budgets.md; pure.
"""

from operator import attrgetter

from msgspec import structs

from billing import pricing
from billing.price_book import Dated
from billing.price_book import at as price_at
from billing.types import Basis, Outcome, Settlement, TokenBound, TokenUsage, UsageFlag
from gateway.open_call import OpenCall

_BOUNDED = ("input_tokens", "output_tokens", "images", "seconds", "characters", "searches")
_counts = attrgetter(*(used.name for used in structs.fields(TokenUsage) if used.type is int))


def settlement(
    call: OpenCall,
    *,
    reported: TokenUsage | None,
    outcome: Outcome,
    status: int,
    has_output: bool,
    error_code: str = "",
    finish_reason: str = "",
    upstream_id: str = "",
    now: float,
) -> "Settlement":
    """
    Return the settlement of a call.

    `reported` is the provider's own word on the final usage, None when it gave none.
    """
    basis, billed = _basis(call, reported, outcome=outcome, has_output=has_output)
    billed = _in_context(billed, call)
    usage = clamp(billed, call.bound)
    price = pricing.charge_nanousd(usage, price=call.price)
    charge = 0 if basis == "waived" or call.key.mode == "test" else min(price, call.upper_nanousd)
    cost = _provider_cost(call, billed, now)
    served = call.attempts[-1] if call.attempts else None
    return Settlement(
        request_id=call.request_id,
        usage=usage,
        outcome=outcome,
        basis=basis,
        price_nanousd=price,
        charge_nanousd=charge,
        provider_cost_nanousd=cost,
        provider=served.provider if served else "",
        upstream_model=served.upstream_model if served else "",
        upstream_id=upstream_id[:200],
        status=status,
        error_code=error_code[:60],
        finish_reason=finish_reason[:40],
        first_token_ms=call.first_token_ms,
        duration_ms=call.elapsed_ms,
        client_request_id=call.client_request_id[:200],
        attempts=tuple(call.attempts),
        model=call.model.name,
        price_version_id=call.price.version_id,
        usage_flag=_flag(reported, usage, call.bound, is_over=price > call.upper_nanousd),
        tags=call.tags,
        service_tier=usage.service_tier if usage.service_tier in call.price.service_tiers else "",
    )


def cost_nanousd(usage: TokenUsage, costs: tuple[Dated, ...], now: float) -> int | None:
    """Return what a usage costs us at its provider in nano-USD; None where that is not known."""
    card = price_at(costs, now)
    if card is None:
        return None
    try:
        return max(0, pricing.charge_nanousd(usage, price=card))
    except pricing.PriceMissing:
        return None


def input_cost(bound: TokenBound, *, costs: tuple[Dated, ...], now: float) -> int | None:
    """
    Return the most that a provider may charge us for having been sent a request; None: not known.

    Where it runs tools, the bound holds every reading of the prompt, with all that they may find (docs/decisions/0011).
    """
    usage = TokenUsage(input_tokens=bound.input_tokens, searches=bound.searches, calls=bound.calls)
    return cost_nanousd(usage, costs, now)


def clamp(usage: TokenUsage, bound: TokenBound) -> TokenUsage:
    """
    Return the usage with every count inside 0 and what was reserved.

    Providers have reported negative, absurd and inconsistent usage; none of it may pass the bound.
    """
    input_tokens = _within(usage.input_tokens, bound.input_tokens)
    output_tokens = _within(usage.output_tokens, bound.output_tokens)
    if (
        _is_sound(usage)
        and input_tokens == usage.input_tokens
        and output_tokens == usage.output_tokens
    ):
        return usage
    return TokenUsage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_tokens=_within(usage.cache_read_tokens, input_tokens),
        cache_write_5m_tokens=_within(usage.cache_write_5m_tokens, input_tokens),
        cache_write_1h_tokens=_within(usage.cache_write_1h_tokens, input_tokens),
        reasoning_tokens=_within(usage.reasoning_tokens, output_tokens),
        audio_input_tokens=_within(usage.audio_input_tokens, input_tokens),
        audio_output_tokens=_within(usage.audio_output_tokens, output_tokens),
        image_input_tokens=_within(usage.image_input_tokens, input_tokens),
        image_output_tokens=_within(usage.image_output_tokens, output_tokens),
        images=_within(usage.images, bound.images),
        seconds=_within(usage.seconds, bound.seconds),
        characters=_within(usage.characters, bound.characters),
        searches=_within(usage.searches, bound.searches),
        calls=_within(usage.calls, bound.calls),
        longest_prompt_tokens=_within(usage.longest_prompt_tokens, input_tokens),
        service_tier=usage.service_tier,
    )


def _basis(
    call: OpenCall, reported: TokenUsage | None, *, outcome: Outcome, has_output: bool
) -> tuple[Basis, TokenUsage]:
    if not has_output or not call.sent:
        return "waived", reported or TokenUsage()
    if reported is not None and outcome == "finished":
        return "reported", reported
    return "counted", call.delivered_usage()


def _in_context(usage: TokenUsage, call: OpenCall) -> TokenUsage:
    """
    Return the usage with its longest prompt no longer than the model's context.

    Only a call whose prompt may be read several times is bounded beyond that (`provider_tools`).
    """
    context = call.model.context_tokens
    if context is None or call.bound.input_tokens <= context or usage.input_tokens <= context:
        return usage
    longest = min(usage.longest_prompt_tokens or context, context)
    return structs.replace(usage, longest_prompt_tokens=longest)


def _provider_cost(call: OpenCall, billed: TokenUsage, now: float) -> int | None:
    """
    Return what all attempts cost us, in nano-USD; None where that is not known.

    Those that failed have their cost already; the last one gets that of what it delivered, if any.
    """
    if not call.sent:
        return 0
    if call.attempts:
        last = call.attempts[-1]
        delivered = cost_nanousd(billed, call.costs, now)
        if delivered is not None:
            last.provider_cost_nanousd = max(delivered, last.provider_cost_nanousd or 0)
        costs = [attempt.provider_cost_nanousd for attempt in call.attempts]
        known = [cost for cost in costs if cost is not None]
        return sum(known) if len(known) == len(costs) else None
    return cost_nanousd(billed, call.costs, now)


def _flag(
    reported: TokenUsage | None, usage: TokenUsage, bound: TokenBound, *, is_over: bool
) -> UsageFlag:
    """Return what was wrong with the usage that the provider reported, the worst first; "" as a rule."""
    if reported is None or (reported is usage and not is_over):
        return ""
    if any(count < 0 for count in _counts(reported)):
        return "negative"
    if not _is_consistent(reported):
        return "inconsistent"
    if any(getattr(reported, name) > getattr(bound, name) for name in _BOUNDED):
        return "over_bound"
    return "clamped" if is_over else ""


def _is_sound(usage: TokenUsage) -> bool:
    return (
        min(
            usage.cache_read_tokens,
            usage.cache_write_5m_tokens,
            usage.cache_write_1h_tokens,
            usage.reasoning_tokens,
            usage.audio_input_tokens,
            usage.audio_output_tokens,
            usage.image_input_tokens,
            usage.image_output_tokens,
            usage.longest_prompt_tokens,
        )
        >= 0
        and _is_consistent(usage)
        and usage.images == usage.seconds == usage.characters == usage.searches == 0
    )


def _is_consistent(usage: TokenUsage) -> bool:
    """Whether every class of tokens fits into the count it is part of."""
    return (
        usage.cache_read_tokens + usage.cache_write_5m_tokens + usage.cache_write_1h_tokens
        <= usage.input_tokens
        and usage.longest_prompt_tokens <= usage.input_tokens
        and usage.reasoning_tokens <= usage.output_tokens
    )


def _within(count: int, most: int) -> int:
    return min(max(count, 0), most)
