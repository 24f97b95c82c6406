"""The RPCs about what an owner's pictures take: proto ↔ domain."""

from typing import Any
from uuid import UUID

from imagegen.results.v1 import (
    quota_service_pb2,
    quota_service_pb2_grpc,
    storage_service_pb2,
    storage_service_pb2_grpc,
)

from services.results.domain import OwnerId
from services.results.server.caller import owner
from services.results.storage import Storage


class StorageServicer(storage_service_pb2_grpc.StorageServiceServicer):
    """For people."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def GetStorage(
        self, request: storage_service_pb2.GetStorageRequest, context: Any
    ) -> storage_service_pb2.GetStorageResponse:
        standing = self._storage.standing(owner())
        return storage_service_pb2.GetStorageResponse(
            used_bytes=standing.usage.used_bytes,
            pictures=standing.usage.pictures,
            quota_bytes=standing.quota_bytes,
            retention_days=standing.retention_days,
        )


class QuotaServicer(quota_service_pb2_grpc.QuotaServiceServicer):
    """For generation."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def CheckQuota(
        self, request: quota_service_pb2.CheckQuotaRequest, context: Any
    ) -> quota_service_pb2.CheckQuotaResponse:
        standing = self._storage.standing(OwnerId(UUID(request.owner_id)))
        return quota_service_pb2.CheckQuotaResponse(
            is_full=standing.is_full, used_bytes=standing.usage.used_bytes, quota_bytes=standing.quota_bytes
        )
