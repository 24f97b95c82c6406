"""For people who do not see the screen, who see little, or who have no pointer.

Every view is walked through with text twice as large as usual, as somebody has set it in the browser, and looked at
once: what the accessibility tree says, and what the screen shows.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser

from tests.app.screenshots import SETTLE_MILLISECONDS, running, visits
from tests.app.stories.browser import DESKTOP, Screen, launched, screen
from tests.installation import Installation
from texts.words import Words

LARGE = 200
"""Percent (WCAG 2.2, 1.4.4)."""

LEAST_CONTRAST = 4.5
"""WCAG 2.2, 1.4.3, level AA; large text may have less, and is held to the same."""

FEWEST_PIXELS = 3
"""Of a colour that is not a mere edge."""

MOVES = 6

CONTROLS = "button|checkbox|combobox|img|link|menuitem|progressbar|radio|searchbox|switch|tab|textbox"
"""Roles of what must have a name."""

SPOKEN_ELSEWHERE = ("alertdialog", "dialog", "slider")
"""The engine tells the name of a dialog with its first part, and has no name for a slider but in its value."""

PARTS = """() => [...document.querySelectorAll('flt-semantics-host *')]
  .filter(each => each.childElementCount === 0 || each.matches('[role$=dialog]'))
  .map(each => {
    const {left, top, right, bottom} = each.getBoundingClientRect()
    let isInSight = top >= 0 && bottom <= innerHeight
    for (let around = each.parentElement; around; around = around.parentElement) {
      if (getComputedStyle(around).overflowY !== 'scroll') continue
      const window = around.getBoundingClientRect()  // what is cut ends where it does
      isInSight &&= top > window.top && bottom < window.bottom
    }
    return {
      name: each.getAttribute('aria-label') || each.getAttribute('aria-valuetext')
        || each.firstElementChild?.getAttribute('aria-label') || each.textContent,
      role: each.getAttribute('role') || each.tagName.toLowerCase(),
      is_disabled: each.closest('[aria-disabled=true]') !== null,
      is_pressable: each.hasAttribute('flt-tappable'),
      is_in_sight: isInSight,
      box: [left, top, right, bottom],
      scrolls: each.closest('[style*="overflow-x: scroll"]') !== null,
    }
  })"""
"""What Flutter's accessibility tree has no parts of, and dialogs."""


@dataclass(frozen=True)
class Part:
    """Attributes:
    is_in_sight: no part of it has been scrolled away.
    box: left, top, right, bottom, in pixels of the page.
    scrolls: it lies in something that is scrolled sideways.
    """

    name: str
    role: str
    is_disabled: bool
    is_pressable: bool
    is_in_sight: bool
    box: tuple[float, float, float, float]
    scrolls: bool


@dataclass(frozen=True)
class Seen:
    """A view as it was.

    Attributes:
        tree: roles and names as the browser tells them to a screen reader.
        picture: shape (height, width, 3), RGB.
    """

    view: str
    say: Words
    tree: str
    parts: list[Part]
    picture: NDArray[np.uint8]


@pytest.fixture(scope="module")
def watched() -> Iterator[Installation]:
    with running() as installation:
        yield installation


@pytest.fixture(scope="module")
def large(browser: Browser) -> Iterator[Browser]:
    """The browser of somebody who has set text to be twice as large."""
    chromium = launched(browser.browser_type, text_percent=LARGE)
    yield chromium
    chromium.close()


@pytest.fixture(
    scope="module", params=[("phone", "dark"), ("desktop", "light")], ids=["on a phone, dark", "on a desktop, light"]
)
def seen(watched, large, request) -> list[Seen]:
    """Every view."""
    place, theme = request.param
    return [look(view, scene.shown, scene.say) for view, scene in visits(watched, large, place, theme)]


def look(view: str, shown: Screen, say: Words) -> Seen:
    picture = painted(shown)
    tree = shown.page.locator("flt-semantics-host").aria_snapshot()
    parts = [Part(**{**part, "box": tuple(part["box"])}) for part in shown.page.evaluate(PARTS)]
    return Seen(view, say, tree, parts, picture)


