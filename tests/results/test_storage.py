"""What an owner's pictures take, and when there is no room for more."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from uuid import UUID, uuid4

import grpc
import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from imagegen.results.v1 import quota_service_pb2, quota_service_pb2_grpc, storage_service_pb2, storage_service_pb2_grpc

from services.results.blobs import Blobs
from services.results.server import results_server
from services.results.use_cases import UseCases
from services.runtime.database import Database
from tests.identities import as_person, as_service, verifier
from tests.results.conftest import Refusal, World, refusal
from tests.results.pictures import a_png
from tests.results.test_races import ROUNDS, at_once
from tests.serving import running

GENERATION = as_service("generation", "results")
NOTHING = storage_service_pb2.GetStorageResponse()


@dataclass
class Installation:
    """One more process on the world's database, with settings of its own."""

    results: UseCases
    channel: grpc.Channel

    def storage(self, owner: UUID) -> storage_service_pb2.GetStorageResponse:
        stub = storage_service_pb2_grpc.StorageServiceStub(self.channel)
        return stub.GetStorage(storage_service_pb2.GetStorageRequest(), metadata=as_person(owner))

    def quota(self, owner: UUID, metadata=GENERATION) -> quota_service_pb2.CheckQuotaResponse:
        stub = quota_service_pb2_grpc.QuotaServiceStub(self.channel)
        return stub.CheckQuota(quota_service_pb2.CheckQuotaRequest(owner_id=str(owner)), metadata=metadata)


@contextmanager
def installation(world: World, **settings: int) -> Iterator[Installation]:
    database = Database(world.database.url.render_as_string(hide_password=False))
    results = UseCases.on(database, Blobs.from_url(world.folder.as_uri()), world.links, **settings)
    with (
        running(results_server(results, verifier("results"), threads=4)) as address,
        grpc.insecure_channel(address) as channel,
    ):
        yield Installation(results, channel)
    database.close()


@pytest.fixture
def here(world) -> Iterator[Installation]:
    """Without a quota, and without retention."""
    with installation(world) as it:
        yield it


def summed_up(world: World) -> list[tuple[UUID, int, int]]:
    """The usage of all who have a picture, from the pictures themselves."""
    with world.database.begin() as tx:
        query = "SELECT owner_id, sum(size_bytes)::bigint, count(*) FROM results GROUP BY 1 ORDER BY 1"
        return [tuple(row) for row in tx.execute(sa.text(query))]


def kept_up(world: World) -> list[tuple[UUID, int, int]]:
    """The same, as it is kept."""
    return sorted((row.owner_id, row.used_bytes, row.pictures) for row in world.rows("usage") if row.pictures)


def test_an_owner_sees_what_the_own_pictures_take(world, here):
    owner = uuid4()
    stored = [world.store(a_png(seed=seed), owner=owner) for seed in range(3)]
    world.store(a_png(64, 64))

    told = here.storage(owner)

    assert (told.used_bytes, told.pictures) == (sum(result.size_bytes for result in stored), 3)
    assert not told.HasField("quota_bytes")
    assert not told.HasField("retention_days")


def test_who_has_no_picture_uses_nothing(here):
    assert here.storage(uuid4()) == NOTHING


def test_a_repeat_takes_nothing_more(world, here):
    owner, task = uuid4(), uuid4()
    stored = world.store(owner=owner, task=task)

    world.store(a_png(64, 64), owner=owner, task=task)

    assert here.storage(owner).used_bytes == stored.size_bytes


def test_what_is_deleted_or_discarded_makes_room(world, here):
    owner, task = uuid4(), uuid4()
    deleted = world.store(owner=owner)
    for index in range(3):
        world.store(owner=owner, task=task, index=index)

    world.delete(owner, deleted.id)
    assert here.storage(owner).pictures == 3
    world.discard(task, owner)

    assert here.storage(owner) == NOTHING


def test_of_an_erased_owner_no_sum_is_left(world):
    owner = uuid4()
    world.store(owner=owner)

    world.results.storing.erase(owner)

    assert world.rows("usage") == []


