"""The journey of a person with the client, in a real browser, on a phone and on a desktop, in both languages."""

import os

import pytest

from tests.app.browser import DESKTOP, PHONE, register, screen
from texts import WORDS

PLACES = {
    "on a phone, in Chinese": ("zh", {"viewport": PHONE, "locale": "zh-CN"}, "tab", "雨后的江南古镇，水墨画"),
    "on a desktop, in English": ("en", {"viewport": DESKTOP, "locale": "en-US"}, "button", "a lighthouse at dusk"),
}
"""Language, browser, the role of a bar's or a rail's entries, a prompt."""


@pytest.mark.parametrize("where", PLACES if os.environ.get("THOROUGH") else [*PLACES][:1])
def test_from_the_first_visit_to_a_picture_and_back(installation, browser, where):
    language, options, tab, prompt = PLACES[where]
    say = WORDS[language]
    with screen(browser, installation.url, **options) as shown:
        name = register(shown, say)

        shown.press("Stable Diffusion 1.5", "checkbox")
        shown.press("4:3")
        shown.type(say.prompt, prompt)
        shown.press(say.generate)
        picture = say.picture_of.format(prompt=prompt)
        shown.sees(picture)

        shown.press(say.gallery, tab)
        shown.sees_no(say.generate)
        shown.press(picture)
        shown.sees(say.zoom_in)
        shown.press(say.zoom_in)
        with shown.page.expect_download() as download:
            shown.press(say.download)
        assert download.value.suggested_filename.endswith(".png")
        assert download.value.path().read_bytes().startswith(b"\x89PNG")
        shown.page.go_back()
        shown.sees(say.account, tab)

        shown.reload()
        shown.sees(picture)
        shown.press(say.account, tab)
        shown.reads(name)
        shown.press(say.sign_out)
        shown.sees(say.sign_in)
        shown.reload()
        shown.sees(say.sign_in)
