"""What is under way when a network, a process or a page goes away ends in pictures all the same, each of them once."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import Browser, StorageState, expect

from tests.app.static_host import hosted
from tests.app.stories.browser import DESKTOP, PHONE, Screen, screen
from tests.app.stories.people import PASSWORD
from tests.deploy.waiting import wait_until
from tests.tcp_proxy import TcpProxy
from texts import WORDS
from texts.words import Words

PROMPTS = ("a lighthouse at dusk", "a teapot carved from jade", "a fox asleep in the snow")
STEPS = 100
"""Of each picture, at 0.05 s: together they take longer than anything is away."""

AWAY_MILLISECONDS = 10_000

PAINTED_MILLISECONDS = 60_000


@dataclass(frozen=True)
class Person:
    """Somebody new, and a program of theirs.

    Attributes:
        url: of the server that the program calls; the browser may go another way.
    """

    url: str
    tokens: Mapping[str, str]

    @classmethod
    def at(cls, url: str) -> "Person":
        name = f"user-{uuid4().hex[:12]}"
        login = {"username": name, "password": PASSWORD}
        account = {**login, "email": f"{name}@example.com"}
        httpx.post(f"{url}/api/v1/auth/register", json=account, timeout=20).raise_for_status()
        return cls(url, httpx.post(f"{url}/api/v1/auth/login", json=login, timeout=20).raise_for_status().json())

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        headers = {"authorization": f"Bearer {self.tokens['access_token']}"}
        answer = httpx.request(method, f"{self.url}/api/v1{path}", json=body, headers=headers, timeout=20)
        return answer.raise_for_status().json()

    def ask_for_pictures(self) -> None:
        for prompt in PROMPTS:
            body = {"prompt": prompt, "model": "sd15", "width": 64, "height": 64, "steps": STEPS}
            self.call("POST", "/generation/generate", body)

    def kept_for(self, origin: str) -> StorageState:
        """What the browser of somebody who is signed in keeps."""
        kept = json.dumps({name: self.tokens[name] for name in ("access_token", "refresh_token")})
        entry = {"name": "flutter.imagegen.tokens", "value": json.dumps(kept)}
        return {"origins": [{"origin": origin, "localStorage": [entry]}]}

    def has_every_picture(self) -> bool:
        tasks = self.call("GET", "/generation/history")["tasks"]
        return sorted((task["prompt"], task["status"]) for task in tasks) == [
            (prompt, "completed") for prompt in sorted(PROMPTS)
        ]


@contextmanager
def looking_on(browser: Browser, url: str, person: Person, say: Words, **options: Any) -> Iterator[Screen]:
    """The person at `url`, while the first of the pictures becomes."""
    with screen(browser, url, storage_state=person.kept_for(url), **options) as shown:
        shown.open()
        shown.sees(say.generate)
        person.ask_for_pictures()
        shown.reads(step(say))
        yield shown


def step(say: Words) -> re.Pattern[str]:
    """`Step 5 of 100`, which nothing but a picture under way says."""
    return re.compile(re.escape(say.step).replace(r"\{step\}", r"\d+").replace(r"\{steps\}", str(STEPS)))


def sees_every_picture_once(shown: Screen, say: Words, tab: str) -> None:
    shown.press(say.gallery, tab)
    shown.sees_no(say.generate)
    for prompt in PROMPTS:
        name = re.compile(f"^{re.escape(say.picture_of.format(prompt=prompt))}")
        expect(shown.page.get_by_role("button", name=name)).to_have_count(1, timeout=PAINTED_MILLISECONDS)


def test_a_phone_without_network_for_ten_seconds_is_told_and_loses_nothing(installation, browser):
    say = WORDS["zh"]
    person = Person.at(installation.url)
    with TcpProxy(installation.url.removeprefix("http://")) as network:
        # By a name, since Flet's engine is more patient with a server on 127.0.0.1 than with any other.
        url = f"http://imagegen.localhost:{network.address.rpartition(':')[2]}"
        with looking_on(browser, url, person, say, viewport=PHONE, locale="zh-CN") as shown:
            network.drop()
            shown.reads(say.reconnecting)
            shown.page.wait_for_timeout(AWAY_MILLISECONDS)
            network.pass_on()
            shown.wake()  # the page loads itself again
            sees_every_picture_once(shown, say, "tab")
            assert person.has_every_picture()


def test_a_network_that_says_nothing_more_is_told_too(installation, browser):
    say = WORDS["en"]
    person = Person.at(installation.url)
    with TcpProxy(installation.url.removeprefix("http://")) as network:
        url = f"http://{network.address}"
        with looking_on(browser, url, person, say, viewport=DESKTOP, locale="en-US") as shown:
            network.freeze()
            shown.reads(say.reconnecting)
            network.pass_on()
            shown.wake()
            sees_every_picture_once(shown, say, "button")
            assert person.has_every_picture()


def test_a_browser_that_is_offline_says_so_at_once_and_what_was_typed_stays(installation, browser):
    say = WORDS["en"]
    person = Person.at(installation.url)
    with looking_on(browser, installation.url, person, say, viewport=PHONE, locale="en-US") as shown:
        shown.type(say.prompt, "a bridge in the fog")
        shown.page.context.set_offline(True)
        shown.reads(say.reconnecting)
        shown.page.context.set_offline(False)
        shown.wake()
        prompt = shown.page.get_by_label(say.prompt).first
        prompt.click(force=True)  # the engine gives a field its value when it has the focus
        expect(prompt).to_have_value("a bridge in the fog")
        sees_every_picture_once(shown, say, "tab")


@pytest.mark.parametrize("processes", [["app"], ["gateway"], ["app", "gateway", "generation"]], ids=" and ".join)
def test_a_server_that_restarts_in_the_middle_loses_nothing(installation, browser, processes):
    say = WORDS["en"]
    person = Person.at(installation.url)
    with looking_on(browser, installation.url, person, say, viewport=DESKTOP, locale="en-US") as shown:
        for process in processes:
            installation.kill(process)
        if "app" in processes:
            shown.reads(say.reconnecting)
            shown.wake()  # the page loads itself again
        sees_every_picture_once(shown, say, "button")
        assert person.has_every_picture()


def test_a_page_that_is_loaded_again_in_the_middle_takes_everything_up(installation, browser):
    say = WORDS["en"]
    person = Person.at(installation.url)
    with looking_on(browser, installation.url, person, say, viewport=PHONE, locale="en-US") as shown:
        shown.reload()
        shown.reads(step(say))
        sees_every_picture_once(shown, say, "tab")


def test_two_tabs_are_one_person(installation, browser):
    say = WORDS["en"]
    person = Person.at(installation.url)
    kept = person.kept_for(installation.url)
    with screen(browser, installation.url, viewport=DESKTOP, locale="en-US", storage_state=kept) as shown:
        other = Screen(shown.page.context.new_page(), installation.url)
        for tab in (other, shown):
            tab.page.bring_to_front()  # a tab behind another one draws nothing
            tab.open()
            tab.sees(say.generate)

        shown.press("Stable Diffusion 1.5", "checkbox")
        shown.type(say.prompt, PROMPTS[0])
        shown.press(say.generate)
        picture = say.picture_of.format(prompt=PROMPTS[0])
        shown.sees(picture)
        other.page.bring_to_front()
        other.sees(picture)

        shown.page.bring_to_front()
        shown.press(picture)
        shown.press(say.delete)
        shown.sees(say.undo)
        shown.reload()  # the server is told of a deletion when the page is left
        wait_until(lambda: person.call("GET", "/results")["results"] == [])
        other.page.bring_to_front()
        other.press(say.gallery)
        other.reads(say.gallery_empty)

        shown.page.bring_to_front()
        shown.press(say.account)
        shown.press(say.sign_out)
        shown.sees(say.sign_in)
        other.page.bring_to_front()
        other.press(say.understood)
        other.sees(say.sign_in)
        assert other.failures == other.foreign == []


def test_the_static_build_without_network_is_told_and_loses_nothing(static_build, installation, browser):
    say = WORDS["zh"]
    person = Person.at(installation.url)
    with (
        hosted(static_build.folder.parents[1], installation.url) as host,
        TcpProxy(host.removeprefix("http://")) as network,
    ):
        url = f"http://{network.address}"
        with looking_on(browser, url, person, say, viewport=PHONE, locale="zh-CN") as shown:
            network.drop()
            shown.reads(say.reconnecting)
            network.pass_on()
            sees_every_picture_once(shown, say, "tab")
            assert person.has_every_picture()
