"""GenerationService: the contract over the use cases."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any
from uuid import UUID

import grpc
from imagegen.generation.v1 import error_reason_pb2 as reasons
from imagegen.generation.v1 import generation_service_pb2 as pb
from imagegen.generation.v1 import generation_service_pb2_grpc

from services.generation.catalogue import ModelUnavailable, ModelUnknown, ParameterOutOfRange
from services.generation.domain import (
    OwnerId,
    RequestIdReused,
    StorageFull,
    TaskFinished,
    TaskId,
    TaskNotFound,
    TooManyStreams,
    UserQueueFull,
)
from services.generation.executor import SubmitRefused
from services.generation.messages import (
    draft_to_proto,
    estimate_to_proto,
    filter_from,
    model_to_proto,
    request_from,
    task_to_proto,
)
from services.generation.service import Tasks
from services.generation.suggestions import Vocabulary, suggest
from services.generation.watch import Watcher
from services.generation.watch_all import AllWatcher
from services.runtime.calls import person
from services.runtime.errors import ErrorTable
from services.runtime.pages import decode_page_token, encode_page_token
from services.runtime.protos import to_enum
from services.runtime.server import Server
from services.runtime.tokens import TokenVerifier

DEFAULT_TASKS = 20
DEFAULT_SUGGESTIONS = 8

ERRORS = ErrorTable(
    domain="generation.imagegen",
    reasons=reasons.ErrorReason,
    rows={
        TaskNotFound: (grpc.StatusCode.NOT_FOUND, reasons.ERROR_REASON_TASK_NOT_FOUND),
        TaskFinished: (grpc.StatusCode.FAILED_PRECONDITION, reasons.ERROR_REASON_TASK_FINISHED),
        RequestIdReused: (grpc.StatusCode.INVALID_ARGUMENT, reasons.ERROR_REASON_REQUEST_ID_REUSED),
        ModelUnknown: (grpc.StatusCode.INVALID_ARGUMENT, reasons.ERROR_REASON_MODEL_UNKNOWN),
        ModelUnavailable: (grpc.StatusCode.FAILED_PRECONDITION, reasons.ERROR_REASON_MODEL_UNAVAILABLE),
        SubmitRefused: (grpc.StatusCode.FAILED_PRECONDITION, reasons.ERROR_REASON_MODEL_UNAVAILABLE),
        ParameterOutOfRange: (grpc.StatusCode.INVALID_ARGUMENT, reasons.ERROR_REASON_PARAMETER_OUT_OF_RANGE),
        StorageFull: (grpc.StatusCode.FAILED_PRECONDITION, reasons.ERROR_REASON_STORAGE_FULL),
        UserQueueFull: (grpc.StatusCode.RESOURCE_EXHAUSTED, reasons.ERROR_REASON_USER_QUEUE_FULL),
        TooManyStreams: (grpc.StatusCode.RESOURCE_EXHAUSTED, reasons.ERROR_REASON_TOO_MANY_STREAMS),
    },
)


class GenerationServicer(generation_service_pb2_grpc.GenerationServiceServicer):
    def __init__(self, tasks: Tasks, watcher: Watcher, all_watcher: AllWatcher, vocabulary: Vocabulary) -> None:
        self._tasks = tasks
        self._watcher = watcher
        self._all_watcher = all_watcher
        self._vocabulary = vocabulary

    def CreateTask(self, request: pb.CreateTaskRequest, context: Any) -> pb.CreateTaskResponse:
        asked = request_from(request)
        if request.validate_only:
            spec, estimate = self._tasks.estimate(_owner(), asked)
            return pb.CreateTaskResponse(task=draft_to_proto(asked.model, spec), estimate=estimate_to_proto(estimate))
        task, replayed = self._tasks.create(_owner(), asked, request.request_id)
        return pb.CreateTaskResponse(task=task_to_proto(task), replayed=replayed)

    def GetTask(self, request: pb.GetTaskRequest, context: Any) -> pb.GetTaskResponse:
        task = self._tasks.get(_owner(), TaskId(UUID(request.task_id)))
        return pb.GetTaskResponse(task=task_to_proto(task))

    def ListTasks(self, request: pb.ListTasksRequest, context: Any) -> pb.ListTasksResponse:
        filters = _filters(request)
        last = decode_page_token(request.page_token, filters)
        after = TaskId(last) if last else None
        size = request.page_size or DEFAULT_TASKS
        tasks, following = self._tasks.page(_owner(), filter_from(request), after, size)
        return pb.ListTasksResponse(
            tasks=[task_to_proto(task, is_listed=True) for task in tasks],
            next_page_token=encode_page_token(following, filters) if following else "",
        )

    def CancelTask(self, request: pb.CancelTaskRequest, context: Any) -> pb.CancelTaskResponse:
        task = self._tasks.cancel(_owner(), TaskId(UUID(request.task_id)))
        return pb.CancelTaskResponse(task=task_to_proto(task))

    async def WatchTask(self, request: pb.WatchTaskRequest, context: Any) -> AsyncIterator[pb.WatchTaskResponse]:
        async with aclosing(self._watcher.watch(_owner(), TaskId(UUID(request.task_id)), request.cursor)) as events:
            async for event in events:
                yield event

    async def WatchTasks(self, request: pb.WatchTasksRequest, context: Any) -> AsyncIterator[pb.WatchTasksResponse]:
        async with aclosing(self._all_watcher.watch(_owner(), request.cursor)) as events:
            async for event in events:
                yield event

    def ListModels(self, request: pb.ListModelsRequest, context: Any) -> pb.ListModelsResponse:
        return pb.ListModelsResponse(models=[model_to_proto(model) for model in self._tasks.models()])

    def SuggestPrompts(self, request: pb.SuggestPromptsRequest, context: Any) -> pb.SuggestPromptsResponse:
        limit = request.page_size or DEFAULT_SUGGESTIONS
        recent = self._tasks.recent_prompts(_owner(), request.text, limit)
        suggestions = suggest(request.text, recent, self._vocabulary, limit)
        return pb.SuggestPromptsResponse(
            suggestions=[
                pb.Suggestion(text=suggestion.text, source=to_enum(pb.Suggestion.Source, suggestion.source))
                for suggestion in suggestions
            ]
        )


def generation_server(
    tasks: Tasks,
    watcher: Watcher,
    all_watcher: AllWatcher,
    vocabulary: Vocabulary,
    verifier: TokenVerifier,
    *,
    threads: int,
) -> Server:
    """Ready to start."""
    servicer = GenerationServicer(tasks, watcher, all_watcher, vocabulary)
    return Server(
        [pb.DESCRIPTOR.services_by_name["GenerationService"]],
        lambda server: generation_service_pb2_grpc.add_GenerationServiceServicer_to_server(servicer, server),
        verifier=verifier,
        errors=ERRORS,
        threads=threads,
    )


def _filters(request: pb.ListTasksRequest) -> bytes:
    """What a page token goes with."""
    filters = pb.ListTasksRequest()
    filters.CopyFrom(request)
    for field in ("page_size", "page_token"):
        filters.ClearField(field)
    return filters.SerializeToString(deterministic=True)


def _owner() -> OwnerId:
    return OwnerId(person().user_id)
