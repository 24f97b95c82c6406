"""Somebody who has no pointer: the whole way by keys, which go to whatever has the keyboard."""

from uuid import uuid4

from playwright.sync_api import expect

from tests.app.stories.browser import CONNECT_MILLISECONDS, DESKTOP, Screen, screen
from tests.app.stories.people import PASSWORD
from tests.deploy.waiting import wait_until
from texts import WORDS

STEPS = 60
"""More than there are controls in a view."""

FOCUSED = """() => {
  const focused = document.activeElement
  if (!focused.matches('flt-semantics-host *')) return ''
  return (focused.getAttribute('aria-label') || focused.textContent).trim()
}"""
"""The name of what has the keyboard; empty between two controls."""


class Keyboard:
    """All that somebody has."""

    def __init__(self, shown: Screen) -> None:
        self._page = shown.page

    def press(self, key: str) -> None:
        self._page.keyboard.press(key)

    def go(self, name: str, *, back: bool = False) -> None:
        """Step by step to what is called so."""
        passed = [self._where()]
        while not passed[-1].startswith(name):
            assert len(passed) < STEPS, f"no way to {name}; passed: {passed}"
            self.press("Shift+Tab" if back else "Tab")
            wait_until(lambda: self._where() not in ("", passed[-1]))
            passed.append(self._where())

    def use(self, name: str, key: str = "Enter") -> None:
        self.go(name)
        self.press(key)

    def write(self, label: str, text: str, *, back: bool = False) -> None:
        """In the place of what is there."""
        self.go(label, back=back)
        self._page.wait_for_timeout(CONNECT_MILLISECONDS)
        self.press("Control+A")
        self._page.keyboard.type(text)
        expect(self._page.locator(":focus")).to_have_value(text)

    def is_at(self, name: str) -> None:
        """It has come there by itself."""
        wait_until(lambda: self._where().startswith(name))

    def _where(self) -> str:
        name: str = self._page.evaluate(FOCUSED)
        return name


def test_from_the_first_visit_to_signing_out(installation, browser):
    say, name = WORDS["en"], f"user-{uuid4().hex[:12]}"
    older, newer = (say.picture_of.format(prompt=prompt) for prompt in ("a teapot", "a lighthouse"))
    with screen(browser, installation.url, viewport=DESKTOP, locale="en-US") as shown:
        keyboard = Keyboard(shown)
        shown.open()
        keyboard.is_at(say.username_or_email)
        keyboard.use(say.to_register)
        keyboard.is_at(say.to_sign_in)
        keyboard.write(say.username, name, back=True)
        keyboard.write(say.email, f"{name}@example.com")
        keyboard.write(say.password, PASSWORD)
        keyboard.press("Enter")
        shown.sees(say.generate)

        keyboard.write(say.prompt, "a teapot")
        keyboard.use("Stable Diffusion 1.5", "Space")
        expect(shown.control("checkbox", "Stable Diffusion 1.5")).to_be_checked()
        keyboard.use(say.generate)
        shown.sees(older)
        keyboard.write(say.prompt, "a lighthouse")
        keyboard.use(say.generate)
        shown.sees(newer)
        keyboard.use(newer)
        shown.sees(say.mark)
        keyboard.use(say.mark, "Space")
        keyboard.is_at(say.unmark)
        keyboard.use(say.share)
        shown.sees(say.close_sheet)
        keyboard.go(say.close_sheet)
        keyboard.press("Escape")
        keyboard.is_at(say.share)
        keyboard.press("Escape")
        shown.sees_no(say.share)
        keyboard.press("Tab")
        keyboard.press("Shift+Tab")
        keyboard.is_at(newer)  # where it was before

        keyboard.use(say.gallery)
        shown.sees(say.search, "textbox")
        keyboard.use(f"{newer}, {say.favorite}")
        shown.sees(say.next)
        keyboard.press("ArrowRight")
        shown.sees(older, "img")
        keyboard.press("ArrowLeft")
        shown.sees(newer, "img")
        keyboard.press("Escape")
        shown.sees_no(say.share)
        keyboard.use(say.account)
        shown.sees(say.sign_out)
        keyboard.use(say.sign_out)
        keyboard.is_at(say.username_or_email)
