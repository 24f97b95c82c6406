"""Start-time fair queueing, as a plain calculation."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.executor.scheduling.fairshare import MOST_HANDICAP, MOST_LAG, Account, Head, handicap, in_order

COST = 10.0
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def a_head(vtime: float, queue_number: int, model: str = "sd15", job_id: UUID | None = None) -> Head:
    return Head(job_id or uuid4(), model, vtime, queue_number, NOON)


def nothing_to_load(_: str) -> float:
    return 0.0


def serve(backlogs: dict[str, int], *, weights: dict[str, float] | None = None, costs=None) -> list[str]:
    """The order in which one worker serves owners with that many jobs each."""
    accounts = {name: Account(uuid4(), weight=(weights or {}).get(name, 1.0)) for name in backlogs}
    waiting, clock, order = dict(backlogs), 0.0, []
    while any(waiting.values()):
        names = {uuid4(): name for name in backlogs if waiting[name]}
        heads = [a_head(accounts[name].vtime, number, job_id=job) for number, (job, name) in enumerate(names.items())]
        name = names[in_order(heads, clock, nothing_to_load)[0].job_id]
        accounts[name], clock = accounts[name].charge(clock, (costs or {}).get(name, COST))
        waiting[name] -= 1
        order.append(name)
    return order


def test_a_light_user_does_not_wait_behind_a_greedy_one():
    order = serve({"greedy": 50, "light": 2})
    assert max(index for index, name in enumerate(order) if name == "light") <= 3


def test_who_comes_while_a_greedy_user_is_served_is_next():
    greedy, clock = Account(uuid4()), 0.0
    for _ in range(20):
        greedy, clock = greedy.charge(clock, COST)
    light = Account(uuid4()).arrive(clock)
    first, second = a_head(greedy.vtime, 1), a_head(light.vtime, 2)
    assert in_order([first, second], clock, nothing_to_load) == [second, first]


def test_twice_the_weight_gets_twice_the_share():
    order = serve({"double": 60, "single": 60}, weights={"double": 2.0})
    assert 19 <= order[:60].count("single") <= 21


@given(st.floats(1.0, 40.0), st.floats(1.0, 40.0))
def test_shares_are_of_gpu_seconds_and_not_of_jobs(one_cost, other_cost):
    costs = {"one": one_cost, "other": other_cost}
    order = serve({"one": 60, "other": 60}, costs=costs)
    first_to_end = min(costs, key=lambda name: max(i for i, served in enumerate(order) if served == name))
    both_wait = order[: max(i for i, served in enumerate(order) if served == first_to_end)]
    used = [both_wait.count(name) * cost for name, cost in costs.items()]
    assert abs(used[0] - used[1]) <= 2 * max(costs.values())


def test_idle_time_earns_no_credit():
    idle = Account(uuid4(), vtime=3.0).arrive(1000.0)
    assert idle.vtime == 1000.0


def test_who_has_paid_ahead_does_not_arrive_earlier_for_having_been_idle():
    assert Account(uuid4(), vtime=1020.0).arrive(1000.0).vtime == 1020.0


def test_what_an_owner_had_of_other_engines_counts_no_more_than_the_most_lag():
    assert Account(uuid4(), vtime=90_000.0).arrive(1000.0).vtime == 1000.0 + MOST_LAG


def test_an_owner_far_behind_catches_up_by_a_bounded_number_of_gpu_seconds():
    clock = 10_000.0
    behind, clock = Account(uuid4(), vtime=0.0).charge(clock, COST)
    assert (behind.vtime, clock) == (10_000.0 - MOST_LAG + COST, 10_000.0)
    served = 1
    while behind.vtime < clock:
        behind, clock = behind.charge(clock, COST)
        served += 1
    assert served * COST <= MOST_LAG + COST


@given(st.lists(st.tuples(st.floats(0, 500), st.floats(0.1, 60)), min_size=1, max_size=40))
def test_the_clock_never_falls(claims):
    clock = 0.0
    for vtime, cost in claims:
        _, later = Account(uuid4(), vtime=vtime).charge(clock, cost)
        assert later >= clock
        clock = later


@pytest.mark.parametrize("load_seconds", [0.5, 5.0, 60.0, 3600.0])
def test_a_model_that_must_be_loaded_waits_no_longer_than_the_handicap(load_seconds):
    """The others have it loaded and always want more."""
    waiting = Account(uuid4()).arrive(0.0)
    others, clock, spent = Account(uuid4()), 0.0, 0.0
    lag = {"sd15": 0.0, "flux": handicap(load_seconds)}.__getitem__
    for number in range(2, 10_000):
        heads = [a_head(waiting.vtime, 1, "flux"), a_head(others.vtime, number, "sd15")]
        if in_order(heads, clock, lag)[0].model == "flux":
            break
        others, clock = others.charge(clock, COST)
        spent += COST
    assert spent <= min(handicap(load_seconds), MOST_HANDICAP) + COST


def test_a_loaded_model_is_preferred_while_nobody_has_fallen_behind():
    cold, warm = a_head(0.0, 1, "flux"), a_head(5.0, 2, "sd15")
    assert in_order([cold, warm], 5.0, {"sd15": 0.0, "flux": handicap(20.0)}.__getitem__) == [warm, cold]


def test_equal_starts_are_served_in_order_of_arrival():
    late, early = a_head(5.0, 2), a_head(5.0, 1)
    assert in_order([late, early], 5.0, nothing_to_load) == [early, late]


@given(st.floats(0.1, 100), st.floats(0.1, 100), st.floats(0.1, 10))
def test_a_run_is_paid_for_as_long_as_it_took(estimated, used, weight):
    account, _ = Account(uuid4(), weight=weight).charge(0.0, estimated)
    assert account.settle(estimated, used).vtime == pytest.approx(used / weight)
