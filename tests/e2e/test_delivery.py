"""A picture as browsers, players and download managers ask for it, through Envoy and every service."""

from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from urllib.parse import unquote

import httpx
import pytest
from PIL import Image

CHROME = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"


@pytest.fixture
def result(person) -> dict:
    task = person.generate("雨夜的猫, oil painting", width=512, height=384, steps=3)
    return person.ended(task["id"])["results"][0]


def shown(answer: httpx.Response) -> tuple[str, tuple[int, int]]:
    image = Image.open(BytesIO(answer.raise_for_status().content))
    return image.format, image.size


def test_a_picture_comes_in_the_size_and_format_that_each_can_use(result):
    whole, thumbnail = result["image_url"], result["thumbnail_url"]
    assert len(result["thumb_hash"]) > 20
    assert shown(httpx.get(whole)) == ("PNG", (512, 384))
    assert shown(httpx.get(thumbnail)) == ("WEBP", (320, 240))
    assert shown(httpx.get(whole, headers={"Accept": CHROME})) == ("AVIF", (512, 384))
    assert shown(httpx.get(f"{whole}&w=160", headers={"Accept": CHROME})) == ("AVIF", (160, 120))
    assert shown(httpx.get(f"{whole}&w=1920&format=jpeg")) == ("JPEG", (512, 384))
    refused = httpx.get(f"{whole}&w=99999")
    assert (refused.status_code, refused.json()["errors"][0]["parameter"]) == (422, "w")


def test_many_who_ask_first_get_the_same_bytes(result):
    with ThreadPoolExecutor(50) as threads, httpx.Client(timeout=60) as http:
        answers = list(threads.map(lambda _: http.get(f"{result['image_url']}&w=160&format=avif"), range(50)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({(answer.headers["etag"], answer.content) for answer in answers}) == 1


def test_parts_and_copies_are_told_apart_by_the_tag(result):
    url, whole = result["image_url"], httpx.get(result["image_url"])
    tag = whole.headers["etag"]
    assert tag == f'"{result["sha256"]}"'
    assert httpx.get(url, headers={"If-None-Match": tag}).status_code == 304
    part = httpx.get(url, headers={"Range": "bytes=100-199", "If-Range": tag})
    assert (part.status_code, part.content) == (206, whole.content[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{len(whole.content)}"
    assert httpx.get(url, headers={"Range": "bytes=-0"}).status_code == 416
    head = httpx.head(url)
    assert (head.headers["etag"], int(head.headers["content-length"])) == (tag, len(whole.content))


def test_a_download_is_named_after_its_prompt(result):
    answer = httpx.get(f"{result['image_url']}&download=1", headers={"Accept": CHROME})
    assert answer.headers["content-type"] == "image/png"
    encoded = answer.headers["content-disposition"].rpartition("UTF-8''")[2]
    assert unquote(encoded) == "雨夜的猫, oil painting.png"


def test_what_is_deleted_is_gone_in_every_size(person, result):
    assert httpx.get(result["thumbnail_url"]).status_code == 200
    person.http.delete(f"/api/v1/results/{result['id']}").raise_for_status()
    assert httpx.get(result["thumbnail_url"]).status_code == 404
