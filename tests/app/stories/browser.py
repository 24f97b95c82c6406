"""A person before a real Chromium, who finds everything by its name in Flutter's accessibility tree."""

import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from playwright.sync_api import Browser, BrowserType, Download, Locator, Page, expect

from tests.deploy.waiting import wait_until

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

FLAGS = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--no-sandbox"]
"""Flutter paints with WebGL, and this machine may have no GPU."""

USUAL_TEXT_PIXELS = 16
"""Of every browser."""

FIRST_SCREEN_MILLISECONDS = 60_000
"""Of a cold browser on a busy machine; what it really takes is measured elsewhere."""

DEBOUNCE_MILLISECONDS = 250
"""The engine takes a click for the end of a touch that began up to 200 ms before, and swallows it."""

CONNECT_MILLISECONDS = 400
"""From a field's focus to the engine's listening to it; nothing in the page tells when it does."""

TRIES = 20

expect.set_options(timeout=30_000)

PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 800}


def launched(chromium: BrowserType, *, text_percent: int = 100) -> Browser:
    """With text as large as the person has set it in the browser; Flutter takes it from there."""
    text = f"--blink-settings=defaultFontSize={USUAL_TEXT_PIXELS * text_percent // 100}"
    return chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, text])


class Screen:
    """One tab. Nothing that it asks for may come from a foreign host, and no script of it may fail. `also` is a URL
    whose host is not foreign.
    """

    def __init__(self, page: Page, url: str, also: str | None = None) -> None:
        self.page = page
        self.url = url
        self._ours = (urljoin(url, "/"), urljoin(also or url, "/"), "blob:", "data:")
        self.foreign: list[str] = []
        self.failures: list[str] = []
        self._frames: list[str | bytes] = []
        page.set_default_timeout(30_000)
        page.context.on("request", self._note)
        page.on("websocket", lambda socket: socket.on("framereceived", self._note_frame))
        page.on("pageerror", lambda error: self.failures.append(str(error)))

    def _note(self, request: Any) -> None:
        if not request.url.startswith(self._ours):
            self.foreign.append(request.url)

    def _note_frame(self, frame: str | bytes) -> None:
        self._frames.append(frame)

    def keep(self, tokens: Mapping[str, str]) -> None:
        """As a browser does for who is signed in: Flutter's shared_preferences puts a prefix before the name."""
        kept = json.dumps({name: tokens[name] for name in ("access_token", "refresh_token")})
        script = f"localStorage.setItem('flutter.imagegen.tokens', {json.dumps(json.dumps(kept))})"
        self.page.add_init_script(script)

    def open(self, route: str = "/") -> None:
        self.page.goto(f"{self.url}/#{route}")
        self.wake()

    def reload(self) -> None:
        self.page.reload()
        self.wake()

    def wake(self) -> None:
        """Flutter builds its accessibility tree when somebody asks for it."""
        placeholder = "flt-semantics-placeholder"
        self.page.wait_for_selector(placeholder, state="attached", timeout=FIRST_SCREEN_MILLISECONDS)
        self.page.evaluate(f"document.querySelector('{placeholder}').click()")

    def control(self, role: Any, name: str) -> Locator:
        """By the beginning of its name: a rail adds `Tab 1 of 3`. 4 is not 4:3."""
        return self.page.get_by_role(role, name=re.compile(f"^{re.escape(name)}(?!:)")).first

    def press(self, name: str, role: Any = "button") -> None:
        """As a screen reader presses, wherever the control may be just now."""
        control = self.control(role, name)
        expect(control).to_be_enabled()
        self.page.wait_for_timeout(DEBOUNCE_MILLISECONDS)
        control.dispatch_event("click")

    def save(self, name: str) -> Download:
        """Presses what saves a file, which the browser does by itself: in another tab, which closes when it is done,
        and without a piece of it passing through the session.
        """
        downloads: list[Download] = []

        def note(download: Download) -> None:
            downloads.append(download)

        with self.page.context.expect_page() as tab:
            self.page.context.once("page", lambda page: page.on("download", note))
            self.press(name)
        wait_until(lambda: self.page.evaluate("true") and bool(downloads))  # events come while something is asked
        wait_until(lambda: self.page.evaluate("true") and tab.value.is_closed())
        content = downloads[0].path().read_bytes()
        piece = content[len(content) // 2 :][:64]
        assert not any(isinstance(frame, bytes) and piece in frame for frame in self._frames)
        return downloads[0]

    def type(self, label: str, text: str) -> None:
        """Until the field has it: the engine may only just be making its connection to a field that has the focus."""
        entry = self.page.get_by_label(re.compile(f"^{re.escape(label)}")).first
        for _ in range(TRIES):
            entry.click(force=True)
            try:
                self.page.wait_for_timeout(CONNECT_MILLISECONDS)
                expect(entry).to_be_focused(timeout=1000)
                self.page.keyboard.press("Control+A")
                self.page.keyboard.insert_text(text)
                expect(entry).to_have_value(text, timeout=1000)
            except AssertionError:
                continue
            return
        raise AssertionError(f"{label} does not take {text}")

    def sees(self, name: str, role: Any = "button") -> Locator:
        control = self.control(role, name)
        control.wait_for()
        return control

    def sees_no(self, name: str, role: Any = "button") -> None:
        expect(self.control(role, name)).to_be_hidden()

    def reads(self, text: str) -> None:
        self.page.get_by_text(text).first.wait_for()


@contextmanager
def screen(browser: Browser, url: str, *, also: str | None = None, **options: Any) -> Iterator[Screen]:
    context = browser.new_context(**options)
    shown = Screen(context.new_page(), url, also)
    try:
        yield shown
        assert shown.foreign == []
        assert shown.failures == []
    except BaseException as error:
        picture = Path(tempfile.mkdtemp(prefix="imagegen-screen-")) / "screen.png"
        shown.page.screenshot(path=picture)
        error.add_note(f"the screen then: {picture}; scripts' failures: {shown.failures}")
        raise
    finally:
        context.close()
