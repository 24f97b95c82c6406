"""ExecutorService and OperatorService: the contracts over the use cases."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import grpc
from imagegen.executor.v1 import error_reason_pb2 as reasons
from imagegen.executor.v1 import executor_service_pb2 as pb
from imagegen.executor.v1 import executor_service_pb2_grpc, job_pb2, operator_service_pb2_grpc, worker_pb2
from imagegen.executor.v1 import operator_service_pb2 as operator_pb

from services.executor.catalogue import to_proto
from services.executor.domain import (
    EngineId,
    Job,
    JobId,
    JobNotFound,
    ModelUnavailable,
    ModelUnknown,
    OwnerErased,
    OwnerId,
    ParameterOutOfRange,
)
from services.executor.events import EventLog
from services.executor.messages import job_to_proto, spec_from_proto
from services.executor.operators import Operators, WorkerReport
from services.executor.scheduling.queue_view import Outlook, QueueView
from services.executor.service import Executor
from services.executor.store import OwnerLoad, QueueLoad
from services.executor.watch import JobWatch, watch_transitions
from services.executor.workers import Standing, WorkerNotFound
from services.runtime.errors import ErrorTable
from services.runtime.protos import to_enum, to_timestamp
from services.runtime.server import Server
from services.runtime.tokens import TokenVerifier

DEFAULT_OWNERS = 100

ERRORS = ErrorTable(
    domain="executor.imagegen",
    reasons=reasons.ErrorReason,
    rows={
        ModelUnknown: (grpc.StatusCode.FAILED_PRECONDITION, reasons.ERROR_REASON_MODEL_UNKNOWN),
        ModelUnavailable: (grpc.StatusCode.FAILED_PRECONDITION, reasons.ERROR_REASON_MODEL_UNAVAILABLE),
        ParameterOutOfRange: (grpc.StatusCode.INVALID_ARGUMENT, reasons.ERROR_REASON_PARAMETER_OUT_OF_RANGE),
        OwnerErased: (grpc.StatusCode.FAILED_PRECONDITION, reasons.ERROR_REASON_OWNER_ERASED),
        JobNotFound: (grpc.StatusCode.NOT_FOUND, reasons.ERROR_REASON_JOB_NOT_FOUND),
        WorkerNotFound: (grpc.StatusCode.NOT_FOUND, reasons.ERROR_REASON_WORKER_NOT_FOUND),
    },
)


def executor_server(
    executor: Executor,
    operators: Operators,
    queue: QueueView,
    log: EventLog,
    verifier: TokenVerifier,
    *,
    threads: int,
) -> Server:
    """The gRPC server of this context; `threads` calls run at once."""

    def register(server: grpc.aio.Server) -> None:
        executor_service_pb2_grpc.add_ExecutorServiceServicer_to_server(ExecutorServicer(executor, queue, log), server)
        operator_service_pb2_grpc.add_OperatorServiceServicer_to_server(OperatorServicer(operators), server)

    services = [
        pb.DESCRIPTOR.services_by_name["ExecutorService"],
        operator_pb.DESCRIPTOR.services_by_name["OperatorService"],
    ]
    return Server(services, register, verifier=verifier, errors=ERRORS, threads=threads)


class ExecutorServicer(executor_service_pb2_grpc.ExecutorServiceServicer):
    def __init__(self, executor: Executor, queue: QueueView, log: EventLog) -> None:
        self._executor = executor
        self._queue = queue
        self._log = log

    def SubmitJob(self, request: pb.SubmitJobRequest, context: Any) -> pb.SubmitJobResponse:
        job = self._executor.submit(
            JobId(UUID(request.job_id)),
            OwnerId(UUID(request.owner_id)),
            request.model,
            spec_from_proto(request.spec),
        )
        return pb.SubmitJobResponse(job=self._shown(job))

    def EstimateJob(self, request: pb.EstimateJobRequest, context: Any) -> pb.EstimateJobResponse:
        spec = spec_from_proto(request.spec)
        quote = self._executor.quote(OwnerId(UUID(request.owner_id)), request.model, spec)
        outlook = Outlook()  # of what the owner's running cap would hold back: it shows no end either
        if quote.start is not None:
            outlook = self._queue.outlook_of_newcomer(request.model, spec.work, quote.start)
        return pb.EstimateJobResponse(
            gpu_seconds=quote.gpu_seconds, p50_time=to_timestamp(outlook.p50), p90_time=to_timestamp(outlook.p90)
        )

    def CancelJob(self, request: pb.CancelJobRequest, context: Any) -> pb.CancelJobResponse:
        job = self._executor.cancel(JobId(UUID(request.job_id)), OwnerId(UUID(request.owner_id)))
        return pb.CancelJobResponse(job=self._shown(job))

    def BatchGetJobs(self, request: pb.BatchGetJobsRequest, context: Any) -> pb.BatchGetJobsResponse:
        jobs = self._executor.get([JobId(UUID(job_id)) for job_id in request.job_ids])
        return pb.BatchGetJobsResponse(jobs=[self._shown(job) for job in jobs])

    async def WatchJob(self, request: pb.WatchJobRequest, context: Any) -> AsyncIterator[pb.WatchJobResponse]:
        watch = JobWatch(self._log, self._read, JobId(UUID(request.job_id)), with_places=request.with_places)
        async for event in watch.events(request.cursor):
            yield event

    async def WatchTransitions(
        self, request: pb.WatchTransitionsRequest, context: Any
    ) -> AsyncIterator[pb.WatchTransitionsResponse]:
        async for event in watch_transitions(self._log):
            yield event

    def ListModels(self, request: pb.ListModelsRequest, context: Any) -> pb.ListModelsResponse:
        models, workers, pools, now = self._executor.models()
        return pb.ListModelsResponse(models=[to_proto(model, workers, pools, now) for model in models.values()])

    def _read(self, job_id: JobId) -> job_pb2.Job | None:
        jobs = self._executor.get([job_id])
        return self._shown(jobs[0]) if jobs else None

    def _shown(self, job: Job) -> job_pb2.Job:
        if job.is_finished:
            return job_to_proto(job)
        return job_to_proto(job, self._queue.outlook(job), self._log.progress_of(job.id))


class OperatorServicer(operator_service_pb2_grpc.OperatorServiceServicer):
    def __init__(self, operators: Operators) -> None:
        self._operators = operators

    def ListWorkers(self, request: operator_pb.ListWorkersRequest, context: Any) -> operator_pb.ListWorkersResponse:
        return operator_pb.ListWorkersResponse(workers=map(_worker, self._operators.workers()))

    def DrainWorker(self, request: operator_pb.DrainWorkerRequest, context: Any) -> operator_pb.DrainWorkerResponse:
        report = self._operators.drain(EngineId(UUID(request.engine_id)))
        return operator_pb.DrainWorkerResponse(worker=_worker(report))

    def ResumeWorker(self, request: operator_pb.ResumeWorkerRequest, context: Any) -> operator_pb.ResumeWorkerResponse:
        return operator_pb.ResumeWorkerResponse(
            worker=_worker(self._operators.resume(EngineId(UUID(request.engine_id))))
        )

    def ListQueues(self, request: operator_pb.ListQueuesRequest, context: Any) -> operator_pb.ListQueuesResponse:
        return operator_pb.ListQueuesResponse(queues=map(_queue, self._operators.queues()))

    def ListOwners(self, request: operator_pb.ListOwnersRequest, context: Any) -> operator_pb.ListOwnersResponse:
        return operator_pb.ListOwnersResponse(
            owners=map(_owner, self._operators.owners(request.page_size or DEFAULT_OWNERS))
        )

    def UpdateOwner(self, request: operator_pb.UpdateOwnerRequest, context: Any) -> operator_pb.UpdateOwnerResponse:
        load = self._operators.update_owner(
            OwnerId(UUID(request.owner_id)),
            request.weight if request.HasField("weight") else None,
            request.running_cap if request.HasField("running_cap") else None,
        )
        return operator_pb.UpdateOwnerResponse(owner=_owner(load))


def _worker(report: WorkerReport) -> worker_pb2.Worker:
    worker = report.worker
    return worker_pb2.Worker(
        engine_id=str(worker.engine_id),
        state=to_enum(worker_pb2.WorkerState, _state(report)),
        problem=worker.problem,
        models=sorted(worker.models),
        missing_models=[
            worker_pb2.MissingModel(name=name, files=files) for name, files in sorted(worker.missing.items())
        ],
        loaded_model=worker.loaded_model,
        engine_version=worker.engine_version,
        device=worker.device,
        vram_total=worker.vram_total,
        vram_free=worker.vram_free,
        job_ids=map(str, report.job_ids),
        report_time=to_timestamp(worker.seen_at),
        quarantine_end_time=to_timestamp(worker.quarantined_until),
    )


def _state(report: WorkerReport) -> str:
    standing, is_busy = report.worker.standing(report.now), bool(report.job_ids)
    match standing:
        case Standing.ABLE:
            return "busy" if is_busy else "idle"
        case Standing.DRAINED:
            return "draining" if is_busy else "drained"
    return standing


def _queue(load: QueueLoad) -> operator_pb.Queue:
    queue = operator_pb.Queue(
        model=load.model, waiting_jobs=load.waiting, running_jobs=load.running, backlog_seconds=load.backlog
    )
    if load.oldest_wait is not None:
        queue.oldest_wait.FromTimedelta(load.oldest_wait)
    return queue


def _owner(load: OwnerLoad) -> worker_pb2.Owner:
    account = load.account
    return worker_pb2.Owner(
        id=str(account.owner_id),
        weight=account.weight,
        running_cap=account.running_cap or 0,
        waiting_jobs=load.waiting,
        running_jobs=load.running,
    )
