"""What Blobs promises, on every kind of store: a folder, memory, and S3 as moto and rclone serve it."""

import asyncio
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from threading import Barrier
from uuid import uuid4

import httpx
import pytest
from structlog.testing import capture_logs

from deploy.local.installation import PROJECT
from services.results.blobs import CHUNK_BYTES, MAX_SIGNED, Blobs, S3Options
from services.results.settings import Settings
from services.runtime.errors import DependencyUnavailable
from tests.results.store_servers import BUCKET, S3Server, running_rclone
from tests.tcp_proxy import TcpProxy

PNG = "image/png"
KEYS = ["0192f0c1-0000-7000-8000-000000000000.png", "0192f0c1-0000-7000-8000-000000000000/w640.webp"]
BIG = bytes(range(256)) * 4 * 1024 * 20  # 20 MiB
STORAGE = (PROJECT / "docs" / "storage.md").read_text(encoding="utf-8")
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Store:
    """A store with nothing in it.

    `outage`: it is away for the length of the `with`; None: it never is.
    """

    blobs: Blobs
    outage: Callable[[], AbstractContextManager[None]] | None = None


@pytest.fixture
def a_folder(tmp_path) -> Store:
    folder = tmp_path / "pictures"

    @contextmanager
    def outage() -> Iterator[None]:
        aside = folder.rename(folder.with_name("aside"))
        folder.write_text("in the way")
        yield
        folder.unlink()
        aside.rename(folder)

    return Store(Blobs.from_url(folder.as_uri()), outage)


@pytest.fixture
def memory() -> Store:
    return Store(Blobs.from_url("memory:///"))


@pytest.fixture
def s3_on_moto(moto) -> Iterator[Store]:
    with behind_a_proxy(moto) as store:
        yield store


@pytest.fixture
def s3_on_rclone(rclone) -> Iterator[Store]:
    with behind_a_proxy(rclone) as store:
        yield store


@contextmanager
def behind_a_proxy(server: S3Server) -> Iterator[Store]:
    with TcpProxy(server.address) as proxy:

        @contextmanager
        def outage() -> Iterator[None]:
            proxy.drop()
            yield
            proxy.pass_on()

        options = server.options(proxy.address)
        yield Store(Blobs.from_url(f"s3://{BUCKET}/{uuid4()}", options, redirects=True), outage)


S3 = ["s3_on_moto", "s3_on_rclone"]
ALL = ["a_folder", "memory", *S3]


@pytest.fixture(params=ALL)
def store(request) -> Store:
    return request.getfixturevalue(request.param)


@pytest.fixture
def blobs(store) -> Blobs:
    return store.blobs


@pytest.fixture(params=[name for name in ALL if name != "s3_on_rclone"])
def with_ranges(request) -> Blobs:
    """Not rclone 1.75: it answers a Range with the right bytes, but as 200, not 206 (RFC 9110, section 15.3.7)."""
    return request.getfixturevalue(request.param).blobs


@pytest.fixture(params=[name for name in ALL if name != "memory"])
def mortal(request) -> Store:
    return request.getfixturevalue(request.param)


@pytest.fixture(params=S3)
def s3(request) -> Store:
    return request.getfixturevalue(request.param)


def read(blobs: Blobs, key: str, size: int, offset: int = 0, length: int | None = None) -> list[bytes]:
    async def chunks() -> list[bytes]:
        return [chunk async for chunk in await blobs.open(key, size, offset, length)]

    return asyncio.run(chunks())


def at_once(calls: list[Callable[[], None]]) -> None:
    barrier = Barrier(len(calls))

    def run(call: Callable[[], None]) -> None:
        barrier.wait()
        call()

    with ThreadPoolExecutor(len(calls)) as threads:
        list(threads.map(run, calls))


