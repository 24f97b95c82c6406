"""The queue played forward."""

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.executor.domain import EngineId, JobId
from services.executor.scheduling.estimates import ENOUGH, Estimates, Hint, finish_sample
from services.executor.scheduling.forecast import LEAST_REMAINING, Forecast, Held, Seat, Unfinished, Waiting, forecast

WORK = 1000.0
RUN, LOAD = 10.0, 30.0
HINTS = {model: Hint(RUN / WORK, LOAD) for model in ("sd15", "sdxl", "flux")}
UNLEARNT = Estimates(HINTS, {})


def a_seat(*models: str, loaded: str = "sd15") -> Seat:
    return Seat(EngineId(uuid4()), frozenset(models or ("sd15",)), loaded)


def a_job(model: str = "sd15") -> Unfinished:
    return Unfinished(JobId(uuid4()), model, WORK)


def told_of(seats, jobs, held=(), estimates=UNLEARNT, starts=None) -> dict[JobId, Forecast]:
    """Of jobs that came in that order; without `starts` they are as far as each other in virtual time."""
    queue = enumerate(zip(jobs, starts or [0.0] * len(jobs), strict=True), 1)
    waiting = [Waiting(job, start, number) for number, (job, start) in queue]
    return forecast(seats, held, waiting, estimates)


def ends(seats, jobs, held=(), starts=None) -> list[float]:
    told = told_of(seats, jobs, held, starts=starts)
    return [told[job.job_id].raw for job in jobs]


def places(seats, jobs, held=()) -> list[int | None]:
    told = told_of(seats, jobs, held)
    return [told[job.job_id].position if job.job_id in told else None for job in jobs]


def test_jobs_of_one_worker_end_one_after_another():
    assert ends([a_seat()], [a_job(), a_job(), a_job()]) == [10.0, 20.0, 30.0]


def test_two_workers_share_the_queue():
    assert ends([a_seat(), a_seat()], [a_job() for _ in range(4)]) == [10.0, 10.0, 20.0, 20.0]


def test_a_model_that_must_be_loaded_takes_that_much_longer():
    assert ends([a_seat("sd15", "sdxl")], [a_job("sdxl")]) == [LOAD + RUN]


def test_models_that_alternate_in_the_queue_are_not_loaded_for_every_job():
    """LOADS_WORTH_WAITING: a worker changes its model when somebody is 60 GPU-seconds behind, here after all of one."""
    jobs = [a_job("sd15"), a_job("sdxl"), a_job("sd15"), a_job("sdxl")]
    assert ends([a_seat("sd15", "sdxl")], jobs, starts=[0.0, 0.0, 10.0, 10.0]) == [10.0, 60.0, 20.0, 70.0]


def test_a_model_is_loaded_in_time_for_whom_would_fall_too_far_behind():
    behind, ahead = a_job("sdxl"), a_job("sd15")
    last = 2 * LOAD + 1.0
    assert ends([a_seat("sd15", "sdxl")], [behind, ahead], starts=[0.0, last]) == [40.0, 80.0]


def test_a_held_job_has_no_place_and_what_it_has_run_already_is_behind_it():
    seat, running = a_seat(), a_job()
    told = forecast([seat], [Held(running, seat.engine_id, 4.0)], [], UNLEARNT)[running.job_id]
    assert (told.position, told.p50) == (0, 6.0)


def test_a_run_that_takes_longer_than_expected_is_always_about_to_end():
    seat, running = a_seat(), a_job()
    told = forecast([seat], [Held(running, seat.engine_id, 500.0)], [], UNLEARNT)[running.job_id]
    assert told.p50 == pytest.approx(LEAST_REMAINING * RUN)


def test_waiting_jobs_begin_when_the_held_ones_have_ended():
    seat, first, second = a_seat(), a_job(), a_job()
    held = [Held(first, seat.engine_id, 4.0), Held(second, seat.engine_id, None)]
    assert ends([seat], [a_job()], held) == [6.0 + 10.0 + 10.0]


def test_a_job_that_nobody_can_paint_now_has_no_place_and_counts_in_nobodys():
    assert places([a_seat()], [a_job(), a_job("flux"), a_job()]) == [1, None, 2]


def test_workers_that_share_no_model_have_queues_of_their_own():
    seats = [a_seat("sd15"), a_seat("flux", loaded="flux")]
    assert places(seats, [a_job(), a_job("flux"), a_job(), a_job("flux")]) == [1, 1, 2, 2]


def test_workers_that_share_a_model_have_one_queue():
    seats = [a_seat("sd15", "sdxl"), a_seat("sdxl", "flux", loaded="flux")]
    assert sorted(places(seats, [a_job(), a_job("flux"), a_job("sdxl")])) == [1, 2, 3]


def test_without_workers_nothing_is_promised():
    job = a_job()
    assert told_of([], [job]) == {}


def test_a_forecast_is_corrected_by_what_earlier_ones_were_off():
    key, ratio = finish_sample(1, 100.0, 150.0)
    job = a_job()
    told = told_of([a_seat()], [job], estimates=Estimates(HINTS, {key: [ratio] * ENOUGH}))[job.job_id]
    assert (told.raw, told.p50) == (10.0, 15.0)


@given(
    st.lists(st.sampled_from(["sd15", "sdxl", "flux"]), max_size=30),
    st.lists(st.sets(st.sampled_from(["sd15", "sdxl", "flux"]), min_size=1), max_size=5),
)
def test_every_job_that_a_worker_can_paint_is_told_and_no_other(wanted, able):
    seats = [a_seat(*sorted(models), loaded=min(models)) for models in able]
    jobs = [a_job(model) for model in wanted]
    told = told_of(seats, jobs)
    paintable = set().union(*able)
    assert set(told) == {job.job_id for job in jobs if job.model in paintable}
    assert all(one.raw >= RUN and one.p90 >= one.p50 > 0 for one in told.values())


@given(st.integers(1, 6), st.integers(1, 40))
def test_no_worker_stands_idle_while_a_job_waits(workers, number):
    last = max(ends([a_seat() for _ in range(workers)], [a_job() for _ in range(number)]))
    assert last == pytest.approx(RUN * -(-number // workers))
