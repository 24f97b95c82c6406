"""What somebody without an account sees first."""

import re
from contextlib import ExitStack

import pytest
from playwright.sync_api import expect

from tests.app.stories.browser import screen
from tests.app.stories.people import PLACES
from views.welcome import PICTURES


@pytest.mark.parametrize("place", PLACES)
def test_the_first_visit_explains_itself_on_one_screen_with_three_pictures(installation, browser, place):
    say = place.say
    with screen(browser, installation.url, **place.browser) as shown:
        with ExitStack() as coming:
            files = [re.compile(f"/welcome/{name}.webp$") for name in PICTURES]
            answers = [coming.enter_context(shown.page.expect_response(file)) for file in files]
            shown.open()
        for answer in answers:
            assert (answer.value.status, answer.value.headers["content-type"]) == (200, "image/webp")
        for words in say.welcome_pictures:
            shown.sees(words, "img")
        for said in (say.slogan, say.promise_own, say.promise_seen, say.promise_kept, say.welcome_painted):
            expect(shown.page.get_by_text(said).first).to_be_in_viewport(ratio=0.99)
        for button in (say.sign_in, say.to_register):
            expect(shown.control("button", button)).to_be_in_viewport(ratio=0.99)
