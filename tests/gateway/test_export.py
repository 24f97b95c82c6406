"""A person's own copy of everything."""

import io
import json
import tracemalloc
import zipfile
from itertools import count

import httpx
import pytest
from grpc import StatusCode
from imagegen.auth.v1 import auth_service_pb2 as auth
from imagegen.generation.v1 import generation_service_pb2 as generation
from imagegen.results.v1 import results_service_pb2 as results
from imagegen.results.v1 import share_service_pb2 as shares

from tests.gateway.builders import (
    a_completed_task,
    a_picture,
    a_result,
    a_session,
    a_share,
    a_user,
    an_api_key,
    refused,
)
from tests.gateway.neighbours import Refusal

EXPORT = "/api/v1/auth/me/export"


def pages(answer, field, items, size):
    """A list method over these items."""

    def method(message, context):
        first = int(message.page_token or 0)
        following = first + size
        return answer(
            **{field: items[first:following]}, next_page_token=str(following) if following < len(items) else ""
        )

    return method


def downloads(pictures):
    """`pictures`: result id → bytes, or what it is refused with."""

    def method(message, context):
        assert "authorization" not in dict(context.invocation_metadata())
        assert message.link.signature
        picture = pictures[message.result_id]
        if isinstance(picture, Refusal):
            raise picture
        yield results.DownloadResultResponse(picture=a_picture())
        for start in range(0, len(picture), 65536):
            yield results.DownloadResultResponse(chunk=picture[start : start + 65536])

    return method


@pytest.fixture
def person(behind):
    """Somebody with these tasks and pictures."""

    def lay_down(tasks, stored, pictures):
        behind.auth.answers["GetMe"] = auth.GetMeResponse(user=a_user(username="mei"))
        behind.auth.answers["ListSessions"] = auth.ListSessionsResponse(sessions=[a_session()])
        behind.auth.answers["ListApiKeys"] = auth.ListApiKeysResponse(api_keys=[an_api_key()])
        behind.generation.answers["ListTasks"] = pages(generation.ListTasksResponse, "tasks", tasks, 2)
        behind.results.answers["ListResults"] = pages(results.ListResultsResponse, "results", stored, 2)
        behind.results.answers["DownloadResult"] = downloads(pictures)
        links = [a_share(result_id=one.id) for one in stored]
        behind.results.answers["ListShares"] = pages(shares.ListSharesResponse, "shares", links, 2)

    return lay_down


def test_it_holds_everything(client, person):
    tasks = [a_completed_task(prompt=f"a lighthouse {number}") for number in range(5)]
    stored = [a_result(task_id=task.id, size_bytes=200_000) for task in tasks]
    pictures = {result.id: bytes([number]) * 200_000 for number, result in enumerate(stored)}
    person(tasks, stored, pictures)
    response = client.get(EXPORT)
    assert response.headers["content-type"] == "application/zip"
    assert response.headers["content-disposition"].startswith('attachment; filename="imagegen-export-20')
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        assert archive.testzip() is None
        assert json.loads(archive.read("account.json"))["username"] == "mei"
        assert len(json.loads(archive.read("sessions.json"))) == 1
        assert "key" not in json.loads(archive.read("api_keys.json"))[0]
        assert [task["prompt"] for task in json.loads(archive.read("tasks.json"))] == [task.prompt for task in tasks]
        listed = json.loads(archive.read("results.json"))
        assert {one["id"]: archive.read(one["file"]) for one in listed} == pictures
        assert [(one["prompt"], one["favorite"]) for one in listed] == [(one.prompt, one.favorite) for one in stored]
        assert "signature=" not in archive.read("results.json").decode(), "links do not live as long as a copy"
        links = json.loads(archive.read("shares.json"))
        assert [link["result_id"] for link in links] == [result.id for result in stored]
        assert "missing.json" not in archive.namelist()


def test_who_has_nothing_gets_empty_lists(client, person):
    person([], [], {})
    with zipfile.ZipFile(io.BytesIO(client.get(EXPORT).content)) as archive:
        assert json.loads(archive.read("tasks.json")) == json.loads(archive.read("results.json")) == []


def test_a_picture_that_is_gone_is_named_and_the_rest_is_there(client, person):
    stored = [a_result(), a_result(), a_result()]
    deleted, lost, there = (result.id for result in stored)
    person(
        [],
        stored,
        {
            deleted: Refusal(StatusCode.NOT_FOUND, "RESULT_NOT_FOUND"),
            lost: Refusal(StatusCode.DATA_LOSS, "PICTURE_LOST"),
            there: b"png",
        },
    )
    with zipfile.ZipFile(io.BytesIO(client.get(EXPORT).content)) as archive:
        files = {one["id"]: one["file"] for one in json.loads(archive.read("results.json"))}
        assert archive.read(files[there]) == b"png"
        assert json.loads(archive.read("missing.json")) == [
            {"id": deleted, "file": files[deleted], "reason": "result_not_found"},
            {"id": lost, "file": files[lost], "reason": "picture_lost"},
        ]


def test_a_service_that_is_lost_in_the_middle_leaves_no_whole_file(client, person, behind):
    person([a_completed_task()], [a_result()], {})
    behind.results.answers["ListResults"] = Refusal(StatusCode.UNAVAILABLE)
    received = b""
    with pytest.raises(httpx.RemoteProtocolError), client.stream("GET", EXPORT) as response:
        for chunk in response.iter_raw():
            received += chunk
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(io.BytesIO(received))


def test_what_is_refused_is_refused_before_the_first_byte(client, person, behind):
    person([], [], {})
    behind.auth.answers["ListSessions"] = Refusal(StatusCode.PERMISSION_DENIED, "SCOPE_MISSING")
    refused(client.get(EXPORT), 403, "scope_missing")


def test_it_takes_the_same_memory_whatever_its_length(client, person):
    """The stand-ins live in this process too, and hold some of the pictures that they are sending."""

    class AnyPicture(dict):
        def __missing__(self, key):
            return bytes(2**20)

    def peak_of(number: int) -> int:
        stored = [
            a_result(index=index % 64, size_bytes=2**20) for index, _ in zip(count(), range(number), strict=False)
        ]
        person([], stored, AnyPicture())
        size = 0
        tracemalloc.start()
        with client.stream("GET", EXPORT) as response:
            for chunk in response.iter_raw():
                size += len(chunk)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert size > number * 2**20
        return peak

    peak_of(2)  # whatever is imported or made once
    assert peak_of(60) < peak_of(6) + 30 * 2**20
