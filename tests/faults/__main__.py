"""
`python -m tests.faults`: faults from a seed, under load, and the books compared after. See docs/faults.md.
"""

import argparse
import json
import math
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from tests.faults import crash, mutants, runner
from tests.faults.plan import plan


def main() -> int:
    """Run as told and return 0 if everything was as it must be."""
    options = _parser().parse_args()
    # Ends as by Ctrl-C, so that nothing is left running.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    seed = random.randrange(10**6) if options.seed is None else options.seed
    if options.plan:
        print(*plan(seed, count=options.faults), sep="\n")
        return 0
    print(f"seed {seed}, {options.faults} faults", file=sys.stderr, flush=True)
    if options.mutants:
        return _hunt(options.mutants)
    if options.crash_points:
        report = crash.run()
    else:
        report = runner.run(seed, count=options.faults, minutes=options.minutes)
    if options.json:
        print(json.dumps(asdict(report), indent=1, default=str))
    else:
        _tell(report)
    return 0 if report.passed else 1


def _hunt(names: Sequence[str]) -> int:
    """Run with each protection taken away in turn; return 0 if each was missed by the rule that guards it."""
    chosen = [name for name in mutants.BY_NAME if "all" in names or name in names]
    return max(_hunted(name) for name in chosen) if chosen else 2


def _hunted(name: str) -> int:
    """Run in a process of its own, since a process takes part in one world only."""
    if os.environ.get("EXERATI_FAULTS_MUTANT") != name:
        environment = {**os.environ, "EXERATI_FAULTS_MUTANT": name}
        command = [sys.executable, "-m", "tests.faults", "--mutant", name]
        return subprocess.run(command, env=environment, check=False).returncode
    report = runner.run_mutant(name)
    rules = Counter(problem.partition(":")[0] for problem in report.problems)
    caught = mutants.BY_NAME[name].caught_by in rules
    print(f"{name}: {'caught' if caught else 'NOT CAUGHT'} by {dict(rules)}, {report.seconds} s")
    return 0 if caught else 1


def _tell(report: runner.Report) -> None:
    for name, value in report.figures.items():
        print(f"{name}: {value}")
    for problem in report.problems[:50]:
        print(f"WRONG {problem}")
    for story in report.stories:
        print(f"\n{story}")
    if not report.passed:
        print(f"\nReplay: python -m tests.faults --seed {report.seed} --faults {report.faults}")
        print(f"Logs: {report.logs}")
    wrong = len(report.problems)
    print(f"{report.faults} faults, seed {report.seed}, {report.seconds} s: {wrong} problems")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, help="a random one if not given")
    parser.add_argument("--faults", type=int, default=60)
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="no fault begins after so many"
    )
    parser.add_argument("--plan", action="store_true", help="only show the faults of the seed")
    parser.add_argument("--crash-points", action="store_true", help="every point, every outcome")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument(
        "--mutant",
        dest="mutants",
        action="append",
        help="take this protection away, or `all` in turn",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
