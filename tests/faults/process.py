"""
The product's processes in a run: each is forked from a server that has imported everything, so that a new one costs
milliseconds instead of seconds (multiprocessing's "forkserver"; it imports this module once and serves for all).

A process is the product as shipped, but for what it is told: `statement_seconds` shortens the time given to a
statement in proportion to the run's short leases, `points` is the folder that arms crash points
(tests/faults/points.py), `mutants` names protections to take away (tests/faults/mutants.py). So the product's own
code has no hook in it.
"""

import os
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import django

django.setup()

# Imported for the processes that are forked from here.
import celery.apps.beat  # noqa: E402
import celery.apps.worker  # noqa: E402
import celery.bin.celery  # noqa: E402
from django.core.management import execute_from_command_line  # noqa: E402

import exerati.asgi  # noqa: E402
import exerati.management.commands.serve  # noqa: E402, F401
from exerati.lib import database  # noqa: E402
from tests.faults import mutants, points  # noqa: E402


@dataclass(frozen=True, slots=True)
class Told:
    """What one process is to be; `points` is empty where there are none."""

    name: str
    command: Sequence[str]
    log: Path
    mutants: Sequence[str]
    points: str
    statement_seconds: float


def main(told: Told, listener: socket.socket | None) -> None:
    """Become the process: `serve` on the listener, or Celery's command."""
    _write_to(told.log)
    os.environ["PGAPPNAME"] = told.name
    database.STATEMENT_SECONDS = told.statement_seconds  # type: ignore[assignment]  # whole seconds as shipped
    if told.points:
        points.install(told.points)
    for name in told.mutants:
        mutants.BY_NAME[name].patch()
    if listener is None:
        sys.argv = ["celery", "--app", "exerati", *told.command]
        sys.exit(celery.bin.celery.main())
    execute_from_command_line(["manage.py", *told.command, "--fd", str(os.dup(listener.fileno()))])


def _write_to(log: Path) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    sys.stdout = sys.stderr = os.fdopen(2, "w", buffering=1)
