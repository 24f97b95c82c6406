"""One task in the logs of everybody who worked on it."""

import os
from uuid import uuid4

from tests.deploy.waiting import wait_until

FOLLOWED = {"gateway", "generation", "executor", "worker", "results"}


def test_one_trace_runs_through_everybody_who_works_on_a_task(installation, person):
    trace_id, request_id = os.urandom(16).hex(), str(uuid4())
    headers = {"traceparent": f"00-{trace_id}-{os.urandom(8).hex()}-01", "x-request-id": request_id}
    body = {"prompt": "a lighthouse", "model": "sd15", "width": 64, "height": 64, "steps": 4}
    made = person.http.post("/api/v1/generation/generate", json=body, headers=headers)
    assert person.ended(made.json()["id"])["status"] == "completed"

    def lines() -> dict[str, str]:
        found = [line for line in installation.log.read_text().splitlines() if trace_id in line]
        return {line.partition("|")[0].strip(): line for line in found}

    wait_until(lambda: lines().keys() >= FOLLOWED and "attempt ended" in lines()["worker"])
    assert all(request_id in line for line in lines().values())