@pytest.mark.parametrize("key", KEYS)
def test_what_was_written_is_read(blobs, key):
    blobs.write(key, b"data", PNG)

    assert blobs.read(key) == b"".join(read(blobs, key, 4)) == b"data"


def test_nothing_is_something_that_can_be_written(blobs):
    blobs.write("a.png", b"", PNG)

    assert blobs.read("a.png") == b"".join(read(blobs, "a.png", 0)) == b""


def test_a_big_picture_is_read_in_small_chunks(blobs):
    blobs.write("a.png", BIG, PNG)

    chunks = read(blobs, "a.png", len(BIG))

    assert b"".join(chunks) == BIG
    assert max(map(len, chunks)) == CHUNK_BYTES


def test_a_repeat_replaces(blobs):
    blobs.write("a.png", b"the first", PNG)
    blobs.write("a.png", b"second", PNG)

    assert blobs.read("a.png") == b"second"


def test_of_those_who_write_one_key_at_once_one_wins_whole(blobs):
    versions = [bytes([number]) * 300_000 for number in range(8)]

    at_once([lambda data=data: blobs.write("a.png", data, PNG) for data in versions])

    assert blobs.read("a.png") in versions


@pytest.mark.parametrize("key", KEYS)
def test_what_is_deleted_is_gone_and_may_be_deleted_again(blobs, key):
    blobs.write(key, b"data", PNG)
    blobs.write("other.png", b"other", PNG)

    blobs.delete(key)
    blobs.delete(key)

    with pytest.raises(FileNotFoundError):
        blobs.read(key)
    with pytest.raises(FileNotFoundError):
        read(blobs, key, 4)
    assert blobs.read("other.png") == b"other"


def test_what_was_never_written_is_not_there_and_can_be_deleted(blobs):
    blobs.delete("a.png")

    with pytest.raises(FileNotFoundError):
        blobs.read("a.png")
    for length in (None, 1, 0):
        with pytest.raises(FileNotFoundError):
            read(blobs, "a.png", 4, 0, length)


@pytest.mark.parametrize(
    ("size", "offset", "length"),
    [
        (0, 0, None),
        (3, 0, None),
        (5, 0, None),
        (3, 1, 1),
        (3, 3, None),
        (10, 0, 2),
        (10, 3, None),
        (10, 7, 2),
        (10, 0, 0),
    ],
)
def test_what_has_another_size_is_not_what_was_written(blobs, size, offset, length):
    blobs.write("a.png", b"data", PNG)

    with pytest.raises(FileNotFoundError):
        read(blobs, "a.png", size, offset, length)


@pytest.mark.parametrize(
    ("offset", "length"),
    [(0, 10), (300_000, 600_000), (999_990, None), (5, 1), (999_999, 1), (999_990, 5_000), (1, 2_000_000)],
)
def test_a_part_is_read_as_it_was_written(with_ranges, offset, length):
    data = BIG[7:1_000_007]
    with_ranges.write("a.png", data, PNG)

    chunks = read(with_ranges, "a.png", len(data), offset, length)

    assert b"".join(chunks) == data[offset:][:length]
    assert max(map(len, chunks)) <= CHUNK_BYTES


def test_a_server_without_ranges_gives_no_part_rather_than_another(s3_on_rclone):
    s3_on_rclone.blobs.write("a.png", b"data", PNG)

    with pytest.raises(DependencyUnavailable):
        read(s3_on_rclone.blobs, "a.png", 4, 1, 2)


@pytest.mark.parametrize(("offset", "length"), [(0, 4), (0, 5), (0, None)])
def test_a_part_may_be_the_whole(blobs, offset, length):
    blobs.write("a.png", b"data", PNG)

    assert read(blobs, "a.png", 4, offset, length) == [b"data"]


@pytest.mark.parametrize(("offset", "length"), [(0, 0), (2, 0), (4, 0), (4, None), (4, 7)])
def test_a_part_may_be_nothing(blobs, offset, length):
    blobs.write("a.png", b"data", PNG)

    assert read(blobs, "a.png", 4, offset, length) == []


