"""What a page of a gallery costs: 100,000 pictures of one person among a million, on PostgreSQL as it is deployed."""

import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from deploy.local.ports import reserved_ports
from deploy.local.postgres import Postgres
from services.results import store
from services.results.blobs import Blobs
from services.results.domain import Filter, ResultId
from services.results.gallery import Gallery
from services.results.sweeping import Sweeper
from services.runtime.database import Database
from tests.bench.gallery_rows import BEGIN, OWNER, SHARE, YEAR, a_result, batches, first_id, lay_down, prompts
from tests.bench.measures import milliseconds, percentile

AIM = "< 50 ms"
EXPLAINED = "ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF"


def measure(*, pictures: int, repeats: int) -> None:
    with _postgres() as url:
        begin = time.perf_counter()
        sizes = lay_down(url, pictures)
        _say(f"{pictures:,} pictures, laid down in {time.perf_counter() - begin:.0f} s")
        for name, size in sizes.items():
            _say(f"  {name:30} {size / 2**20:6.0f} MiB")
        database = Database(url)
        gallery = Gallery(database, Sweeper(database, Blobs.from_url("memory:///")))
        searches = _searches(gallery, pictures // SHARE)
        _reads(gallery, searches, repeats)
        _writes(database, gallery, repeats)
        _plans(url, searches)
        database.close()


def _searches(gallery: Gallery, own: int) -> Mapping[str, tuple[Filter, UUID | None]]:
    """What is looked for, and where the page begins."""
    march = {"created_from": BEGIN + YEAR / 6, "created_before": BEGIN + YEAR / 4}
    pages = {"first page": (Filter(), None)}
    for name, part in (("in the middle", 0.5), ("near the end", 0.99)):
        pages[f"page {name}"] = (Filter(), first_id(BEGIN + YEAR / 2 * (1 - part)))
    text = {
        "a word in half of the prompts": "landscape",
        "its beginning": "land",
        "a rare word": "xylophone",
        "a word that is nowhere": "nonexistentword",
        "a word only in the older half": "dawnish",
        "two of half of the prompts that hardly meet": "dawnish duskish",
        "four words": "sunset mountain oil painting",
        "one Chinese character": "风",
        "two Chinese characters": "风景",
        "three Chinese characters": "萤火虫",
        "a Chinese character that is nowhere": "龘",
        "three Chinese characters that meet in no prompt": "林海滩",
        "four Chinese characters that meet in no prompt": "风景风景",
        "200 characters of English": " ".join(f"{word}{number}" for number, word in enumerate(["abcdefg"] * 22)),
        "200 Chinese characters": "雪地里熟睡的赤狐柔和的晨光长焦摄影" * 11 + "雪地里",
    }
    searches = {
        **pages,
        "favorites": (Filter(favorite=True), None),
        "a model": (Filter(model="sd15"), None),
        "a model that was never used": (Filter(model="nope"), None),
        "a month": (Filter(**march), None),
        **{name: (Filter(text=one), None) for name, one in text.items()},
        "a word in half of the prompts, middle": (Filter(text="landscape"), pages["page in the middle"][1]),
        "favorites + a common word": (Filter(favorite=True, text="landscape"), None),
        "favorites + a rare word": (Filter(favorite=True, text="xylophone"), None),
        "no favorites + two that hardly meet": (Filter(favorite=False, text="dawnish duskish"), None),
        "a model + a month + a common word": (Filter(model="sd15", text="landscape", **march), None),
        "everything at once": (Filter(model="sd15", favorite=True, text="风景", **march), None),
    }
    assert len(gallery.page(OWNER, Filter(text="xylophone"), before=None, limit=100)[0]) == min(5, own)
    return searches


def _reads(gallery: Gallery, searches: Mapping[str, tuple[Filter, UUID | None]], repeats: int) -> None:
    _say(f"\nload {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    _say(f"{'a page of 20':56} {'found':>5} {'p50':>9} {'p95':>9} {AIM:>9}")
    for name, (wanted, before) in searches.items():

        def page(wanted: Filter = wanted, before: UUID | None = before) -> int:
            return len(gallery.page(OWNER, wanted, before=before, limit=20)[0])

        _line(name, page, repeats)


def _writes(database: Database, gallery: Gallery, repeats: int) -> None:
    _say("\nwriting, with commit")
    english, chinese = prompts(random.Random(2))
    longest = ("".join(chr(0x4E00 + number) for number in range(2000)), " ".join(f"w{n}" for n in range(400)))
    made: list[ResultId] = []

    def add(prompt: str) -> int:
        result = a_result(prompt)
        with database.transaction() as tx:
            store.lock_owner(tx, OWNER)
            store.add_result(tx, result)
        made.append(result.id)
        return 1

    def mark() -> int:
        gallery.set_favorite(OWNER, made[-1], favorite=True)
        gallery.set_favorite(OWNER, made[-1], favorite=False)
        return 2

    _line("a picture's row, an English prompt", lambda: add(next(english)), repeats)
    _line("a picture's row, a Chinese prompt", lambda: add(next(chinese)), repeats)
    _line("a picture's row, no prompt at all", lambda: add(""), repeats)
    _line("a picture's row, 2,000 different Chinese characters", lambda: add(longest[0]), repeats // 4)
    _line("a picture's row, 400 words", lambda: add(longest[1]), repeats // 4)
    _line("a favorite, marked and unmarked", mark, repeats)
    hundreds = batches(iter(made), 100)
    if (deletions := len(made) // 100 - 1) > 0:
        _line("a hundred deleted", lambda: len(gallery.delete_results(OWNER, next(hundreds))), deletions)


def _plans(url: str, searches: Mapping[str, tuple[Filter, UUID | None]]) -> None:
    engine = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg2"))
    said: list[tuple[str, Any]] = []
    sa.event.listen(engine, "before_cursor_execute", lambda *call: said.append((call[2], call[3])))
    for name in ("first page", "a word in half of the prompts", "two of half of the prompts that hardly meet"):
        wanted, before = searches[name]
        with engine.begin() as tx:
            store.list_gallery(tx, OWNER, wanted, before=before, limit=21)
            asked = list(said)
            for statement, parameters in asked:
                explained = tx.exec_driver_sql(f"EXPLAIN ({EXPLAINED}) {statement}", parameters)
                _say(f"\n{name}")
                for (line,) in explained:
                    _say(f"  {line[:150]}")
        said.clear()
    engine.dispose()


def _line(name: str, work: Callable[[], int], repeats: int) -> None:
    work()
    spans = []
    for _ in range(repeats):
        begin = time.perf_counter()
        found = work()
        spans.append(time.perf_counter() - begin)
    _say(f"{name:56} {found:>5} {milliseconds(percentile(spans, 50)):>9} {milliseconds(percentile(spans, 95)):>9}")


@contextmanager
def _postgres() -> Iterator[str]:
    with (
        tempfile.TemporaryDirectory(prefix="imagegen-bench-", ignore_cleanup_errors=True) as folder,
        reserved_ports(["postgres"]) as ports,
    ):
        server = Postgres(Path(folder), ports["postgres"], "bench")
        with server.running():
            server.create_database("results", "bench")
            yield server.url("results", "bench")


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the table is what this program is for