def painted(shown: Screen) -> NDArray[np.uint8]:
    """Once it stands still, or has moved for long: words come to the tree before they come to the screen.

    Laid out anew, since Flutter leaves a field's button where it was in the tree when a font that comes late moves it.
    """
    size = shown.page.viewport_size
    assert size is not None
    shown.page.set_viewport_size({"width": size["width"] - 1, "height": size["height"]})
    shown.page.wait_for_timeout(SETTLE_MILLISECONDS)
    shown.page.set_viewport_size(size)
    last = b""
    for _ in range(MOVES):
        before, last = last, shown.page.screenshot()
        if before == last:
            break
        shown.page.wait_for_timeout(SETTLE_MILLISECONDS)
    return np.asarray(Image.open(BytesIO(last)).convert("RGB"))


def test_every_control_has_a_name(seen):
    nameless = re.compile(rf"^\s*- ({CONTROLS})(?! \")(?=:|$| \[)", re.MULTILINE)
    found = {each.view: [*nameless.findall(each.tree), *unspoken(each.parts)] for each in seen}
    assert {view: roles for view, roles in found.items() if roles} == {}


def unspoken(parts: list[Part]) -> list[Part]:
    return [part for part in parts if part.role in SPOKEN_ELSEWHERE and not re.search(r"[^\W\d]", part.name)]


def test_everything_that_can_be_pressed_says_that_it_can(seen):
    found = {
        each.view: [
            part for part in each.parts if part.is_pressable and (part.role == "flt-semantics" or not part.name)
        ]
        for each in seen
    }
    assert {view: parts for view, parts in found.items() if parts} == {}


def test_large_text_leads_nothing_out_of_sight(seen):
    found = {
        each.view: [part for part in each.parts if not part.scrolls and is_beside(part, each.picture.shape[1])]
        for each in seen
    }
    assert {view: parts for view, parts in found.items() if parts} == {}


def test_everything_that_is_said_can_be_told_from_its_ground(seen):
    found = {
        (each.view, part.name): round(contrast, 2)
        for each in seen
        for part in each.parts
        if not is_exempt(part, each.say)
        if (contrast := contrast_of(part, each.picture)) < LEAST_CONTRAST
    }
    assert found == {}


def is_beside(part: Part, width: int) -> bool:
    left, _, right, _ = part.box
    return bool(part.name) and (left < -1 or right > width + 1)


def is_exempt(part: Part, say: Words) -> bool:
    """Pictures are as they are, and what is disabled may be pale; what is not in sight waits for who scrolls to it; a
    dialog's place is the whole screen.
    """
    of_picture = say.picture_of.partition("{")[0]
    is_disabled = part.is_disabled or (part.role == "button" and not part.is_pressable)
    is_picture = part.role == "img" or part.name.startswith(of_picture)
    is_dialog = part.role.endswith("dialog")
    return not part.name or not part.is_in_sight or is_disabled or is_picture or is_dialog


def contrast_of(part: Part, picture: NDArray[np.uint8]) -> float:
    """Between the commonest colour of its place and that which stands out most."""
    left, top, right, bottom = (max(round(edge), 0) for edge in part.box)
    pixels = picture[top:bottom, left:right].reshape(-1, 3)
    if not len(pixels):  # beside the screen, in what is scrolled sideways
        return LEAST_CONTRAST
    colors, counts = np.unique(pixels, axis=0, return_counts=True)
    light = luminance(colors[counts >= FEWEST_PIXELS])
    ground = luminance(colors[[counts.argmax()]])[0]
    return float(((np.maximum(light, ground) + 0.05) / (np.minimum(light, ground) + 0.05)).max())


def luminance(colors: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Relative luminance (WCAG 2.2), of sRGB colours, shape (n, 3)."""
    share = colors / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])


def test_text_is_as_large_as_somebody_has_set_it_in_the_browser(installation, browser, large):
    heights = []
    for each in (browser, large):
        with screen(each, installation.url, viewport=DESKTOP, locale="en-US") as shown:
            shown.open()
            heights.append(shown.page.get_by_role("heading", name="ImageGen").bounding_box()["height"])
    assert heights[1] / heights[0] == pytest.approx(2, rel=0.1)
