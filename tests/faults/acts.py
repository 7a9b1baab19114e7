"""What each kind of fault in a plan does to the world."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Mapping

import psycopg
import redis.asyncio

from tests.faults.plan import Fault
from tests.faults.world import DRAIN_SECONDS, World

Act = Callable[[World, Fault], Awaitable[None]]
# After its drain a gateway settles what it has; then the process must end, on a busy machine within minutes.
END_SECONDS = DRAIN_SECONDS + 120

STRUCK_SECONDS = 240


async def happen(world: World, fault: Fault) -> None:
    """Let a fault happen and be over."""
    acts = ON_SERVERS.get(fault.target, ON_PROCESSES)
    await acts[fault.kind](world, fault)


async def _kill(world: World, fault: Fault) -> None:
    child = world.children[fault.target]
    child.send(signal.SIGKILL)
    await child.ended(seconds=END_SECONDS)
    await asyncio.sleep(fault.seconds)
    await world.start_again(fault.target)


async def _terminate(world: World, fault: Fault) -> None:
    child = world.children[fault.target]
    child.send(signal.SIGTERM)
    await child.ended(seconds=END_SECONDS)
    await asyncio.sleep(fault.seconds)
    await world.start_again(fault.target)


async def _pause(world: World, fault: Fault) -> None:
    child = world.children[fault.target]
    child.send(signal.SIGSTOP)
    await asyncio.sleep(fault.seconds)
    child.send(signal.SIGCONT)


async def _wipe(world: World, fault: Fault) -> None:
    async with redis.asyncio.Redis.from_url(world.redis_url) as client:
        await client.flushall()


async def _freeze(world: World, fault: Fault) -> None:
    os.kill(world.valkey.pid, signal.SIGSTOP)
    await asyncio.sleep(fault.seconds)
    os.kill(world.valkey.pid, signal.SIGCONT)


async def _kill_valkey(world: World, fault: Fault) -> None:
    os.kill(world.valkey.pid, signal.SIGKILL)
    await asyncio.sleep(fault.seconds)
    await world.start_valkey()


async def _restart_postgres(world: World, fault: Fault) -> None:
    stop = signal.SIGINT if fault.kind == "restart" else signal.SIGQUIT
    await world.stop_postgres(stop)
    await asyncio.sleep(fault.seconds)
    await world.start_postgres()


async def _terminate_connections(world: World, fault: Fault) -> None:
    statement = """
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name <> 'watch'
    """
    async with await psycopg.AsyncConnection.connect(
        world.database_url, autocommit=True, connect_timeout=10
    ) as connection:
        await connection.execute(statement)


async def _cut(world: World, fault: Fault) -> None:
    world.proxy.cut()


async def _delay(world: World, fault: Fault) -> None:
    world.proxy.hold()
    await asyncio.sleep(fault.seconds)
    world.proxy.calm()


async def _lose(world: World, fault: Fault) -> None:
    """Wait until what was armed has happened: a fault that never strikes is none."""
    world.proxy.lose(fault.kind.removeprefix("lose "), function=fault.target)
    async with asyncio.timeout(STRUCK_SECONDS):
        while world.proxy.armed(fault.target):  # noqa: ASYNC110  set by what passes the proxy
            await asyncio.sleep(0.02)


ON_PROCESSES: Mapping[str, Act] = {
    "kill": _kill,
    "terminate": _terminate,
    "pause": _pause,
    "pause beyond the lease": _pause,
}
ON_SERVERS: Mapping[str, Mapping[str, Act]] = {
    "valkey": {"wipe": _wipe, "freeze": _freeze, "kill": _kill_valkey},
    "postgres": {
        "restart": _restart_postgres,
        "crash": _restart_postgres,
        "terminate connections": _terminate_connections,
    },
    "link": {"cut": _cut, "delay": _delay},
    **{
        f"billing_{name}": {"lose answer": _lose, "lose request": _lose}
        for name in ("reserve", "extend", "settle", "renew", "sweep", "roll_up")
    },
}
