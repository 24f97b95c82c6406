"""One task in the logs of everybody who worked on it."""

import os
from uuid import uuid4

from tests.deploy.waiting import wait_until
from tests.e2e.log_lines import lines_of

WORKED_ON_IT = {
    ("gateway", "/api/v1/generation/generate"),
    ("generation", "GenerationService/CreateTask"),
    ("executor", "ExecutorService/SubmitJob"),
    ("worker", "attempt ended"),
    ("results", "StoreService/StoreResult"),
}
ASKED_FOR_IT = {("gateway", "/api/v1/generation/tasks/{task_id}"), ("generation", "GenerationService/GetTask")}


def test_the_task_and_the_request_are_in_the_lines_of_everybody_who_works_on_it(installation, person):
    trace_id, request_id = os.urandom(16).hex(), str(uuid4())
    headers = {"traceparent": f"00-{trace_id}-{os.urandom(8).hex()}-01", "x-request-id": request_id}
    body = {"prompt": "a lighthouse", "model": "sd15", "width": 64, "height": 64, "steps": 4}
    task = person.http.post("/api/v1/generation/generate", json=body, headers=headers).json()
    assert person.ended(task["id"])["status"] == "completed"
    later = str(uuid4())
    person.http.get(task["links"]["self"], headers={"x-request-id": later}).raise_for_status()

    def told(request: str) -> set[tuple[str, str]]:
        lines = [(process, line) for process, line in lines_of(installation) if line.get("task_id") == task["id"]]
        found = [(process, line) for process, line in lines if line["request_id"] == request]
        return {(process, line.get("route") or line.get("method") or line["event"]) for process, line in found}

    wait_until(lambda: told(request_id) >= WORKED_ON_IT and told(later) >= ASKED_FOR_IT)
    assert {line["trace_id"] for _, line in lines_of(installation) if line.get("request_id") == request_id} == {
        trace_id
    }
