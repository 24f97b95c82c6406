"""A selection of pictures as one ZIP.

If a service is lost in the middle, the response breaks off before the ZIP's directory, and no program takes the file
for a whole one.
"""

import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby

from fastapi import APIRouter, Request
from fastapi.responses import Response
from imagegen.results.v1 import result_pb2
from imagegen.results.v1 import results_service_pb2 as results
from stream_zip import async_stream_zip

from gateway.clients import CallsDependency
from gateway.gallery import Selection
from gateway.problems import SIGNED_IN, WITH_BODY, FieldError, problem, problems
from gateway.security import signed_in
from gateway.streams import RelayedResponse
from gateway.zipped import MEDIA_TYPE, PictureFile, picture_members
from services.runtime.protos import from_timestamp

NAME_CHARACTERS = 40
"""Of a prompt in a file's name: with three figures before it, it is read at a glance in any file manager."""

router = APIRouter(prefix="/api/v1/results", tags=["results"], dependencies=[signed_in])


@router.post(
    "/archive",
    response_class=Response,
    responses={
        200: {
            "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
            "description": "The pictures in the order of their ids; `missing.json` names those that were lost, or "
            "deleted meanwhile.",
            "headers": {"Content-Disposition": {"description": "A name for the file.", "schema": {"type": "string"}}},
        },
        **problems(*WITH_BODY, *SIGNED_IN, "result_not_found"),
    },
)
async def archive(body: Selection, request: Request, calls: CallsDependency) -> Response:
    """Up to a hundred of the caller's pictures as a ZIP. If one of them is not there, there is none of it."""
    ids = [str(result_id) for result_id in body.ids]
    answer = await calls.unary(calls.results.ListResults, results.ListResultsRequest(result_ids=ids))
    found = {result.id: result for result in answer.results}
    absent = [
        FieldError(pointer=f"#/ids/{place}", detail="no such result")
        for place, result_id in enumerate(ids)
        if result_id not in found
    ]
    if absent:
        return problem(request, "result_not_found", errors=absent)
    now = datetime.now(UTC)
    files = [_file(place, found[result_id]) for place, result_id in enumerate(dict.fromkeys(ids), 1)]
    return RelayedResponse(
        None,
        async_stream_zip(picture_members(calls, files, now)),
        media_type=MEDIA_TYPE,
        headers={"Content-Disposition": f'attachment; filename="imagegen-{now:%Y-%m-%d}.zip"'},
    )


def _file(place: int, result: result_pb2.Result) -> PictureFile:
    """Named by its place in the selection, which no other has, and by the first words of its prompt."""
    name = "-".join([f"{place:03}", *_words(result.prompt[: 2 * NAME_CHARACTERS])])[:NAME_CHARACTERS].rstrip("-")
    return PictureFile(
        result.id, f"{name}.png", from_timestamp(result.create_time), result.size_bytes, result.image_link
    )


def _words(text: str) -> Sequence[str]:
    """What every file system takes: letters and digits, with their marks."""
    parts = groupby(text, lambda character: unicodedata.category(character)[0] in "LMN")
    return ["".join(characters) for is_word, characters in parts if is_word]
