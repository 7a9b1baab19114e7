"""
Crash points: named moments in a gateway or worker, before and after everything that leaves a trace.

`install` wraps the product's functions from outside, at the start of a test process. A point is armed through a
file in the process's folder, so one process can serve many points: the first to pass an armed point disarms it and
lets the outcome happen. Each point passed is noted in `reached`, by a write that survives a kill.
"""

import asyncio
import functools
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Literal

Outcome = Literal["kill", "exception", "cancel", "stall"]
OUTCOMES: tuple[Outcome, ...] = ("kill", "exception", "cancel", "stall")
# Longer than the lease of the run (world.SETTINGS), in which nothing of the process moves.
STALL_SECONDS = 7.0

_MOMENTS = ("before", "after")
# Steps of a gateway, then those of a worker. Each has a point before and one after it.
GATEWAY_STEPS = (
    "limits.take",
    "reserve",
    "extend",
    "upstream.send",
    "upstream.read",
    "client.event",
    "client.end",
    "client.whole",
    "settle",
    "renew",
    "sweep",
)
WORKER_STEPS = ("roll_up",)
GATEWAY_POINTS = tuple(f"{step}.{moment}" for step in GATEWAY_STEPS for moment in _MOMENTS)
WORKER_POINTS = tuple(f"{step}.{moment}" for step in WORKER_STEPS for moment in _MOMENTS)
# Every SQL function that commits money, for the loss of its connection while it does.
COMMITS = (
    "billing_reserve",
    "billing_extend",
    "billing_settle",
    "billing_renew",
    "billing_sweep",
    "billing_roll_up",
)


class PointReached(Exception):
    """The exception that an armed point raises."""


class Points:
    """The crash points of one process; `folder` holds the files `armed` and `reached`."""

    def __init__(self, folder: Path) -> None:
        self._armed = folder / "armed"
        self._reached = os.open(folder / "reached", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._seen: set[str] = set()

    def passed(self, name: str) -> str:
        """Note the point and return the outcome that is armed for it, "" for none; it is disarmed."""
        if name not in self._seen:
            self._seen.add(name)
            os.write(self._reached, f"{name}\n".encode())
        if not self._armed.exists():
            return ""
        wanted, _, outcome = self._armed.read_text().partition(" ")
        if wanted != name:
            return ""
        self._armed.unlink()
        return outcome

    async def hit(self, name: str) -> None:
        """Pass a point in asynchronous code."""
        outcome = self.passed(name)
        if outcome == "cancel":
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(0)
        elif outcome:
            _happen(outcome, name)

    def hit_sync(self, name: str) -> None:
        """Pass a point in a thread, where to cancel means no more than to raise."""
        if outcome := self.passed(name):
            _happen(outcome, name)


def _happen(outcome: str, name: str) -> None:
    if outcome == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if outcome == "stall":
        time.sleep(STALL_SECONDS)
        return
    raise PointReached(f"{outcome} at {name}")


def install(folder: str) -> None:
    """Wrap the product's steps in this process."""
    from billing import aggregation
    from billing.budgets import Budgets
    from billing.metering import Metering
    from gateway import asgi
    from gateway.providers import client
    from gateway.rate_limits.limits import Limits
    from gateway.streaming import EventStream

    points = Points(Path(folder))
    steps: tuple[tuple[str, Any, str], ...] = (
        ("limits.take", Limits, "take"),
        ("reserve", Budgets, "_reserve"),
        ("extend", Budgets, "_extend"),
        ("upstream.send", client.Client, "send"),
        ("client.event", EventStream, "write"),
        ("client.end", EventStream, "end"),
        ("client.whole", asgi, "_send_whole"),
        ("settle", Metering, "_settle"),
        ("renew", Budgets, "renew"),
        ("sweep", Budgets, "sweep"),
    )
    for step, owner, attribute in steps:
        setattr(owner, attribute, _around(points, step, getattr(owner, attribute)))
    client._Response.chunks = _around_each(points, "upstream.read", client._Response.chunks)  # type: ignore[method-assign]
    aggregation._value = _around_roll_up(points, aggregation._value)


def _around(
    points: Points, step: str, original: Callable[..., Awaitable[Any]]
) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(original)
    async def wrapped(*arguments: Any, **named: Any) -> Any:
        await points.hit(f"{step}.before")
        result = await original(*arguments, **named)
        await points.hit(f"{step}.after")
        return result

    return wrapped


def _around_each(
    points: Points, step: str, original: Callable[..., AsyncIterator[bytes]]
) -> Callable[..., AsyncIterator[bytes]]:
    @functools.wraps(original)
    async def wrapped(*arguments: Any) -> AsyncIterator[bytes]:
        await points.hit(f"{step}.before")
        async for chunk in original(*arguments):
            await points.hit(f"{step}.after")
            yield chunk
            await points.hit(f"{step}.before")

    return wrapped


def _around_roll_up(points: Points, original: Callable[..., int]) -> Callable[..., int]:
    @functools.wraps(original)
    def wrapped(statement: str, *parameters: Any) -> int:
        if "billing_roll_up" not in statement:
            return original(statement, *parameters)
        points.hit_sync("roll_up.before")
        taken = original(statement, *parameters)
        points.hit_sync("roll_up.after")
        return taken

    return wrapped