def test_the_sum_is_right_whatever_meets(world):
    owners = [uuid4(), uuid4()]
    for _ in range(ROUNDS):
        calls = []
        for owner in owners:
            task, stored = uuid4(), world.store(owner=owner)
            calls += [partial(world.store, a_png(seed=seed), owner=owner) for seed in range(3)]
            calls += [partial(world.store, owner=owner, task=task, index=index % 2) for index in range(4)]
            calls += [partial(world.discard, task, owner), *[partial(world.delete, owner, stored.id)] * 2]

        answers = at_once(calls)

        assert not {answer for answer in answers if isinstance(answer, str)} - {"FAILED_PRECONDITION", "NOT_FOUND"}
        assert kept_up(world) == summed_up(world)
    assert {owner for owner, *_ in kept_up(world)} == set(owners)


def test_pictures_that_were_there_before_the_sum_are_in_it(world):
    """And each has been let go since it was stored."""
    owner = uuid4()
    stored = [world.store(owner=owner), world.store(owner=owner), world.store()]
    summed = summed_up(world)
    world.sql("DROP TABLE usage, retention")
    world.sql("ALTER TABLE results DROP COLUMN let_go_at")

    with world.database.begin() as tx, Operations.context(MigrationContext.configure(tx)):
        import_module("services.results.migrations.0007_storage").upgrade()

    assert kept_up(world) == summed
    assert [row.let_go_at for row in world.rows("results")] == [row.created_at for row in world.rows("results")]
    assert len(stored) == len(world.rows("results"))


def test_an_owner_is_full_once_the_pictures_take_the_quota(world):
    owner = uuid4()
    used = world.store(owner=owner).size_bytes
    with installation(world, quota_bytes=used) as full, installation(world, quota_bytes=used + 1) as nearly:
        assert full.quota(owner) == quota_service_pb2.CheckQuotaResponse(
            is_full=True, used_bytes=used, quota_bytes=used
        )
        assert nearly.quota(owner) == quota_service_pb2.CheckQuotaResponse(used_bytes=used, quota_bytes=used + 1)
        assert full.storage(owner).quota_bytes == used
        assert not full.quota(uuid4()).is_full


def test_deleting_makes_room_at_once(world):
    owner = uuid4()
    stored = world.store(owner=owner)
    with installation(world, quota_bytes=1) as it:
        assert it.quota(owner).is_full
        world.delete(owner, stored.id)
        assert not it.quota(owner).is_full


def test_without_a_quota_nobody_is_full(world, here):
    owner = uuid4()
    used = world.store(owner=owner).size_bytes

    assert here.quota(owner) == quota_service_pb2.CheckQuotaResponse(used_bytes=used)


def test_a_picture_is_stored_even_if_its_owner_is_full_by_then(world):
    owner, task = uuid4(), uuid4()
    world.store(owner=owner, task=task)
    with installation(world, quota_bytes=1) as it:
        assert it.quota(owner).is_full
        it_stored = world.store(owner=owner, task=task, index=1)
        assert it.storage(owner).pictures == 2
    assert world.get(owner, it_stored.id) == it_stored


@pytest.mark.parametrize(
    "metadata",
    [as_person(), as_person(role="operator"), as_service("worker", "results"), as_service("gateway", "results")],
    ids=["a person", "an operator", "a worker", "the gateway"],
)
def test_only_generation_asks_about_others(here, metadata):
    with pytest.raises(grpc.RpcError) as caught:
        here.quota(uuid4(), metadata)

    assert refusal(caught) == Refusal("PERMISSION_DENIED", "CALLER_NOT_ALLOWED")


def test_an_owner_that_cannot_be_one_is_an_invalid_field(here):
    with pytest.raises(grpc.RpcError) as caught:
        here.quota("nobody")

    assert refusal(caught) == Refusal("INVALID_ARGUMENT", "INVALID_FIELD", ("owner_id",))


def test_the_database_itself_refuses_a_sum_below_nothing(world):
    world.store()

    for broken in ("used_bytes = -1", "pictures = -1"):
        with pytest.raises(sa.exc.IntegrityError):
            world.sql(f"UPDATE usage SET {broken}")
