"""The events of one task, and of all that a person has, as Server-Sent Events (WHATWG HTML §9.2)."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

import grpc
import structlog
from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.sse import format_sse_event
from imagegen.generation.v1 import generation_service_pb2 as generation

from gateway.clients import Calls, CallsDependency
from gateway.origins import Origin
from gateway.problems import SIGNED_IN, problems
from gateway.security import signed_in
from gateway.streams import RelayedResponse
from gateway.tasks import Progress, with_results

log = structlog.get_logger()

OF_ONE = """One task's events as Server-Sent Events (WHATWG HTML §9.2), resumable by `Last-Event-ID`.

    snapshot, status   the task's JSON, a completed one with its pictures; a waiting one's place, reason and ETA,
                       which change at most once a second, come as a status without an id
    progress           {step, steps, percent}
    preview            {media_type, image: base64}; has no id, cannot be resumed from
    reset              {}: the given id cannot be resumed from; a snapshot follows

The stream ends after a final state, when the token ends, and when a service behind it restarts. A client connects
again with the last id that it saw; if there is nothing after that, it gets 204, which tells an EventSource to stop.
"""

OF_ALL = """The events of all of the caller's tasks as Server-Sent Events, resumable by `Last-Event-ID`.

    snapshot, status, progress, preview   as in the stream of one task, each with its `task_id`
    caught_up                             {}: every unfinished task has been told; whatever else the client holds
                                          for unfinished has ended, and can be read
    reset                                 {}: something may have been missed; snapshots of all that is unfinished
                                          follow, and `caught_up`

What is unfinished comes first, then what happens to it, and every task that is made meanwhile, wherever. A client that
connects again with the last id that it saw is told first what it missed. The events of one task are in order; some of
those just before may come again. An event has an id if everything up to it has been told, of every task. The stream
ends when the token ends, and when a service behind it restarts.
"""

EXAMPLE = """\
event: snapshot
data: {"task_id": "0192…", "id": "0192…", "status": "processing", "prompt": "a lighthouse", …}

event: caught_up
data: {}
id: 5f0c….1780315200250-0
retry: 1000

event: progress
data: {"task_id": "0192…", "step": 8, "steps": 20, "percent": 40}
id: 5f0c….1780315201310-0
"""

OPENING_SECONDS = 1.0
"""How long the response waits for a first event, so that a refusal can still become a problem."""

HEARTBEAT_SECONDS = 15.0
"""Proxies and phones' networks drop connections that are silent for 30 s and more."""

RETRY_MILLISECONDS = 1000
"""Until an EventSource connects again; said with each snapshot, with which every stream begins."""

HEARTBEAT = b": keep-alive\n\n"

HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}

Message = generation.WatchTaskResponse | generation.WatchTasksResponse
Watch = grpc.aio.UnaryStreamCall[Any, Any]
Read = asyncio.Task[Any]

LastEventId = Annotated[str, Header(alias="Last-Event-ID")]
ResumeFrom = Annotated[str, Query(alias="last_event_id", description="For clients that set no headers.")]

router = APIRouter(prefix="/api/v1/generation", tags=["generation"], dependencies=[signed_in])


@router.get(
    "/tasks/{task_id}/events",
    response_class=Response,
    responses={
        200: {"content": {"text/event-stream": {}}, "description": OF_ONE},
        204: {"description": "The task has ended and every event was received."},
        **problems(*SIGNED_IN, "task_not_found", "invalid_field", "invalid_cursor"),
    },
)
async def watch_task(
    *,
    task_id: UUID,
    request: Request,
    calls: CallsDependency,
    origin: Origin,
    last_event_id: LastEventId = "",
    resume_from: ResumeFrom = "",
) -> Response:
    """Follow a task as Server-Sent Events."""
    asked = generation.WatchTaskRequest(task_id=str(task_id), cursor=last_event_id or resume_from)
    call = calls.generation.WatchTask(asked, metadata=calls.metadata)
    first = await _opened(call)
    if first.done() and first.result() is grpc.aio.EOF:
        return Response(status_code=204)
    return _relayed(call, first, calls, origin, request)


@router.get(
    "/events",
    response_class=Response,
    responses={
        200: {"content": {"text/event-stream": {"example": EXAMPLE}}, "description": OF_ALL},
        **problems(*SIGNED_IN, "invalid_field", "invalid_cursor", "too_many_streams"),
    },
)
async def watch_tasks(
    *,
    request: Request,
    calls: CallsDependency,
    origin: Origin,
    last_event_id: LastEventId = "",
    resume_from: ResumeFrom = "",
) -> Response:
    """Follow all of one's tasks as Server-Sent Events."""
    asked = generation.WatchTasksRequest(cursor=last_event_id or resume_from)
    call = calls.generation.WatchTasks(asked, metadata=calls.metadata)
    return _relayed(call, await _opened(call), calls, origin, request)


async def _opened(call: Watch) -> Read:
    """The reading of the first event. Raises AioRpcError if the call is refused soon."""
    first = _read(call)
    await asyncio.wait({first}, timeout=OPENING_SECONDS)
    if first.done():
        first.result()
    return first


def _relayed(call: Watch, first: Read, calls: Calls, origin: str, request: Request) -> Response:
    events = _events(call, first, calls, origin, request.app.state.stopping)
    return RelayedResponse(call.cancel, events, media_type="text/event-stream", headers=HEADERS)


async def _events(call: Watch, read: Read, calls: Calls, origin: str, stopping: asyncio.Event) -> AsyncIterator[bytes]:
    stop = asyncio.create_task(stopping.wait())
    try:
        while not stop.done():
            done, _ = await asyncio.wait({read, stop}, timeout=HEARTBEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if read in done:
                if read.result() is grpc.aio.EOF:
                    return
                yield await _event(read.result(), calls, origin)
                read = _read(call)
            elif not done:
                yield HEARTBEAT
    except grpc.aio.AioRpcError as error:
        # The client connects again with its last id, and then learns what is wrong if that lasts.
        log.info("an event stream broke off", code=error.code().name)
    finally:
        stop.cancel()
        read.cancel()


def _read(call: Watch) -> Read:
    return asyncio.ensure_future(call.read())


async def _event(message: Message, calls: Calls, origin: str) -> bytes:
    kind = message.WhichOneof("event")
    data: dict[str, Any] = {}
    if isinstance(message, generation.WatchTasksResponse) and message.task_id:
        data["task_id"] = message.task_id
    match kind:
        case "snapshot" | "status":
            (task,) = await with_results(calls, origin, [getattr(message, kind)])
            data |= task.model_dump(mode="json", by_alias=True)
        case "progress":
            data |= Progress.from_proto(message.progress).model_dump()
        case "preview":
            image = base64.b64encode(message.preview.image).decode()
            data |= {"media_type": message.preview.media_type, "image": image}
    retry = RETRY_MILLISECONDS if kind in ("snapshot", "caught_up") else None
    sent = json.dumps(data, ensure_ascii=False)
    return format_sse_event(event=kind, data_str=sent, id=message.cursor or None, retry=retry)
