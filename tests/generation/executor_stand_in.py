"""An executor without workers: it keeps jobs and their logs, and does to them what a test says. It may go and come."""

import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import grpc
from imagegen.executor.v1 import executor_service_pb2 as pb
from imagegen.executor.v1 import executor_service_pb2_grpc, job_pb2

from services.runtime.protos import from_enum, to_enum, to_timestamp
from tests.generation.builders import a_model_message

FREE_WITHIN = 10.0
"""Seconds that an earlier server may take to let go of the port."""

FINAL = ("completed", "failed", "canceled")


def _nothing() -> None:
    pass


class ExecutorStandIn(executor_service_pb2_grpc.ExecutorServiceServicer):
    """`before[method]` runs when a call of that method arrives, `after[method]` before its answer leaves.

    A call of a method in `failing` is answered INTERNAL, a submit and an estimate with the `refusal` if there is one.
    """

    def __init__(self) -> None:
        self.models = [a_model_message()]
        self.refusal: tuple[grpc.StatusCode, str] | None = None
        self.queues_what_it_refuses = False
        self.estimate = pb.EstimateJobResponse(gpu_seconds=7.5)
        self.estimated: queue.Queue[pb.EstimateJobRequest] = queue.Queue()
        self.failing: set[str] = set()
        self.before: dict[str, Callable[[], None]] = defaultdict(lambda: _nothing)
        self.after: dict[str, Callable[[], None]] = defaultdict(lambda: _nothing)
        self.submitted: queue.Queue[pb.SubmitJobRequest] = queue.Queue()
        self.watched: queue.Queue[pb.WatchJobRequest] = queue.Queue()
        self.followed: queue.Queue[None] = queue.Queue()
        self.unwatched: queue.Queue[str] = queue.Queue()
        self.calls: list[str] = []
        self.metadata: dict[str, str] = {}
        self._changed = threading.Condition()
        self._forget()
        self._transitions: list[queue.Queue[job_pb2.Job]] = []
        self._server: grpc.Server | None = None
        self._port = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    def come(self) -> None:
        """Serve, on the same port each time."""
        # Without SO_REUSEPORT, so that no connection reaches the listener of an earlier server that is still closing.
        server = grpc.server(ThreadPoolExecutor(16), options=[("grpc.so_reuseport", 0)])
        executor_service_pb2_grpc.add_ExecutorServiceServicer_to_server(self, server)
        self._port = self._bound(server)
        server.start()
        self._server = server

    def _bound(self, server: grpc.Server) -> int:
        """The port, once it is free again."""
        until = time.monotonic() + FREE_WITHIN
        while True:
            try:
                return server.add_insecure_port(self.address)
            except RuntimeError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.01)

    def go(self) -> None:
        """Break every connection."""
        server, self._server = self._server, None  # before it stops: the next one may come while its last call ends
        if server is not None:
            server.stop(0).wait(5)

    def lose_log(self) -> None:
        """As when Redis is flushed: old cursors mean nothing."""
        with self._changed:
            self._begin_log()

    def lose_database(self) -> None:
        with self._changed:
            self._forget()

    def tell(self, task_id: str, state: str, *, hint: bool = True, **fields: Any) -> job_pb2.Job:
        """The job is in this state now; without `hint` nobody is told unless they ask."""
        with self._changed:
            job = self.jobs[task_id]
            now = to_timestamp(datetime.now(UTC))
            job.state = to_enum(job_pb2.JobState, state)
            job.version += 1
            if state != "pending":
                job.position = 0
                job.waiting_reason = job_pb2.WAITING_REASON_UNSPECIFIED
            if state == "processing":
                job.start_time.CopyFrom(now)
            if state in FINAL:
                job.finish_time.CopyFrom(now)
                job.ClearField("eta")
            job.MergeFrom(job_pb2.Job(**fields))
            if hint:
                self._log(task_id, status=_copy(job))
                for follower in self._transitions:
                    follower.put(_copy(job))
            return _copy(job)

    def expect(self, task_id: str, p50: datetime, p90: datetime) -> None:
        """The job will probably have ended by then."""
        with self._changed:
            self.jobs[task_id].eta.CopyFrom(job_pb2.Eta(p50_time=to_timestamp(p50), p90_time=to_timestamp(p90)))

    def progress(self, task_id: str, step: int, steps: int) -> None:
        with self._changed:
            self._log(task_id, progress=job_pb2.Progress(step=step, steps=steps))

    def preview(self, task_id: str, image: bytes) -> None:
        with self._changed:
            self.log[task_id].append(pb.WatchJobResponse(preview=pb.Preview(media_type="image/png", image=image)))
            self._changed.notify_all()

    def log_status(self, job: job_pb2.Job, *, found: bool = False) -> None:
        """Write a status to the log; `found`: its event was lost, so it comes with the cursor of the event before."""
        with self._changed:
            before = [event.cursor for event in self.log[job.id] if event.cursor]
            self._log(job.id, cursor=before[-1] if found and before else None, status=job)

    def hint(self, job: job_pb2.Job) -> None:
        """Send followers this snapshot, however old it is."""
        for follower in self._transitions:
            follower.put(job)

    def SubmitJob(self, request: pb.SubmitJobRequest, context: grpc.ServicerContext) -> pb.SubmitJobResponse:
        self._arrives("SubmitJob", context)
        if (refusal := self.refusal) and (self.queues_what_it_refuses or request.job_id not in self.jobs):
            if self.queues_what_it_refuses:
                self.jobs.setdefault(request.job_id, _new_job(request.job_id, request.owner_id, request.model))
            self.after["SubmitJob"]()
            context.abort(*refusal)
        with self._changed:
            job = self.jobs.setdefault(request.job_id, _new_job(request.job_id, request.owner_id, request.model))
            answer = pb.SubmitJobResponse(job=job)
        self.submitted.put(request)
        self.after["SubmitJob"]()
        return answer

    def EstimateJob(self, request: pb.EstimateJobRequest, context: grpc.ServicerContext) -> pb.EstimateJobResponse:
        self._arrives("EstimateJob", context)
        if self.refusal:
            context.abort(*self.refusal)
        self.estimated.put(request)
        return self.estimate

    def CancelJob(self, request: pb.CancelJobRequest, context: grpc.ServicerContext) -> pb.CancelJobResponse:
        self._arrives("CancelJob", context)
        if request.job_id not in self.jobs:
            with self._changed:
                self.jobs[request.job_id] = tombstone = _new_job(request.job_id, request.owner_id, "")
                tombstone.state = job_pb2.JOB_STATE_CANCELED
                tombstone.finish_time.CopyFrom(tombstone.create_time)
        elif (state := from_enum(job_pb2.JobState, self.jobs[request.job_id].state)) not in FINAL:
            self.tell(request.job_id, "canceled" if state == "pending" else "processing")
        return pb.CancelJobResponse(job=self.jobs[request.job_id])

    def BatchGetJobs(self, request: pb.BatchGetJobsRequest, context: grpc.ServicerContext) -> pb.BatchGetJobsResponse:
        self._arrives("BatchGetJobs", context)
        with self._changed:
            answer = pb.BatchGetJobsResponse(jobs=[self.jobs[i] for i in request.job_ids if i in self.jobs])
        self.after["BatchGetJobs"]()
        return answer

    def ListModels(self, request: pb.ListModelsRequest, context: grpc.ServicerContext) -> pb.ListModelsResponse:
        self._arrives("ListModels", context)
        return pb.ListModelsResponse(models=self.models)

    def WatchTransitions(
        self, request: pb.WatchTransitionsRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.WatchTransitionsResponse]:
        self._arrives("WatchTransitions", context)
        follower: queue.Queue[job_pb2.Job | None] = queue.Queue()
        context.add_callback(lambda: follower.put(None))
        self._transitions.append(follower)
        self.followed.put(None)
        while (job := follower.get()) is not None:
            yield pb.WatchTransitionsResponse(job=job)
        self._transitions.remove(follower)

    def WatchJob(self, request: pb.WatchJobRequest, context: grpc.ServicerContext) -> Iterator[pb.WatchJobResponse]:
        self._arrives("WatchJob", context)
        context.add_callback(self._wake)
        context.add_callback(lambda: self.unwatched.put(request.job_id))
        self.watched.put(request)
        if request.job_id not in self.jobs:
            context.abort(grpc.StatusCode.NOT_FOUND, "there is no such job")
        incarnation, _, place = request.cursor.partition(".")
        if request.cursor and not place.replace("-", "").isdigit():
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the cursor was not made by this service")
        is_resumed = incarnation == self.incarnation
        with self._changed:
            log, end, job = self.log[request.job_id], self._end, _copy(self.jobs[request.job_id])
            position = told_of(log, request) if is_resumed else len(log)
        if not is_resumed:
            if request.cursor:
                yield pb.WatchJobResponse(reset=pb.Reset())
            yield pb.WatchJobResponse(cursor=end, snapshot=job)
            if job.HasField("finish_time"):
                return
        yield from self._follow(request, context, log, position)

    def _follow(
        self,
        request: pb.WatchJobRequest,
        context: grpc.ServicerContext,
        log: list[pb.WatchJobResponse],
        position: int,
    ) -> Iterator[pb.WatchJobResponse]:
        told_end = ""
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda at=position, told=told_end: (
                        len(log) > at or not context.is_active() or (request.with_places and self._end != told)
                    )
                )
                events, end = log[position:], self._end
            if not context.is_active():
                return
            for event in events:
                position += 1
                yield event
                if event.WhichOneof("event") == "status" and event.status.HasField("finish_time"):
                    return
            if request.with_places and end != told_end:
                told_end = end
                yield pb.WatchJobResponse(cursor=end)

    def _arrives(self, method: str, context: grpc.ServicerContext) -> None:
        self.calls.append(method)
        self.metadata = dict(context.invocation_metadata())
        self.before[method]()
        if method in self.failing:
            context.abort(grpc.StatusCode.INTERNAL, "an internal error; it has been logged")

    def _forget(self) -> None:
        self.jobs: dict[str, job_pb2.Job] = {}
        self._begin_log()

    def _begin_log(self) -> None:
        self.log: dict[str, list[pb.WatchJobResponse]] = defaultdict(list)
        self.incarnation = uuid4().hex
        self._sequence = 0
        self._move_on()

    def _move_on(self) -> str:
        """A new place at the end of the log."""
        self._sequence += 1
        self._end = f"{self.incarnation}.{int(time.time() * 1000)}-{self._sequence}"
        return self._end

    def _log(self, task_id: str, cursor: str | None = None, **event: Any) -> None:
        self.log[task_id].append(pb.WatchJobResponse(cursor=cursor or self._move_on(), **event))
        self._changed.notify_all()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()


def told_of(log: list[pb.WatchJobResponse], request: pb.WatchJobRequest) -> int:
    """How many of a job's events lie up to the cursor."""
    return max(
        (count for count, event in enumerate(log, 1) if event.cursor and placed(event) <= placed(request)), default=0
    )


def placed(message: Any) -> tuple[int, ...]:
    """The place in the log that a cursor names."""
    return tuple(map(int, message.cursor.partition(".")[2].split("-")))


def _new_job(job_id: str, owner_id: str, model: str) -> job_pb2.Job:
    return job_pb2.Job(
        id=job_id,
        owner_id=owner_id,
        model=model,
        state=job_pb2.JOB_STATE_PENDING,
        version=1,
        waiting_reason=job_pb2.WAITING_REASON_QUEUED,
        position=1,
        create_time=to_timestamp(datetime.now(UTC)),
    )


def _copy(job: job_pb2.Job) -> job_pb2.Job:
    copy = job_pb2.Job()
    copy.CopyFrom(job)
    return copy