@pytest.mark.parametrize(("offset", "length"), [(-1, None), (5, None), (5, 0), (1, -1)])
def test_what_is_no_part_is_refused(memory, offset, length):
    memory.blobs.write("a.png", b"data", PNG)

    with pytest.raises(ValueError, match="no part of 4 bytes"):
        read(memory.blobs, "a.png", 4, offset, length)


def assert_unavailable(blobs: Blobs, *, part: int | None = 2) -> None:
    """For every call about a.png of four bytes; `part`: how many of them to ask for, None: all."""
    for call in (
        lambda: blobs.write("a.png", b"more", PNG),
        lambda: blobs.read("a.png"),
        lambda: read(blobs, "a.png", 4),
        lambda: read(blobs, "a.png", 4, 0, part),
        lambda: blobs.delete("a.png"),
    ):
        with pytest.raises(DependencyUnavailable):
            call()


def test_while_the_store_is_away_every_call_says_so_and_later_all_is_there(mortal):
    blobs = mortal.blobs
    blobs.write("a.png", b"data", PNG)

    with mortal.outage():
        assert_unavailable(blobs)

    assert blobs.read("a.png") == b"data"
    blobs.write("a.png", b"more", PNG)
    assert blobs.read("a.png") == b"more"


def test_a_store_that_goes_away_in_the_middle_of_a_picture_says_so(s3):
    s3.blobs.write("a.png", BIG, PNG)

    async def read_on() -> None:
        chunks = await s3.blobs.open("a.png", len(BIG))
        assert await anext(chunks) == BIG[:CHUNK_BYTES]
        with s3.outage(), pytest.raises(DependencyUnavailable):
            async for _ in chunks:
                pass

    asyncio.run(read_on())
    assert b"".join(read(s3.blobs, "a.png", len(BIG))) == BIG


@pytest.mark.parametrize("server", ["moto", "rclone"])
def test_a_bucket_that_is_not_there_is_no_empty_bucket(request, server):
    blobs = Blobs.from_url("s3://another-bucket", request.getfixturevalue(server).options())

    assert_unavailable(blobs, part=None)  # a part is asked for by HEAD first, whose answer tells nothing of buckets


def test_who_has_the_wrong_secret_gets_nothing(rclone):
    right = Blobs.from_url(f"s3://{BUCKET}/secret", rclone.options())
    right.write("a.png", b"data", PNG)
    wrong = Blobs.from_url(f"s3://{BUCKET}/secret", rclone.options(secret_access_key="w" * 40), redirects=True)

    with capture_logs() as log:
        assert_unavailable(wrong)
    assert {line["code"] for line in log} == {"SignatureDoesNotMatch", None}  # None: an answer to HEAD has no body
    assert get(wrong.sign("a.png", MINUTE)).status_code == 403
    assert right.read("a.png") == b"data"


def get(url: str) -> httpx.Response:
    return httpx.get(url, trust_env=False)


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


def test_a_store_in_a_folder_makes_the_folder(tmp_path):
    folder = tmp_path / "with a space" / "pictures"

    Blobs.from_url(folder.as_uri()).write("a.png", b"data", PNG)

    assert (folder / "a.png").read_bytes() == b"data"


def test_of_writes_that_crashed_in_a_folder_a_delete_leaves_nothing(tmp_path):
    for name in ("a.png", "a.png#1", "a.png#2", "b.png#1"):
        (tmp_path / name).touch()

    Blobs.from_url(tmp_path.as_uri()).delete("a.png")

    assert [path.name for path in tmp_path.iterdir()] == ["b.png#1"]


KEYS_OF_S3 = {"access_key_id": "A" * 20, "secret_access_key": "s" * 40}


