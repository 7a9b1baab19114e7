"""One run: build the world, call from all sides while faults happen, wait until all is quiet, compare the books."""

import asyncio
import itertools
import logging
import math
import os
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import django
import psycopg
import redis
from django.core.management import call_command
from django.db import OperationalError, connection

from tests.faults import acts, mutants
from tests.faults.plan import Fault, Happened, plan
from tests.faults.world import World

logger = logging.getLogger(__name__)

Script = Callable[[World], Awaitable[list[Happened]]]

CALLERS = 50
QUIET_SECONDS = 90
MUTANT_QUIET_SECONDS = 25
WARM_UP_SECONDS = 2.0
SAMPLE_SECONDS = 0.02
BEAT_SECONDS = 0.25


@dataclass(slots=True)
class Report:
    """What a run found; `stories` tell of the calls in its problems."""

    seed: int
    faults: int
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)
    stories: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    logs: str = ""

    @property
    def passed(self) -> bool:
        """Whether everything is as it must be."""
        return not self.problems


def prepare(world: World) -> None:
    """Set Django up on the world's database and migrate it; the rest of the process works there."""
    os.environ["DATABASE_URL"] = world.database_url
    os.environ["REDIS_URL"] = world.redis_url
    os.environ["EXERATI_ENV_FILES"] = ""
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.server_settings"
    django.setup()
    call_command("migrate", verbosity=0)


def run(seed: int, *, count: int, minutes: float = math.inf) -> Report:
    """
    Let the faults of a seed happen under load and return what the books say after.

    None begins after so many minutes: the report says how many have happened.
    """
    return _run(World(), plan(seed, count=count), seed=seed, minutes=minutes)


def run_mutant(name: str) -> Report:
    """Let the faults that every protection is needed for happen, with one taken away."""
    return _run(World(mutants=[name]), mutants.FAULTS, seed=0)


def _run(world: World, faults: Sequence[Fault], *, seed: int, minutes: float = math.inf) -> Report:
    report = Report(seed=seed, faults=len(faults))

    async def script(world: World) -> list[Happened]:
        return await let_happen(world, faults, report, seconds=60 * minutes)

    return play(report, world, script, callers=CALLERS)


def play(report: Report, world: World, script: Script, *, callers: int) -> Report:
    """Build the world, let the script happen to it under load, and put what the books say into the report."""
    started = time.monotonic()
    with world:
        prepare(world)
        for name in world.mutants:
            mutants.BY_NAME[name].change_database(world.database_url)
        asyncio.run(_play(report, world, script, callers))
        world.keep_logs = not report.passed
    report.logs = str(world.folder) if world.keep_logs else ""
    report.seconds = round(time.monotonic() - started, 1)
    return report


async def _play(report: Report, world: World, script: Script, callers: int) -> None:
    from tests.faults import customers  # Django is set up only now
    from tests.faults.load import ANSWERED, REFUSED, Load

    await world.listen()
    who = await asyncio.to_thread(customers.make, provider_url=world.provider.base_url)
    await world.start()
    load = Load(world, who, seed=report.seed, callers=callers)
    standstills: list[Happened] = []
    aside = [
        asyncio.create_task(world.supervise()),
        asyncio.create_task(_note_standstills(standstills)),
    ]
    with Sampler(world) as sampler:
        load.start()
        raising = asyncio.create_task(_raise_caps())
        await asyncio.sleep(WARM_UP_SECONDS)
        happened = await script(world)
        raising.cancel()
        await load.stop()
        report.problems += await asyncio.to_thread(quiet, world)
    for task in aside:
        task.cancel()
    await world.proxy.stop()
    report.figures["samples"] = sampler.samples
    report.figures["answers"] = {str(status or "none"): n for status, n in load.statuses.items()}
    report.figures["most calls under way"] = load.most_under_way
    report.figures["ended by themselves"] = world.died
    report.problems += sampler.problems
    report.problems += [f"{life} ended by itself" for life in world.died if "gateway" in life]
    if not load.statuses[ANSWERED] or not load.statuses[REFUSED]:
        report.problems.append("load: nothing was answered, or no cap has refused a call")
    await asyncio.to_thread(judge, world, load, happened + standstills, report)


async def _note_standstills(noted: list[Happened]) -> None:
    """Note when this whole process stood still, and the proxy and the provider in it: the machine was overloaded."""
    while True:
        began_at = time.time()
        await asyncio.sleep(BEAT_SECONDS)
        if (ended_at := time.time()) - began_at > 2 * BEAT_SECONDS:
            noted.append(Happened("standstill", "standstill", "machine", began_at, ended_at))


async def _raise_caps() -> None:
    """Raise the caps every second; when the database is away, later."""
    from tests.faults import customers

    for number in itertools.count():
        await asyncio.sleep(1)
        with suppress(OperationalError):
            await asyncio.to_thread(customers.raise_caps, number)


