"""The door for OpenAI's SDKs: pictures and models as its API has them, under an API key or an access token.

Its clients wait for the picture: the answer comes when the task has ended. A client that leaves earlier finds the task
in the history. OpenAI's own documents describe the paths; ours does not repeat them.
"""

import asyncio
import base64
import re
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Annotated, Any, Literal, TypeVar

import grpc
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from imagegen.generation.v1 import generation_service_pb2 as generation
from imagegen.generation.v1 import task_pb2
from imagegen.results.v1 import result_pb2
from imagegen.results.v1 import results_service_pb2 as results
from pydantic import AfterValidator

from gateway.bodies import Body, Double, Int32, Int64
from gateway.clients import Calls, CallsDependency
from gateway.idempotency import IdempotencyKey, replayed
from gateway.images import DOWNLOAD_SECONDS
from gateway.models import Model
from gateway.openai_errors import PATHS, openai_error
from gateway.origins import Origin
from gateway.problems import CODES, problem
from gateway.results import Result
from gateway.waiting import left
from services.runtime.protos import from_enum
from services.runtime.requests import about_task

LONGEST_SECONDS = 600.0
"""The SDKs themselves give up after ten minutes."""

AGAIN_SECONDS = 1.0
"""Between two tries while a service is away."""

FINAL = (task_pb2.TASK_STATE_COMPLETED, task_pb2.TASK_STATE_FAILED, task_pb2.TASK_STATE_CANCELED)

SIZE = re.compile(r"([0-9]{1,6})x([0-9]{1,6})")

Found = TypeVar("Found")

router = APIRouter(prefix=PATHS.rstrip("/"), include_in_schema=False)


def _is_size(size: str) -> str:
    if size != "auto" and not SIZE.fullmatch(size):
        raise ValueError("must be 'auto' or a width and a height, as in '512x768'")
    return size


class ImageRequest(Body):
    """What OpenAI's `images.generate` sends. What is only a wish (`quality`, `style`) may stay unfulfilled; what the
    client could not do without is refused. The last four are ours, by the SDK's `extra_body`.
    """

    prompt: str
    model: str | None = None
    n: Int32 | None = None
    size: Annotated[str, AfterValidator(_is_size)] | None = None
    response_format: Literal["url", "b64_json"] | None = None
    quality: str | None = None
    style: str | None = None
    moderation: str | None = None
    user: str | None = None
    safety_identifier: str | None = None
    background: Literal["auto", "opaque"] | None = None
    output_format: Literal["png"] | None = None
    output_compression: Literal[100] | None = None
    stream: Literal[False] | None = None
    partial_images: Literal[0] | None = None
    negative_prompt: str | None = None
    seed: Int64 | None = None
    steps: Int32 | None = None
    cfg: Double | None = None

    def recipe(self, model: str, request_id: str) -> generation.CreateTaskRequest:
        size = SIZE.fullmatch(self.size or "")
        asked = {
            "count": self.n,
            "width": int(size[1]) if size else None,
            "height": int(size[2]) if size else None,
            **self.model_dump(include={"prompt", "negative_prompt", "seed", "steps", "cfg"}),
        }
        given = {name: value for name, value in asked.items() if value is not None}
        return generation.CreateTaskRequest(request_id=request_id, model=model, **given)


@router.get("/models")
async def list_openai_models(calls: CallsDependency) -> Response:
    """The models that can paint now."""
    return JSONResponse({"object": "list", "data": [_shown(name) for name in await _available(calls)]})


@router.get("/models/{model}")
async def get_openai_model(model: str, request: Request, calls: CallsDependency) -> Response:
    if model not in await _available(calls):
        return problem(request, "model_unknown", status=404)
    return JSONResponse(_shown(model))


async def _available(calls: Calls) -> list[str]:
    answer = await calls.unary(calls.generation.ListModels, generation.ListModelsRequest())
    return [model.name for model in answer.models if Model.from_proto(model, "en").available]


