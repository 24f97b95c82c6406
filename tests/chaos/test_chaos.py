"""A short ordeal, and how one is scheduled. The long one is `make chaos`."""

import pytest

from tests.chaos.faults import KINDS, Kind, schedule
from tests.chaos.ordeal import Size, undergo

VICTIMS = {group: [f"{group}-1", f"{group}-2"] for group in KINDS}


def test_every_task_ends_in_its_pictures_once_while_everything_is_killed(tmp_path):
    account = undergo(tmp_path, Size(tasks=30, users=5, faults=len(KINDS), seconds=16), seed=1)
    assert account.verdict.violations == []
    assert not account.missed
    assert account.verdict.accepted == 30
    assert not account.verdict.failures, "no task meets as many faults as it has attempts"


def test_a_schedule_follows_from_its_seed_alone():
    assert schedule(7, 50, 100, VICTIMS) == schedule(7, 50, 100, VICTIMS)
    assert schedule(7, 50, 100, VICTIMS) != schedule(8, 50, 100, VICTIMS)


def test_every_group_is_hit_in_each_round_and_by_every_kind():
    faults = schedule(3, 7 * len(KINDS), 1000, VICTIMS)
    met = {(fault.victim.partition("-")[0], fault.kind) for fault in faults}
    assert met == {(group, kind) for group, kinds in KINDS.items() for kind in kinds}
    first = {fault.victim.partition("-")[0]: fault.kind for fault in faults[: len(KINDS)]}
    assert first == {group: Kind.HALF_OPEN if group == "link" else Kind.KILL for group in KINDS}


@pytest.mark.parametrize("seed", range(10))
def test_no_fault_begins_while_its_victim_suffers(seed):
    until = {}
    for fault in schedule(seed, 100, 60, VICTIMS):
        assert fault.at >= until.get(fault.victim, 0) - 0.02, fault
        until[fault.victim] = fault.at + fault.seconds
