"""
The tests of the scored modules, collected once and run again and again in forked processes, each with another source
in the place of a module. A fault is tried by those tests alone that call the function it is in.
"""

import ast
import importlib
import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import psycopg
import pytest

from exerati.lib.database import conninfo

ROOT = Path(__file__).resolve().parents[2]
# What tests may take beside what they take by themselves, on a machine that has other work, too.
SPARE_SECONDS = 30
TIMES_SLOWER = 10
FIRST_TEST = 2  # the exit code of a process whose first test has failed; 1: the code could not even be loaded
KEPT_TABLES = ("django_migrations", "django_content_type", "auth_permission")


class Outcome(Enum):
    """What became of a fault."""

    NOTICED = "noticed"
    SURVIVED = "survived"
    ENDLESS = "never ended, while the tests of the code as it is did"
    UNKNOWN = "not known: the tests of the code as it is took too long, too"


@dataclass(frozen=True, slots=True)
class Run:
    """What one test does in the code as it is: how long it takes, and the first lines of the functions it calls."""

    seconds: float
    called: frozenset[int]


class Nobody:
    """The test after the last one: nothing but the session is kept for it."""

    def __init__(self, session: pytest.Session) -> None:
        self._session = session

    def listchain(self) -> list[Any]:
        """Return what the test is in."""
        return [self._session]


class Bench:
    """A plugin of pytest whose tests are run by `work`, as often as it likes."""

    def __init__(self, work: Callable[["Bench"], None]) -> None:
        self.noticed_by: Counter[str] = Counter()  # how many faults each test has noticed first
        self._work = work
        self._failed = False

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Make the database, then let the work be done."""
        self.items: Sequence[pytest.Item] = session.items
        self._session = session
        for item in [item for item in self.items if item.get_closest_marker("django_db")][:1]:
            if not self._run(item):
                raise RuntimeError(f"{item.nodeid} fails as it is")
        from django.db import connections

        connections.close_all()  # a process that is forked may not speak on them
        self._work(self)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what failed."""
        self._failed |= report.failed

    def _run(self, item: pytest.Item) -> bool:
        self._failed = False
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=Nobody(self._session))
        return not self._failed

    def of(self, files: Iterable[str]) -> list[pytest.Item]:
        """Return the tests of these files."""
        wanted = {ROOT / file for file in files}
        return [item for item in self.items if item.path in wanted]

    def measure(self, module: str, source: str, items: Sequence[pytest.Item]) -> dict[str, Run]:
        """Return what each test does, by its id; raises RuntimeError when one fails as it is."""
        path = str(ROOT / (module.replace(".", "/") + ".py"))
        receiving, sending = os.pipe()
        child = os.fork()
        if not child:
            with _last_will():
                _replace(importlib.import_module(module), source)
                found = {item.nodeid: self._traced(item, path) for item in items}
                Path(f"/dev/fd/{sending}").write_text(json.dumps(found))
                os._exit(0)
        os.close(sending)
        with os.fdopen(receiving) as answer:
            told = answer.read()
        if os.waitpid(child, 0)[1]:
            raise RuntimeError(f"the tests of {module} fail as it is")
        return {
            name: Run(seconds, frozenset(called))
            for name, (seconds, called) in json.loads(told).items()
        }

    def _traced(self, item: pytest.Item, path: str) -> tuple[float, list[int]]:
        called: set[int] = set()

        def note(frame: FrameType, event: str, argument: object) -> None:
            if frame.f_code.co_filename == path:
                called.add(frame.f_code.co_firstlineno)

        started = time.monotonic()
        threading.settrace(note)
        sys.settrace(note)
        try:
            passed = self._run(item)
        finally:
            sys.settrace(None)
            threading.settrace(None)
        if not passed:
            raise AssertionError(item.nodeid)
        return time.monotonic() - started, sorted(called)

    def try_out(
        self,
        module: str,
        source: str,
        items: Sequence[pytest.Item],
        runs: dict[str, Run],
        *,
        as_it_is: str,
    ) -> Outcome:
        """
        Return whether these tests notice the source.

        A test that does not end in its time tells nothing by itself: the code as it is gets the same time, then the
        source twice as much.
        """
        limits = [SPARE_SECONDS + TIMES_SLOWER * runs[item.nodeid].seconds for item in items]
        passed = self._pass(module, source, items, limits)
        if passed is None:
            if self._pass(module, as_it_is, items, limits) is None:
                return Outcome.UNKNOWN
            passed = self._pass(module, source, items, [2 * limit for limit in limits])
            if passed is None:
                return Outcome.ENDLESS
        return Outcome.SURVIVED if passed else Outcome.NOTICED

    def _pass(
        self, module: str, source: str, items: Sequence[pytest.Item], limits: Sequence[float]
    ) -> bool | None:
        """Return whether the tests pass with the source; None when one has not ended within its limit, in seconds."""
        child = os.fork()
        if not child:
            os.setsid()
            with _last_will():
                signal.alarm(SPARE_SECONDS)
                _replace(importlib.import_module(module), source)
                os._exit(self._first_failed(items, limits))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code == -signal.SIGALRM:
            _empty_the_database()
            return None
        if 0 <= code - FIRST_TEST < len(items):
            self.noticed_by[items[code - FIRST_TEST].nodeid] += 1
        return code == 0

    def _first_failed(self, items: Sequence[pytest.Item], limits: Sequence[float]) -> int:
        """Return the exit code that tells which test failed first; the alarm of one that does not end ends us."""
        for number, (item, limit) in enumerate(zip(items, limits, strict=True)):
            signal.alarm(int(limit))
            if not self._run(item):
                return min(FIRST_TEST + number, 255)
        return 0


def function_at(source: str, line: int) -> int | None:
    """Return the first line of the innermost function around a line, None outside of all."""
    around = [
        (node.lineno, min([node.lineno, *(d.lineno for d in node.decorator_list)]))
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body[0].lineno <= line <= (node.end_lineno or 0)
    ]
    return max(around)[1] if around else None


@contextmanager
def _last_will() -> Iterator[None]:
    """Be silent, and end this process with 1 whatever happens: nothing of it may go on beside its parent."""
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    try:
        yield
    finally:
        os._exit(1)


def _replace(module: ModuleType, source: str) -> None:
    """Run the source as the module, and give its new objects to whoever had imported the old ones."""
    before: dict[str, Any] = dict(vars(module))
    exec(compile(source, str(module.__file__), "exec"), vars(module))  # noqa: S102  our own module, changed
    after = vars(module)
    for other in list(sys.modules.values()):
        for name, value in list(vars(other).items()):
            if name in before and value is before[name] and not name.startswith("__"):
                setattr(other, name, after[name])


def _empty_the_database() -> None:
    """Remove what a test that was killed has left behind."""
    with psycopg.connect(**conninfo(), autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        tables = connection.execute(
            "SELECT string_agg(quote_ident(tablename), ', ') FROM pg_tables"
            " WHERE schemaname = 'public' AND tablename <> ALL (%s)",
            [list(KEPT_TABLES)],
        ).fetchone()
        if tables and tables[0]:  # else no test has needed the database so far
            connection.execute(f"TRUNCATE {tables[0]}")
