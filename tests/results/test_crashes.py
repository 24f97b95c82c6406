"""Whatever breaks off in the middle leaves a result with its picture, or neither and something to sweep."""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from uuid import uuid4

import grpc
import pytest
import sqlalchemy as sa
from sqlalchemy import Connection

from services.results.blobs import AWS, Blobs
from services.results.domain import OwnerId, Result, ResultId, TaskId
from services.results.links import ImageLinks
from services.results.server.messages import recipe_from_proto
from services.results.store import tables
from services.results.sweeping import MOST_FAILURES, SWEEP_KEYS
from services.results.upload import Upload
from services.results.use_cases import UseCases
from services.runtime.database import Database
from services.runtime.errors import DependencyUnavailable
from tests.results.conftest import Refusal, a_recipe, refusal
from tests.results.pictures import a_png
from tests.results.store_servers import BUCKET

UNAVAILABLE = Refusal("UNAVAILABLE", "DEPENDENCY_UNAVAILABLE")
RECIPE = recipe_from_proto(a_recipe())
TWO_HOURS_PASS = "UPDATE orphans SET created_at = created_at - interval '2 hours'"


class Death(BaseException):
    """The process ends here. No handler of ours may take it for an error."""


class Life:
    """So many steps long."""

    def __init__(self, steps: int) -> None:
        self._left = steps

    def step(self) -> None:
        if not self._left:
            raise Death
        self._left -= 1


class MortalDatabase(Database):
    life: Life

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        self.life.step()
        with super().transaction() as tx:
            yield tx
            self.life.step()


class MortalStore(Blobs):
    life: Life

    def write(self, key: str, data: bytes, media_type: str) -> None:
        self.life.step()
        super().write(key, data, media_type)

    def delete(self, key: str) -> None:
        self.life.step()
        super().delete(key)


@pytest.fixture(params=["a folder", "S3"])
def place(request, tmp_path):
    """URL and options of a store, and the folder in which its objects are files."""
    if request.param == "a folder":
        return tmp_path.as_uri(), AWS, tmp_path
    rclone = request.getfixturevalue("rclone")
    prefix = str(uuid4())
    return f"s3://{BUCKET}/{prefix}", rclone.options(), rclone.folder / prefix


def storing(results: UseCases, owner: OwnerId, task: TaskId) -> Result:
    return results.storing.store_result(owner, task, 0, RECIPE, an_upload(a_png()))


def storing_again(results: UseCases, owner: OwnerId, task: TaskId) -> None:
    storing(results, owner, task)
    storing(results, owner, task)


def deleting(results: UseCases, owner: OwnerId, task: TaskId) -> None:
    results.gallery.delete_result(owner, storing(results, owner, task).id)


def discarding(results: UseCases, owner: OwnerId, task: TaskId) -> None:
    storing(results, owner, task)
    results.storing.discard_results(owner, task)


def erasing(results: UseCases, owner: OwnerId, task: TaskId) -> None:
    storing(results, owner, task)
    results.storing.erase(owner)


@pytest.mark.parametrize("whatever", [storing, storing_again, deleting, discarding, erasing])
def test_a_crash_at_any_step_leaves_a_row_with_its_bytes_or_neither(fresh_database, place, whatever):
    url, s3, folder = place
    database, blobs = MortalDatabase(fresh_database("results")), MortalStore.from_url(url, s3)
    results = UseCases.on(database, blobs, ImageLinks(bytes(32)))

    def held() -> tuple[set[str], set[str]]:
        """The keys of the files and of the rows."""
        files = {path.name for path in folder.glob("*")}
        with database.transaction() as tx:
            rows = set(tx.execute(sa.select(tables.results.c.image_url)).scalars())
            orphans = set(tx.execute(sa.select(tables.orphans.c.store_key)).scalars())
        assert rows <= files <= rows | orphans
        return files, rows

    def survives(steps: int) -> bool:
        database.life = blobs.life = Life(steps)
        try:
            whatever(results, OwnerId(uuid4()), TaskId(uuid4()))
        except Death:
            return False
        finally:
            database.life = blobs.life = Life(1000)
        return True

    steps = 0
    while not survives(steps):
        held()
        with database.transaction() as tx:
            tx.execute(sa.text(TWO_HOURS_PASS))
        results.sweeper.sweep()
        files, rows = held()
        assert files == rows
        steps += 1

    database.close()
    assert steps >= 5


