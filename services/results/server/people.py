"""The RPCs that show people their pictures: proto ↔ domain."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from imagegen.results.v1 import result_pb2, results_service_pb2, results_service_pb2_grpc

from services.results.delivery import Delivery
from services.results.domain import Result, ResultId, TaskId
from services.results.gallery import DEFAULT_PAGE_SIZE, Gallery
from services.results.links import ImageLink
from services.results.server.caller import owner
from services.results.server.messages import (
    filter_from_proto,
    picture_to_proto,
    recipe_to_proto,
    result_to_proto,
    wanted_from_proto,
)
from services.runtime.pages import decode_page_token, encode_page_token


class ResultsServicer(results_service_pb2_grpc.ResultsServiceServicer):
    """For people."""

    def __init__(self, gallery: Gallery, delivery: Delivery) -> None:
        self._gallery = gallery
        self._delivery = delivery

    def GetResult(
        self, request: results_service_pb2.GetResultRequest, context: Any
    ) -> results_service_pb2.GetResultResponse:
        result = self._gallery.get_result(owner(), ResultId(UUID(request.result_id)))
        return results_service_pb2.GetResultResponse(result=self._shown(result))

    def ListResults(
        self, request: results_service_pb2.ListResultsRequest, context: Any
    ) -> results_service_pb2.ListResultsResponse:
        if request.result_ids:
            result_ids = [ResultId(UUID(result_id)) for result_id in request.result_ids]
            found = self._gallery.list_some(owner(), result_ids)
            return results_service_pb2.ListResultsResponse(results=[self._shown(result) for result in found])
        if request.task_ids:
            task_ids = [TaskId(UUID(task_id)) for task_id in request.task_ids]
            found = self._gallery.list_of_tasks(owner(), task_ids)
            return results_service_pb2.ListResultsResponse(
                results=[self._shown(result, painted_from=False) for result in found]
            )
        filters = _filters(request)
        before = decode_page_token(request.page_token, filters)
        found, more = self._gallery.page(
            owner(), filter_from_proto(request), before=before, limit=request.page_size or DEFAULT_PAGE_SIZE
        )
        return results_service_pb2.ListResultsResponse(
            results=[self._shown(result) for result in found],
            next_page_token=encode_page_token(found[-1].id, filters) if more else "",
        )

    def GetRecipe(
        self, request: results_service_pb2.GetRecipeRequest, context: Any
    ) -> results_service_pb2.GetRecipeResponse:
        result = self._gallery.get_painted(owner(), ResultId(UUID(request.result_id)))
        return results_service_pb2.GetRecipeResponse(recipe=recipe_to_proto(result.recipe), index=result.index)

    def SetFavorite(
        self, request: results_service_pb2.SetFavoriteRequest, context: Any
    ) -> results_service_pb2.SetFavoriteResponse:
        self._gallery.set_favorite(owner(), ResultId(UUID(request.result_id)), favorite=request.favorite)
        return results_service_pb2.SetFavoriteResponse()

    def DeleteResult(
        self, request: results_service_pb2.DeleteResultRequest, context: Any
    ) -> results_service_pb2.DeleteResultResponse:
        self._gallery.delete_result(owner(), ResultId(UUID(request.result_id)))
        return results_service_pb2.DeleteResultResponse()

    def BatchDeleteResults(
        self, request: results_service_pb2.BatchDeleteResultsRequest, context: Any
    ) -> results_service_pb2.BatchDeleteResultsResponse:
        result_ids = [ResultId(UUID(result_id)) for result_id in request.result_ids]
        deleted = self._gallery.delete_results(owner(), result_ids)
        response = results_service_pb2.BatchDeleteResultsResponse
        return response(
            outcomes=[
                response.OUTCOME_DELETED if result_id in deleted else response.OUTCOME_NOT_FOUND
                for result_id in result_ids
            ]
        )

    async def DownloadResult(
        self, request: results_service_pb2.DownloadResultRequest, context: Any
    ) -> AsyncIterator[results_service_pb2.DownloadResultResponse]:
        result = await asyncio.to_thread(self._readable, request)
        sent, chunks = await self._delivery.open(result, wanted_from_proto(request))
        yield results_service_pb2.DownloadResultResponse(picture=picture_to_proto(sent))
        async for chunk in chunks:
            yield results_service_pb2.DownloadResultResponse(chunk=chunk)

    def _readable(self, request: results_service_pb2.DownloadResultRequest) -> Result:
        result_id = ResultId(UUID(request.result_id))
        if not request.HasField("link"):
            return self._delivery.owned(owner(), result_id)
        link = ImageLink(request.link.expires, request.link.signature)
        return self._delivery.linked(result_id, link)

    def _shown(self, result: Result, *, painted_from: bool = True) -> result_pb2.Result:
        return result_to_proto(result, self._delivery.image_link(result.id), painted_from=painted_from)


def _filters(request: results_service_pb2.ListResultsRequest) -> bytes:
    """What a page token goes with."""
    filters = results_service_pb2.ListResultsRequest()
    filters.CopyFrom(request)
    for field in ("page_size", "page_token"):
        filters.ClearField(field)
    return filters.SerializeToString(deterministic=True)
