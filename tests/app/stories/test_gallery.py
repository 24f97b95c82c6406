"""Somebody who has made many pictures finds, keeps and deletes some."""

import zipfile

from tests.app.stories.browser import DESKTOP, PHONE, Screen, screen
from tests.app.stories.people import register, with_token
from texts import WORDS
from texts.words import Words


def with_pictures(shown: Screen, say: Words, *prompts: str) -> None:
    """Somebody new, whose pictures are made elsewhere, at the gallery."""
    with with_token(shown.url, register(shown, say)) as http:
        for prompt in prompts:
            body = {"prompt": prompt, "model": "sd15", "width": 256, "height": 256, "steps": 4}
            task = http.post("/api/v1/generation/generate", json=body).raise_for_status().json()
            with http.stream("GET", task["links"]["events"]) as events:
                events.read()


def test_pictures_are_found_kept_as_a_zip_and_deleted_together(installation, browser):
    say = WORDS["en"]

    def named(prompt: str) -> str:
        return say.picture_of.format(prompt=prompt)

    with screen(browser, installation.url, viewport=DESKTOP, locale="en-US") as shown:
        with_pictures(shown, say, "a fox in the snow", "a teapot", "a lighthouse at dusk")
        shown.press(say.gallery)
        shown.sees(named("a teapot"))

        shown.type(say.search, "snow")
        shown.sees_no(named("a teapot"))
        shown.sees(named("a fox in the snow"))
        shown.type(say.search, "unicorn")
        shown.reads(say.nothing_found)
        shown.press(say.clear_filters)
        shown.sees(named("a teapot"))

        shown.press(say.choose_pictures)
        shown.press(named("a teapot"))
        shown.press(named("a fox in the snow"))
        shown.reads(say.chosen_count.format(n=2))
        with zipfile.ZipFile(shown.save(say.save_chosen).path()) as archive:
            assert archive.namelist() == ["001-a-teapot.png", "002-a-fox-in-the-snow.png"]

        shown.press(say.choose_pictures)
        shown.press(say.choose_all)
        shown.press(say.delete_chosen)
        shown.reads(say.gallery_empty)
        shown.press(say.undo)
        shown.sees(named("a lighthouse at dusk"))


def test_favorites_are_found_on_a_phone(installation, browser):
    say = WORDS["zh"]
    with screen(browser, installation.url, viewport=PHONE, locale="zh-CN") as shown:
        with_pictures(shown, say, "雪地里的狐狸", "翡翠茶壶")
        shown.press(say.gallery, "tab")
        shown.press(say.picture_of.format(prompt="翡翠茶壶"))
        shown.press(say.mark)
        shown.page.go_back()
        shown.sees(say.picture_of.format(prompt="翡翠茶壶") + f", {say.favorite}")
        shown.press(say.favorites, "checkbox")
        shown.sees_no(say.picture_of.format(prompt="雪地里的狐狸"))
        shown.sees(say.picture_of.format(prompt="翡翠茶壶"))
