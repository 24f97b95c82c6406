"""What a share link opens: the page and its picture, the form for a password, and what stands there instead."""

import re
from html.parser import HTMLParser
from uuid import uuid4

import httpx
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode
from imagegen.results.v1 import picture_pb2
from imagegen.results.v1 import share_service_pb2 as shares
from prometheus_client import generate_latest
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from gateway.share_page.texts import NOTICES, OTHERWISE, WORDS
from tests.gateway.builders import a_picture, a_shared_picture, refused
from tests.gateway.neighbours import Refusal

TOKEN = "t0ken_-" + "A" * 36
LINK = f"/s/{TOKEN}"
BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
FOR_EVER = Timestamp(seconds=4_000_000_000)
EVIL = '"><script>alert(1)</script><img src=x onerror=alert(1)> &amp; $title ${alt}\u202e'

LOCKED = Refusal(StatusCode.UNAUTHENTICATED, "SHARE_LOCKED")
ENDED = Refusal(StatusCode.FAILED_PRECONDITION, "SHARE_ENDED")
UNKNOWN = Refusal(StatusCode.NOT_FOUND, "SHARE_NOT_FOUND")


def opening(behind, **fields) -> None:
    behind.results.answers["OpenShare"] = shares.OpenShareResponse(picture=a_shared_picture(**fields))


def an_image(**fields) -> list[shares.DownloadShareResponse]:
    """Of six bytes."""
    part = shares.DownloadShareResponse
    return [part(picture=a_picture(**fields)), part(chunk=b"abc"), part(chunk=b"def")]


