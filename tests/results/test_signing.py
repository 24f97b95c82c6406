"""URLs by which a store hands its pictures out itself."""

from datetime import timedelta

import httpx
import pytest

from services.results.blobs import MAX_SIGNED, Blobs, S3Options
from tests.results.store_servers import BUCKET, running_rclone
from tests.results.stores import KEYS, MINUTE, PNG, get


@pytest.mark.parametrize("key", KEYS)
def test_a_signed_url_gives_the_picture_with_its_type(s3, key):
    s3.blobs.write(key, b"data", "image/webp")

    answer = get(s3.blobs.sign(key, MAX_SIGNED))

    assert (answer.status_code, answer.content) == (200, b"data")
    assert answer.headers["content-type"] == "image/webp"


def test_a_signed_url_is_good_for_one_picture_and_as_long_as_it_says(s3_on_rclone):
    blobs = s3_on_rclone.blobs
    blobs.write("a.png", b"data", PNG)
    blobs.write("b.png", b"other", PNG)
    url = blobs.sign("a.png", MINUTE)

    assert get(url).status_code == 200
    for forged in (
        url.replace("/a.png", "/b.png"),
        url.replace("X-Amz-Expires=60", "X-Amz-Expires=600"),
        url[:-1] + ("0" if url[-1] != "0" else "1"),
        url.partition("?")[0],
    ):
        assert forged != url
        assert get(forged).is_client_error
    assert httpx.delete(url, trust_env=False).is_client_error
    assert blobs.read("a.png") == b"data"


def test_a_signed_url_ends(s3_on_rclone):
    s3_on_rclone.blobs.write("a.png", b"data", PNG)
    url = s3_on_rclone.blobs.sign("a.png", timedelta(seconds=1))

    while (answer := get(url)).status_code == 200:
        assert answer.content == b"data"

    assert "AccessDenied" in answer.text


@pytest.mark.parametrize("lifetime", [MAX_SIGNED + timedelta(seconds=1), timedelta(), -MINUTE, timedelta.max])
def test_nothing_is_signed_for_longer_than_ten_minutes_or_for_no_time(store, lifetime):
    with pytest.raises(ValueError, match="0:10:00"):
        store.blobs.sign("a.png", lifetime)


def test_there_are_no_urls_to_a_store_that_cannot_sign_or_that_clients_do_not_reach(a_folder, memory, moto):
    inside = Blobs.from_url(f"s3://{BUCKET}", moto.options(), redirects=False)

    for blobs in a_folder.blobs, memory.blobs, inside:
        assert blobs.sign("a.png", MINUTE) is None


@pytest.mark.parametrize(
    "host", ["s3.oss-cn-hangzhou.aliyuncs.com", "cos.ap-guangzhou.myqcloud.com"], ids=["OSS", "COS"]
)
def test_with_virtual_hosts_the_bucket_stands_before_the_service(host, tmp_path, monkeypatch):
    """The server, which looks for the bucket there and nowhere else, stands in for the host as a proxy."""
    with running_rclone(tmp_path, virtual_hosted=True) as server:
        monkeypatch.setenv("HTTP_PROXY", f"http://{server.address}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        blobs = Blobs.from_url(f"s3://{BUCKET}/x", server.options(host, virtual_hosted=True), redirects=True)

        blobs.write("a.png", b"data", PNG)
        url = blobs.sign("a.png", MINUTE)

        assert blobs.read("a.png") == b"data"
        assert (server.folder / "x" / "a.png").read_bytes() == b"data"
        assert url.startswith(f"http://{BUCKET}.{host}/x/a.png?")
        assert httpx.get(url, proxy=f"http://{server.address}").content == b"data"
        blobs.delete("a.png")
        assert not (server.folder / "x" / "a.png").exists()


def test_aws_needs_no_endpoint():
    keys = S3Options(region="eu-west-1", access_key_id="A" * 20, secret_access_key="s" * 40)

    url = Blobs.from_url("s3://pictures", keys, redirects=True).sign("a.png", MINUTE)

    assert url.startswith("https://pictures.s3.eu-west-1.amazonaws.com/a.png?")


def test_without_keys_those_of_the_environment_sign(monkeypatch, rclone):
    keys = rclone.options()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys.secret_access_key)
    blobs = Blobs.from_url(f"s3://{BUCKET}/environment", S3Options(endpoint=keys.endpoint, virtual_hosted=False))

    blobs.write("a.png", b"data", PNG)

    assert blobs.read("a.png") == b"data"
