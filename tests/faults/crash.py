"""
Every crash point with every outcome, under load and with real processes: a gateway (or the worker) is armed, the
load passes the point, the outcome happens; a process that died is started again. The books are compared after.
"""

import asyncio
import itertools
import time
from collections.abc import Iterable

from tests.faults.plan import Happened
from tests.faults.points import (
    COMMITS,
    GATEWAY_POINTS,
    OUTCOMES,
    STALL_SECONDS,
    WORKER_POINTS,
)
from tests.faults.runner import Report, play
from tests.faults.world import World

GATEWAYS = ("gateway-1", "gateway-2", "gateway-3", "gateway-4")
CALLERS = 30
REACHED_SECONDS = 120
END_SECONDS = 120

Case = tuple[str, str]  # point and outcome, or SQL function and what is lost


def run() -> Report:
    """Let each outcome happen at each point, and each commit lose its connection; return what the books say."""
    gateway_cases = list(itertools.product(GATEWAY_POINTS, OUTCOMES))
    # The long ones first, so that the gateways end at about the same time.
    gateway_cases.sort(key=lambda case: case[1] != "stall")
    worker_cases = list(itertools.product(WORKER_POINTS, OUTCOMES))
    lost_cases = list(itertools.product(COMMITS, ("answer", "request")))
    report = Report(seed=0, faults=len(gateway_cases) + len(worker_cases) + len(lost_cases))

    async def script(world: World) -> list[Happened]:
        queue = iter(gateway_cases)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(_strike_all(world, name, queue, report))
                for name in world.gateways
            ]
            tasks.append(group.create_task(_strike_all(world, "worker", worker_cases, report)))
            tasks.append(group.create_task(_lose_all(world, lost_cases, report)))
        report.problems += _never_reached(world)
        return [happened for task in tasks for happened in task.result()]

    world = World(gateways=GATEWAYS, with_points=True)
    return play(report, world, script, callers=CALLERS)


async def _strike_all(
    world: World, name: str, cases: Iterable[Case], report: Report
) -> list[Happened]:
    happened = []
    for point, outcome in cases:
        began_at = time.time()
        if await _struck(world, name, point, outcome):
            text = f"{outcome} at {point} of {name}"
            happened.append(Happened(text, outcome, name, began_at, time.time()))
        else:
            report.problems.append(f"crash point: {outcome} at {point} of {name} did not happen")
    return happened


async def _struck(world: World, name: str, point: str, outcome: str) -> bool:
    """Arm a point of a process, and return whether the outcome has happened there; the process is whole again."""
    child = world.children[name]
    if outcome == "kill":
        world.hurt.add(name)
    armed = child.folder / "armed"
    written = armed.with_suffix(".new")
    written.write_text(f"{point} {outcome}")
    written.rename(armed)  # at once, so that a half is never read
    until = time.monotonic() + REACHED_SECONDS
    while armed.exists():
        if time.monotonic() > until:
            armed.unlink(missing_ok=True)
            return False
        await asyncio.sleep(0.02)
    if outcome == "kill":
        await child.ended(seconds=END_SECONDS)
        await world.start_again(name)
        world.hurt.discard(name)
    elif outcome == "stall":
        await asyncio.sleep(STALL_SECONDS)
    return child.alive or outcome == "kill"


async def _lose_all(world: World, cases: Iterable[Case], report: Report) -> list[Happened]:
    happened = []
    for function, what in cases:
        began_at = time.time()
        world.proxy.lose(what, function=function)
        until = time.monotonic() + REACHED_SECONDS
        while world.proxy.armed(function) and time.monotonic() < until:  # noqa: ASYNC110  set by what passes
            await asyncio.sleep(0.02)
        if world.proxy.armed(function):
            report.problems.append(f"crash point: no {what} of {function} was lost")
        text = f"{what} of {function} lost"
        happened.append(Happened(text, "lose", function, began_at, time.time()))
    return happened


def _never_reached(world: World) -> list[str]:
    reached = {
        point for note in world.folder.glob("*/reached") for point in note.read_text().splitlines()
    }
    missing = {*GATEWAY_POINTS, *WORKER_POINTS} - reached
    return [f"crash point: {point} was never reached" for point in sorted(missing)]