@pytest.mark.parametrize(
    ("url", "options", "complaint"),
    [
        ("", {}, "RESULTS_STORE_URL"),
        ("/srv/pictures", {}, "RESULTS_STORE_URL"),
        ("file:pictures", {}, "RESULTS_STORE_URL"),
        ("file://host/pictures", {}, "RESULTS_STORE_URL"),
        ("file:///pictures?x", {}, "RESULTS_STORE_URL"),
        ("memory://pictures", {}, "RESULTS_STORE_URL"),
        ("gs://pictures", {}, "RESULTS_STORE_URL"),
        ("https://pictures.s3.amazonaws.com", {}, "RESULTS_STORE_URL"),
        ("s3://", {}, "no bucket"),
        ("s3:///pictures", {}, "no bucket"),
        ("s3://key:secret@pictures", {}, "no bucket"),
        ("s3://pictures:9000", {}, "no bucket"),
        ("s3://pictures?region=eu-west-1", {}, "RESULTS_STORE_URL"),
        ("file:///pictures", {"endpoint": "https://s3.example"}, "the rest is for s3"),
        ("file:///pictures", KEYS_OF_S3, "the rest is for s3"),
        ("memory:///", {"region": "eu-west-1"}, "the rest is for s3"),
        ("s3://pictures", {"access_key_id": "A" * 20}, "go together"),
        ("s3://pictures", {"secret_access_key": "s" * 40}, "go together"),
        ("s3://pictures", {"endpoint": "s3.example"}, "RESULTS_STORE_ENDPOINT"),
        ("s3://pictures", {"endpoint": "ftp://s3.example"}, "RESULTS_STORE_ENDPOINT"),
        ("s3://pictures", {"endpoint": "https://"}, "RESULTS_STORE_ENDPOINT"),
        ("s3://pictures", {"endpoint": "https://s3.example?x=1"}, "RESULTS_STORE_ENDPOINT"),
        ("s3://pictures", {"endpoint": "https://key:secret@s3.example"}, "RESULTS_STORE_ENDPOINT"),
        ("s3://pictures", {"endpoint": "https://pictures.s3.example"}, "without the bucket"),
        ("s3://pictures", {"endpoint": "http://10.0.0.7:9000"}, "RESULTS_STORE_VIRTUAL_HOSTED"),
        ("s3://pictures", {"endpoint": "http://[fd00::7]:9000"}, "RESULTS_STORE_VIRTUAL_HOSTED"),
    ],
)
def test_nonsense_is_refused_by_the_name_of_the_setting(url, options, complaint):
    with pytest.raises(ValueError, match=complaint) as caught:
        Blobs.from_url(url, S3Options(**options))

    assert not any(secret in str(caught.value) for secret in ("s" * 40, "key:secret"))


EXAMPLES = re.findall(r"^    # (.*)\n((?:    RESULTS_.*\n)+)", STORAGE, re.MULTILINE)


@pytest.mark.parametrize(("title", "lines"), EXAMPLES, ids=[title.split()[0].strip(",;") for title, _ in EXAMPLES])
def test_the_documented_settings_are_those_that_there_are(monkeypatch, title, lines):
    for name in ("RESULTS_DATABASE_URL", "RESULTS_LISTEN", "RESULTS_SIGNING_KEY", "AUTH_ADDRESS"):
        monkeypatch.setenv(name, "x")
    for name, value in (line.strip().split("=", 1) for line in lines.splitlines()):
        assert name.removeprefix("RESULTS_").lower() in Settings.model_fields
        monkeypatch.setenv(name, value)
    settings = Settings()

    Blobs.from_url(settings.store_url, settings.s3, redirects=settings.store_redirects)


def test_every_setting_of_the_store_is_documented():
    settings = {f"RESULTS_{name.upper()}" for name in Settings.model_fields if name.startswith("store_")}

    assert set(re.findall(r"`(RESULTS_STORE_\w+)`", STORAGE)) == settings
    assert len(EXAMPLES) == 4
