"""
Keeps the processes of `up` running: starts them, starts again what dies, and ends them all.

Each runs in a session of its own, so that Ctrl-C reaches the supervisor alone and it decides the order.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from exerati.servers import embedded
from exerati.servers.local_state import LOGS, ROOT
from exerati.servers.processes import Process, identify, stop, wait_until_gone

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
# A process that has lived this long had no trouble starting: its next death counts as the first.
SETTLED_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Service:
    """One thing to keep running: `start` starts it and returns its process, `end` ends it within the seconds given."""

    name: str
    start: Callable[[], Process]
    end: Callable[[Process, float], None]


@dataclass(slots=True)
class _Life:
    service: Service
    process: Process
    started: float
    deaths: int = 0
    restart_at: float | None = None


@dataclass(slots=True)
class Supervisor:
    """
    The running services, in the order of their start.

    `say` gets each sentence worth reading, `changed` is called whenever a process was started.
    """

    say: Callable[[str], None]
    changed: Callable[[], None]
    _lives: dict[str, _Life] = field(default_factory=dict)

    @property
    def processes(self) -> dict[str, Process]:
        """The process of each service by name."""
        return {name: life.process for name, life in self._lives.items()}

    def deaths(self, name: str) -> int:
        """Return how often `name` died without having lived long in between."""
        return self._lives[name].deaths

    def start(self, service: Service) -> None:
        """Start `service` and keep it running from now on."""
        self._lives[service.name] = _Life(
            service=service, process=service.start(), started=time.monotonic()
        )
        self.changed()

    def watch(self) -> None:
        """Look at each service once: notice the dead, and start again those whose pause is over."""
        now = time.monotonic()
        for life in self._lives.values():
            if life.restart_at is None and not life.process.alive:
                self._notice_death(life, now=now)
            if life.restart_at is not None and now >= life.restart_at:
                life.process, life.started, life.restart_at = life.service.start(), now, None
                self.changed()

    def _notice_death(self, life: _Life, *, now: float) -> None:
        life.deaths = 1 if now - life.started > SETTLED_SECONDS else life.deaths + 1
        life.service.end(life.process, 0.0)
        pause = min(FIRST_PAUSE_SECONDS * 2 ** (life.deaths - 1), LONGEST_PAUSE_SECONDS)
        life.restart_at = now + pause
        self.say(f"{life.service.name} ended unexpectedly; it is started again in {pause:g} s.")

    def stop(self, *, seconds: float) -> None:
        """End all services within about `seconds` each, the last started first, processes of one kind together."""
        lives = list(reversed(self._lives.values()))
        for life in lives:
            if life.service.end is end_child and life.process.alive:
                os.kill(life.process.pid, signal.SIGTERM)
        for life in lives:
            life.service.end(life.process, seconds)
        self._lives.clear()


def child(
    name: str,
    arguments: Sequence[str],
    *,
    pass_fds: Sequence[int] = (),
    environment: Mapping[str, str] | None = None,
) -> Service:
    """Return the service of a Python command of this checkout, whose output goes to its log."""
    command = [sys.executable, *arguments]
    return Service(
        name=name,
        start=lambda: start_child(
            command, log=LOGS / f"{name}.log", fds=pass_fds, environment=environment
        ),
        end=end_child,
    )


# The children this process has started: the system wants to be asked how each of them ended.
_children: dict[int, subprocess.Popen[bytes]] = {}


def start_child(
    command: Sequence[str],
    *,
    log: Path,
    fds: Sequence[int] = (),
    environment: Mapping[str, str] | None = None,
) -> Process:
    """Start `command` in the checkout, appending what it prints to `log`."""
    with log.open("ab") as output:
        started = subprocess.Popen(
            command,
            cwd=ROOT,
            env={
                **os.environ,
                **(environment or {}),
                "PYTHONUNBUFFERED": "1",
            },  # a line belongs in the log when it is written
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=fds,
        )
    _children[started.pid] = started
    return identify(started.pid)


def end_child(process: Process, seconds: float) -> None:
    """Ask a child that start_child started to end, and kill it if it has not after `seconds`."""
    if not wait_until_gone(process, seconds=0):
        stop(process, signals=((signal.SIGTERM, seconds),))
    if ended := _children.pop(process.pid, None):
        ended.wait()


def engine(name: str, start: Callable[[], embedded.Server], *, home: Path) -> Service:
    """Return the service of an embedded server."""
    return Service(
        name=name,
        start=lambda: start().process,
        end=lambda process, seconds: embedded.stop_server(home, name=name),
    )
