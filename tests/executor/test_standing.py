"""What workers last said of themselves, and what follows for the models and for the jobs that wait."""

from dataclasses import replace
from datetime import timedelta

import pytest

from services.executor.workers import Availability, WaitingReason, Worker, availability, waiting_reason
from tests.executor.builders import ENGINE, NOW

HERE = Worker(ENGINE, frozenset({"sd15"}), NOW)
SOON = NOW + timedelta(minutes=1)


@pytest.mark.parametrize(
    ("workers", "pools", "state", "reason"),
    [
        ([HERE], [], "available", "queued"),
        ([], [], "unavailable", "no_capacity"),
        ([], ["sd15"], "cold", "cold"),
        ([replace(HERE, models=frozenset({"sdxl"}))], [], "unavailable", "no_capacity"),
        ([replace(HERE, seen_at=NOW - timedelta(minutes=5))], [], "cold", "no_capacity"),
        ([replace(HERE, seen_at=NOW - timedelta(minutes=5))], ["sd15"], "cold", "cold"),
        ([replace(HERE, drained=True)], [], "cold", "paused"),
        ([replace(HERE, drained=True)], ["sd15"], "cold", "paused"),
        ([replace(HERE, is_well=False)], [], "cold", "no_capacity"),
        ([replace(HERE, is_well=False), replace(HERE, drained=True)], [], "cold", "no_capacity"),
        ([replace(HERE, quarantined_until=SOON)], [], "cold", "no_capacity"),
        ([replace(HERE, quarantined_until=NOW)], [], "available", "queued"),
        ([HERE, replace(HERE, drained=True)], [], "available", "queued"),
    ],
)
def test_whether_a_model_can_be_had_and_why_its_jobs_wait(workers, pools, state, reason):
    assert availability("sd15", workers, pools, NOW) is Availability(state)
    assert waiting_reason("sd15", workers, pools, NOW) is WaitingReason(reason)
