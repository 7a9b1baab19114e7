"""
The real parts of one run: PostgreSQL behind a proxy, Valkey, two gateways, a worker, beat and the stand-in
provider; started, hurt and started again. Leases and rounds are a quarter of the shipped ones, all in proportion.
"""

import asyncio
import json
import multiprocessing
import multiprocessing.forkserver
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from exerati.servers import embedded, throwaway
from exerati.servers.processes import identify, wait_until_gone
from tests.faults.provider import Provider
from tests.faults.proxy import DatabaseProxy

LEASE_SECONDS = 5
SETTINGS: Mapping[str, Any] = {
    "COMMITS_MUST_BE_DURABLE": True,  # as in production
    "LEASE_SECONDS": LEASE_SECONDS,
    "LEASE_RENEW_SECONDS": 1,
    "LEASE_STALE_SECONDS": 3.75,
    "SWEEP_SECONDS": 1,
    "KEEPALIVE_SECONDS": 2,
    "UPSTREAM_IDLE_SECONDS": 10,
    "UPSTREAM_FIRST_BYTE_SECONDS": 10,
    "GATEWAY_PROCESSES": 2,
    "CELERY_TASK_ALWAYS_EAGER": False,
    "CELERY_BEAT_SCHEDULE": {
        "roll up usage": {"task": "billing.roll_up", "schedule": 1.0},
        "create partitions": {"task": "billing.create_partitions", "schedule": 5.0},
    },
}
STATEMENT_SECONDS = 2.5
DRAIN_SECONDS = 2
READY_SECONDS = 300  # how slow a machine is proves nothing about the books
GATEWAYS = ("gateway-1", "gateway-2")
CELERY: Mapping[str, Sequence[str]] = {
    # Threads, so that a killed worker leaves no children behind; as `up` starts it.
    "worker": ("worker", "--pool", "threads", "--concurrency", "2", "--loglevel", "INFO",
               "--without-gossip", "--without-mingle", "--without-heartbeat"),
    "beat": ("beat", "--loglevel", "INFO", "--pidfile", ""),
}  # fmt: skip


