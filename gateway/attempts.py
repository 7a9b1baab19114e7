"""
Tries the routes of one call until an answer comes: the one layer that sends anything twice.

Nothing is tried again after the first output. Before it another route is tried after any failure that may be the
route's; the same route only for what was never sent or was refused unprocessed (429, 5xx), after a wait with full
jitter, and within the provider's retry budget. Every try that was sent is an attempt of the call, with what it
costs us; the customer pays once.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Final, TypeVar

from django.conf import settings

from billing.types import AttemptRecord, TokenUsage
from gateway.engine import Engine
from gateway.open_call import Candidate, OpenCall
from gateway.providers.base import (
    Adapter,
    ErrorKind,
    ProviderError,
    UpstreamRequest,
    UpstreamResponse,
)
from gateway.providers.registry import adapter as adapter_for
from gateway.routes import retry
from gateway.routes.routing import routes_for
from gateway.routes.strategies import Wish, ordered
from gateway.routes.traffic import THE_ACCOUNT, RetriesSpent, Seat
from gateway.settlement import cost_nanousd, input_cost
from gateway.snapshot import RouteSnapshot

MAX_TRIES: int = 1 + settings.UPSTREAM_RETRIES
# The provider may have worked on these for nothing, and may charge us for it.
_PERHAPS_PROCESSED: Final[frozenset[ErrorKind]] = frozenset({"timeout", "connection", "bad_answer"})
_REFUSED_UNPROCESSED: Final[frozenset[ErrorKind]] = frozenset(
    {"rate_limited", "overloaded", "server"}
)
# What another model may do that this one, wherever it runs, does not.
_OF_THE_MODEL: Final[frozenset[ErrorKind]] = frozenset({"context_length", "content_policy"})

Result = TypeVar("Result")
BuildRequest = Callable[[Adapter, RouteSnapshot], UpstreamRequest]
Consume = Callable[[Adapter, RouteSnapshot, UpstreamResponse], Awaitable[Result]]


async def first_good(
    engine: Engine, call: OpenCall, *, build: BuildRequest, consume: Consume[Result]
) -> Result:
    """
    Return what `consume` makes of the first route that works, of the model asked for or of those named after it.

    `call` is then one of the model that served. Raises the ProviderError of the last try.
    """
    last = len(call.candidates) - 1
    for number, candidate in enumerate(call.candidates):
        call.serve_with(candidate)
        try:
            return await _of_model(engine, call, candidate, build=build, consume=consume)
        except ProviderError as error:
            may_help = _may_help(error) or error.kind in _OF_THE_MODEL
            if number == last or not may_help or call.first_token_ms is not None:
                raise
    raise AssertionError("an admitted call has at least one candidate")


async def _of_model(
    engine: Engine,
    call: OpenCall,
    candidate: Candidate,
    *,
    build: BuildRequest,
    consume: Consume[Result],
) -> Result:
    """Try every route of one model once, then those again that may be asked again; MAX_TRIES of the call in all."""
    waiting = _in_order(engine, call, candidate)
    tries_left = max(1, MAX_TRIES - len(call.attempts))
    error = ProviderError("overloaded", "", sent=False)  # told if nothing can be sent
    for number in range(1, MAX_TRIES + 1):
        again: list[tuple[float, RouteSnapshot]] = []
        for route in waiting:
            if tries_left < 1:
                break
            try:
                return await _try(engine, call, route, build=build, consume=consume)
            except RetriesSpent:
                raise error from None
            except ProviderError as found:
                if call.first_token_ms is not None or not _may_help(found):
                    raise
                tries_left -= found.sent
                error = found if found.sent or not error.sent else error
                wait = _wait_before_again(found, route, number)
                if wait is not None:
                    again.append((wait, route))
        if not again or tries_left < 1:
            break
        await _pause(min(wait for wait, _ in again), call, error)
        waiting = [route for _, route in again]
    raise error


def _in_order(engine: Engine, call: OpenCall, candidate: Candidate) -> Sequence[RouteSnapshot]:
    """Return the routes of a model, best first."""
    routes = candidate.routes or routes_for(
        candidate.model, key=call.key, catalog=engine.catalog, wishes=call.wishes
    )
    if len(routes) == 1:
        return routes
    wishes = call.wishes
    strategy = wishes.strategy or candidate.model.strategy
    now = time.time()
    best = ordered(
        routes,
        wish=Wish(strategy, wishes.order, call.sticky_key),
        stats=engine.traffic.stats(routes, time.monotonic()),
        costs=_costs(routes, candidate, now) if strategy == "cheapest" else {},
        draw=random.random,
    )
    if not wishes.allow_fallbacks and not wishes.order:
        best = best[:1]
    return best or routes  # nothing that lives: each says itself when it may be asked again


def _costs(routes: Sequence[RouteSnapshot], candidate: Candidate, now: float) -> dict[str, int]:
    """Return what the call may cost us at each route, in nano-USD; unknown costs are left out."""
    bound = candidate.bound
    usage = TokenUsage(input_tokens=bound.input_tokens, output_tokens=bound.output_tokens)
    found = {route.key: cost_nanousd(usage, route.costs, now) for route in routes}
    return {key: cost for key, cost in found.items() if cost is not None}


def _may_help(error: ProviderError) -> bool:
    """Whether another route may do better: the fault is a route's, or a translator could not say the request."""
    return error.retryable or not error.sent


