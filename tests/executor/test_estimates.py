"""How long things take, learnt from how long they took."""

from collections import defaultdict
from random import Random
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.executor.domain import EngineId
from services.executor.scheduling.estimates import (
    ENOUGH,
    UNLEARNT_P90,
    Estimates,
    Hint,
    Key,
    finish_sample,
    quantile,
    size_of,
)

FAST, SLOW, NEW = (EngineId(uuid4()) for _ in range(3))
WORK = 512.0 * 512 * 20
SECONDS = 8.0
HINTS = {"sdxl": Hint(SECONDS / WORK, 20.0), "sd15": Hint(1.0 / WORK, 4.0)}


def learnt(*samples: tuple[Key, float]) -> Estimates:
    by_key: dict[Key, list[float]] = defaultdict(list)
    for key, ratio in samples:
        by_key[key].append(ratio)
    return Estimates(HINTS, by_key)


def runs(engine_id: EngineId, seconds: float, *, work: float = WORK, times: int = ENOUGH) -> list[tuple[Key, float]]:
    return [learnt().run_sample("sdxl", engine_id, work, seconds)] * times


def test_what_nobody_has_run_takes_as_long_as_its_manifest_says():
    told = learnt().run("sdxl", NEW, WORK)
    assert told.p50 == pytest.approx(SECONDS)
    assert told.p90 > told.p50


def test_a_model_that_is_not_installed_any_more_takes_no_time():
    assert learnt().run("gone", NEW, WORK).p90 == 0.0
    assert learnt().load("gone", NEW).p90 == 0.0


def test_each_engine_is_known_by_its_own_pace():
    estimates = learnt(*runs(FAST, 4.0), *runs(SLOW, 16.0))
    assert estimates.run("sdxl", FAST, WORK).p50 == pytest.approx(4.0)
    assert estimates.run("sdxl", SLOW, WORK).p50 == pytest.approx(16.0)


def test_a_new_engine_is_expected_to_be_as_those_that_are_known():
    assert learnt(*runs(SLOW, 16.0)).run("sdxl", NEW, WORK).p50 == pytest.approx(16.0)


def test_an_engine_is_known_by_its_pace_at_other_sizes_before_other_engines_are_asked():
    estimates = learnt(*runs(SLOW, 16.0), *runs(FAST, 16.0, work=4 * WORK))
    assert estimates.run("sdxl", SLOW, 4 * WORK).p50 == pytest.approx(64.0)


def test_few_samples_that_happen_to_agree_promise_little():
    told = learnt(*[finish_sample(1, 10.0, 10.0)] * ENOUGH).finish(1)
    assert (told.p50, told.p90) == (1.0, pytest.approx(UNLEARNT_P90))


def test_one_model_says_nothing_of_another():
    assert learnt(*runs(SLOW, 16.0)).run("sd15", SLOW, WORK).p50 == pytest.approx(1.0)


def test_a_size_that_was_never_run_is_expected_in_proportion():
    assert learnt(*runs(SLOW, 16.0)).run("sdxl", SLOW, 4 * WORK).p50 == pytest.approx(64.0)


def test_too_few_samples_are_not_gone_by():
    few = runs(SLOW, 16.0, times=ENOUGH - 1)
    assert learnt(*few).run("sdxl", SLOW, WORK).p50 == pytest.approx(SECONDS)


def test_a_load_is_what_a_run_took_longer_than_one_that_loaded_nothing():
    known = runs(SLOW, 16.0)
    load = learnt(*known).load_sample("sdxl", SLOW, WORK, 16.0 + 35.0)
    assert learnt(*known, *[load] * ENOUGH).load("sdxl", SLOW).p50 == pytest.approx(35.0)


def test_a_load_is_never_below_zero():
    _, ratio = learnt().load_sample("sdxl", SLOW, WORK, 0.5 * SECONDS)
    assert ratio == 0.0


def test_forecasts_are_corrected_by_what_they_were_off_at_that_length_of_the_queue():
    estimates = learnt(*[finish_sample(20, 100.0, 150.0)] * ENOUGH)
    assert estimates.finish(19).p50 == pytest.approx(1.5)


def test_what_was_off_with_a_short_queue_says_nothing_of_a_long_one():
    assert learnt(*[finish_sample(1, 10.0, 50.0)] * ENOUGH).finish(100).p50 == 1.0


def test_nine_of_ten_runs_end_before_the_ninth_decile():
    random = Random(1)
    seen = [finish_sample(1, 1.0, random.lognormvariate(0, 0.5)) for _ in range(50)]
    told = learnt(*seen).finish(1)
    to_come = [random.lognormvariate(0, 0.5) for _ in range(1000)]
    assert sum(ratio <= told.p90 for ratio in to_come) >= 850
    assert 400 <= sum(ratio <= told.p50 for ratio in to_come) <= 600


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 1), st.floats(0, 1))
def test_quantiles_lie_within_the_values_and_grow_with_the_share(values, one, other):
    low, high = sorted((one, other))
    assert min(values) <= quantile(values, low) <= quantile(values, high) <= max(values)


@given(st.floats(1, 1e12), st.floats(1, 1e12))
def test_more_work_is_never_of_a_smaller_size(one, other):
    low, high = sorted((one, other))
    assert size_of(low) <= size_of(high)