@dataclass(eq=False, slots=True)
class Child:
    """One life of one process; `port` is that of a gateway, `folder` holds what arms its crash points."""

    name: str
    process: BaseProcess
    log: Path
    folder: Path
    port: int = 0

    @property
    def life(self) -> str:
        """The name of this life, that of its log."""
        return self.log.stem

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self.process.is_alive()

    def send(self, number: signal.Signals) -> None:
        """Send a signal, to a process that may be gone."""
        if self.alive and self.process.pid is not None:
            os.kill(self.process.pid, number)

    async def ended(self, *, seconds: float) -> None:
        """Return once it has ended; raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while self.alive:  # noqa: ASYNC110  a process sets no event of ours
                await asyncio.sleep(0.02)


class World:
    """All parts, and where their logs are; `mutants` are protections taken away in the product's processes."""

    def __init__(
        self,
        *,
        gateways: Sequence[str] = GATEWAYS,
        mutants: Sequence[str] = (),
        with_points: bool = False,
    ) -> None:
        self.keep_logs = True  # until the run has passed
        self.folder = Path(tempfile.mkdtemp(prefix="exerati-faults-"))
        self.home = throwaway.make_home(throwaway.parent())
        self.provider = Provider()
        self.proxy = DatabaseProxy()
        self.children: dict[str, Child] = {}
        self.died: list[str] = []
        self._all: list[Child] = []
        self.hurt: set[str] = set()  # targets of the faults of this moment
        self.gateways = tuple(gateways)
        self.mutants = tuple(mutants)
        self._with_points = with_points
        self._processes = multiprocessing.get_context("forkserver")
        self.postgres = embedded.start_postgres(self.home, durable=True)
        self.valkey = embedded.start_valkey(self.home, durable=False)

    @property
    def database_url(self) -> str:
        """The database's own address, past the proxy."""
        return self.postgres.database_url

    @property
    def redis_url(self) -> str:
        """Valkey's address, the same for the whole run."""
        return self.valkey.redis_url

    async def listen(self) -> None:
        """Start what the processes connect to: the provider, and the way to the database."""
        await self.provider.start()
        await self.proxy.start(self.postgres.port)

    async def start(self) -> None:
        """Start the processes; the database is ready for them."""
        self._start_forkserver()
        await asyncio.gather(*(self.start_gateway(name) for name in self.gateways))
        for name in CELERY:
            self.start_celery(name)

    def __enter__(self) -> "World":
        return self

    def __exit__(self, *exception: object) -> None:
        """End everything and remove what it left behind, but the logs where they are wanted."""
        for child in self._all:
            child.send(signal.SIGKILL)
            child.process.join()
        throwaway.remove_home(self.home)
        if not self.keep_logs:
            shutil.rmtree(self.folder, ignore_errors=True)

    async def start_gateway(self, name: str) -> Child:
        """
        Start a gateway on a port of its own and return it once it answers.

        One that ends at once, since the database is away, is started again, as a supervisor does.
        """
        until = time.monotonic() + READY_SECONDS
        child = self._spawn_gateway(name)
        while not await _answers(child.port):
            if time.monotonic() > until:
                child.send(signal.SIGKILL)
                raise RuntimeError(f"{child.life} did not start:\n{child.log.read_text()[-4000:]}")
            if not child.alive:
                child = self._spawn_gateway(name)
            await asyncio.sleep(0.1)
        self.children[name] = child
        return child

    def _spawn_gateway(self, name: str) -> Child:
        with socket.socket() as listener:  # bound here, so that the port is known and nobody else's
            listener.bind(("127.0.0.1", 0))
            listener.listen(1024)
            child = self._spawn(name, ("serve",), listener)
            child.port = listener.getsockname()[1]
        return child

    def start_celery(self, name: str) -> Child:
        """Start the worker or beat."""
        child = self._spawn(name, self._celery_command(name), None)
        self.children[name] = child
        return child

    async def start_again(self, name: str) -> None:
        """Start a new life of a process that is gone."""
        if name in CELERY:
            self.start_celery(name)
        else:
            await self.start_gateway(name)

    async def supervise(self) -> None:
        """Start again what ended without having been hurt, as production does; `died` says what did."""
        while True:
            await asyncio.sleep(0.25)
            for name, child in list(self.children.items()):
                if not child.alive and name not in self.hurt:
                    self.died.append(child.life)
                    await self.start_again(name)

    async def stop_postgres(self, number: signal.Signals) -> None:
        """End PostgreSQL by SIGINT (it closes its books) or SIGQUIT (as a crash: it recovers when started)."""
        os.kill(self.postgres.pid, number)
        await asyncio.to_thread(wait_until_gone, identify(self.postgres.pid), seconds=30)

    async def start_postgres(self) -> None:
        """Start PostgreSQL again on its data."""
        self.postgres = await asyncio.to_thread(embedded.start_postgres, self.home, durable=True)
        self.proxy.point_to(self.postgres.port)

    async def start_valkey(self) -> None:
        """Start an empty Valkey; raises RuntimeError if its port was lost."""
        before = self.valkey.port
        self.valkey = await asyncio.to_thread(embedded.start_valkey, self.home, durable=False)
        if self.valkey.port != before:
            raise RuntimeError("somebody took the port of Valkey: run again")

    def _celery_command(self, name: str) -> Sequence[str]:
        schedule = ("--schedule", str(self.folder / "schedule")) if name == "beat" else ()
        return (*CELERY[name], *schedule)

    def _spawn(self, name: str, command: Sequence[str], listener: socket.socket | None) -> Child:
        from tests.faults.process import Told, main  # Django must be set up before

        log = self.folder / f"{name}.{len(self._all) + 1}.log"
        folder = self.folder / log.stem
        folder.mkdir()
        told = Told(
            name=name,
            command=command,
            log=log,
            mutants=self.mutants,
            points=str(folder) if self._with_points else "",
            statement_seconds=STATEMENT_SECONDS,
        )
        process = self._processes.Process(target=main, args=(told, listener), name=log.stem)
        process.start()
        child = Child(name=name, process=process, log=log, folder=folder)
        self._all.append(child)
        return child

    def _start_forkserver(self) -> None:
        """Start what processes are forked from, in the environment that they are to have."""
        own = dict(os.environ)
        os.environ.update(self._environment())
        try:
            self._processes.set_forkserver_preload(["tests.faults.process"])
            multiprocessing.forkserver.ensure_running()
        finally:
            os.environ.clear()
            os.environ.update(own)

    def _environment(self) -> dict[str, str]:
        direct = urlsplit(self.database_url)
        through_proxy = f"{direct.username}:{direct.password}@127.0.0.1:{self.proxy.port}"
        settings = {
            **SETTINGS,
            "REDIS_URL": self.redis_url,
            "CELERY_BROKER_URL": self.redis_url,
        }
        return {
            "EXERATI_DRAIN_SECONDS": str(DRAIN_SECONDS),
            "EXERATI_TEST_SETTINGS": json.dumps(settings),
            "DATABASE_URL": f"{direct.scheme}://{through_proxy}{direct.path}",
        }


async def _answers(port: int) -> bool:
    """Return whether a gateway answers `GET /v1/models`, which needs a key: 401."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /v1/models HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(12), READY_SECONDS)
        writer.close()
    except (OSError, TimeoutError):
        return False
    return answer == b"HTTP/1.1 401"
