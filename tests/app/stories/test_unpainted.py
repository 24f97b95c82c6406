"""Somebody comes back to a task that ended without a picture."""

from playwright.sync_api import expect

from tests.app.stories.browser import DESKTOP, screen
from tests.app.stories.people import register, with_token
from texts import WORDS


def test_the_reason_is_found_later_and_the_recipe_is_used_again(installation, browser):
    say = WORDS["en"]
    with screen(browser, installation.url, viewport=DESKTOP, locale="en-US") as shown:
        with with_token(shown.url, register(shown, say)) as http:
            body = {"prompt": "a quiet harbour", "model": "sd15", "steps": 60}
            task = http.post("/api/v1/generation/generate", json=body).raise_for_status().json()
            http.post(task["links"]["cancel"]).raise_for_status()
            with http.stream("GET", task["links"]["events"]) as events:
                events.read()
        shown.reload()
        shown.press(say.unpainted)
        shown.reads("a quiet harbour")
        shown.reads(say.canceled)
        shown.press(say.use_again)
        shown.sees_no(say.close_sheet)
        expect(shown.control("button", say.generate)).to_be_enabled()
