"""What becomes of a picture: shown to others, marked, deleted, and had back."""

import pytest
from playwright.sync_api import expect

from tests.app.stories.browser import DESKTOP, PHONE, Screen, screen
from tests.app.stories.people import Place, register
from texts import WORDS
from texts.words import Words

PHONE_IN_CHINESE = Place(WORDS["zh"], {"viewport": PHONE, "locale": "zh-CN"}, "tab", "黄昏的灯塔，油画")
SECRET = "sea and salt"  # of a link


def paint(shown: Screen, say: Words, prompt: str) -> str:
    """Returns the picture's name."""
    shown.press("Stable Diffusion 1.5", "checkbox")
    shown.type(say.prompt, prompt)
    shown.press(say.generate)
    picture = say.picture_of.format(prompt=prompt)
    shown.sees(picture)
    return picture


def test_a_link_shows_the_picture_to_a_stranger_until_it_is_revoked(installation, browser):
    say, prompt = WORDS["en"], "a lighthouse at dusk"
    may = {"permissions": ["clipboard-read", "clipboard-write"]}
    with screen(browser, installation.url, viewport=DESKTOP, locale="en-US", **may) as shown:
        register(shown, say)
        shown.press(paint(shown, say, prompt))
        shown.press(say.share)
        shown.press(say.share_hide_prompt, "switch")
        shown.type(say.share_password, SECRET)
        shown.press(say.share_create)
        shown.sees(say.share_qr, "img")
        shown.press(say.share_copy)
        shown.sees(say.copied)
        link = shown.page.evaluate("navigator.clipboard.readText()")
        assert link.startswith(f"{installation.url}/s/")

        stranger = browser.new_context(locale="en-US").new_page()
        stranger.goto(link)
        assert stranger.locator("img").count() == 0
        stranger.locator("input[type=password]").fill(SECRET)
        stranger.keyboard.press("Enter")
        expect(stranger.locator("img").first).to_be_visible()
        assert prompt not in stranger.content()

        shown.press(say.share_revoke)
        shown.reads(say.share_revoked)
        assert stranger.goto(link).status == 410
        expect(stranger.locator("img")).to_have_count(0)
        stranger.context.close()


@pytest.mark.parametrize("place", [pytest.param(PHONE_IN_CHINESE, id="on a phone, in Chinese")])
def test_a_favorite_stays_and_a_deleted_picture_can_be_had_back_once(installation, browser, place):
    say = place.say
    with screen(browser, installation.url, **place.browser) as shown:
        register(shown, say)
        picture = paint(shown, say, place.prompt)
        shown.press(say.gallery, place.tab)
        shown.sees_no(say.generate)
        shown.press(picture)
        shown.press(say.mark)
        shown.sees(say.unmark)
        assert place.prompt in shown.save(say.download).suggested_filename
        shown.press(say.formats)
        shown.press("WebP", "menuitem")
        assert shown.save(say.download).suggested_filename.endswith(".webp")
        shown.press(say.details)
        shown.reads(say.seed)
        shown.press(say.close_sheet)
        shown.sees_no(say.close_sheet)
        shown.reload()
        shown.sees(say.unmark)

        shown.press(say.delete)
        shown.reads(say.gallery_empty)
        shown.press(say.undo)
        shown.sees(f"{picture}, {say.favorite}")
        shown.press(picture)
        shown.press(say.delete)
        shown.sees(say.deleted_one, "group")
        shown.reload()  # the page was left: the server is told at once
        shown.reads(say.gallery_empty)


def test_arrows_turn_pictures_and_escape_leaves(installation, browser):
    say = WORDS["en"]
    with screen(browser, installation.url, viewport=DESKTOP, locale="en-US") as shown:
        register(shown, say)
        older = paint(shown, say, "a teapot")
        newer = paint(shown, say, "a lighthouse")
        shown.press(say.gallery)
        shown.sees_no(say.generate)
        shown.press(newer)
        shown.sees(say.next)
        shown.page.keyboard.press("ArrowRight")
        shown.sees(older, "img")
        shown.page.keyboard.press("ArrowLeft")
        shown.sees(newer, "img")
        shown.page.keyboard.press("Escape")
        shown.sees(older)
