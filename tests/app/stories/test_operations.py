"""An operator looks after the machines; nobody else finds the way there."""

import pytest

from tests.accounts import an_operator
from tests.app.stories.browser import PHONE, screen
from tests.app.stories.people import PLACES, register
from texts import WORDS


@pytest.mark.parametrize("place", PLACES)
def test_an_operator_drains_a_worker_and_lets_it_go_on(installation, browser, place):
    say = place.say
    with screen(browser, installation.url, **place.browser) as shown:
        shown.keep(an_operator(installation).tokens)
        shown.open()
        shown.press(say.operate, place.tab)
        shown.press(say.drain)
        shown.press(say.cancel)
        shown.sees_no(say.cancel)
        shown.press(say.drain)
        shown.reads(say.drain_question)
        shown.press(say.drain)
        shown.press(say.resume)
        shown.sees(say.drain)


def test_nobody_else_is_led_there_and_who_goes_is_told_why_not(installation, browser):
    say = WORDS["zh"]
    with screen(browser, installation.url, viewport=PHONE, locale="zh-CN") as shown:
        register(shown, say)
        shown.sees_no(say.operate, "tab")
        shown.page.evaluate("location.hash = '/operate'")
        shown.reads(say.errors["caller_not_allowed"])
        shown.press(say.gallery, "tab")
        shown.reads(say.gallery_empty)
