"""What else happens to people with the client, in a real browser: `make test-app`."""

import re

from playwright.sync_api import expect

from tests.app.browser import DESKTOP, PASSWORD, PHONE, register, screen
from tests.deploy.waiting import wait_until
from texts import WORDS


def test_a_task_shows_its_way_and_can_be_canceled(installation, browser):
    say = WORDS["en"]
    with screen(browser, installation.url, viewport=DESKTOP, locale="en-US") as shown:
        register(shown, say)
        shown.press("Stable Diffusion XL", "checkbox")
        shown.press("4")
        shown.type(say.prompt, "a teapot carved from jade")
        shown.press(say.generate)
        shown.press(say.generate)
        shown.sees(say.preview_of.format(prompt="a teapot carved from jade"), "img")
        shown.press(say.cancel)
        shown.reads(say.canceled)


def test_a_person_stays_signed_in_when_the_client_restarts(installation, browser):
    say = WORDS["en"]
    with screen(browser, installation.url, viewport=PHONE, locale="en-US") as shown:
        register(shown, say)
        with installation.kept_down("app"):
            shown.page.reload()
            shown.reads("ImageGen is away for a moment")
        shown.wake()  # the page comes back by itself; the new process knows nobody and asks the browser
        shown.sees(say.generate)


def test_suggestions_come_while_typing_and_are_taken_with_one_tap(installation, browser):
    say = WORDS["en"]
    with screen(browser, installation.url, viewport=PHONE, locale="en-US") as shown:
        register(shown, say)
        shown.type(say.prompt, "a light")
        suggestion = say.suggestion.format(text="a light")
        taken = shown.sees(suggestion).get_attribute("aria-label") or shown.sees(suggestion).inner_text()
        shown.press(suggestion)
        entry = shown.page.get_by_label(say.prompt).first
        entry.focus()
        expect(entry).to_have_value(re.compile(f"^{re.escape(taken.removeprefix(say.suggestion.format(text='')))}"))


def test_what_is_wrong_with_an_account_stands_beside_its_field(installation, browser):
    say = WORDS["en"]
    with screen(browser, installation.url, viewport=PHONE, locale="en-US") as shown:
        shown.open()
        shown.press(say.sign_in)
        shown.reads(say.required)
        shown.type(say.username_or_email, "nobody")
        shown.type(say.password, PASSWORD)
        shown.press(say.sign_in)
        shown.reads(say.errors["bad_credentials"])


def test_a_dead_gateway_is_told_and_got_over(installation, browser):
    say = WORDS["en"]
    with screen(browser, installation.url, viewport=PHONE, locale="en-US") as shown:
        register(shown, say)
        shown.type(say.prompt, "a teapot")
        with installation.kept_down("gateway"):
            shown.press(say.generate)
            shown.reads(say.offline)
        with installation.client() as http:
            wait_until(lambda: http.get("/api/v1/models").is_success, seconds=30)
        shown.press(say.generate)
        shown.sees(say.picture_of.format(prompt="a teapot"))
