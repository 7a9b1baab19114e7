"""
The mutation score of the money and key modules: how many small faults in their code their own tests notice.

`.venv/bin/python -m tests.mutants.score [module ...]` starts servers of its own, makes each fault in a forked process
in which Django is ready, runs the module's tests there, and prints the faults that nobody noticed.
"""

import argparse
import importlib
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from exerati import embedded, throwaway
from tests.mutants.faults import Fault, faults

ROOT = Path(__file__).resolve().parents[2]
TESTS = {
    "billing.pricing": ("tests/billing/test_pricing.py",),
    "apikeys.keys": ("tests/apikeys/test_keys.py",),
    "billing.budgets": (
        "tests/billing/test_doors.py",
        "tests/billing/test_reserve.py",
        "tests/billing/test_extend.py",
        "tests/billing/test_sweep.py",
    ),
    "billing.metering": (
        "tests/billing/test_doors.py",
        "tests/billing/test_settle.py",
        "tests/billing/test_true_ups.py",
        "tests/billing/test_fallback_models.py",
    ),
}
PYTEST = (
    *("-x", "-q", "--reuse-db", "-p", "no:randomly", "-p", "no:xdist", "-p", "no:cacheprovider"),
    # Django has imported anyio before pytest could rewrite its assertions; it has none that we care for.
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
)
SECONDS = 180


@dataclass(frozen=True, slots=True)
class Score:
    """What became of the faults of one module."""

    module: str
    survived: list[Fault]
    made: int

    def __str__(self) -> str:
        caught = self.made - len(self.survived)
        return f"{self.module}: {caught} of {self.made} caught, {100 * caught / self.made:.1f} %"


def main() -> None:
    """Score the modules named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", default=list(TESTS))
    parser.add_argument("--every", type=int, default=1, help="make only every n-th fault")
    options = parser.parse_args()
    home = throwaway.make_home(throwaway.parent())
    try:
        use_servers(home)
        scores = [score(module, every=options.every) for module in options.modules]
    finally:
        throwaway.remove_home(home)
    say("\n".join(map(str, scores)))


def say(words: str) -> None:
    """Print at once."""
    print(words, flush=True)  # noqa: T201  a command-line program


def use_servers(home: Path) -> None:
    """Start servers in `home` and get Django ready to use them."""
    os.environ |= {
        "DATABASE_URL": embedded.start_postgres(home, durable=False).database_url,
        "REDIS_URL": embedded.start_valkey(home, durable=False).redis_url,
        "DJANGO_SETTINGS_MODULE": "exerati.settings.test",
        "EXERATI_ENV_FILES": "",
    }
    import django
    import pytest  # noqa: F401  loaded once for all forks

    django.setup()


def score(module: str, *, every: int) -> Score:
    """Make the faults one by one; raises RuntimeError when the tests fail without any."""
    tests = [test for test in TESTS[module] if (ROOT / test).exists()]
    source = (ROOT / (module.replace(".", "/") + ".py")).read_text()
    if is_noticed(module, source, tests):
        raise RuntimeError(f"the tests of {module} fail as it is")
    made = list(faults(source))[::every]
    survived = []
    for number, fault in enumerate(made):
        if not is_noticed(module, fault.source, tests):
            survived.append(fault)
            say(f"{module}:{fault.line}: {fault.change} was not noticed")
        if number % 25 == 24:
            say(f"{module}: {number + 1} of {len(made)}")
    return Score(module, survived, len(made))


def is_noticed(module: str, source: str, tests: Sequence[str]) -> bool:
    """Return whether the tests fail, or never end, with this source in the place of the module's own."""
    child = os.fork()
    if not child:
        os.setsid()
        os._exit(run_tests(module, source, tests))
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status != 0
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def run_tests(module: str, source: str, tests: Sequence[str]) -> int:
    """Run the tests on the source, silently; return 0 when all pass."""
    import pytest

    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    try:
        replace(importlib.import_module(module), source)
        return int(pytest.main([*PYTEST, *tests]))
    except BaseException:  # whatever it is, the fault is noticed
        return 1


def replace(module: ModuleType, source: str) -> None:
    """Run the source as the module, and give its new objects to whoever had imported the old ones."""
    before: dict[str, Any] = dict(vars(module))
    exec(compile(source, str(module.__file__), "exec"), vars(module))  # noqa: S102  our own module, changed
    after = vars(module)
    for other in list(sys.modules.values()):
        for name, value in list(vars(other).items()):
            if name in before and value is before[name] and not name.startswith("__"):
                setattr(other, name, after[name])


if __name__ == "__main__":
    main()
