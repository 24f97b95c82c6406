"""What is under way when a network, a process or a page goes away ends in pictures all the same."""

import httpx

from tests.app.stories.browser import DESKTOP, PHONE, Screen, screen
from tests.app.stories.people import PASSWORD, register
from tests.tcp_proxy import TcpProxy
from texts import WORDS
from texts.words import Words

PROMPTS = ("a lighthouse at dusk", "a teapot carved from jade", "a fox asleep in the snow")
STEPS = 100
"""Of each picture, at 0.05 s: together they take longer than anything is away."""

AWAY_MILLISECONDS = 10_000


def begin(shown: Screen, say: Words) -> None:
    """Somebody new asks for pictures, and looks at the first of them becoming."""
    account = {"username": register(shown, say), "password": PASSWORD}
    with httpx.Client(base_url=shown.url, timeout=20) as http:
        login = http.post("/api/v1/auth/login", json=account).raise_for_status().json()
        for prompt in PROMPTS:
            body = {"prompt": prompt, "model": "sd15", "width": 64, "height": 64, "steps": STEPS}
            headers = {"authorization": f"Bearer {login['access_token']}"}
            http.post("/api/v1/generation/generate", json=body, headers=headers).raise_for_status()
    shown.reload()
    shown.sees(say.cancel)


def sees_every_picture(shown: Screen, say: Words, tab: str) -> None:
    shown.press(say.gallery, tab)
    for prompt in PROMPTS:
        picture = shown.control("button", say.picture_of.format(prompt=prompt))
        picture.wait_for(timeout=60_000)


def test_a_phone_without_network_for_ten_seconds_loses_nothing(installation, browser):
    say = WORDS["zh"]
    target = installation.url.removeprefix("http://")
    with (
        TcpProxy(target) as network,
        screen(browser, f"http://{network.address}", viewport=PHONE, locale="zh-CN") as shown,
    ):
        begin(shown, say)
        network.drop()
        shown.page.wait_for_timeout(AWAY_MILLISECONDS)
        network.pass_on()
        sees_every_picture(shown, say, "tab")


def test_a_server_that_restarts_in_the_middle_loses_nothing(installation, browser):
    say = WORDS["en"]
    with screen(browser, installation.url, viewport=DESKTOP, locale="en-US") as shown:
        begin(shown, say)
        for process in ("app", "gateway", "generation"):
            installation.kill(process)
        sees_every_picture(shown, say, "button")


def test_a_page_that_is_loaded_again_in_the_middle_takes_everything_up(installation, browser):
    say = WORDS["en"]
    with screen(browser, installation.url, viewport=PHONE, locale="en-US") as shown:
        begin(shown, say)
        shown.reload()
        sees_every_picture(shown, say, "tab")


def test_two_tabs_are_one_person(installation, browser):
    say = WORDS["en"]
    with screen(browser, installation.url, viewport=DESKTOP, locale="en-US") as shown:
        begin(shown, say)
        other = Screen(shown.page.context.new_page(), installation.url)
        other.open()
        sees_every_picture(other, say, "button")
        sees_every_picture(shown, say, "button")
        shown.press(say.account)
        shown.press(say.sign_out)
        shown.sees(say.sign_in)
        other.reload()
        other.sees(say.sign_in)
        assert other.failures == other.foreign == []