class Elements(HTMLParser):
    """What a browser makes of a page: its elements with their attributes, and the text of each paragraph."""

    def __init__(self, page: httpx.Response) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.paragraphs: list[str] = []
        self.feed(page.text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag == "p":
            self.paragraphs.append("")

    def handle_data(self, data):
        if self.found and self.found[-1][0] == "p" and not self.paragraphs[-1]:
            self.paragraphs[-1] = data


def tags(page: httpx.Response) -> dict[str, str | None]:
    """What the head tells a chat."""
    metas = [attributes for tag, attributes in Elements(page).found if tag == "meta" and "content" in attributes]
    named = {str(meta.get("property") or meta.get("name")): meta["content"] for meta in metas}
    return {name: content for name, content in named.items() if name.startswith(("og:", "twitter:"))}


def guarded(page: httpx.Response) -> None:
    """What each page promises, whatever it shows."""
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["x-robots-tag"] == "noindex, nofollow"
    assert page.headers["cache-control"] == "private, no-store"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert '<meta name="robots" content="noindex, nofollow">' in page.text
    elements = Elements(page).found
    assert not {"script", "style", "iframe", "object"} & {tag for tag, _ in elements}
    assert not [name for _, attributes in elements for name in attributes if name == "style" or name.startswith("on")]
    links = [str(value) for _, attributes in elements for name, value in attributes.items() if name in ("href", "src")]
    assert [link for link in links if not re.match(r"/(?!/)|data:,$", link)] == []


def test_a_page_shows_the_picture_its_prompt_model_and_day(visitor, behind):
    opening(behind)
    page = visitor.get(LINK, headers=BROWSER)
    assert page.status_code == 200
    guarded(page)
    assert re.search(f'<img src="{LINK}/image\\?w=1280"[^>]* width="1024" height="768" alt="a lighthouse">', page.text)
    for shown in (">a lighthouse<", ">sdxl<", ">1 June 2026<", WORDS["en"]["made"]):
        assert shown in page.text
    assert behind.results.last.message == shares.OpenShareRequest(token=TOKEN)


def test_a_chat_is_told_what_to_show(visitor, behind):
    opening(behind)
    headers = {"Host": "pictures.example.org", "X-Forwarded-Proto": "https"}
    page = visitor.get(LINK, headers=headers)
    url = f"https://pictures.example.org{LINK}"
    assert tags(page) == {
        "og:site_name": "ImageGen",
        "og:type": "website",
        "og:locale": "en_US",
        "og:title": WORDS["en"]["title"],
        "og:description": "a lighthouse",
        "og:url": url,
        "og:image": f"{url}/image?w=1280&format=jpeg",
        "og:image:type": "image/jpeg",
        "og:image:width": "1024",
        "og:image:height": "768",
        "og:image:alt": "a lighthouse",
        "twitter:card": "summary_large_image",
        "twitter:title": WORDS["en"]["title"],
        "twitter:description": "a lighthouse",
        "twitter:image": f"{url}/image?w=1280&format=jpeg",
        "twitter:image:alt": "a lighthouse",
    }


def test_a_chat_is_told_the_size_of_what_it_gets(visitor, behind):
    opening(behind, width=3000, height=1000)
    told = tags(visitor.get(LINK))
    assert (told["og:image:width"], told["og:image:height"]) == ("1280", "427")


def test_a_long_prompt_is_shown_whole_and_told_to_a_chat_in_part(visitor, behind):
    prompt = "a lighthouse\n" * 50
    opening(behind, prompt=prompt)
    page = visitor.get(LINK)
    assert prompt in page.text
    told = tags(page)["og:description"]
    assert len(told) <= 200
    assert told.startswith("a lighthouse a lighthouse")
    assert told.endswith("…")


def test_a_prompt_is_nothing_but_text(visitor, behind):
    opening(behind, prompt=EVIL, model=EVIL)
    page = visitor.get(LINK)
    guarded(page)
    assert [tag for tag, _ in Elements(page).found].count("img") == 2
    assert tags(page)["og:description"] == EVIL
    assert Elements(page).paragraphs[0] == EVIL


def test_a_hidden_prompt_is_nowhere_on_the_page(visitor, behind):
    opening(behind, prompt="", model="")
    page = visitor.get(LINK)
    assert tags(page)["og:description"] == WORDS["en"]["picture"]
    assert '<p class="prompt" dir="auto"></p>' in page.text


def test_only_who_may_download_finds_the_button(visitor, behind):
    opening(behind)
    assert "download" not in visitor.get(LINK).text
    opening(behind, allow_download=True)
    assert f'<a class="main" href="{LINK}/image?download=1" download>' in visitor.get(LINK).text


@pytest.mark.parametrize(
    ("accepted", "language"), [("zh-CN,zh;q=0.9,en;q=0.8", "zh"), ("en-GB", "en"), ("fr", "en"), ("", "en")]
)
def test_a_page_speaks_the_language_of_its_reader(visitor, behind, accepted, language):
    opening(behind)
    page = visitor.get(LINK, headers={"accept-language": accepted})
    assert f'<html lang="{language}">' in page.text
    assert page.headers["content-language"] == language
    assert "Accept-Language" in page.headers["vary"]
    assert WORDS[language]["made"] in page.text
    assert ("2026年6月1日" in page.text) == (language == "zh")
    assert tags(page)["og:locale"] == {"zh": "zh_CN", "en": "en_US"}[language]


def test_every_word_exists_in_both_languages():
    assert WORDS["en"].keys() == WORDS["zh"].keys()
    assert NOTICES["en"].keys() == NOTICES["zh"].keys()


def test_the_style_is_served_to_anybody(visitor):
    style = visitor.get("/share-page.css")
    assert style.headers["content-type"] == "text/css; charset=utf-8"
    assert "prefers-color-scheme: dark" in style.text


@pytest.mark.parametrize(
    ("refusal", "status", "code"),
    [
        (UNKNOWN, 404, "share_not_found"),
        (ENDED, 410, "share_ended"),
        (LOCKED, 401, "share_locked"),
        (Refusal(StatusCode.UNAVAILABLE), 503, "unavailable"),
        (Refusal(StatusCode.INTERNAL), 500, "internal"),
    ],
)
def test_a_link_that_does_not_open_says_why_to_people_and_to_programs(visitor, behind, refusal, status, code):
    behind.results.answers["OpenShare"] = refusal
    for language in ("en", "zh"):
        page = visitor.get(LINK, headers={**BROWSER, "accept-language": language})
        assert page.status_code == status
        guarded(page)
        assert f'<html lang="{language}">' in page.text
        assert ("retry-after" in page.headers) == (status == 503)
        assert all(text in page.text for text in NOTICES[language].get(code, OTHERWISE[language]))
    answer = visitor.get(LINK, headers={"accept": "application/json"})
    refused(answer, status, code)
    assert answer.headers["x-robots-tag"] == "noindex, nofollow"
    assert answer.headers["cache-control"] == "private, no-store"


@pytest.mark.parametrize(
    "path",
    [
        "/s/short",
        f"{LINK}A",
        f"{LINK}/",
        f"{LINK}/%2e%2e/%2e%2e",
        "/s/..%2f..%2fetc%2fpasswd",
        "/s/%0d%0aSet-Cookie:%20a=b",
        f"/s/{'A' * 42}%00",
        f"/s/{'é' * 43}",
        "/s/",
        f"{LINK}/secret",
    ],
)
def test_what_cannot_be_a_link_is_a_page_that_says_so(visitor, behind, path):
    page = visitor.get(httpx.URL(visitor.base_url).join("/").copy_with(raw_path=httpx.URL(path).raw_path))
    assert page.status_code == 404
    guarded(page)
    assert "set-cookie" not in page.headers
    assert behind.results.asked == []


def test_a_method_that_the_page_does_not_know_is_refused(visitor):
    page = visitor.delete(LINK)
    assert (page.status_code, page.headers["allow"]) == (405, "GET, HEAD, POST")
    guarded(page)


def test_a_locked_link_asks_for_its_password_and_tells_a_chat_nothing(visitor, behind):
    behind.results.answers["OpenShare"] = LOCKED
    page = visitor.get(LINK)
    assert page.status_code == 401
    assert f'<form method="post" action="{LINK}">' in page.text
    assert 'aria-invalid="false"' in page.text
    told = tags(page)
    assert not [name for name in told if "image" in name]
    assert told["og:title"] == WORDS["en"]["title"]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_right_password_opens_that_one_link(visitor, behind, scheme):
    behind.results.answers["UnlockShare"] = shares.UnlockShareResponse(ticket="1.ticket", expire_time=FOR_EVER)
    answer = visitor.post(LINK, data={"password": "密码 & fox"}, headers={"X-Forwarded-Proto": scheme})
    assert (answer.status_code, answer.headers["location"]) == (303, LINK)
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("share_ticket=1.ticket;")
    assert re.search(r"Max-Age=\d+", cookie)
    for attribute in ("HttpOnly", f"Path={LINK}", "SameSite=lax"):
        assert attribute in cookie
    assert ("Secure" in cookie) == (scheme == "https")
    assert behind.results.last.message == shares.UnlockShareRequest(token=TOKEN, password="密码 & fox")
    assert behind.results.last.metadata["x-forwarded-for"] == "127.0.0.1"


def test_the_ticket_goes_with_the_page_and_its_picture(visitor, behind):
    opening(behind)
    behind.results.answers["DownloadShare"] = an_image()
    cookie = {"cookie": "share_ticket=1.ticket; other=x"}
    assert visitor.get(LINK, headers=cookie).status_code == 200
    assert behind.results.last.message.ticket == "1.ticket"
    assert visitor.get(f"{LINK}/image", headers=cookie).status_code == 200
    assert behind.results.last.message.ticket == "1.ticket"


def test_an_endless_ticket_is_none(visitor, behind):
    behind.results.answers["OpenShare"] = LOCKED
    page = visitor.get(LINK, headers={"cookie": f"share_ticket={'x' * 5000}"})
    assert page.status_code == 401
    assert len(behind.results.last.message.ticket) == 128


def test_a_wrong_password_is_said_at_the_form(visitor, behind):
    behind.results.answers["UnlockShare"] = Refusal(StatusCode.UNAUTHENTICATED, "SHARE_PASSWORD_WRONG")
    page = visitor.post(LINK, data={"password": "a wrong guess"}, headers=BROWSER)
    assert page.status_code == 401
    guarded(page)
    assert f'role="alert">{WORDS["en"]["wrong"]}<' in page.text
    assert 'aria-invalid="true"' in page.text
    assert "a wrong guess" not in page.text
    assert "set-cookie" not in page.headers


@pytest.mark.parametrize(
    ("body", "password"),
    [
        (b"", ""),
        (b"password", ""),
        (b"password=", ""),
        (b"password=a&password=b", "a"),
        (b"other=x", ""),
        (b'{"password": "fox"}', ""),
        (b"&".join(b"x%d=1" % n for n in range(100)) + b"&password=fox", ""),
        (b"password=" + b"x" * 100_000, "x" * 4096),
        (b"password=%ff\xff", "\ufffd\ufffd"),
        (b"password=%00", "\0"),
    ],
)
def test_a_form_that_makes_no_sense_is_a_wrong_password(visitor, behind, body, password):
    behind.results.answers["UnlockShare"] = Refusal(StatusCode.UNAUTHENTICATED, "SHARE_PASSWORD_WRONG")
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert visitor.post(LINK, content=body, headers=headers).status_code == 401
    assert behind.results.last.message.password == password


def test_who_has_guessed_too_often_is_told_when_to_come_back(visitor, behind):
    behind.results.answers["UnlockShare"] = Refusal(StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_ATTEMPTS", retry_after=600)
    page = visitor.post(LINK, data={"password": "hare"}, headers=BROWSER)
    assert (page.status_code, page.headers["retry-after"]) == (429, "600")
    assert NOTICES["en"]["too_many_attempts"][0] in page.text


def test_the_picture_comes_through_and_is_shown_again_only_after_asking(visitor, behind):
    behind.results.answers["DownloadShare"] = an_image()
    response = visitor.get(f"{LINK}/image", headers={"accept": "image/webp,*/*;q=0.8"})
    assert (response.status_code, response.content) == (200, b"abcdef")
    assert response.headers["content-type"] == "image/png"
    assert response.headers["content-length"] == "6"
    assert response.headers["cache-control"] == "private, no-cache"
    assert response.headers["x-robots-tag"] == "noindex, nofollow"
    assert response.headers["cross-origin-resource-policy"] == "cross-origin"
    assert response.headers["vary"] == "Accept, Cookie"
    assert "content-disposition" not in response.headers
    assert behind.results.last.message == shares.DownloadShareRequest(
        token=TOKEN, formats=[picture_pb2.PICTURE_FORMAT_WEBP]
    )
    known = visitor.get(f"{LINK}/image", headers={"If-None-Match": response.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")


def test_the_picture_comes_in_the_width_and_format_that_are_asked_for(visitor, behind):
    behind.results.answers["DownloadShare"] = an_image()
    assert visitor.get(f"{LINK}/image", params={"w": 640, "format": "jpeg"}).status_code == 200
    assert behind.results.last.message == shares.DownloadShareRequest(
        token=TOKEN, width=640, formats=[picture_pb2.PICTURE_FORMAT_JPEG]
    )


@pytest.mark.parametrize("query", ["w=wide", "w=99999999999", "format=bmp", "download=perhaps"])
def test_a_query_that_makes_no_sense_is_refused(visitor, behind, query):
    problem = visitor.get(f"{LINK}/image?{query}", headers={"accept": "application/json"})
    assert refused(problem, 422, "invalid_field")["errors"][0]["parameter"] == query.partition("=")[0]
    assert behind.results.asked == []


def test_who_asks_for_the_head_alone_gets_no_bytes(visitor, behind):
    opening(behind)
    behind.results.answers["DownloadShare"] = an_image()
    for path in (LINK, f"{LINK}/image"):
        head = visitor.head(path)
        assert (head.status_code, head.content) == (200, b"")
        assert int(head.headers["content-length"]) > 0
    assert head.headers["content-type"] == "image/png"


def test_a_picture_that_the_client_has_is_gone_with_its_link(visitor, behind):
    behind.results.answers["DownloadShare"] = ENDED
    response = visitor.get(f"{LINK}/image", headers={"If-None-Match": "*"})
    assert response.status_code == 410


def test_a_download_is_the_original_and_a_file(visitor, behind):
    behind.results.answers["DownloadShare"] = an_image()
    response = visitor.get(f"{LINK}/image", params={"download": 1})
    assert response.headers["content-disposition"] == 'attachment; filename="a lighthouse.png"'
    assert behind.results.last.message.original
    behind.results.answers["DownloadShare"] = Refusal(StatusCode.PERMISSION_DENIED, "DOWNLOAD_NOT_ALLOWED")
    assert visitor.get(f"{LINK}/image", params={"download": 1}).status_code == 403


def test_a_visitors_token_is_nobodys_business(client, behind):
    opening(behind)
    behind.results.answers["DownloadShare"] = an_image()
    for path in (LINK, f"{LINK}/image"):
        assert client.get(path).status_code == 200
        assert "authorization" not in behind.results.last.metadata


def test_no_log_line_and_no_metric_holds_the_token(passing, behind):
    token = uuid4().hex + "A" * 11
    opening(behind)
    behind.results.answers["UnlockShare"] = Refusal(StatusCode.UNAUTHENTICATED, "SHARE_PASSWORD_WRONG")
    behind.results.answers["DownloadShare"] = Refusal(StatusCode.INTERNAL)
    with capture_logs(processors=[merge_contextvars]) as lines, passing() as client:
        answers = [client.get(f"/s/{token}{rest}") for rest in ("", "/image", "/other")]
        answers += [client.post(f"/s/{token}", data={"password": token})]
    logged = {line.get("request_id") for line in lines if line["event"] == "request"}
    assert {answer.headers["x-request-id"] for answer in answers} <= logged
    assert token not in str(lines)
    assert token not in generate_latest().decode()
