"""Our path, by its contract alone: SubmitJob, WatchJob, WatchTransitions, BatchGetJobs."""

import queue
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from uuid import uuid4

import grpc
from imagegen.executor.v1 import executor_service_pb2 as pb
from imagegen.executor.v1 import executor_service_pb2_grpc, job_pb2, model_pb2

from services.runtime.channels import Peer, channel
from tests.bench.direct import Workflow
from tests.identities import identity

LOOK_SECONDS = 2.0
"""Transitions are hints; after this long without one the jobs are asked for."""
START_SECONDS = 30.0


@dataclass(frozen=True)
class Painted:
    """How many seconds after its submission a job began, had ended by its own record, and was known to have ended."""

    began: float
    ended: float
    told: float


class Executor:
    """A caller of the executor, as generation is."""

    def __init__(self, address: str) -> None:
        self._channel = channel(address)
        self._stub = executor_service_pb2_grpc.ExecutorServiceStub(self._channel)
        self._peer = Peer(identity("generation"), "executor")
        self._owner = str(uuid4())
        self.completed = 0

    def close(self) -> None:
        self._channel.close()

    def await_model(self, name: str) -> None:
        """Wait until a worker has the model. Raises RuntimeError if none comes to have it."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            models = self._stub.ListModels(pb.ListModelsRequest(), metadata=self._peer.metadata()).models
            model = next(model for model in models if model.name == name)
            if model.availability == model_pb2.MODEL_AVAILABILITY_AVAILABLE:
                return
            if time.monotonic() > deadline:
                raise RuntimeError(f"{name} does not become available: {model.unavailable_reason}")
            time.sleep(0.05)

    def paint(self, workflow: Workflow, seed: int) -> Painted:
        """One picture, from SubmitJob to its final event."""
        submitted_at, begin = time.time(), time.perf_counter()
        job_id = self._submit(workflow, seed)
        request = pb.WatchJobRequest(job_id=job_id)
        for event in self._stub.WatchJob(request, metadata=self._peer.metadata(), timeout=120):
            job = event.snapshot if event.HasField("snapshot") else event.status
            if job.HasField("finish_time"):
                told = time.perf_counter() - begin
                self._count(job)
                began, ended = job.start_time.ToNanoseconds() / 1e9, job.finish_time.ToNanoseconds() / 1e9
                return Painted(began - submitted_at, ended - submitted_at, told)
        raise RuntimeError("the stream ended before the job")

    def burst(self, workflow: Workflow, seeds: Sequence[int]) -> float:
        """Submits all, one after another, and waits for the last; returns the seconds it took."""
        changed: queue.Queue[job_pb2.Job] = queue.Queue()
        transitions = self._stub.WatchTransitions(pb.WatchTransitionsRequest(), metadata=self._peer.metadata())

        def follow() -> None:
            with suppress(grpc.RpcError):  # canceled below
                for event in transitions:
                    changed.put(event.job)

        follower = threading.Thread(target=follow, name="transitions")
        follower.start()
        try:
            begin = time.perf_counter()
            unfinished = {self._submit(workflow, seed) for seed in seeds}
            while unfinished:
                for job in self._next(changed, unfinished):
                    if job.HasField("finish_time"):
                        self._count(job)
                        unfinished.discard(job.id)
            return time.perf_counter() - begin
        finally:
            transitions.cancel()
            follower.join()

    def _submit(self, workflow: Workflow, seed: int) -> str:
        job_id, defaults = str(uuid4()), workflow.defaults
        spec = job_pb2.JobSpec(
            prompt="bench",
            width=defaults["width"],
            height=defaults["height"],
            steps=defaults["steps"],
            cfg=defaults.get("cfg", 0.0),
            seed=seed,
            count=defaults["count"],
        )
        request = pb.SubmitJobRequest(job_id=job_id, owner_id=self._owner, model=workflow.name, spec=spec)
        self._stub.SubmitJob(request, metadata=self._peer.metadata())
        return job_id

    def _next(self, changed: "queue.Queue[job_pb2.Job]", unfinished: set[str]) -> Sequence[job_pb2.Job]:
        try:
            return [changed.get(timeout=LOOK_SECONDS)]
        except queue.Empty:
            request = pb.BatchGetJobsRequest(job_ids=list(unfinished))
            return self._stub.BatchGetJobs(request, metadata=self._peer.metadata()).jobs

    def _count(self, job: job_pb2.Job) -> None:
        """A benchmark of failures says nothing, so one ends it."""
        if job.state != job_pb2.JOB_STATE_COMPLETED:
            raise RuntimeError(f"job {job.id}: {job_pb2.JobState.Name(job.state)} {job.failure.message}")
        self.completed += 1
