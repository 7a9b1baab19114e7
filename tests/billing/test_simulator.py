"""
Thousands of random histories against the SQL functions and the reference model, step by step.

`EXERATI_SEEDS=200000 python3 manage.py test tests/billing/test_simulator.py` plays as many as you like;
`EXERATI_FIRST_SEED=4711 EXERATI_SEEDS=1` plays one again.
"""

import logging
import os
import time

import pytest

from tests.billing.simulator.beginnings import ask
from tests.billing.simulator.play import play

logger = logging.getLogger(__name__)

SEEDS = int(os.environ.get("EXERATI_SEEDS", "5000"))
FIRST_SEED = int(os.environ.get("EXERATI_FIRST_SEED", "0"))
# Shared out among the workers. A part's rows are dead weight to its next histories until its transaction ends.
PARTS = max(10, SEEDS // 500)


@pytest.mark.slow
@pytest.mark.django_db
@pytest.mark.parametrize("part", range(PARTS))
def test_no_history_breaks_a_promise(part):
    seeds = range(FIRST_SEED, FIRST_SEED + SEEDS)[part::PARTS]
    started = time.monotonic()

    steps = play(seeds)

    took = time.monotonic() - started
    logger.info("%d seeds, %d steps, %.0f seeds/s", len(seeds), steps, len(seeds) / took)


@pytest.mark.django_db
def test_histories_are_the_same_on_a_machine_that_takes_minutes_to_play_them():
    def a_minute_goes_by():
        ask("UPDATE billing_reservation SET lease_until = lease_until - interval '1 minute'")

    assert play(range(3750, 3790), meanwhile=a_minute_goes_by) > 0
