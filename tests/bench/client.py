"""What the client costs: a first screen in a real Chromium, a session's memory, a progress event's processor time.

The yardstick of a first screen is a page of three bytes in the same browser.
"""

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from api.pictures import PAGE_SIZE
from tests.app.stories.browser import CHROMIUM, DESKTOP, PHONE, launched
from tests.app.visitors import tokens, visiting
from tests.bench.load import SETTINGS, Person
from tests.bench.measures import cpu_seconds, memory_of_pid, milliseconds
from tests.bench.scrolling import TITLES, scrolled
from tests.installation import Installation, running_installation
from texts import WORDS

LOCALES = {"en": "en-US", "zh": "zh-CN"}
STEPS = 100
STEP_SECONDS = 0.05
COMPRESSED_SECONDS = 60


def measure(*, sessions: int, pictures: int, repeats: int) -> None:
    """Starts an installation and prints the tables."""
    with (
        tempfile.TemporaryDirectory(prefix="imagegen-bench-", ignore_cleanup_errors=True) as folder,
        running_installation(Path(folder), **SETTINGS, SKETCH_STEP_SECONDS=str(STEP_SECONDS)) as installation,
    ):
        _say(f"\n7. The client, load {os.getloadavg()[0]:.1f} before")
        if CHROMIUM is None:
            _say("NOT RUN: there is no Chromium here, and so no first screen")
        else:
            _await_compression(installation)
            with sync_playwright() as playwright:
                browser = launched(playwright.chromium)
                _first_screens(installation, browser, repeats)
                _row(*TITLES)
                for number in (2 * PAGE_SIZE, pictures):
                    _row(f"  {number} pictures", *scrolled(installation, browser, number))
                browser.close()
        asyncio.run(_sessions(installation, sessions))


def _first_screens(at: Installation, browser: Browser, repeats: int) -> None:
    _row("first usable screen", "cold", "warm", "bytes cold", "bytes warm", "hosts")
    for language, locale in LOCALES.items():
        for name, viewport in (("phone", PHONE), ("desktop", DESKTOP)):
            cold, warm, sizes, hosts = [], [], [0, 0], set[str]()
            for _ in range(repeats):
                context = browser.new_context(viewport=viewport, locale=locale)
                with _counted(context) as (page, counted):
                    cold.append(_usable(page, at.url, WORDS[language].sign_in))
                    sizes[0] = _settled(page, counted)
                    warm.append(_usable(page, at.url, WORDS[language].sign_in))
                    sizes[1] = _settled(page, counted)
                hosts |= counted["hosts"]
                context.close()
            figures = (f"{statistics.median(cold):.2f} s", f"{statistics.median(warm):.2f} s")
            _row(f"  {language}, {name}", *figures, *(f"{size / 1e6:.2f} MB" for size in sizes), str(len(hosts)))
    page = browser.new_page()
    bare = []
    for _ in range(repeats):
        began = time.monotonic()
        page.goto(f"{at.url}/healthz")
        bare.append(time.monotonic() - began)
    _row("  yardstick: /healthz in the browser", milliseconds(statistics.median(bare)))
    page.close()


@contextmanager
def _counted(context: BrowserContext) -> Iterator[tuple[Page, dict[str, Any]]]:
    """A page, and what it loads over the network: bytes as they were sent, and the hosts that were asked."""
    page = context.new_page()
    counted: dict[str, Any] = {"bytes": 0, "hosts": set()}
    session = context.new_cdp_session(page)
    session.send("Network.enable")

    def finished(event: dict[str, Any]) -> None:
        counted["bytes"] += int(event["encodedDataLength"])

    session.on("Network.loadingFinished", finished)
    page.on("request", lambda request: counted["hosts"].add(httpx.URL(request.url).host))
    yield page, counted
    counted["hosts"].discard("")  # blob: and data:


def _settled(page: Page, counted: dict[str, Any]) -> int:
    """Bytes since the last time, when nothing more is loaded."""
    page.wait_for_load_state("networkidle")
    loaded, counted["bytes"] = int(counted["bytes"]), 0
    return loaded


def _usable(page: Page, url: str, button: str) -> float:
    """Seconds until a person can press the door's button."""
    began = time.monotonic()
    page.goto(f"{url}/?{began}")
    page.wait_for_selector("flt-semantics-placeholder", state="attached", timeout=60_000)
    page.evaluate("document.querySelector('flt-semantics-placeholder').click()")
    page.get_by_role("button", name=button).first.wait_for(timeout=60_000)
    return time.monotonic() - began


async def _sessions(at: Installation, number: int) -> None:
    async with AsyncExitStack() as staying:
        http = await staying.enter_async_context(httpx.AsyncClient(base_url=at.url, timeout=60, trust_env=False))
        people = [_Member(http, f"visitor-{each}") for each in range(number + 1)]
        for person in people:
            await person.register()
        painter, *others = people
        await staying.enter_async_context(visiting(at.url, others[0].kept))
        before = _memory(at)
        for person in others[1:]:
            await staying.enter_async_context(visiting(at.url, person.kept))
        after = _memory(at)
        each = (after - before) * 1024 / (number - 1)
        _row(f"a session in the process, of {number}", f"{each:.0f} KiB")
        _row("the process with all of them", f"{after:.0f} MiB")
        pid = at.pid("app")
        assert pid is not None
        idle = await _used(pid, asyncio.sleep(STEPS * STEP_SECONDS)) / STEPS / STEP_SECONDS
        task = await painter.begin()
        visitor = await staying.enter_async_context(visiting(at.url, painter.kept))
        patches, began = visitor.patches, time.monotonic()
        busy = await _used(pid, painter.wait(task)) - idle * (time.monotonic() - began)
        changes = visitor.patches - patches
        _row("processor time while nobody does anything", f"{1000 * idle:.1f} ms/s")
        _row("a change of a task on the screen", milliseconds(busy / changes), f"of {changes}")


async def _used(pid: int, doing: Any) -> float:
    before = cpu_seconds(pid)
    await doing
    return cpu_seconds(pid) - before


class _Member(Person):
    """One who has tokens that a browser could keep, and who paints with as many steps as events are wanted."""

    @property
    def kept(self) -> dict[str, str]:
        return tokens(self.tokens["access_token"], self.tokens["refresh_token"])

    async def begin(self) -> dict[str, Any]:
        body = {"prompt": "a lighthouse at dusk", "model": "sd15", "width": 64, "height": 64, "steps": STEPS}
        answer = await self._http.post("/api/v1/generation/generate", json=body, headers=self._headers)
        task: dict[str, Any] = answer.raise_for_status().json()
        return task

    async def wait(self, task: dict[str, Any]) -> None:
        async with self._follow(task) as source:
            async for _ in source.aiter_sse():
                pass


def _memory(at: Installation) -> float:
    """MiB of the client's process."""
    return memory_of_pid(at.pid("app"))[0]


def _await_compression(at: Installation) -> None:
    """It goes on in the background for some seconds of the first start."""
    deadline = time.monotonic() + COMPRESSED_SECONDS
    while time.monotonic() < deadline:
        page = httpx.get(at.url).text
        base = page.partition('data-base="')[2].partition('"')[0]
        answer = httpx.get(f"{at.url}{base}/main.dart.wasm", headers={"accept-encoding": "br"})
        if answer.headers.get("content-encoding") == "br":
            time.sleep(5)
            return
        time.sleep(0.5)
    raise TimeoutError("the client's files were not compressed")


def _row(*columns: str) -> None:
    what, *figures = columns
    _say(f"{what:44}{''.join(f'{figure:>14}' for figure in figures)}")


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the table is what this program is for
