"""The RPCs of results: proto ↔ domain."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import grpc
from imagegen.results.v1 import (
    error_reason_pb2,
    result_pb2,
    results_service_pb2,
    results_service_pb2_grpc,
    store_service_pb2,
    store_service_pb2_grpc,
)

from services.results.domain import (
    ChecksumMismatch,
    LinkInvalid,
    NotAPicture,
    OwnerId,
    PictureLost,
    PictureTooLarge,
    Result,
    ResultDiscarded,
    ResultId,
    ResultNotFound,
    TaskId,
)
from services.results.links import ImageLink
from services.results.service import Results
from services.results.upload import Upload
from services.runtime.calls import person
from services.runtime.errors import ErrorTable, InvalidField
from services.runtime.pages import decode_page_token, encode_page_token
from services.runtime.protos import to_timestamp
from services.runtime.server import Server
from services.runtime.tokens import TokenVerifier

ERRORS = ErrorTable(
    domain="results.imagegen",
    reasons=error_reason_pb2.ErrorReason,
    rows={
        ResultNotFound: (grpc.StatusCode.NOT_FOUND, error_reason_pb2.ERROR_REASON_RESULT_NOT_FOUND),
        ChecksumMismatch: (grpc.StatusCode.INVALID_ARGUMENT, error_reason_pb2.ERROR_REASON_CHECKSUM_MISMATCH),
        NotAPicture: (grpc.StatusCode.INVALID_ARGUMENT, error_reason_pb2.ERROR_REASON_NOT_A_PICTURE),
        PictureTooLarge: (grpc.StatusCode.INVALID_ARGUMENT, error_reason_pb2.ERROR_REASON_PICTURE_TOO_LARGE),
        ResultDiscarded: (grpc.StatusCode.FAILED_PRECONDITION, error_reason_pb2.ERROR_REASON_RESULT_DISCARDED),
        LinkInvalid: (grpc.StatusCode.PERMISSION_DENIED, error_reason_pb2.ERROR_REASON_LINK_INVALID),
        PictureLost: (grpc.StatusCode.DATA_LOSS, error_reason_pb2.ERROR_REASON_PICTURE_LOST),
    },
)


class ResultsServicer(results_service_pb2_grpc.ResultsServiceServicer):
    """For people."""

    def __init__(self, results: Results) -> None:
        self._results = results

    def GetResult(
        self, request: results_service_pb2.GetResultRequest, context: Any
    ) -> results_service_pb2.GetResultResponse:
        result = self._results.get_result(_owner(), ResultId(UUID(request.result_id)))
        return results_service_pb2.GetResultResponse(result=_to_proto(self._results, result))

    def ListResults(
        self, request: results_service_pb2.ListResultsRequest, context: Any
    ) -> results_service_pb2.ListResultsResponse:
        if request.task_ids:
            task_ids = [TaskId(UUID(task_id)) for task_id in request.task_ids]
            found, more = self._results.list_of_tasks(_owner(), task_ids), False
        else:
            before = decode_page_token(request.page_token)
            found, more = self._results.list_newest(_owner(), before=before, limit=request.page_size)
        return results_service_pb2.ListResultsResponse(
            results=[_to_proto(self._results, result) for result in found],
            next_page_token=encode_page_token(found[-1].id) if more else "",
        )

    def DeleteResult(
        self, request: results_service_pb2.DeleteResultRequest, context: Any
    ) -> results_service_pb2.DeleteResultResponse:
        self._results.delete_result(_owner(), ResultId(UUID(request.result_id)))
        return results_service_pb2.DeleteResultResponse()

    async def DownloadResult(
        self, request: results_service_pb2.DownloadResultRequest, context: Any
    ) -> AsyncIterator[results_service_pb2.DownloadResultResponse]:
        result = await asyncio.to_thread(self._readable, request)
        chunks = await self._results.open_picture(result)
        yield results_service_pb2.DownloadResultResponse(result=_to_proto(self._results, result))
        async for chunk in chunks:
            yield results_service_pb2.DownloadResultResponse(chunk=chunk)

    def _readable(self, request: results_service_pb2.DownloadResultRequest) -> Result:
        result_id = ResultId(UUID(request.result_id))
        if not request.HasField("link"):
            return self._results.get_result(_owner(), result_id)
        link = ImageLink(request.link.expires, request.link.signature)
        return self._results.get_linked_result(result_id, link)


class StoreServicer(store_service_pb2_grpc.StoreServiceServicer):
    """For workers."""

    def __init__(self, results: Results) -> None:
        self._results = results

    async def StoreResult(
        self, request_iterator: AsyncIterator[store_service_pb2.StoreResultRequest], context: Any
    ) -> store_service_pb2.StoreResultResponse:
        header, upload = await _receive(request_iterator)
        owner_id, task_id = OwnerId(UUID(header.owner_id)), TaskId(UUID(header.task_id))
        result = await asyncio.to_thread(self._results.store_result, owner_id, task_id, header.index, upload)
        return store_service_pb2.StoreResultResponse(result=_to_proto(self._results, result))

    def DiscardResults(
        self, request: store_service_pb2.DiscardResultsRequest, context: Any
    ) -> store_service_pb2.DiscardResultsResponse:
        self._results.discard_results(OwnerId(UUID(request.owner_id)), TaskId(UUID(request.task_id)))
        return store_service_pb2.DiscardResultsResponse()


def results_server(results: Results, verifier: TokenVerifier, *, threads: int) -> Server:
    """Both services of this context on one server."""

    def register(server: grpc.aio.Server) -> None:
        results_service_pb2_grpc.add_ResultsServiceServicer_to_server(ResultsServicer(results), server)
        store_service_pb2_grpc.add_StoreServiceServicer_to_server(StoreServicer(results), server)

    services = [
        results_service_pb2.DESCRIPTOR.services_by_name["ResultsService"],
        store_service_pb2.DESCRIPTOR.services_by_name["StoreService"],
    ]
    return Server(services, register, verifier=verifier, errors=ERRORS, threads=threads)


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


def _owner() -> OwnerId:
    return OwnerId(person().user_id)


def _to_proto(results: Results, result: Result) -> result_pb2.Result:
    link = results.image_link(result.id)
    return result_pb2.Result(
        id=str(result.id),
        task_id=str(result.task_id),
        index=result.index,
        width=result.width,
        height=result.height,
        size_bytes=result.size_bytes,
        sha256=result.sha256,
        media_type=result.media_type,
        create_time=to_timestamp(result.created_at),
        image_link=result_pb2.ImageLink(expires=link.expires, signature=link.signature),
    )
