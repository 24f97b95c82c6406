"""The RPCs that take pictures in: proto ↔ domain."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from imagegen.results.v1 import store_service_pb2, store_service_pb2_grpc

from services.results.delivery import Delivery
from services.results.domain import OwnerId, TaskId
from services.results.making import VariantMaker
from services.results.server.messages import recipe_from_proto, result_to_proto
from services.results.storing import Storing
from services.results.upload import Upload
from services.runtime.errors import InvalidField


class StoreServicer(store_service_pb2_grpc.StoreServiceServicer):
    """For workers."""

    def __init__(self, storing: Storing, delivery: Delivery, maker: VariantMaker) -> None:
        self._storing = storing
        self._delivery = delivery
        self._maker = maker

    async def StoreResult(
        self, request_iterator: AsyncIterator[store_service_pb2.StoreResultRequest], context: Any
    ) -> store_service_pb2.StoreResultResponse:
        header, upload = await _receive(request_iterator)
        owner_id, task_id = OwnerId(UUID(header.owner_id)), TaskId(UUID(header.task_id))
        recipe = recipe_from_proto(header.recipe)
        result = await asyncio.to_thread(self._storing.store_result, owner_id, task_id, header.index, recipe, upload)
        self._maker.announce(result)
        return store_service_pb2.StoreResultResponse(
            result=result_to_proto(result, self._delivery.image_link(result.id))
        )

    def DiscardResults(
        self, request: store_service_pb2.DiscardResultsRequest, context: Any
    ) -> store_service_pb2.DiscardResultsResponse:
        self._storing.discard_results(OwnerId(UUID(request.owner_id)), TaskId(UUID(request.task_id)))
        return store_service_pb2.DiscardResultsResponse()


async def _receive(
    messages: AsyncIterator[store_service_pb2.StoreResultRequest],
) -> tuple[store_service_pb2.StoreResultHeader, Upload]:
    """The header and what it announced. Raises InvalidField, ChecksumMismatch or PictureTooLarge."""
    misplaced = InvalidField([("header", "must be the first message and only the first")])
    first = await anext(messages, None)
    if first is None or not first.HasField("header"):
        raise misplaced
    upload = Upload(first.header.size_bytes, first.header.sha256)
    async for message in messages:
        if message.HasField("header"):
            raise misplaced
        upload.add(message.chunk)
    return first.header, upload
