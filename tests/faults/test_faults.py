"""
The small form of the proof that runs with the suite: faults of a new seed, every crash point, and a protection taken
away. The full form is a command, see docs/faults.md.
"""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.mutants import MUTANTS

ROOT = Path(__file__).resolve().parents[2]
FAULTS = 64
# Far beyond what a run takes; one that hangs is ended, and says where it was.
AT_MOST_SECONDS = 1200


def run(*arguments):
    """Run `python -m tests.faults` with servers and processes of its own; return its exit code and what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=AT_MOST_SECONDS,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.slow
def test_no_fault_loses_doubles_or_overspends_a_call():
    seed = random.SystemRandom().randrange(10**6)

    code, said = run("--seed", str(seed), "--faults", str(FAULTS))

    assert code == 0, said
    print(said.splitlines()[-1])  # noqa: T201  the seed, for who reads the log


@pytest.mark.slow
def test_every_crash_point_with_every_outcome_leaves_the_books_right():
    code, said = run("--crash-points")

    assert code == 0, said


@pytest.mark.slow
@pytest.mark.parametrize("mutant", [MUTANTS[3]], ids=lambda mutant: mutant.name)
def test_a_protection_taken_away_is_noticed(mutant):
    code, said = run("--mutant", mutant.name)

    assert code == 0, said
