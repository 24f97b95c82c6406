"""What a person does with the static build, on any web server, where Python runs in the browser."""

from contextlib import contextmanager

import pytest

from app.static.folder import build
from deploy.local.ports import reserved_ports
from tests.app.static_host import hosted
from tests.app.stories.browser import DESKTOP, PHONE, screen
from tests.app.stories.people import register
from tests.installation import UNLIMITED, running_installation
from texts import WORDS

PLACES = {
    "on a phone, in Chinese": ("zh", {"viewport": PHONE, "locale": "zh-CN"}, "tab", "雨后的江南古镇，水墨画"),
    "on a desktop, in English": ("en", {"viewport": DESKTOP, "locale": "en-US"}, "button", "a lighthouse at dusk"),
}
"""Language, browser, the role of a bar's or a rail's entries, a prompt."""


@pytest.fixture(scope="module")
def static_url(static_build, installation):
    with hosted(static_build.folder.parents[1], installation.url, "/some/where/") as url:
        yield url


@contextmanager
def no_complaints(shown):
    """The browser complains of nothing in its console."""
    complaints = []
    shown.page.on("console", lambda told: complaints.append(told.text) if told.type == "error" else None)
    yield
    assert complaints == []


@pytest.mark.parametrize("where", PLACES)
def test_from_the_first_visit_to_a_picture_and_back(static_url, browser, where):
    language, options, tab, prompt = PLACES[where]
    say = WORDS[language]
    with screen(browser, static_url, **options) as shown, no_complaints(shown):
        name = register(shown, say)

        shown.press("Stable Diffusion 1.5", "checkbox")
        shown.type(say.prompt, prompt)
        shown.press(say.generate)
        picture = say.picture_of.format(prompt=prompt)
        shown.sees(picture)

        shown.press(say.gallery, tab)
        shown.sees_no(say.generate)
        shown.press(picture)
        shown.sees(say.zoom_in)
        with shown.page.expect_download() as download:
            shown.press(say.download)
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


def test_a_build_for_a_gateway_elsewhere_calls_it_and_nobody_else(tmp_path, browser):
    say = WORDS["en"]
    with reserved_ports(["page"]) as ports:
        settings = {"ENVOY_CORS_ORIGINS": f"http://127.0.0.1:{ports['page']}", **UNLIMITED}
        with running_installation(tmp_path, **settings) as gateway:
            build(tmp_path / "static", gateway.url)
            with (
                hosted(tmp_path / "static", "http://nowhere.invalid", port=ports["page"]) as url,
                screen(browser, url, viewport=DESKTOP, locale="en-US", also=gateway.url) as shown,
                no_complaints(shown),
            ):
                register(shown, say)
                shown.press("Stable Diffusion 1.5", "checkbox")
                shown.type(say.prompt, "a lighthouse at dusk")
                shown.press(say.generate)
                shown.sees(say.picture_of.format(prompt="a lighthouse at dusk"))
