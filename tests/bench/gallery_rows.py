"""A million pictures to search in.

Prompts are put together from the vocabulary of suggestions and from invented words that are as unevenly common as words
are. A few are planted: one word in every second prompt, two in halves that hardly meet, one that is rare, and two pairs
of characters that are everywhere and never overlap.
"""

import io
import itertools
import random
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg2
import sqlalchemy as sa

from services.results import store, words
from services.results.domain import OwnerId, Recipe, Result, ResultId, TaskId
from services.results.store.shelves import shelf_of
from services.runtime.ids import first_uuid7, uuid7
from services.runtime.migrate import migrate

OWNER = OwnerId(UUID(int=1))
SHARE = 10
"""Each tenth picture is the owner's, and they are in the older half: who walks back from the newest of all is slow."""
OTHERS = 9_000
BEGIN, YEAR = datetime(2025, 1, 1, tzinfo=UTC), timedelta(days=365)
VOCABULARY = Path(__file__).resolve().parents[2] / "services" / "generation" / "vocabulary"


def lay_down(url: str, pictures: int) -> Mapping[str, int]:
    """Fills an empty database; returns the bytes of the table and of its indexes."""
    migrate("results", url)
    sample = _sample(url)
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute("DROP INDEX results_words_idx")
        for rows in batches(_rows(pictures, sample), 20_000):
            cursor.copy_from(io.StringIO("".join(rows)), "results", columns=list(sample))
        cursor.execute("SET maintenance_work_mem = '512MB'")
        cursor.execute("CREATE INDEX results_words_idx ON results USING gin (words) WITH (fastupdate = off)")
        cursor.execute("VACUUM ANALYZE results")
        cursor.execute("SELECT relname, pg_table_size(oid) FROM pg_class WHERE relname ~ '^results' ORDER BY relname")
        return dict(cursor.fetchall())


def a_result(prompt: str) -> Result:
    """The owner's newest."""
    result_id = ResultId(uuid7())
    return Result(
        id=result_id,
        task_id=TaskId(uuid7()),
        owner_id=OWNER,
        index=0,
        image_url=f"{result_id}.png",
        media_type="image/png",
        width=1024,
        height=1024,
        size_bytes=1_500_000,
        sha256="ab" * 32,
        created_at=datetime.now(UTC),
        recipe=Recipe("sdxl", prompt, "blurry", 1024, 1024, 25, 7.0, 42, 1, "ComfyUI 0.33, cuda:0"),
        thumb_hash=bytes(21),
    )


def _sample(url: str) -> Mapping[str, str]:
    """A row as `add_result` writes it: column → its value in COPY's text format. It does not stay."""
    engine = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg2"))
    with engine.connect() as tx, tx.connection.cursor() as cursor:
        store.add_result(tx, a_result("a lighthouse"))
        cursor.execute("SELECT * FROM results LIMIT 0")
        columns = [column.name for column in cursor.description]
        line = io.StringIO()
        cursor.copy_to(line, "results")
    engine.dispose()
    return dict(zip(columns, line.getvalue().rstrip("\n").split("\t"), strict=True))


def _rows(pictures: int, sample: Mapping[str, str]) -> Iterator[str]:
    """Lines of COPY, oldest first, which differ from the sample in what a search may ask for. Nothing in that has to be
    escaped.
    """
    chance = random.Random(1)
    languages = [list(itertools.islice(language, 20_000)) for language in prompts(chance)]
    owned: dict[UUID, int] = {}
    for number in range(pictures):
        owner = OWNER if number < pictures // 2 and number % (SHARE // 2) == 0 else _somebody(chance)
        ordinal = owned[owner] = owned.get(owner, -1) + 1
        prompt = chance.choice(languages[ordinal % 3 == 2])
        if owner == OWNER:
            prompt += _planted(ordinal, pictures // SHARE)
        created_at = BEGIN + YEAR * (number / pictures)
        id_ = str(UUID(int=first_id(created_at).int | 7 << 76 | 2 << 62 | chance.getrandbits(62)))
        model = chance.choice(("sdxl", "sdxl", "sdxl", "sd15", "flux-schnell"))
        favorite = chance.random() < 0.03
        differing = {
            "id": id_,
            "task_id": id_,
            "owner_id": str(owner),
            "image_url": f"{id_}.png",
            "created_at": str(created_at),
            "model": model,
            "prompt": prompt,
            "favorite": str(favorite),
            "ordinal": str(ordinal),
            "words": words.vector(words.mark(owner, shelf_of(ordinal)), prompt, model, favorite=favorite),
        }
        yield "\t".join({**sample, **differing}.values()) + "\n"


def first_id(moment: datetime) -> UUID:
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


def prompts(chance: random.Random) -> tuple[Iterator[str], Iterator[str]]:
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


def batches(items: Iterator[Any], size: int) -> Iterator[list[Any]]:
    batch = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