async def let_happen(
    world: World, faults: Sequence[Fault], report: Report, *, seconds: float = math.inf
) -> list[Happened]:
    """
    Let the faults happen in their order, most of them beside others; return them when the last is over.

    After so many seconds no other begins.

    The next one waits its time, until its target is whole again, and until one gateway serves: on a busy machine
    faults come later, and never pile up on what is down already.
    """

    async def one(fault: Fault) -> Happened:
        began_at = time.time()
        try:
            await acts.happen(world, fault)
        except TimeoutError:
            report.problems.append(f"fault {fault} did not happen, or its target did not end")
        except RuntimeError as error:
            # The run goes on and its books are compared: what has happened so far is worth that.
            report.problems.append(f"fault {fault}: {error}")
        finally:
            world.hurt.discard(fault.target)
        logger.info("%s is over", fault.number)
        return Happened(str(fault), fault.kind, fault.target, began_at, time.time())

    until = time.monotonic() + seconds
    async with asyncio.TaskGroup() as group:
        tasks = []
        for fault in faults:
            if time.monotonic() > until:
                break
            await asyncio.sleep(fault.after)
            while _busy(world, fault):  # noqa: ASYNC110  set by several tasks
                await asyncio.sleep(0.05)
            logger.info("%s", fault)
            world.hurt.add(fault.target)
            tasks.append(group.create_task(one(fault)))
    report.faults = len(tasks)
    return [task.result() for task in tasks]


def _busy(world: World, fault: Fault) -> bool:
    return fault.target in world.hurt or world.hurt.issuperset(world.gateways)


def judge(world: World, load: Any, happened: Sequence[Happened], report: Report) -> None:
    """Compare the books and put what is wrong, and the figures, into the report."""
    from tests.faults import audit
    from tests.faults.records import Records

    connection.close()  # this thread's, if it has one, may not have outlived the faults
    records = Records(
        world.database_url,
        seen=load.seen,
        provider=world.provider,
        faults=happened,
        logs=world.folder,
    )
    found = audit.problems(records)
    report.problems += [f"{p.rule}: {p.text} [{p.label}]" for p in found]
    for label in list(dict.fromkeys(p.label for p in found if p.label))[:5]:
        report.stories.append("\n".join(records.story(label)))
    report.figures |= audit.figures(records)
    report.figures["faults by kind"] = dict(
        Counter(f"{fault.kind} {fault.target}" for fault in records.faults)
    )


def quiet(world: World) -> list[str]:
    """
    Wait until no reservation is open, nothing held, the outbox empty and no slot taken in Valkey.

    Returns what is not so after QUIET_SECONDS, or less where a protection was taken away.
    """
    # With a protection taken away it may never be quiet.
    seconds = MUTANT_QUIET_SECONDS if world.mutants else QUIET_SECONDS
    until = time.monotonic() + seconds
    while left := _left(world):
        if time.monotonic() > until:
            return [f"quiet: after {seconds} s there are {text}" for text in left]
        time.sleep(0.2)
    return []


def _left(world: World) -> list[str]:
    statement = """
        SELECT (SELECT count(*) FROM billing_reservation WHERE state = 'open'),
               (SELECT count(*) FROM billing_budget WHERE held_nanousd <> 0),
               (SELECT count(*) FROM billing_outboxmessage)
    """
    with psycopg.connect(world.database_url) as connection:
        row = connection.execute(statement).fetchone()
    assert row is not None
    names = ("open reservations", "counters with holds", "messages in the outbox")
    left = [f"{count} {name}" for count, name in zip(row, names, strict=True) if count]
    if slots := _slots(world):
        left.append(f"{slots} slots in Valkey")
    return left


def _slots(world: World) -> int:
    with redis.Redis.from_url(world.redis_url) as client:
        now_ms = int(time.time() * 1000)
        return sum(
            int(client.zcount(key, now_ms, "+inf")) for key in client.scan_iter("{limits:*}:open:*")
        )


class Sampler:
    """Looks at every capped counter from a connection and thread of its own, all the time."""

    STATEMENT = "SELECT * FROM faults_capped c WHERE c.posted_nanousd + c.held_nanousd > c.cap"

    def __init__(self, world: World) -> None:
        self.samples = 0
        self.problems: list[str] = []
        self._world = world
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Sampler":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._sample_until_cut()
            except psycopg.OperationalError:
                self._stop.wait(0.2)  # the database is away

    def _sample_until_cut(self) -> None:
        with psycopg.connect(
            self._world.database_url, autocommit=True, application_name="watch", connect_timeout=5
        ) as connection:
            while not self._stop.wait(SAMPLE_SECONDS):
                rows = connection.execute(self.STATEMENT).fetchall()
                self.samples += 1
                self.problems += [f"cap: sampled {row}" for row in rows[:1]]
