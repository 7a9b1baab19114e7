"""
Every rule of the money's algorithm is needed: without it the simulator finds what breaks.

`python3 manage.py test tests/mutants/test_sql.py -- -n 0 -o log_cli=true --log-cli-level=INFO` tells what caught each.
"""

import logging

import pytest
from django.db import DatabaseError, transaction

from tests.billing.calls import make_payer
from tests.billing.simulator.model import Violation
from tests.billing.simulator.play import play
from tests.billing.simulator.races import verdicts_of_a_race
from tests.mutants import sql

logger = logging.getLogger(__name__)

SEEDS = range(500)


def name(mutant):
    return mutant.name


def look_for_what_breaks(mutant):
    play([mutant.seed])
    play(SEEDS, at_once=50)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "mutant", sql.SEQUENTIAL + sql.MEMBERS + sql.PAYING + sql.TRUED_UP, ids=name
)
def test_simulator_finds_each_rule_that_is_left_out(mutant):
    with transaction.atomic(), sql.applied(mutant):
        # The tables themselves refuse some of what a wrong function wants to write.
        with pytest.raises((Violation, DatabaseError)) as caught, transaction.atomic():
            look_for_what_breaks(mutant)
        transaction.set_rollback(True)

    logger.info("%s: %s", mutant.name, str(caught.value).splitlines()[0])


def race_for_the_last_room():
    payer = make_payer(credit_usd="0.000001")  # 1,000 nano-USD
    return verdicts_of_a_race(payer.call(600), payer.call(600))


@pytest.mark.django_db(transaction=True)
def test_of_two_processes_that_want_the_last_room_one_gets_it():
    assert race_for_the_last_room() == ["ok", "over"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("mutant", sql.RACING, ids=name)
def test_race_finds_a_lock_that_is_left_out(mutant):
    with sql.applied(mutant):
        verdicts = race_for_the_last_room()

    assert verdicts != ["ok", "over"]
    logger.info("%s: %s", mutant.name, verdicts)