def _shown(name: str) -> dict[str, Any]:
    """Since when a model is on offer, nobody writes down."""
    return {"id": name, "object": "model", "created": 0, "owned_by": "imagegen"}


@router.post("/images/generations")
async def generate_images(
    body: ImageRequest,
    request: Request,
    calls: CallsDependency,
    origin: Origin,
    idempotency_key: IdempotencyKey = "",
) -> Response:
    """Paint pictures and answer with them, as links or in base64."""
    # Also where the model is named: this needs the scope `read`, and who lacks that could not be shown the pictures.
    offered = await _available(calls)
    model = body.model or next(iter(offered), None)
    if model is None:
        return problem(request, "model_unavailable")
    accepted = await calls.unary(calls.generation.CreateTask, body.recipe(model, idempotency_key))
    about_task(accepted.task.id)
    painting = asyncio.create_task(_painted(calls, origin, accepted.task, in_full=body.response_format == "b64_json"))
    enders = {asyncio.create_task(request.app.state.stopping.wait()), asyncio.create_task(left(request))}
    try:
        done, _ = await asyncio.wait({painting, *enders}, timeout=LONGEST_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if painting in done:
            answer = painting.result()
        else:
            # The task goes on. Only with a key would a repeat wait for it, and not ask for another.
            code = "unavailable" if done else "deadline_exceeded"
            answer = openai_error(*_told(code), retry=bool(idempotency_key))
    finally:
        for waiting in (painting, *enders):
            waiting.cancel()
    answer.headers.update(replayed(accepted.replayed))
    return answer


def _told(code: str) -> tuple[int, str, str]:
    status, sentence = CODES[code]
    return status, code, sentence


async def _painted(calls: Calls, origin: str, task: task_pb2.Task, *, in_full: bool) -> Response:
    """The answer once the task has ended."""
    ended = await _patiently(lambda: _followed(calls, task))
    if ended.state == task_pb2.TASK_STATE_FAILED:
        failure = from_enum(task_pb2.FailureReason, ended.failure.reason)
        return openai_error(500, str(failure), ended.failure.message)
    if ended.state == task_pb2.TASK_STATE_CANCELED:
        return openai_error(409, "canceled", "The task was canceled before it had ended.")
    asked = results.ListResultsRequest(task_ids=[ended.id])
    pictures = (await _patiently(lambda: calls.unary(calls.results.ListResults, asked))).results
    data: Sequence[dict[str, str]]
    if in_full:
        read = [await _patiently(partial(_downloaded, calls, picture)) for picture in pictures]
        data = [{"b64_json": base64.b64encode(content).decode()} for content in read]
    else:
        data = [{"url": Result.from_proto(picture, origin).image_url} for picture in pictures]
    return JSONResponse({"created": ended.create_time.seconds, "data": data})


async def _patiently(ask: Callable[[], Awaitable[Found]]) -> Found:
    """The answer, asked for again while who has it is away: an accepted task is not lost by that."""
    while True:
        try:
            return await ask()
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
        await asyncio.sleep(AGAIN_SECONDS)


async def _followed(calls: Calls, task: task_pb2.Task) -> task_pb2.Task:
    """The task in its final state. A stream that had begun may end for what is no reason any more (the token that an
    API key was exchanged for has expired); one that does not begin says what is wrong.
    """
    while True:
        has_begun = False
        call = calls.generation.WatchTask(generation.WatchTaskRequest(task_id=task.id), metadata=calls.metadata)
        try:
            async for event in call:
                has_begun = True
                kind = event.WhichOneof("event")
                now: task_pb2.Task | None = getattr(event, kind) if kind in ("snapshot", "status") else None
                if now and now.state in FINAL:
                    return now
        except grpc.aio.AioRpcError:
            if not has_begun:
                raise
        finally:
            call.cancel()


async def _downloaded(calls: Calls, picture: result_pb2.Result) -> bytes:
    request = results.DownloadResultRequest(result_id=picture.id)
    call = calls.results.DownloadResult(request, timeout=DOWNLOAD_SECONDS, metadata=calls.metadata)
    return b"".join([part.chunk async for part in call])
