"""What the web process serves: everything from here, what never changes for ever, sessions to its own pages only."""

import re
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from app.web.files import FALLBACKS, FOREIGN, NOWHERE
from tests.deploy.waiting import wait_until


@pytest.fixture
def http(installation):
    with installation.client() as client:
        yield client


@pytest.fixture
def base(http):
    """`/app/<version>`."""
    return re.search(r'data-base="([^"]+)"', http.get("/").text).group(1)


def test_the_first_page_is_asked_for_anew_and_allows_no_foreign_host(http):
    page = http.get("/")
    assert page.headers["cache-control"] == "no-cache"
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert not re.search(r"https?:|\*", policy)
    assert not re.search(r"https?://", page.text)
    assert not re.search(r"<script>|<style|\sstyle=|\son\w+=", page.text)


def test_every_file_of_the_first_page_is_there_for_ever(http, base):
    names = re.findall(rf'(?:href|src)="({base}/[^"]+)"', http.get("/").text)
    assert len(names) >= 5
    for name in names:
        answer = http.get(name)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize("encoding", ["br", "gzip"])
def test_the_engine_comes_compressed(http, base, encoding):
    with http.stream("GET", f"{base}/flutter_bootstrap.js", headers={"accept-encoding": encoding}) as answer:
        assert answer.headers["content-encoding"] == encoding
        assert answer.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize("name", ["main.dart.js", "main.dart.wasm"])
def test_the_client_is_freed_of_the_foreign_host_that_it_would_ask(http, base, name):
    assert FOREIGN not in http.get(f"{base}/{name}", headers={"accept-encoding": "identity"}).content


def test_what_it_would_ask_for_there_is_here(http):
    script = http.get(f"{NOWHERE.decode().removeprefix('.')}rive/engine.js")
    assert script.status_code == 200
    assert script.headers["content-type"].startswith("text/javascript")


@pytest.mark.parametrize("font", ["notosanssc", "notocoloremoji"])
def test_fonts_have_the_names_that_the_engine_asks_for(http, base, font):
    names = FALLBACKS.findall(http.get(f"{base}/main.dart.js").content)
    answers = [http.get(f"{base}/fallback/{name.decode()}") for name in names if name.startswith(font.encode())]
    assert {answer.headers["content-type"] for answer in answers} == {"font/woff2"}
    assert all(answer.content.startswith(b"wOF2") for answer in answers)
    assert max(len(answer.content) > 10_000 for answer in answers) == (font == "notosanssc")


@pytest.mark.parametrize("path", ["nothing.js", "../settings.py", "%2e%2e/%2e%2e/secrets.json", "assets/"])
def test_what_is_not_the_clients_is_not_found(http, base, path):
    assert http.get(f"{base}/{path}").status_code == 404


def test_another_version_is_not_found(http):
    assert http.get("/app/000000000000/start.js").status_code == 404


def connections(installation) -> int:
    """Open ones, as the process counts them for Prometheus."""
    environment = Path(f"/proc/{installation.pid('app')}/environ").read_text().split("\0")
    (listen,) = (each.partition("=")[2] for each in environment if each.startswith("METRICS_LISTEN="))
    metrics = httpx.get(f"http://{listen}/metrics", trust_env=False).text
    return int(float(re.search(r"^imagegen_app_connections (\S+)$", metrics, re.MULTILINE).group(1)))


@pytest.mark.parametrize("sent", [[], [b"\x00nonsense"], [b"\x07"], [b"\x00\x92\x01\x80"], ["text"]])
def test_a_connection_that_talks_nonsense_leaves_nothing_behind(installation, sent):
    wait_until(lambda: connections(installation) == 0)
    with connect(installation.url.replace("http", "ws") + "/ws", origin=installation.url, proxy=None) as connection:
        for message in sent:
            connection.send(message)
    wait_until(lambda: connections(installation) == 0)


def test_a_page_of_another_origin_gets_no_session(installation):
    url = installation.url.replace("http", "ws") + "/ws"
    with pytest.raises(InvalidStatus) as refusal, connect(url, origin="https://evil.example.org", proxy=None):
        pass
    assert refusal.value.response.status_code == 403
