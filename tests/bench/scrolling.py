"""How a long gallery scrolls in a real Chromium, beside one of two pages that is never far from the screen."""

import sqlalchemy as sa
from playwright.sync_api import Browser, Page

from tests.accounts import Account
from tests.app.stories.browser import DESKTOP, Screen, screen
from tests.bench.measures import cpu_seconds, memory_of_pid, milliseconds, percentile
from tests.installation import Installation

TITLES = ("a gallery, scrolled to its end", "frame p50", "p95", "max", "CPU a turn", "memory")

PAINTED = 6
WHEEL = 600
"""Pixels of a turn, as fast as people turn it."""

TURN_MILLISECONDS = 120
RECORD = """
window.frames_ = [];
let last = performance.now();
const tick = (now) => { window.frames_.push(now - last); last = now; requestAnimationFrame(tick); };
requestAnimationFrame(tick);
"""

COPIES = """
    INSERT INTO results (id, task_id, ordinal, {columns})
    SELECT uuidv7(), uuidv7(), number, {columns}
    FROM generate_series({painted}, :pictures - 1) AS number
    JOIN LATERAL (
        SELECT * FROM results WHERE owner_id = :owner ORDER BY id OFFSET number % {painted} LIMIT 1
    ) AS one ON true
"""


def scrolled(at: Installation, browser: Browser, pictures: int) -> tuple[str, ...]:
    """Scrolls to the end of a gallery of so many. Returns p50, p95 and the largest time between two frames, the
    processor time of the client's process per turn, and what it has more in memory in the end.
    """
    somebody = _somebody(at, pictures)
    with screen(browser, at.url, viewport=DESKTOP, locale="en-US") as shown:
        shown.keep(somebody.tokens)
        return _scrolled(at, shown, pictures)


def _scrolled(at: Installation, shown: Screen, pictures: int) -> tuple[str, ...]:
    page = shown.page
    pid = at.pid("app")
    assert pid is not None
    page.goto(f"{at.url}/#/gallery")
    page.wait_for_selector("flt-semantics-placeholder", state="attached", timeout=60_000)
    page.wait_for_timeout(3000)
    memory, used = memory_of_pid(pid)[0], cpu_seconds(pid)
    page.mouse.move(640, 500)
    page.evaluate(RECORD)
    turns = _to_the_end(page, pictures)
    frames = [milliseconds_ / 1000 for milliseconds_ in page.evaluate("window.frames_")]
    return (
        *(milliseconds(percentile(frames, at_)) for at_ in (50, 95, 100)),
        milliseconds((cpu_seconds(pid) - used) / turns),
        f"{memory_of_pid(pid)[0] - memory:.0f} MiB",
    )


def _to_the_end(page: Page, pictures: int) -> int:
    """Turns of the wheel: a row of six is about 200 pixels."""
    turns = max(1, pictures // 6 * 200 // WHEEL)
    for _ in range(turns):
        page.mouse.wheel(0, WHEEL)
        page.wait_for_timeout(TURN_MILLISECONDS)
    return turns


def _somebody(at: Installation, pictures: int) -> Account:
    """With some pictures, and with as many rows that show the same ones."""
    somebody = Account(at)
    for prompt in ("a fox", "a teapot", "a lighthouse", "a city", "an island", "a forest")[:PAINTED]:
        somebody.painted(prompt=f"{prompt} at dusk", width=256, height=256)
    engine = sa.create_engine(at.database_url("results"))
    with engine.begin() as connection:
        names = [column["name"] for column in sa.inspect(connection).get_columns("results")]
        columns = ", ".join(f'"{each}"' for each in names if each not in ("id", "task_id", "ordinal"))
        statement = COPIES.format(columns=columns, painted=PAINTED)
        connection.execute(sa.text(statement), {"pictures": pictures, "owner": somebody.id})
    engine.dispose()
    return somebody
