"""What a person's pictures take, and what this installation allows."""

from fastapi import APIRouter
from imagegen.results.v1 import storage_service_pb2

from gateway.bodies import Answer
from gateway.clients import CallsDependency
from gateway.problems import SIGNED_IN, problems
from gateway.security import signed_in

router = APIRouter(prefix="/api/v1/results", tags=["results"])


class Storage(Answer):
    used_bytes: int
    """Of the pictures as they were painted."""
    pictures: int
    quota_bytes: int | None
    """Once this is reached, nothing more may be asked for. Null: there is no quota."""
    retention_days: int | None
    """How long a picture stays that is neither a favorite nor shared. Null: all stay."""


@router.get("/storage", dependencies=[signed_in], responses=problems(*SIGNED_IN))
async def get_storage(calls: CallsDependency) -> Storage:
    """What the caller's pictures take, of how much, and for how long they stay."""
    answer = await calls.unary(calls.storage.GetStorage, storage_service_pb2.GetStorageRequest())
    return Storage(
        used_bytes=answer.used_bytes,
        pictures=answer.pictures,
        quota_bytes=answer.quota_bytes if answer.HasField("quota_bytes") else None,
        retention_days=answer.retention_days if answer.HasField("retention_days") else None,
    )
