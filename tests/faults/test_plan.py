"""A seed replays its faults, and the plans reach everything that can be hurt."""

from tests.faults import acts
from tests.faults.plan import KINDS, plan


def test_a_seed_gives_the_same_faults_again():
    assert plan(7, count=200) == plan(7, count=200)


def test_another_seed_gives_other_faults():
    assert plan(7, count=20) != plan(8, count=20)


def test_a_longer_plan_begins_like_a_shorter_one():
    assert plan(7, count=50)[:20] == plan(7, count=20)


def test_a_thousand_faults_are_of_every_kind_on_every_target():
    drawn = {(fault.kind, fault.target) for fault in plan(1, count=1000)}

    assert drawn == {(kind.name, target) for kind in KINDS for target in kind.targets}


def test_every_kind_of_fault_can_happen():
    for kind in KINDS:
        for target in kind.targets:
            assert kind.name in acts.ON_SERVERS.get(target, acts.ON_PROCESSES)
