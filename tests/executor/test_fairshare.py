"""Start-time fair queueing, as a plain calculation."""

from uuid import uuid4

from services.executor.fairshare import Account, Head, in_order


def serve(backlogs: dict[str, int], *, weights: dict[str, float] | None = None, cost: float = 10.0) -> list[str]:
    """The order in which owners with that many equal jobs are served by one worker."""
    accounts = {name: Account(uuid4(), weight=(weights or {}).get(name, 1.0)) for name in backlogs}
    waiting, clock, order = dict(backlogs), 0.0, []
    while any(waiting.values()):
        heads = {uuid4(): name for name in backlogs if waiting[name]}
        first = in_order(
            [Head(job, accounts[name].vtime, number) for number, (job, name) in enumerate(heads.items())], clock
        )[0]
        name = heads[first]
        accounts[name], clock = accounts[name].charge(clock, cost)
        waiting[name] -= 1
        order.append(name)
    return order


def test_a_light_user_does_not_wait_behind_a_greedy_one():
    order = serve({"greedy": 50, "light": 2})
    assert max(index for index, name in enumerate(order) if name == "light") <= 4


def test_twice_the_weight_gets_twice_the_share():
    order = serve({"double": 60, "single": 60}, weights={"double": 2.0})
    assert 19 <= order[:60].count("single") <= 21


def test_idle_time_earns_no_credit():
    idle, clock = Account(uuid4()), 1000.0
    busy = Account(uuid4(), vtime=1000.0)
    idle, clock = idle.charge(clock, 10.0)
    assert (idle.vtime, clock) == (1010.0, 1000.0)
    assert busy.vtime < idle.vtime


def test_equal_starts_are_served_in_order_of_arrival():
    early, late = Head(uuid4(), 5.0, 1), Head(uuid4(), 3.0, 2)
    assert in_order([late, early], 5.0) == [early.job_id, late.job_id]


def test_a_run_that_took_longer_than_estimated_is_charged_in_full():
    account, _ = Account(uuid4()).charge(0.0, 10.0)
    assert account.settle(10.0, 25.0).vtime == 25.0
