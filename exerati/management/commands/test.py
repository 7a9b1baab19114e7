"""
Runs the test suite against its own throw-away PostgreSQL and Valkey.

Everything the command does not know itself goes to pytest: `python3 manage.py test tests/billing -- -k wallet -x`.
"""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from exerati.servers import lanes, throwaway
from exerati.servers.engines import EngineError

ROOT = Path(__file__).resolve().parents[3]
# Two more than the cores of the smallest machine: the longest tests wait for other processes.
WORKERS = "4"
# Without bytecode each of the hundred processes that a run starts would spend a second on compiling this project.
LEFT_OUT = ("DJANGO_ALLOW_ASYNC_UNSAFE", "PYTHONDONTWRITEBYTECODE")


class Command(BaseCommand):
    """`manage.py test`: its own arguments are few, so that pytest's keep their meaning."""

    help = __doc__

    def run_from_argv(self, argv: list[str]) -> None:
        """Run the suite and leave with pytest's exit code."""
        options, rest = parser(prog=f"{Path(argv[0]).name} {argv[1]}").parse_known_args(argv[2:])
        try:
            lane = lanes.choose(options.lane, python=options.python)
            with throwaway.servers(
                database_url=options.database_url, redis_url=options.redis_url, engines=lane.engines
            ) as addresses:
                code = run_pytest(lane.python, [*lane.pytest, *rest], addresses=addresses)
        except EngineError as error:
            sys.exit(str(error))
        sys.exit(code)

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the suite when called from Python code."""
        self.run_from_argv(["manage.py", "test", *args])


def parser(*, prog: str) -> argparse.ArgumentParser:
    """Return the parser of the command's own options."""
    own = argparse.ArgumentParser(
        prog=prog, description=__doc__, allow_abbrev=False, add_help=False
    )
    own.add_argument(
        "--lane", choices=lanes.NAMES, default="default", help="other servers or another Django"
    )
    own.add_argument("--python", default="", help="the Python of the lane django61")
    own.add_argument("--database-url", default=os.environ.get("EXERATI_TEST_DATABASE_URL", ""))
    own.add_argument("--redis-url", default=os.environ.get("EXERATI_TEST_REDIS_URL", ""))
    return own


def run_pytest(python: str, arguments: Sequence[str], *, addresses: throwaway.Addresses) -> int:
    """Run pytest under `python` and return its exit code; Ctrl-C is pytest's to handle, we wait for it to end."""
    command = [python, "-m", "pytest", *pytest_arguments(arguments)]
    signal.signal(signal.SIGINT, lambda number, frame: None)
    with subprocess.Popen(command, cwd=ROOT, env=environment(addresses)) as process:
        signal.signal(signal.SIGTERM, lambda number, frame: process.terminate())
        return process.wait()


def pytest_arguments(arguments: Sequence[str]) -> list[str]:
    """Return pytest's arguments: those given, and WORKERS unless the caller says how many."""
    given = [argument for argument in arguments if argument != "--"]
    chosen = any(
        argument.startswith(("-n", "--numprocesses", "--pdb", "--trace")) for argument in given
    )
    return given if chosen else ["-n", WORKERS, *given]


def environment(addresses: throwaway.Addresses) -> dict[str, str]:
    """Return the environment of the test run: its own servers, and nothing of this checkout's local settings."""
    kept = {key: value for key, value in os.environ.items() if key not in LEFT_OUT}
    return kept | {
        "DJANGO_SETTINGS_MODULE": "exerati.settings.test",
        "DATABASE_URL": addresses.database_url,
        "REDIS_URL": addresses.redis_url,
        "EXERATI_ENV_FILES": "",
    }
