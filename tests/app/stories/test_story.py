"""What a person does with the client, in a real browser, on a phone and on a desktop, in both languages."""

import re

import pytest
from playwright.sync_api import expect

from tests.app.stories.browser import DESKTOP, PHONE, screen
from tests.app.stories.people import PASSWORD, PLACES, register
from tests.deploy.waiting import wait_until
from texts import WORDS


@pytest.mark.parametrize("place", PLACES)
def test_from_the_first_visit_to_the_end_of_the_account(installation, browser, place):
    say, tab, prompt = place.say, place.tab, place.prompt
    clipboard = ["clipboard-read", "clipboard-write"]
    with screen(browser, installation.url, **place.browser, permissions=clipboard) as shown:
        register(shown, say)
        shown.press("Stable Diffusion 1.5", "checkbox")
        shown.press("4:3")
        shown.type(say.prompt, prompt)
        shown.press(say.generate)
        picture = say.picture_of.format(prompt=prompt)
        shown.sees(picture)

        shown.press(say.gallery, tab)
        shown.sees_no(say.generate)
        shown.press(picture)
        shown.press(say.zoom_in)
        shown.press(say.mark)
        shown.sees(say.unmark)
        download = shown.save(say.download)
        assert download.suggested_filename.endswith(".png")
        assert download.path().read_bytes().startswith(b"\x89PNG")

        shown.press(say.share)
        shown.press(say.share_create)
        shown.press(say.share_copy)
        shown.sees(say.copied)
        link = shown.page.evaluate("navigator.clipboard.readText()")
        stranger = browser.new_context(locale=place.browser["locale"]).new_page()
        stranger.goto(link)
        expect(stranger.locator("img").first).to_be_visible()
        shown.press(say.close_sheet)
        shown.page.go_back()
        shown.sees(f"{picture}, {say.favorite}")

        shown.reload()
        shown.press(say.account, tab)
        shown.press(say.delete_account)
        shown.type(say.confirm_password, PASSWORD)
        shown.press(say.delete_account_now)
        shown.press(say.understood)
        shown.sees(say.sign_in)
        wait_until(lambda: stranger.goto(link).status in (404, 410))
        stranger.context.close()


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
