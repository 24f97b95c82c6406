"""What a page of a gallery costs: 100,000 pictures of one person among a million, on PostgreSQL as it is deployed.

The rows are written by COPY, as `add_result` writes them, before the terms' index is built; prompts are put together
from the vocabulary of suggestions and from invented words that are as unevenly common as words are. A few words are
planted: one in every second prompt, two in halves that hardly meet, one that is rare.
"""

import io
import itertools
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg2
import sqlalchemy as sa

from deploy.local.ports import reserved_ports
from deploy.local.postgres import Postgres
from services.results import store, words
from services.results.blobs import Blobs
from services.results.domain import Filter, OwnerId, Recipe, Result, ResultId, TaskId
from services.results.gallery import Gallery
from services.results.store.shelves import shelf_of
from services.results.sweeping import Sweeper
from services.runtime.database import Database
from services.runtime.ids import first_uuid7, uuid7
from services.runtime.migrate import migrate
from tests.bench.measures import milliseconds, percentile

OWNER = OwnerId(UUID(int=1))
SHARE = 10
"""Each tenth picture is the owner's, and they are in the older half: who walks back from the newest of all is slow."""
OTHERS = 9_000
BEGIN, YEAR = datetime(2025, 1, 1, tzinfo=UTC), timedelta(days=365)
COLUMNS = (
    *("id", "task_id", "owner_id", "index", "image_url", "media_type", "width", "height", "size_bytes", "sha256"),
    *("created_at", "model", "prompt", "negative_prompt", "asked_width", "asked_height", "steps", "cfg", "seed"),
    *("count", "engine", "favorite", "ordinal", "words"),
)
SHA256 = "ab" * 32
AIM = "< 50 ms"
VOCABULARY = Path(__file__).resolve().parents[2] / "services" / "generation" / "vocabulary"


def measure(*, pictures: int, repeats: int) -> None:
    with _postgres() as url:
        begin = time.perf_counter()
        migrate("results", url)
        with psycopg2.connect(url) as connection, connection.cursor() as cursor:
            cursor.execute("DROP INDEX results_words_idx")
            for rows in _batches(_rows(pictures), 20_000):
                cursor.copy_from(io.StringIO("".join(rows)), "results", columns=COLUMNS)
            cursor.execute("SET maintenance_work_mem = '512MB'")
            cursor.execute("CREATE INDEX results_words_idx ON results USING gin (words) WITH (fastupdate = off)")
        connection = psycopg2.connect(url)
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE results")
            _say(f"{pictures:,} pictures, laid down in {time.perf_counter() - begin:.0f} s")
            for name in ("results", "results_pkey", "results_owner_id_id_idx", "results_words_idx"):
                cursor.execute("SELECT pg_table_size(%s)", (name,))
                _say(f"  {name:30} {cursor.fetchone()[0] / 2**20:6.0f} MiB")
        connection.close()
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
    for name, part in (("middle", 0.5), ("last", 0.99)):
        pages[f"page in the {name} hundredth"] = (Filter(), _first_id(BEGIN + YEAR / 2 * (1 - part)))
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
        "a word in half of the prompts, middle": (Filter(text="landscape"), pages["page in the middle hundredth"][1]),
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
    english, chinese = _prompts(random.Random(2))
    longest = ("".join(chr(0x4E00 + number) for number in range(2000)), " ".join(f"w{n}" for n in range(400)))
    made: list[ResultId] = []

    def add(prompt: str) -> int:
        result = _result(ResultId(uuid7()), OWNER, prompt, "sdxl", datetime.now(UTC))
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
    hundreds = _batches(iter(made), 100)
    _line("a hundred deleted", lambda: len(gallery.delete_results(OWNER, next(hundreds))), len(made) // 100)


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
                explained = tx.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS, COSTS OFF) {statement}", parameters)
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


