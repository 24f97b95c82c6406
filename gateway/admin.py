"""For operators: workers, queues, and the shares of owners. Whether the caller is one, the executor judges."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Query
from imagegen.executor.v1 import operator_service_pb2 as operator
from imagegen.executor.v1 import worker_pb2
from pydantic import ConfigDict

from gateway.bodies import Answer, Body, Double, Int32
from gateway.clients import CallsDependency
from gateway.problems import SIGNED_IN, WITH_BODY, problems
from gateway.security import signed_in
from services.runtime.protos import from_enum, from_timestamp

router = APIRouter(prefix="/api/v1/admin", tags=["admin"], dependencies=[signed_in])

OPERATORS = (*SIGNED_IN, "caller_not_allowed")

WorkerState = Literal["idle", "busy", "draining", "drained", "quarantined", "unwell", "away"]


class MissingModel(Answer):
    name: str
    files: list[str]
    """`folder/file` below ComfyUI's models directory."""


class Worker(Answer):
    """One process bound to one engine, as it last reported itself."""

    engine_id: str
    state: WorkerState
    problem: str | None
    """Why it is unwell or in quarantine."""
    models: list[str]
    """Those that its engine has every file of."""
    missing_models: list[MissingModel]
    loaded_model: str | None
    engine_version: str
    device: str
    vram_total: int
    """Bytes."""
    vram_free: int
    """Bytes."""
    job_ids: list[str]
    """Jobs that it holds, the one that its engine paints first. A job has its task's id."""
    reported_at: datetime
    quarantined_until: datetime | None

    @classmethod
    def from_proto(cls, worker: worker_pb2.Worker) -> Self:
        is_quarantined = worker.HasField("quarantine_end_time")
        return cls(
            engine_id=worker.engine_id,
            state=from_enum(worker_pb2.WorkerState, worker.state),
            problem=worker.problem or None,
            models=list(worker.models),
            missing_models=[MissingModel(name=one.name, files=list(one.files)) for one in worker.missing_models],
            loaded_model=worker.loaded_model or None,
            engine_version=worker.engine_version,
            device=worker.device,
            vram_total=worker.vram_total,
            vram_free=worker.vram_free,
            job_ids=list(worker.job_ids),
            reported_at=from_timestamp(worker.report_time),
            quarantined_until=from_timestamp(worker.quarantine_end_time) if is_quarantined else None,
        )


class Workers(Answer):
    workers: list[Worker]


class Queue(Answer):
    """The unfinished work for one model."""

    model: str
    waiting_jobs: int
    running_jobs: int
    backlog_seconds: float
    """What the waiting jobs will probably take, of one GPU."""
    oldest_wait_seconds: float | None
    """How long the job that came first has waited; null if none waits."""

    @classmethod
    def from_proto(cls, queue: operator.Queue) -> Self:
        has_waiting = queue.HasField("oldest_wait")
        return cls(
            model=queue.model,
            waiting_jobs=queue.waiting_jobs,
            running_jobs=queue.running_jobs,
            backlog_seconds=queue.backlog_seconds,
            oldest_wait_seconds=queue.oldest_wait.ToTimedelta().total_seconds() if has_waiting else None,
        )


class Queues(Answer):
    queues: list[Queue]


class Owner(Answer):
    """A fair-share account; its id is that of a user."""

    id: str
    weight: float
    """Share of the GPUs in relation to others'; 1 unless an operator set it."""
    running_cap: int | None
    """Most jobs that workers may hold at once; null: the executor's default."""
    waiting_jobs: int
    running_jobs: int

    @classmethod
    def from_proto(cls, owner: worker_pb2.Owner) -> Self:
        return cls(
            id=owner.id,
            weight=owner.weight,
            running_cap=owner.running_cap or None,
            waiting_jobs=owner.waiting_jobs,
            running_jobs=owner.running_jobs,
        )


class Owners(Answer):
    owners: list[Owner]


class OwnerChanges(Body):
    """Only what is to change; a cap of 0 removes the owner's own."""

    contract = operator.UpdateOwnerRequest
    model_config = ConfigDict(json_schema_extra={"examples": [{"weight": 2, "running_cap": 4}]})

    weight: Double | None = None
    running_cap: Int32 | None = None


@router.get("/workers", responses=problems(*OPERATORS))
async def list_workers(calls: CallsDependency) -> Workers:
    """Every worker that has reported within the last hour."""
    answer = await calls.unary(calls.operator.ListWorkers, operator.ListWorkersRequest())
    return Workers(workers=[Worker.from_proto(worker) for worker in answer.workers])


@router.post("/workers/{engine_id}/drain", responses=problems(*OPERATORS, "worker_not_found"))
async def drain_worker(engine_id: UUID, calls: CallsDependency) -> Worker:
    """Let a worker finish what it holds and take nothing more, until it is resumed."""
    answer = await calls.unary(calls.operator.DrainWorker, operator.DrainWorkerRequest(engine_id=str(engine_id)))
    return Worker.from_proto(answer.worker)


@router.post("/workers/{engine_id}/resume", responses=problems(*OPERATORS, "worker_not_found"))
async def resume_worker(engine_id: UUID, calls: CallsDependency) -> Worker:
    """Let a drained worker take jobs again, and end its quarantine."""
    answer = await calls.unary(calls.operator.ResumeWorker, operator.ResumeWorkerRequest(engine_id=str(engine_id)))
    return Worker.from_proto(answer.worker)


@router.get("/queues", responses=problems(*OPERATORS))
async def list_queues(calls: CallsDependency) -> Queues:
    """The unfinished work, by model."""
    answer = await calls.unary(calls.operator.ListQueues, operator.ListQueuesRequest())
    return Queues(queues=[Queue.from_proto(queue) for queue in answer.queues])


@router.get("/owners", responses=problems(*OPERATORS, "invalid_field"))
async def list_owners(
    calls: CallsDependency, limit: Annotated[int, Query(ge=1, le=1000, description="Owners in the answer.")] = 100
) -> Owners:
    """Those who have unfinished jobs, the ones with the most waiting first."""
    answer = await calls.unary(calls.operator.ListOwners, operator.ListOwnersRequest(page_size=limit))
    return Owners(owners=[Owner.from_proto(owner) for owner in answer.owners])


@router.patch("/owners/{owner_id}", responses=problems(*WITH_BODY, *OPERATORS))
async def update_owner(owner_id: UUID, body: OwnerChanges, calls: CallsDependency) -> Owner:
    """Set an owner's weight and running cap. One that is not known yet is made."""
    request = operator.UpdateOwnerRequest(owner_id=str(owner_id), **body.model_dump(exclude_none=True))
    answer = await calls.unary(calls.operator.UpdateOwner, request)
    return Owner.from_proto(answer.owner)
