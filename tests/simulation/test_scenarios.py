"""What fair share promises, replayed in virtual time: the same figures on every machine."""

import pytest

from tests.simulation.cells import BUSY, cut
from tests.simulation.eta import SCENARIOS, eta
from tests.simulation.measures import Target, jain
from tests.simulation.scenarios import backlogged, light_users, light_waits, reloads, separate_pools, unloaded_model

SEEDS = (0,)


def assert_met(measures):
    missed = [f"{one.scenario}, {one.figure}: {one.values} is not {one.target}" for one in measures if not one.is_met]
    assert not missed, "\n".join(missed)


def test_light_users_wait_less_than_two_service_times_beside_a_hot_one():
    assert_met(light_users([light_waits(seed) for seed in range(3)]))


def test_gpus_that_share_no_model_with_them_do_not_make_light_users_wait():
    assert_met(separate_pools(range(3)))


def test_owners_that_always_want_more_get_equal_gpu_seconds_for_equal_weight():
    assert_met(backlogged(SEEDS, hours=0.25))


@pytest.mark.parametrize("mix", ["2 models, 4 GPUs", "5 models, 2 GPUs"])
def test_models_are_hardly_changed_more_often_than_by_pure_affinity(mix):
    assert_met(reloads(SEEDS, [mix]))


def test_who_wants_a_model_that_nobody_has_loaded_waits_for_a_bounded_time():
    assert_met(unloaded_model(SEEDS))


@pytest.mark.parametrize("load", SCENARIOS)
def test_as_many_jobs_end_in_time_as_were_promised(load):
    assert_met(eta((0, 1), [load]))


def test_first_come_first_served_would_not_do():
    """The figures can fail: the yardsticks miss what fair share meets."""
    [_, p95] = light_users([light_waits(0)])
    [shares] = backlogged(SEEDS, hours=0.25)
    assert not p95.target.is_met(p95.yardsticks["first come"][0])
    assert not shares.target.is_met(shares.yardsticks["first come"][0])


def test_who_is_in_the_fullest_of_small_cells_waits_longer_than_in_one_queue():
    [_, p95] = cut(40, 1, enough=40)
    [load, *_, p95_of_fullest] = cut(40, 4, enough=40)
    assert load.mean > BUSY
    assert p95_of_fullest.mean > 2 * p95.mean


def test_a_target_is_missed_by_what_is_outside_it():
    assert Target(least=0.85, most=0.95).is_met(0.9)
    assert Target(most=2.0).miss(2.5) == 0.5
    assert not Target(least=0.85, most=0.95).is_met(0.96)


def test_the_index_of_equal_shares_is_one_and_of_one_owner_alone_one_of_all():
    assert (jain([3.0, 3.0, 3.0]), jain([9.0, 0.0, 0.0])) == (1.0, pytest.approx(1 / 3))
