"""ExecutorService: the contract over the use cases."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import grpc
from imagegen.executor.v1 import error_reason_pb2 as reasons
from imagegen.executor.v1 import executor_service_pb2 as pb
from imagegen.executor.v1 import executor_service_pb2_grpc, job_pb2

from services.executor.catalogue import to_proto
from services.executor.domain import (
    Job,
    JobId,
    JobNotFound,
    ModelUnavailable,
    ModelUnknown,
    OwnerId,
    ParameterOutOfRange,
    State,
)
from services.executor.events import EventLog
from services.executor.messages import job_to_proto, spec_from_proto
from services.executor.service import Executor
from services.executor.watch import JobWatch, watch_transitions
from services.runtime.errors import ErrorTable
from services.runtime.server import Server
from services.runtime.tokens import TokenVerifier

ERRORS = ErrorTable(
    domain="executor.imagegen",
    reasons=reasons.ErrorReason,
    rows={
        ModelUnknown: (grpc.StatusCode.FAILED_PRECONDITION, reasons.ERROR_REASON_MODEL_UNKNOWN),
        ModelUnavailable: (grpc.StatusCode.FAILED_PRECONDITION, reasons.ERROR_REASON_MODEL_UNAVAILABLE),
        ParameterOutOfRange: (grpc.StatusCode.INVALID_ARGUMENT, reasons.ERROR_REASON_PARAMETER_OUT_OF_RANGE),
        JobNotFound: (grpc.StatusCode.NOT_FOUND, reasons.ERROR_REASON_JOB_NOT_FOUND),
    },
)


def executor_server(executor: Executor, log: EventLog, verifier: TokenVerifier, *, threads: int) -> Server:
    """The gRPC server of this context; `threads` calls run at once."""
    return Server(
        [pb.DESCRIPTOR.services_by_name["ExecutorService"]],
        lambda server: executor_service_pb2_grpc.add_ExecutorServiceServicer_to_server(
            ExecutorServicer(executor, log), server
        ),
        verifier=verifier,
        errors=ERRORS,
        threads=threads,
    )


class ExecutorServicer(executor_service_pb2_grpc.ExecutorServiceServicer):
    def __init__(self, executor: Executor, log: EventLog) -> None:
        self._executor = executor
        self._log = log

    def SubmitJob(self, request: pb.SubmitJobRequest, context: Any) -> pb.SubmitJobResponse:
        job = self._executor.submit(
            JobId(UUID(request.job_id)),
            OwnerId(UUID(request.owner_id)),
            request.model,
            spec_from_proto(request.spec),
        )
        return pb.SubmitJobResponse(job=self._shown(job))

    def CancelJob(self, request: pb.CancelJobRequest, context: Any) -> pb.CancelJobResponse:
        job = self._executor.cancel(JobId(UUID(request.job_id)), OwnerId(UUID(request.owner_id)))
        return pb.CancelJobResponse(job=self._shown(job))

    def BatchGetJobs(self, request: pb.BatchGetJobsRequest, context: Any) -> pb.BatchGetJobsResponse:
        jobs = self._executor.get([JobId(UUID(job_id)) for job_id in request.job_ids])
        return pb.BatchGetJobsResponse(jobs=[self._shown(job) for job in jobs])

    async def WatchJob(self, request: pb.WatchJobRequest, context: Any) -> AsyncIterator[pb.WatchJobResponse]:
        watch = JobWatch(self._log, self._read, JobId(UUID(request.job_id)))
        async for event in watch.events(request.cursor):
            yield event

    async def WatchTransitions(
        self, request: pb.WatchTransitionsRequest, context: Any
    ) -> AsyncIterator[pb.WatchTransitionsResponse]:
        async for event in watch_transitions(self._log):
            yield event

    def ListModels(self, request: pb.ListModelsRequest, context: Any) -> pb.ListModelsResponse:
        models, workers, now = self._executor.models()
        return pb.ListModelsResponse(models=[to_proto(model, workers, now) for model in models.values()])

    def _read(self, job_id: JobId) -> job_pb2.Job | None:
        jobs = self._executor.get([job_id])
        return self._shown(jobs[0]) if jobs else None

    def _shown(self, job: Job) -> job_pb2.Job:
        if job.state is not State.PENDING:
            return job_to_proto(job, progress=self._log.progress_of(job.id))
        queue = self._executor.queue()
        return job_to_proto(job, waiting_reason=queue.waiting_reason(job), position=queue.positions.get(job.id, 0))