def _wait_before_again(error: ProviderError, route: RouteSnapshot, number: int) -> float | None:
    """Return after how many seconds the same route may be tried again, None: not at all in this call."""
    if route.through and error.sent and error.kind in THE_ACCOUNT:
        return 0.0  # by another of our accounts
    never_sent = not error.sent and error.kind in ("timeout", "connection")
    refused = error.sent and error.kind in _REFUSED_UNPROCESSED
    if not never_sent and not refused:
        return None
    wait = retry.wait_seconds(number, asked=error.retry_after_seconds, draw=random.random)
    return wait if wait <= retry.LONGEST_WAIT_SECONDS else None


async def _pause(seconds: float, call: OpenCall, error: ProviderError) -> None:
    """Wait, or raise the error if the call's deadline comes first."""
    if time.monotonic() + seconds >= call.deadline:
        raise error
    if seconds:
        await asyncio.sleep(seconds)


async def _try(
    engine: Engine,
    call: OpenCall,
    route: RouteSnapshot,
    *,
    build: BuildRequest,
    consume: Consume[Result],
) -> Result:
    """Send one request and use its answer; raises RetriesSpent, or ProviderError."""
    adapter = adapter_for(route.upstream.api)
    seat = engine.traffic.take(
        route,
        organization_id=call.key.organization_id,
        failed=[attempt.provider for attempt in call.attempts],
        now=time.monotonic(),
    )
    try:
        request = build(adapter, seat.route)
    except BaseException:
        engine.traffic.left(seat)
        raise
    return await _attempt(engine, call, seat, adapter=adapter, request=request, consume=consume)


async def _attempt(
    engine: Engine,
    call: OpenCall,
    seat: Seat,
    *,
    adapter: Adapter,
    request: UpstreamRequest,
    consume: Consume[Result],
) -> Result:
    """Send; whatever happens is recorded as an attempt, and told to the statistics of the route."""
    route = seat.route
    started = time.monotonic()
    record = AttemptRecord(
        number=len(call.attempts) + 1,
        provider=route.upstream.name,
        upstream_model=route.upstream_model,
        started_at=datetime.now(UTC),
    )
    response: UpstreamResponse | None = None
    call.sent = True
    call.costs = route.costs
    call.serving, call.tries, call.attempt_started = route, record.number, started
    call.attempts.append(record)  # from the start, since progress reports tell of it
    try:
        response = await engine.send(request, route.upstream)
        record.status, record.first_byte_ms = response.status, _since(started)
        result = await consume(adapter, route, response)
    except ProviderError as error:
        record.error_code, record.status = error.kind, error.status or record.status
        _read_retry_after(error, response)
        record.provider_cost_nanousd = _cost_of_failure(call, route, error)
        engine.traffic.failed(seat, error, now=time.monotonic())
        raise
    except BaseException:
        _left(engine, call, seat)
        raise
    else:
        _note_success(engine, call, seat, result, duration_ms=_since(started))
        return result
    finally:
        record.duration_ms = _since(started)
        if response is not None:
            await response.close()


def _note_success(
    engine: Engine, call: OpenCall, seat: Seat, result: object, *, duration_ms: int
) -> None:
    usage: TokenUsage | None = getattr(result, "usage", None)
    first_token_ms = None
    if call.streamed and call.first_token_ms is not None:
        started_ms = int((call.attempt_started - call.started) * 1000)
        first_token_ms = max(0, call.first_token_ms - started_ms)
    engine.traffic.succeeded(
        seat,
        first_token_ms=first_token_ms,
        duration_ms=duration_ms,
        output_tokens=usage.output_tokens if usage is not None else 0,
        now=time.monotonic(),
    )


def _left(engine: Engine, call: OpenCall, seat: Seat) -> None:
    """A provider that fell silent has failed; a client that hung up, or a stop of ours, says nothing of it."""
    if call.cut_reason == "idle_upstream":
        silent = ProviderError("timeout", "The provider stopped answering.")
        engine.traffic.failed(seat, silent, now=time.monotonic())
    else:
        engine.traffic.left(seat)


def _read_retry_after(error: ProviderError, response: UpstreamResponse | None) -> None:
    """Add what translators, which have no clock, cannot read: a date; and keep all of it within reason."""
    asked = retry.sensible_seconds(error.retry_after_seconds)
    if asked is None and response is not None and "retry-after" in response.headers:
        asked = retry.asked_seconds(response.headers["retry-after"], now=time.time())
    error.retry_after_seconds = asked


def _cost_of_failure(call: OpenCall, route: RouteSnapshot, error: ProviderError) -> int | None:
    """
    Return what a failed try may cost us in nano-USD: the prompt, if the provider may have read it; else 0.

    Where tools run at the provider, nobody knows how often it has read it unless its stream has begun.
    """
    if not error.sent or error.kind not in _PERHAPS_PROCESSED:
        return 0
    if call.repeats and not call.prompt_is_told:
        return input_cost(call.bound, costs=route.costs, now=time.time())
    return cost_nanousd(call.delivered_usage(), route.costs, time.time())


def _since(started: float) -> int:
    return int((time.monotonic() - started) * 1000)
