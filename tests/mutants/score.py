"""
The mutation score of the money and key modules: how many small faults in their code their own tests notice.

`.venv/bin/python -m tests.mutants.score [module ...]` starts servers of its own, makes each fault in a forked process
in which Django and the tests are ready, runs there the tests that call the changed function, and prints the faults
that nobody noticed. A fault of which nothing is known, since the machine was too slow, is tried once more at the end,
and counts as not noticed if that brings nothing.
"""

import argparse
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from exerati.servers import embedded, throwaway
from tests.mutants.faults import Fault, faults

if TYPE_CHECKING:
    import pytest

    from tests.mutants.bench import Bench, Outcome, Run

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
    *("-q", "-s", "-p", "no:randomly", "-p", "no:xdist", "-p", "no:cacheprovider"),
    # Django has imported anyio before pytest could rewrite its assertions; it has none that we care for.
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
)


@dataclass(slots=True)
class Score:
    """What became of the faults of one module."""

    module: str
    outcomes: "dict[Fault, Outcome]" = field(default_factory=dict)

    def __str__(self) -> str:
        from tests.mutants.bench import Outcome

        made, count = len(self.outcomes), Counter(self.outcomes.values())
        caught = count[Outcome.NOTICED] + count[Outcome.ENDLESS]
        rest = f", {count[Outcome.UNKNOWN]} not known" if count[Outcome.UNKNOWN] else ""
        endless = f" ({count[Outcome.ENDLESS]} never ended)" if count[Outcome.ENDLESS] else ""
        return (
            f"{self.module}: {caught} of {made} caught{endless}{rest}, {100 * caught / made:.1f} %"
        )


def main() -> None:
    """Score the modules named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", default=list(TESTS))
    parser.add_argument("--every", type=int, default=1, help="make only every n-th fault")
    options = parser.parse_args()
    home = throwaway.make_home(throwaway.parent())
    try:
        use_servers(home)
        score_all(options.modules, every=options.every)
    finally:
        throwaway.remove_home(home)


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

    django.setup()


def score_all(modules: Sequence[str], *, every: int) -> list[Score]:
    """Make the faults of the modules one by one; raises RuntimeError when a test fails without any."""
    import pytest

    from tests.mutants.bench import Bench

    scores: list[Score] = []
    bench = Bench(lambda bench: scores.extend(score(bench, m, every=every) for m in modules))
    files = dict.fromkeys(file for module in modules for file in TESTS[module])
    if pytest.main([*PYTEST, *files], plugins=[bench]) or len(scores) < len(modules):
        raise RuntimeError("the tests could not be run")
    return scores


def score(bench: "Bench", module: str, *, every: int) -> Score:
    """Try every n-th fault of a module, those of which nothing was learned a second time."""
    from tests.mutants.bench import Outcome

    source = (ROOT / (module.replace(".", "/") + ".py")).read_text()
    items = bench.of(TESTS[module])
    runs = bench.measure(module, source, items)
    say(f"{module}: {len(items)} tests, {sum(run.seconds for run in runs.values()):.0f} s")
    found = Score(module)
    for number, fault in enumerate(list(faults(source))[::every], 1):
        found.outcomes[fault] = try_fault(bench, module, source, fault, items, runs)
        if number % 25 == 0:
            say(f"{module}: {number} tried")
    for fault, outcome in found.outcomes.items():
        if outcome is Outcome.UNKNOWN:
            outcome = try_fault(bench, module, source, fault, items, runs)
            found.outcomes[fault] = outcome
        if outcome is not Outcome.NOTICED:
            say(f"{module}:{fault.line}: {fault.change} {outcome.value}")
    say(str(found))
    return found


def try_fault(
    bench: "Bench",
    module: str,
    source: str,
    fault: Fault,
    items: "list[pytest.Item]",
    runs: "dict[str, Run]",
) -> "Outcome":
    """
    Return what became of a fault, tried by the tests that call its function.

    Those that noticed most so far come first, then the quickest.
    """
    from tests.mutants.bench import function_at

    function = function_at(source, fault.line)
    chosen = [item for item in items if function is None or function in runs[item.nodeid].called]
    chosen.sort(key=lambda item: (-bench.noticed_by[item.nodeid], runs[item.nodeid].seconds))
    return bench.try_out(module, fault.source, chosen, runs, as_it_is=source)


if __name__ == "__main__":
    main()
