"""An operator looks after the machines; nobody else finds the way there."""

from tests.accounts import an_operator
from tests.app.stories.browser import DESKTOP, PHONE, screen
from tests.app.stories.people import register
from texts import WORDS


def test_an_operator_drains_a_worker_and_lets_it_go_on(installation, browser):
    say = WORDS["en"]
    with screen(browser, installation.url, viewport=DESKTOP, locale="en-US") as shown:
        shown.keep(an_operator(installation).tokens)
        shown.open()
        shown.press(say.operate)
        shown.press(say.drain)
        shown.reads(say.drain_about)
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