def test_a_crash_between_bytes_and_row_leaves_bytes_that_are_swept_in_time(world):
    task, owner = uuid4(), uuid4()
    world.sql("ALTER TABLE results ADD CONSTRAINT no_rows CHECK (false)")
    with pytest.raises(grpc.RpcError) as caught:
        world.store(task=task, owner=owner)
    assert refusal(caught) == Refusal("INTERNAL", "")
    assert world.rows("results") == []
    assert len(world.files()) == 1
    world.results.sweeper.sweep()
    assert len(world.files()) == 1, "its writer might still live"

    world.sql(TWO_HOURS_PASS)
    world.results.sweeper.sweep()

    assert world.files() == world.rows("orphans") == []
    world.sql("ALTER TABLE results DROP CONSTRAINT no_rows")
    assert world.store(task=task, owner=owner).task_id == str(task)


def test_a_crash_in_the_middle_of_a_write_leaves_nothing_for_ever(world):
    world.sql("INSERT INTO orphans VALUES ('half.png', false, now() - interval '2 hours')")
    (world.folder / "half.png#1").write_bytes(b"\x89PNG")

    world.results.sweeper.sweep()

    assert world.files() == world.rows("orphans") == []


class DeadStore(Blobs):
    """Deletes nothing."""

    asked = 0

    def delete(self, key: str) -> None:
        self.asked += 1
        raise DependencyUnavailable("the picture store")


def test_bytes_that_could_not_be_deleted_with_their_result_are_swept(world):
    owner, task = OwnerId(uuid4()), TaskId(uuid4())
    deleted, discarded = world.store(owner=owner), world.store(owner=owner, task=task)
    database = Database(world.database.url.render_as_string(hide_password=False))
    broken = UseCases.on(database, DeadStore.from_url(world.folder.as_uri()), world.links)
    broken.gallery.delete_result(owner, ResultId(deleted.id))
    broken.storing.discard_results(owner, task)
    database.close()
    assert world.rows("results") == []
    assert world.files() == sorted([f"{deleted.id}.png", f"{discarded.id}.png"])

    world.results.sweeper.sweep()

    assert world.files() == world.rows("orphans") == []


def test_a_sweep_does_not_ask_a_store_that_is_away_for_every_key(world):
    world.sql("INSERT INTO orphans SELECT i || '.png', true, now() FROM generate_series(1, 100) AS i")
    database = Database(world.database.url.render_as_string(hide_password=False))
    away = DeadStore.from_url(world.folder.as_uri())

    assert not UseCases.on(database, away, world.links).sweeper.sweep()

    database.close()
    assert away.asked == MOST_FAILURES
    assert len(world.rows("orphans")) == 100


def test_a_sweep_goes_on_while_there_is_more(world):
    world.sql(f"INSERT INTO orphans SELECT i || '.png', true, now() FROM generate_series(1, {SWEEP_KEYS}) AS i")

    assert world.results.sweeper.sweep()
    assert world.rows("orphans") == []
    assert not world.results.sweeper.sweep()


def test_a_sweep_touches_no_result(world):
    owner = uuid4()
    stored = world.store(owner=owner)

    world.results.sweeper.sweep()

    assert world.files() == [f"{stored.id}.png"]


def test_a_write_that_the_sweep_gave_up_on_makes_no_result(world):
    class SlowStore(DeadStore):
        def write(self, key: str, data: bytes, media_type: str) -> None:
            super().write(key, data, media_type)
            world.sql(TWO_HOURS_PASS)
            slow.sweeper.sweep()

    database = Database(world.database.url.render_as_string(hide_password=False))
    slow = UseCases.on(database, SlowStore.from_url(world.folder.as_uri()), world.links)

    with pytest.raises(DependencyUnavailable):
        slow.storing.store_result(OwnerId(uuid4()), TaskId(uuid4()), 0, RECIPE, an_upload(a_png()))

    database.close()
    world.results.sweeper.sweep()
    assert world.rows("results") == world.files() == world.rows("orphans") == []


def an_upload(png: bytes) -> Upload:
    upload = Upload(len(png), sha256(png).hexdigest())
    upload.add(png)
    return upload


def test_while_the_store_is_away_calls_say_so_and_later_they_work(world):
    task, owner = uuid4(), uuid4()
    aside = world.folder.rename(world.folder.with_name("aside"))
    world.folder.write_text("in the way")
    with pytest.raises(grpc.RpcError) as caught:
        world.store(task=task, owner=owner)
    assert refusal(caught) == UNAVAILABLE
    assert world.rows("results") == []

    world.folder.unlink()
    aside.rename(world.folder)

    assert world.store(task=task, owner=owner).task_id == str(task)