def _rows(pictures: int) -> Iterator[str]:
    """Lines of COPY, oldest first. Nothing in them has to be escaped."""
    chance = random.Random(1)
    prompts = [list(itertools.islice(language, 20_000)) for language in _prompts(chance)]
    owned: dict[UUID, int] = {}
    for number in range(pictures):
        owner = OWNER if number < pictures // 2 and number % (SHARE // 2) == 0 else _somebody(chance)
        ordinal = owned[owner] = owned.get(owner, -1) + 1
        prompt = chance.choice(prompts[ordinal % 3 == 2])
        if owner == OWNER:
            prompt += _planted(ordinal, pictures // SHARE)
        created_at = BEGIN + YEAR * (number / pictures)
        id_ = UUID(int=_first_id(created_at).int | 7 << 76 | 2 << 62 | chance.getrandbits(62))
        model = chance.choice(("sdxl", "sdxl", "sdxl", "sd15", "flux-schnell"))
        favorite = chance.random() < 0.03
        terms = words.vector(words.mark(owner, shelf_of(ordinal)), prompt, model, favorite=favorite)
        yield (
            f"{id_}\t{id_}\t{owner}\t0\t{id_}.png\timage/png\t1024\t1024\t1500000\t{SHA256}\t{created_at}\t{model}\t{prompt}"
            f"\tblurry\t1024\t1024\t25\t7\t42\t1\tComfyUI 0.33, cuda:0\t{favorite}\t{ordinal}\t{terms}\n"
        )


def _first_id(moment: datetime) -> UUID:
    return first_uuid7(int(moment.timestamp() * 1000))


def _somebody(chance: random.Random) -> UUID:
    """Half of the others' pictures are of a few people."""
    rank = min(int(chance.paretovariate(0.6)), OTHERS) if chance.random() < 0.5 else chance.randint(1, OTHERS)
    return UUID(int=1 + rank)


def _planted(ordinal: int, own: int) -> str:
    planted = ["林海，海滩"] if ordinal % 2 else []
    if ordinal % (own // 5) == 777 % (own // 5):
        planted.append("xylophone")
    if ordinal < own // 2:
        planted.append("dawnish")
    if ordinal >= own // 2 or ordinal % (own // 40) == 0:
        planted.append("duskish")
    return "".join(f", {word}" for word in planted)


def _prompts(chance: random.Random) -> tuple[Iterator[str], Iterator[str]]:
    """English ones without end, and Chinese ones; one word is in every second."""
    phrases = {
        language: [line for line in (VOCABULARY / f"{language}.txt").read_text().splitlines() if 0 < len(line) < length]
        for language, length in (("en", 40), ("zh", 8))
    }
    syllables = ["ka", "lo", "mi", "ter", "ban", "su", "rel", "vin", "dor", "pash", "cle", "on", "ti", "gar", "neb"]
    invented = ["".join(chance.choices(syllables, k=chance.randint(2, 4))) for _ in range(6000)]
    weights = [1 / (rank + 5) for rank in range(len(invented))]

    def english() -> Iterator[str]:
        while True:
            said = [*chance.sample(phrases["en"], chance.randint(3, 7)), *chance.choices(invented, weights, k=8)]
            yield ", ".join(said + ["landscape"] * chance.randint(0, 1))

    def chinese() -> Iterator[str]:
        while True:
            yield "，".join(chance.sample(phrases["zh"], chance.randint(4, 9)) + ["风景"] * chance.randint(0, 1))

    return english(), chinese()


def _result(result_id: ResultId, owner: OwnerId, prompt: str, model: str, created_at: datetime) -> Result:
    return Result(
        id=result_id,
        task_id=TaskId(uuid7()),
        owner_id=owner,
        index=0,
        image_url=f"{result_id}.png",
        media_type="image/png",
        width=1024,
        height=1024,
        size_bytes=1_500_000,
        sha256=SHA256,
        created_at=created_at,
        recipe=Recipe(model, prompt, "blurry", 1024, 1024, 25, 7.0, 42, 1, "ComfyUI 0.33, cuda:0"),
    )


def _batches(items: Iterator[Any], size: int) -> Iterator[list[Any]]:
    batch = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


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
