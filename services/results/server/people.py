"""The RPCs that show people their pictures: proto ↔ domain."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from imagegen.results.v1 import result_pb2, results_service_pb2, results_service_pb2_grpc

from services.results.delivery import Delivery
from services.results.domain import OwnerId, Result, ResultId, TaskId
from services.results.gallery import Gallery
from services.results.links import ImageLink
from services.results.server.messages import result_to_proto
from services.runtime.calls import person
from services.runtime.pages import decode_page_token, encode_page_token


class ResultsServicer(results_service_pb2_grpc.ResultsServiceServicer):
    """For people."""

    def __init__(self, gallery: Gallery, delivery: Delivery) -> None:
        self._gallery = gallery
        self._delivery = delivery

    def GetResult(
        self, request: results_service_pb2.GetResultRequest, context: Any
    ) -> results_service_pb2.GetResultResponse:
        result = self._gallery.get_result(_owner(), ResultId(UUID(request.result_id)))
        return results_service_pb2.GetResultResponse(result=self._shown(result))

    def ListResults(
        self, request: results_service_pb2.ListResultsRequest, context: Any
    ) -> results_service_pb2.ListResultsResponse:
        if request.task_ids:
            task_ids = [TaskId(UUID(task_id)) for task_id in request.task_ids]
            found, more = self._gallery.list_of_tasks(_owner(), task_ids), False
        else:
            before = decode_page_token(request.page_token)
            found, more = self._gallery.list_newest(_owner(), before=before, limit=request.page_size)
        return results_service_pb2.ListResultsResponse(
            results=[self._shown(result) for result in found],
            next_page_token=encode_page_token(found[-1].id) if more else "",
        )

    def DeleteResult(
        self, request: results_service_pb2.DeleteResultRequest, context: Any
    ) -> results_service_pb2.DeleteResultResponse:
        self._gallery.delete_result(_owner(), ResultId(UUID(request.result_id)))
        return results_service_pb2.DeleteResultResponse()

    async def DownloadResult(
        self, request: results_service_pb2.DownloadResultRequest, context: Any
    ) -> AsyncIterator[results_service_pb2.DownloadResultResponse]:
        result = await asyncio.to_thread(self._readable, request)
        chunks = await self._delivery.open_picture(result)
        yield results_service_pb2.DownloadResultResponse(result=self._shown(result))
        async for chunk in chunks:
            yield results_service_pb2.DownloadResultResponse(chunk=chunk)

    def _readable(self, request: results_service_pb2.DownloadResultRequest) -> Result:
        result_id = ResultId(UUID(request.result_id))
        if not request.HasField("link"):
            return self._delivery.owned(_owner(), result_id)
        link = ImageLink(request.link.expires, request.link.signature)
        return self._delivery.linked(result_id, link)

    def _shown(self, result: Result) -> result_pb2.Result:
        return result_to_proto(result, self._delivery.image_link(result.id))


def _owner() -> OwnerId:
    return OwnerId(person().user_id)
