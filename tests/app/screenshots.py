"""python -m tests.app.screenshots --out FOLDER: a picture of every view, on a phone and on a desktop, light and dark.

The phone speaks Chinese, the desktop English. A new view is a line of VIEWS.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, expect, sync_playwright

from tests.accounts import Account, an_operator
from tests.app.stories.browser import CHROMIUM, DESKTOP, PHONE, Screen, launched, screen
from tests.deploy.waiting import wait_until
from tests.installation import UNLIMITED, Installation, running_installation
from texts import WORDS
from texts.words import Words

SETTLE_MILLISECONDS = 1000
"""Until a view has slid in, and its pictures are there."""

PROMPTS = {
    "en": (
        "a lighthouse at dusk, oil painting",
        "mountains above a still lake, golden hour",
        "a city of glass in the rain at night",
        "a birch forest in the first snow",
        "an island with palms, sunset",
        "a northern village under the stars",
        "a desert road, pastel colours",
        "a harbour in the fog, watercolour",
    ),
    "zh": (
        "黄昏的灯塔，油画",
        "雨后的江南古镇，水墨画",
        "夜雨中的玻璃之城",
        "初雪的白桦林",
        "夕阳下的棕榈岛",
        "星空下的北方村庄",
        "荒漠公路，淡彩",
        "雾中的港口，水彩",
    ),
}


@dataclass(frozen=True)
class Scene:
    """Attributes:
    pictures: ids of results, newest first.
    """

    shown: Screen
    say: Words
    prompts: tuple[str, ...]
    pictures: list[str]
    installation: Installation

    def press_all(self, *names: str) -> None:
        for name in names:
            self.shown.press(name)


@dataclass(frozen=True)
class View:
    """Attributes:
    route: where it is; empty: only for those who have not signed in.
    prepare: what is done there.
    """

    route: str = ""
    prepare: Callable[[Scene], None] = lambda scene: None


def paint(scene: Scene) -> None:
    say, shown = scene.say, scene.shown
    shown.press("Stable Diffusion XL", "checkbox")
    shown.type(say.prompt, scene.prompts[1])
    shown.press(say.generate)
    shown.sees(say.preview_of.format(prompt=scene.prompts[1]), "img")


def look_back(scene: Scene) -> None:
    scene.shown.press(scene.say.unpainted)
    scene.shown.sees(scene.say.use_again)


def search_in_vain(scene: Scene) -> None:
    scene.shown.type(scene.say.search, "unicorn")
    scene.shown.reads(scene.say.nothing_found)


def make_a_link(scene: Scene) -> None:
    scene.press_all(scene.say.share, scene.say.share_create)
    scene.shown.sees(scene.say.share_copy)


def choose(scene: Scene) -> None:
    scene.shown.press(scene.say.choose_pictures)
    for prompt in scene.prompts[2:4]:
        scene.shown.press(scene.say.picture_of.format(prompt=prompt))


def make_a_key(scene: Scene) -> None:
    say, shown = scene.say, scene.shown
    shown.press(say.new_key)
    shown.type(say.key_name, "nightly job")
    shown.press(say.make_key)
    shown.sees(say.key_taken)


def filter_pictures(scene: Scene) -> None:
    shown, period = scene.shown, next(iter(scene.say.periods.values()))
    shown.press(period, "checkbox")
    shown.sees(scene.say.clear_filters)


def delete_in_vain(scene: Scene) -> None:
    """What is said of it stays, as the way back does not."""
    say, shown = scene.say, scene.shown
    shown.press(say.choose_pictures)
    shown.press(say.picture_of.format(prompt=scene.prompts[4]))
    with scene.installation.kept_down("gateway"):
        shown.press(say.delete_chosen)
        shown.sees(say.undo)
        shown.sees(say.understood)
    _wait_for_the_server(scene)


def lose_the_server(scene: Scene) -> None:
    with scene.installation.kept_down("gateway"):
        offline = scene.shown.control("group", scene.say.offline)
        while not offline.is_visible():  # it may have come up for a moment
            scene.shown.press(scene.say.refresh)
            scene.shown.page.wait_for_timeout(SETTLE_MILLISECONDS)
    _wait_for_the_server(scene)


def _wait_for_the_server(scene: Scene) -> None:
    with scene.installation.client() as http:
        wait_until(lambda: http.get("/api/v1/models").is_success)


VIEWS = {
    "welcome": View(),
    "register": View(prepare=lambda scene: scene.shown.press(scene.say.to_register)),
    "create": View("/create"),
    "create-more": View("/create", lambda scene: scene.shown.press(scene.say.advanced)),
    "create-painting": View("/create", paint),
    "unpainted": View("/create", look_back),
    "gallery": View("/gallery"),
    "gallery-filtered": View("/gallery", filter_pictures),
    "gallery-choosing": View("/gallery", choose),
    "gallery-nothing-found": View("/gallery", search_in_vain),
    "gallery-offline": View("/gallery", lose_the_server),
    "gallery-undeleted": View("/gallery", delete_in_vain),
    "picture": View("/gallery/{picture}"),
    "picture-details": View("/gallery/{picture}", lambda scene: scene.shown.press(scene.say.details)),
    "share": View("/gallery/{picture}", lambda scene: scene.shown.press(scene.say.share)),
    "share-link": View("/gallery/{picture}", make_a_link),
    "picture-gone": View("/gallery/01981f5e-7c1a-7d2b-9a63-3f0c8e5b4d21"),
    "account": View("/account"),
    "devices": View("/account/sessions"),
    "password": View("/account/password"),
    "keys": View("/account/keys"),
    "keys-new": View("/account/keys", lambda scene: scene.shown.press(scene.say.new_key)),
    "keys-made": View("/account/keys", make_a_key),
    "delete-account": View("/account/delete"),
    "operate": View("/operate"),
}

PLACES: dict[str, dict[str, Any]] = {
    "phone": {"viewport": PHONE, "locale": "zh-CN"},
    "desktop": {"viewport": DESKTOP, "locale": "en-US"},
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.app.screenshots", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the PNG files")
    parser.add_argument("--text", type=int, default=100, help="size of text as set in the browser, in percent")
    parser.add_argument("--only", default="", help="only views whose name begins so")
    arguments = parser.parse_args()
    if CHROMIUM is None:
        sys.exit("NOT RUN: there is no Chromium here (Debian: apt-get install chromium)")
    arguments.out.mkdir(parents=True, exist_ok=True)
    with running() as installation, sync_playwright() as playwright:
        browser = launched(playwright.chromium, text_percent=arguments.text)
        for place in PLACES:
            for theme in ("light", "dark"):
                for name, scene in visits(installation, browser, place, theme, arguments.only):
                    scene.shown.page.screenshot(path=arguments.out / f"{name}-{place}-{theme}.png")
                    print(f"{name}-{place}-{theme}", flush=True)  # noqa: T201 - what a program for people says
        browser.close()


@contextmanager
def running() -> Iterator[Installation]:
    """One that paints slowly enough to be watched."""
    with (
        tempfile.TemporaryDirectory(prefix="imagegen-screenshots-", ignore_cleanup_errors=True) as folder,
        running_installation(Path(folder), SKETCH_STEP_SECONDS="0.2", **UNLIMITED) as installation,
    ):
        yield installation


def visits(
    installation: Installation, browser: Browser, place: str, theme: str, only: str = ""
) -> Iterator[tuple[str, Scene]]:
    """Every view by its name, as an operator with some pictures, and a task without one, comes to it."""
    options = PLACES[place]
    language = "zh" if options["locale"] == "zh-CN" else "en"
    somebody = an_operator(installation)
    pictures = [_painted(somebody, prompt, seed) for seed, prompt in enumerate(PROMPTS[language], 1)][::-1]
    _canceled(somebody, PROMPTS[language][0])
    for name, view in VIEWS.items():
        if not name.startswith(only):
            continue
        with screen(browser, installation.url, **options, color_scheme=theme) as shown:
            if view.route:
                shown.keep(somebody.tokens)
            scene = Scene(shown, WORDS[language], PROMPTS[language], pictures, installation)
            shown.open(view.route.format(picture=pictures[-1]) or "/")
            expect(shown.page.get_by_text("Working...")).to_be_hidden()  # Flet's, until the client has come
            shown.page.wait_for_timeout(SETTLE_MILLISECONDS)
            view.prepare(scene)
            shown.page.wait_for_timeout(SETTLE_MILLISECONDS)
            yield name, scene


def _painted(somebody: Account, prompt: str, seed: int) -> str:
    """Returns the result's id."""
    task = somebody.painted(prompt=prompt, width=768, height=768, steps=8, seed=seed)
    result_id: str = task["results"][0]["id"]
    return result_id


def _canceled(somebody: Account, prompt: str) -> None:
    task = somebody.generate(prompt=prompt, steps=60)
    somebody.http.post(task["links"]["cancel"]).raise_for_status()
    somebody.until(task["id"], "canceled")


if __name__ == "__main__":
    main()
