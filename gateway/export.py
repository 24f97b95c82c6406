"""Everything that the services have of a person, as one ZIP that is written while it is read.

Nothing is collected: a page of tasks, a chunk of a picture and the ZIP's directory are all that is held in memory. What
lasts longer than an access token are the pictures; they are opened by their links, which are kept in a temporary file
meanwhile. If a service is lost in the middle, the response breaks off before the directory, and no program takes the
file for a whole one.
"""

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime
from tempfile import TemporaryFile
from typing import IO

from fastapi import APIRouter
from fastapi.responses import Response
from imagegen.auth.v1 import auth_service_pb2 as auth
from imagegen.generation.v1 import generation_service_pb2 as generation
from imagegen.results.v1 import result_pb2
from imagegen.results.v1 import results_service_pb2 as results
from imagegen.results.v1 import share_service_pb2 as shares
from stream_zip import AsyncMemberFile, async_stream_zip

from gateway.api_keys import ApiKey
from gateway.auth import User
from gateway.clients import Calls, CallsDependency
from gateway.gallery import Picture
from gateway.problems import SIGNED_IN, problems
from gateway.security import signed_in
from gateway.sessions import Session
from gateway.shares import Share
from gateway.streams import RelayedResponse
from gateway.tasks import Task
from gateway.zipped import MEDIA_TYPE, PictureFile, member, picture_members, pretty, whole
from services.runtime.protos import from_timestamp

PAGE = 100
"""As many as one call lists."""

router = APIRouter(prefix="/api/v1/auth/me", tags=["auth"], dependencies=[signed_in])


@router.get(
    "/export",
    response_class=Response,
    responses={
        200: {
            "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
            "description": "The account, its sessions, keys, tasks, links and results as JSON, and every picture.",
            "headers": {"Content-Disposition": {"description": "A name for the file.", "schema": {"type": "string"}}},
        },
        **problems(*SIGNED_IN, "user_not_found"),
    },
)
async def export_me(calls: CallsDependency) -> Response:
    """Everything that is kept of the caller, pictures included, as a ZIP. Needs a session: no API key may."""
    user = (await calls.unary(calls.auth.GetMe, auth.GetMeRequest())).user
    sessions = (await calls.unary(calls.auth.ListSessions, auth.ListSessionsRequest())).sessions
    keys = (await calls.unary(calls.auth.ListApiKeys, auth.ListApiKeysRequest())).api_keys
    now = datetime.now(UTC)
    account = [
        ("account.json", pretty(User.from_proto(user).model_dump(mode="json"))),
        ("sessions.json", pretty([Session.from_proto(session).model_dump(mode="json") for session in sessions])),
        ("api_keys.json", pretty([ApiKey.from_proto(key).model_dump(mode="json") for key in keys])),
    ]
    kept = TemporaryFile("w+")  # noqa: SIM115 - closed with the response
    return RelayedResponse(
        kept.close,
        async_stream_zip(_members(calls, account, now, kept)),
        media_type=MEDIA_TYPE,
        headers={"Content-Disposition": f'attachment; filename="imagegen-export-{now:%Y-%m-%d}.zip"'},
    )


async def _members(
    calls: Calls, account: Sequence[tuple[str, bytes]], now: datetime, kept: IO[str]
) -> AsyncIterator[AsyncMemberFile]:
    for name, content in account:
        yield member(name, now, whole(content))
    yield member("tasks.json", now, _array(_tasks(calls)))
    yield member("shares.json", now, _array(_shares(calls)))
    yield member("results.json", now, _array(_results(calls, kept)))
    async for picture in picture_members(calls, _noted(kept), now):
        yield picture


def _picture(result: result_pb2.Result) -> PictureFile:
    created_at = from_timestamp(result.create_time)
    file = f"pictures/{created_at:%Y%m%dT%H%M%SZ}-{result.task_id}-{result.index}.png"
    return PictureFile(result.id, file, created_at, result.size_bytes, result.image_link)


def _note(picture: PictureFile, kept: IO[str]) -> None:
    """As a line of the temporary file."""
    fields = picture.result_id, picture.file, picture.created_at.isoformat(), picture.size_bytes
    kept.write(json.dumps([*fields, picture.link.expires, picture.link.signature]) + "\n")


def _noted(kept: IO[str]) -> Iterator[PictureFile]:
    kept.seek(0)
    for line in kept:
        result_id, file, created_at, size_bytes, expires, signature = json.loads(line)
        link = result_pb2.ImageLink(expires=expires, signature=signature)
        yield PictureFile(result_id, file, datetime.fromisoformat(created_at), size_bytes, link)


async def _tasks(calls: Calls) -> AsyncIterator[str]:
    token = ""
    while True:
        request = generation.ListTasksRequest(page_size=PAGE, page_token=token)
        page = await calls.unary(calls.generation.ListTasks, request)
        for task in page.tasks:
            shown = Task.from_proto(task, [])
            yield shown.model_dump_json(exclude={"links", "results", "results_unavailable", "timeline"})
        token = page.next_page_token
        if not token:
            return


async def _shares(calls: Calls) -> AsyncIterator[str]:
    token = ""
    while True:
        page = await calls.unary(calls.shares.ListShares, shares.ListSharesRequest(page_size=PAGE, page_token=token))
        for share in page.shares:
            yield Share.from_proto(share).model_dump_json()
        token = page.next_page_token
        if not token:
            return


async def _results(calls: Calls, kept: IO[str]) -> AsyncIterator[str]:
    """Notes where each picture is to be had."""
    token = ""
    while True:
        request = results.ListResultsRequest(page_size=PAGE, page_token=token)
        page = await calls.unary(calls.results.ListResults, request)
        for result in page.results:
            picture = _picture(result)
            _note(picture, kept)
            shown = Picture.from_proto(result, "").model_dump(mode="json", exclude={"image_url", "thumbnail_url"})
            yield json.dumps({"file": picture.file, **shown}, ensure_ascii=False)
        token = page.next_page_token
        if not token:
            return


async def _array(items: AsyncIterator[str]) -> AsyncIterator[bytes]:
    """A JSON array, item by item."""
    before = "[\n"
    async for item in items:
        yield f"{before}{item}".encode()
        before = ",\n"
    yield b"\n]\n" if before != "[\n" else b"[]\n"
