"""JSON by gzip, and how much a page of pictures weighs."""

import base64
import random

import httpx
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from imagegen.generation.v1 import generation_service_pb2 as generation
from imagegen.results.v1 import result_pb2
from imagegen.results.v1 import results_service_pb2 as results

from tests.gateway.builders import NOON, a_completed_task, a_result, a_task

HISTORY = "/api/v1/generation/history?limit=50"

PROMPTS = [
    "a lighthouse on a cliff at dusk, stormy sea, oil painting, dramatic light, highly detailed, 8k",
    "portrait of an old fisherman, deep wrinkles, soft window light, 85mm, shallow depth of field",
    "一只橘猫坐在秋天的花园里，落叶纷飞，水彩画风格，柔和的光线，细节丰富",
    "isometric cutaway of a tiny bakery, warm morning light, flour in the air, pastel colours",
    "macro photograph of a dew drop on a spider's web, bokeh, early spring, shot on film",
]
NEGATIVE = "blurry, low quality, watermark, text, deformed hands"


@pytest.fixture
def history(behind) -> None:
    """Fifty tasks with a picture each. What is random in them is so here: it is what does not get any smaller."""
    chance = random.Random(7)
    tasks, pictures = [], []
    for number in range(50):
        began = Timestamp(seconds=NOON.seconds + 97 * number, nanos=chance.randrange(1_000_000) * 1000)
        seed, prompt = chance.randrange(2**53), f"{PROMPTS[number % 5]}, variation {number}"
        task = a_completed_task(create_time=began, prompt=prompt, negative_prompt=NEGATIVE, seed=seed)
        signature = base64.urlsafe_b64encode(chance.randbytes(32)).decode().rstrip("=")
        link = result_pb2.ImageLink(expires=1_780_358_400, signature=signature)
        tasks.append(task)
        pictures.append(
            a_result(
                task_id=task.id,
                create_time=began,
                image_link=link,
                sha256=chance.randbytes(32).hex(),
                thumb_hash=chance.randbytes(23),
                size_bytes=chance.randrange(1_200_000, 1_600_000),
            )
        )
    behind.generation.answers["ListTasks"] = generation.ListTasksResponse(tasks=tasks, next_page_token="t" * 60)
    behind.results.answers["ListResults"] = results.ListResultsResponse(results=pictures)


def test_a_page_of_fifty_tasks_with_their_pictures_takes_less_than_60_kb(client, history):
    with client.stream("GET", HISTORY) as response:
        tasks = httpx.Response(200, content=response.read()).json()["tasks"]
        assert response.num_bytes_downloaded < 60_000
    assert len(tasks) == 50
    for task in tasks:
        [picture] = task["results"]
        assert picture["thumb_hash"]
        assert "signature=" in picture["image_url"]
        assert "signature=" in picture["thumbnail_url"]


@pytest.mark.parametrize("accepted", ["identity", "", "br", "gzip;q=0"])
def test_who_does_not_accept_gzip_gets_the_same_without(client, history, accepted):
    plain = client.get(HISTORY, headers={"Accept-Encoding": accepted})
    compressed = client.get(HISTORY)
    assert "content-encoding" not in plain.headers
    assert compressed.headers["content-encoding"] == "gzip"
    assert plain.json() == compressed.json()
    assert plain.headers["etag"] != compressed.headers["etag"]
    assert "accept-encoding" in plain.headers["vary"].lower()
    assert "accept-encoding" in compressed.headers["vary"].lower()


@pytest.mark.parametrize("accepted", ["identity", "gzip"])
def test_what_a_client_has_is_not_sent_again_either_way(client, history, accepted):
    first = client.get(HISTORY, headers={"Accept-Encoding": accepted})
    again = client.get(HISTORY, headers={"Accept-Encoding": accepted, "If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert "content-encoding" not in again.headers


def test_what_is_small_is_sent_as_it_is(client, behind):
    behind.generation.answers["GetTask"] = generation.GetTaskResponse(task=a_task())
    response = client.get("/api/v1/generation/tasks/01981f5e-7c1a-7d2b-9a63-3f0c8e5b4d21")
    assert "content-encoding" not in response.headers
    assert "vary" not in response.headers
