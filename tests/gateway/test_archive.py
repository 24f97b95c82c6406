"""A selection of pictures as a ZIP."""

import io
import json
import tracemalloc
import zipfile
from collections.abc import Mapping, Sequence
from uuid import uuid4

import httpx
import pytest
from grpc import StatusCode
from imagegen.results.v1 import result_pb2
from imagegen.results.v1 import results_service_pb2 as results

from tests.gateway.builders import a_result, refused
from tests.gateway.neighbours import Neighbours, Refusal
from tests.gateway.test_export import downloads

ARCHIVE = "/api/v1/results/archive"


def lay_down(
    behind: Neighbours, stored: Sequence[result_pb2.Result], pictures: Mapping[str, bytes | Refusal]
) -> dict[str, list[str]]:
    """The pictures of somebody, and the body that selects them all."""

    def listed(message, context):
        wanted = set(message.result_ids)
        assert wanted
        return results.ListResultsResponse(results=[result for result in stored if result.id in wanted])

    behind.results.answers["ListResults"] = listed
    behind.results.answers["DownloadResult"] = downloads(pictures)
    return {"ids": [result.id for result in stored]}


def opened(response: httpx.Response) -> zipfile.ZipFile:
    assert response.status_code == 200, response.text
    archive = zipfile.ZipFile(io.BytesIO(response.content))
    assert archive.testzip() is None
    return archive


def test_it_holds_the_pictures_in_the_order_of_their_ids_with_names_to_read(client, behind):
    prompts = [
        "a lighthouse at dusk",
        "雨后的江南古镇，水墨画",
        "../../etc/passwd: *?",
        "",
        "a lighthouse at dusk",
        "x" * 99,
    ]
    stored = [a_result(prompt=prompt, size_bytes=200_000) for prompt in prompts]
    pictures = {result.id: bytes([number]) * 200_000 for number, result in enumerate(stored)}
    body = lay_down(behind, stored, pictures)
    response = client.post(ARCHIVE, json=body)
    assert response.headers["content-type"] == "application/zip"
    assert response.headers["content-disposition"].startswith('attachment; filename="imagegen-20')
    archive = opened(response)
    assert archive.namelist() == [
        "001-a-lighthouse-at-dusk.png",
        "002-雨后的江南古镇-水墨画.png",
        "003-etc-passwd.png",
        "004.png",
        "005-a-lighthouse-at-dusk.png",
        f"006-{'x' * 36}.png",
    ]
    assert [archive.read(name) for name in archive.namelist()] == list(pictures.values())


def test_a_picture_that_is_selected_twice_is_there_once(client, behind):
    stored = [a_result()]
    lay_down(behind, stored, {stored[0].id: b"abcdef"})
    archive = opened(client.post(ARCHIVE, json={"ids": [stored[0].id, stored[0].id.upper()]}))
    assert archive.namelist() == ["001-a-lighthouse.png"]


def test_a_picture_that_is_not_ones_own_is_named_and_nothing_is_sent(client, behind):
    stored = [a_result(), a_result()]
    lay_down(behind, stored, {})
    ids = [stored[0].id, str(uuid4()), stored[1].id, str(uuid4())]
    problem = refused(client.post(ARCHIVE, json={"ids": ids}), 404, "result_not_found")
    assert [error["pointer"] for error in problem["errors"]] == ["#/ids/1", "#/ids/3"]
    assert [asked.method for asked in behind.results.asked] == ["ListResults"]


def test_a_picture_that_goes_missing_meanwhile_is_named_and_the_rest_is_there(client, behind):
    deleted, lost, there = stored = [a_result(), a_result(), a_result()]
    pictures = {
        deleted.id: Refusal(StatusCode.NOT_FOUND, "RESULT_NOT_FOUND"),
        lost.id: Refusal(StatusCode.DATA_LOSS, "PICTURE_LOST"),
        there.id: b"abcdef",
    }
    archive = opened(client.post(ARCHIVE, json=lay_down(behind, stored, pictures)))
    assert archive.namelist() == ["003-a-lighthouse.png", "missing.json"]
    assert json.loads(archive.read("missing.json")) == [
        {"id": deleted.id, "file": "001-a-lighthouse.png", "reason": "result_not_found"},
        {"id": lost.id, "file": "002-a-lighthouse.png", "reason": "picture_lost"},
    ]


def test_a_service_that_is_lost_in_the_middle_leaves_no_whole_file(client, behind):
    stored = [a_result(), a_result()]
    pictures = {stored[0].id: b"abcdef", stored[1].id: Refusal(StatusCode.UNAVAILABLE)}
    body = lay_down(behind, stored, pictures)
    received = b""
    with pytest.raises(httpx.RemoteProtocolError), client.stream("POST", ARCHIVE, json=body) as response:
        for chunk in response.iter_raw():
            received += chunk
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(io.BytesIO(received))


def test_it_takes_the_same_memory_whatever_its_length(client, behind):
    """The stand-ins live in this process too, and hold some of the pictures that they are sending."""

    class AnyPicture(dict):
        def __missing__(self, key):
            return bytes(2**20)

    def peak_of(number: int) -> int:
        body = lay_down(behind, [a_result(size_bytes=2**20) for _ in range(number)], AnyPicture())
        size = 0
        tracemalloc.start()
        with client.stream("POST", ARCHIVE, json=body) as response:
            for chunk in response.iter_raw():
                size += len(chunk)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert size > number * 2**20
        return peak

    peak_of(2)  # whatever is imported or made once
    assert peak_of(60) < peak_of(6) + 30 * 2**20
