"""What Prometheus is told of the way to the executor."""

import grpc
import pytest
from prometheus_client import REGISTRY

from services.generation.executor import ExecutorSilent


def submits(outcome):
    return REGISTRY.get_sample_value("imagegen_generation_submits_total", {"outcome": outcome})


def reachable():
    return REGISTRY.get_sample_value("imagegen_generation_executor_reachable")


def test_each_submit_is_counted_by_what_the_executor_said(world):
    before = {outcome: submits(outcome) for outcome in ("accepted", "refused", "failed", "unanswered")}
    world.create()
    world.first.submit_waiting()
    world.create()
    world.stand_in.refusal = grpc.StatusCode.FAILED_PRECONDITION, "no such model"
    world.first.submit_waiting()
    world.stand_in.refusal = None
    world.create()
    world.stand_in.failing.add("SubmitJob")
    world.first.submit_waiting()
    assert {outcome: submits(outcome) - before[outcome] for outcome in before} == {
        "accepted": 1,
        "refused": 1,
        "failed": 1,
        "unanswered": 0,
    }


def test_whether_the_executor_is_reached_is_told_though_nobody_asks_for_a_picture(world):
    world.first.submit_waiting()
    assert reachable() == 1
    world.stand_in.go()
    with pytest.raises(ExecutorSilent):
        world.first.tasks.refresh_catalogue()
    world.first.reconciler.submit_waiting()
    assert reachable() == 0
