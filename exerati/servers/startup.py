"""What `up` does, in order: servers, database, web, worker and beat on one machine, until told to stop."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values

from exerati.bootstrap import step
from exerati.servers import demo_payments, embedded, local_state
from exerati.servers.engines import home_of
from exerati.servers.local_state import LOGS, ROOT, STATE_DIR, Run
from exerati.servers.processes import identify
from exerati.servers.supervisor import Service, Supervisor, child, end_child, engine

HOST = "127.0.0.1"
DEFAULT_PORT = 8000
PORTS_TO_TRY = 100
WEB_PROCESSES = 2
STEPS = 5
READY_SECONDS = 60.0
DEATHS_BEFORE_GIVING_UP = 3
# Nobody at their own machine wants to wait the two minutes that a deployment gives open streams.
LOCAL_DRAIN_SECONDS = 3
WATCH_SECONDS = 0.25


class StartError(Exception):
    """`up` cannot go on; the message is one sentence that says what to do."""


@dataclass(frozen=True, slots=True)
class Given:
    """The servers named by the environment or by `.env`; empty where `up` is to bring its own."""

    database_url: str
    redis_url: str
    site_url: str


def named_values() -> dict[str, str | None]:
    """Return what the operator has set, in `.env` or in the environment, which wins."""
    return {**dotenv_values(ROOT / ".env"), **os.environ}


def given() -> Given:
    """Return which servers the operator has named."""
    values = named_values()
    return Given(
        database_url=values.get("DATABASE_URL") or "",
        redis_url=values.get("REDIS_URL") or "",
        site_url=values.get("SITE_URL") or "",
    )


def run(
    *, port: int | None, say: Callable[[str], None], when_ready: Callable[[], Callable[[], None]]
) -> None:
    """
    Start everything, keep it running until Ctrl-C or SIGTERM, and end it all.

    `port` None means 8000 or the next free one. `when_ready` is called once
    the site answers and returns what to do each time round. Raises StartError, EngineError and AlreadyRunning.
    """
    local_state.make_folders()
    with local_state.only_run(), _stop_signals():
        end_leftovers()
        listener = listen(port, say=say)
        site_url = given().site_url or f"http://{HOST}:{listener.getsockname()[1]}"
        supervisor = Supervisor(
            say=say, changed=lambda: _record(supervisor, site_url=site_url, ready=False)
        )
        try:
            bring_up(supervisor, listener=listener, site_url=site_url)
            # The greeting comes before the record: `up --detach` shows what was said until the record says ready.
            each_round = when_ready()
            supervisor.changed = lambda: _record(supervisor, site_url=site_url, ready=True)
            supervisor.changed()
            while True:
                supervisor.watch()
                each_round()
                time.sleep(WATCH_SECONDS)
        except KeyboardInterrupt:
            say("Stopping ...")
        finally:
            stop(supervisor)


def bring_up(supervisor: Supervisor, *, listener: socket.socket, site_url: str) -> None:
    """Start the servers, prepare the database, start the processes, and return when the site answers."""
    for log in LOGS.glob("*.log"):
        if log.name != "up.log":
            log.replace(log.with_suffix(".log.1"))
    payments = demo_payments.stand_in(named_values())
    with step(1, STEPS, "starting PostgreSQL and Valkey"):
        start_engines(supervisor, site_url=site_url, more=payments.environment if payments else {})
    prepared = subprocess.run([sys.executable, "manage.py", "prepare"], cwd=ROOT, check=False)
    if prepared.returncode != 0:
        raise StartError(
            "The database could not be prepared: the lines above say why; mend it and run `up` again."
        )
    with step(STEPS, STEPS, "starting web, gateway, worker and beat"):
        if payments:
            supervisor.start(payments.service(site_url=site_url))
        for service in web(listener):
            supervisor.start(service)
        wait_until_ready(supervisor, listener, also=payments.is_ready if payments else None)
        # Last, so that the site need not share the processor with them while it starts.
        for service in background():
            supervisor.start(service)


def start_engines(supervisor: Supervisor, *, site_url: str, more: Mapping[str, str]) -> None:
    """Start the servers that nobody has named, and write the addresses, and more, where settings find them."""
    named, home = given(), home_of(STATE_DIR)
    addresses = {
        "SITE_URL": site_url,
        "API_BASE_URL": f"{site_url}/v1",
        "EXERATI_DRAIN_SECONDS": str(LOCAL_DRAIN_SECONDS),
        **more,
    }
    if not named.database_url:
        supervisor.start(
            engine("postgres", lambda: embedded.start_postgres(home, durable=True), home=home)
        )
        addresses["DATABASE_URL"] = _server(home, "postgres").database_url
    if not named.redis_url:
        supervisor.start(
            engine("valkey", lambda: embedded.start_valkey(home, durable=True), home=home)
        )
        addresses["REDIS_URL"] = _server(home, "valkey").redis_url
    local_state.write_local_env(addresses)


def _server(home: Path, name: str) -> embedded.Server:
    server = embedded.recorded(home, name=name)
    if server is None:
        raise StartError(f"The record of {name} in {home} vanished: run `up` again.")
    return server


def web(listener: socket.socket) -> Iterator[Service]:
    """Yield the processes that answer HTTP; they share one listening socket, so a restart drops no connection."""
    descriptor = listener.fileno()
    for number in range(1, WEB_PROCESSES + 1):
        yield child(
            f"web-{number}", ["manage.py", "serve", "--fd", str(descriptor)], pass_fds=[descriptor]
        )


def background() -> Iterator[Service]:
    """Yield the worker and beat."""
    celery = ["-m", "celery", "--app", "exerati"]
    # Threads, so that a killed worker leaves no children behind.
    pool = ["--pool", "threads", "--concurrency", "4"]
    quick = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    yield child("worker", [*celery, "worker", "--loglevel", "INFO", *pool, *quick])
    yield child("beat", [*celery, "beat", "--loglevel", "INFO", "--pidfile", ""])


def wait_until_ready(
    supervisor: Supervisor, listener: socket.socket, *, also: Callable[[], bool] | None = None
) -> None:
    """
    Return when the site says that it is ready, and what else is wanted does.

    Raises StartError when its processes keep dying or take too long.
    """
    deadline = time.monotonic() + READY_SECONDS
    while not (is_ready(listener.getsockname()[1]) and (also is None or also())):
        supervisor.watch()
        if supervisor.deaths("web-1") >= DEATHS_BEFORE_GIVING_UP or time.monotonic() > deadline:
            raise StartError(f"The site does not start: the end of {LOGS / 'web-1.log'} says why.")
        time.sleep(0.1)


def is_ready(port: int) -> bool:
    """Return whether the site on `port` answers /readyz with 200."""
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def listen(port: int | None, *, say: Callable[[str], None]) -> socket.socket:
    """Return a listening socket on `port`, or on the first free one from 8000. Raises StartError if there is none."""
    wanted = range(DEFAULT_PORT, DEFAULT_PORT + PORTS_TO_TRY) if port is None else [port]
    for number in wanted:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            listener.bind((HOST, number))
            listener.listen(2048)
            if number != wanted[0]:
                say(f"Port {wanted[0]} is taken by another program, so this site is on {number}.")
            return listener
        listener.close()
    raise StartError(
        f"Port {wanted[0]} cannot be used: stop the program that has it, or choose another with --port."
    )


def end_leftovers() -> None:
    """End whatever a killed `up` of this checkout has left running."""
    left = local_state.read_run()
    if left is not None:
        for name, process in reversed(list(left.services.items())):
            if name not in ("postgres", "valkey"):
                end_child(process, LOCAL_DRAIN_SECONDS)
    for name in ("valkey", "postgres"):
        embedded.stop_server(home_of(STATE_DIR), name=name)
    local_state.forget_run()


def stop(supervisor: Supervisor) -> None:
    """End everything; a second Ctrl-C ends it at once."""
    try:
        supervisor.stop(seconds=LOCAL_DRAIN_SECONDS + 5)
    except KeyboardInterrupt:
        supervisor.stop(seconds=0)
    local_state.forget_run()


def _record(supervisor: Supervisor, *, site_url: str, ready: bool) -> None:
    local_state.write_run(
        Run(
            site_url=site_url,
            ready=ready,
            supervisor=identify(os.getpid()),
            services=supervisor.processes,
        )
    )


@contextmanager
def _stop_signals() -> Iterator[None]:
    """Treat a polite kill and a closed terminal as Ctrl-C."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, signal.default_int_handler) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
