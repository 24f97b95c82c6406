"""Whatever breaks off in the middle leaves a result with its picture, or neither and something to sweep."""

from hashlib import sha256
from uuid import uuid4

import grpc
import pytest

from services.results.blobs import Blobs
from services.results.domain import OwnerId, ResultId, TaskId
from services.results.server.messages import recipe_from_proto
from services.results.upload import Upload
from services.results.use_cases import UseCases
from services.runtime.database import Database
from services.runtime.errors import DependencyUnavailable
from tests.results.conftest import Refusal, a_recipe, refusal
from tests.results.pictures import a_png

UNAVAILABLE = Refusal("UNAVAILABLE", "DEPENDENCY_UNAVAILABLE")
RECIPE = recipe_from_proto(a_recipe())
TWO_HOURS_PASS = "UPDATE orphans SET created_at = created_at - interval '2 hours'"


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

    def delete(self, key: str) -> None:
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
