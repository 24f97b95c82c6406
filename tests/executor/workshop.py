"""A whole executor for tests: the server in this process, results that remember, workers and engines as processes."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from imagegen.executor.v1 import executor_service_pb2 as pb
from imagegen.executor.v1 import job_pb2
from imagegen.executor.v1 import operator_service_pb2 as operator_pb

from services.executor import store
from services.executor.domain import EngineId, Job, JobId
from services.executor.workers import Worker
from tests.executor.conftest import RunningExecutor
from tests.executor.worker_parts import now
from tests.executor.worker_process import RememberingStore
from tests.identities import as_service

SEEDS = itertools.count(100)
"""An engine does not run twice what it has in its cache."""

GENERATION = as_service("generation", "executor")
OPERATOR = as_service("operator", "executor")


@dataclass
class Workshop:
    executor: RunningExecutor
    results: RememberingStore

    def submit(self, **changes: Any) -> str:
        """Submit a job of 64×64 in four steps; returns its id."""
        spec = {"prompt": "a lighthouse", "width": 64, "height": 64, "steps": 4, "cfg": 7.0, "count": 1}
        spec["seed"] = next(SEEDS)
        fields = {"job_id": str(uuid4()), "owner_id": str(uuid4()), "model": "sd15"}
        for name, value in changes.items():
            (spec if name in spec else fields)[name] = value
        request = pb.SubmitJobRequest(**fields, spec=job_pb2.JobSpec(**spec))
        return self.executor.stub.SubmitJob(request, metadata=GENERATION, timeout=5).job.id

    def events(self, job_id: str) -> Iterator[pb.WatchJobResponse]:
        return self.executor.stub.WatchJob(pb.WatchJobRequest(job_id=job_id), metadata=GENERATION, timeout=60)

    def ended(self, job_id: str) -> job_pb2.Job:
        """Wait for the end."""
        for event in self.events(job_id):
            last = event
        return last.status if last.HasField("status") else last.snapshot

    def until(self, job_id: str, kind: str) -> None:
        """Wait for the first event of a kind."""
        events = self.events(job_id)
        while next(events).WhichOneof("event") != kind:
            pass
        events.cancel()

    def cancel(self, job_id: str) -> None:
        request = pb.CancelJobRequest(job_id=job_id, owner_id=str(uuid4()))
        self.executor.stub.CancelJob(request, metadata=GENERATION, timeout=5)

    def job(self, job_id: str) -> job_pb2.Job:
        request = pb.BatchGetJobsRequest(job_ids=[job_id])
        return self.executor.stub.BatchGetJobs(request, metadata=GENERATION, timeout=5).jobs[0]

    def row(self, job_id: str) -> Job:
        with self.executor.database.transaction() as tx:
            job = store.get_job(tx, JobId(UUID(job_id)))
        assert job is not None
        return job

    def report_of(self, engine_id: UUID) -> Worker | None:
        """As it reported itself last."""
        with self.executor.database.transaction() as tx:
            workers = {worker.engine_id: worker for worker in store.list_workers(tx, now())}
        return workers.get(EngineId(engine_id))

    def drain(self, engine_id: UUID) -> None:
        request = operator_pb.DrainWorkerRequest(engine_id=str(engine_id))
        self.executor.operators.DrainWorker(request, metadata=OPERATOR, timeout=5)

    def resume(self, engine_id: UUID) -> None:
        request = operator_pb.ResumeWorkerRequest(engine_id=str(engine_id))
        self.executor.operators.ResumeWorker(request, metadata=OPERATOR, timeout=5)
