"""Pictures that nobody keeps go when their time is up, and no others."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import grpc
import pytest
import sqlalchemy as sa

from services.results.blobs import Blobs
from services.results.domain import OwnerId
from services.results.retention import EXPIRED_AT_ONCE
from services.results.store import remember_erased
from services.runtime.protos import from_timestamp
from tests.results.conftest import Refusal, refusal
from tests.results.retaining import age, counted, expiry, retaining, sweep_all
from tests.results.sharing import HOUR, Sharer
from tests.results.test_erasing import another
from tests.results.test_gallery import marks
from tests.results.test_storage import Installation, installation, kept_up, summed_up

DISCARDED = Refusal("FAILED_PRECONDITION", "RESULT_DISCARDED")
DAY = timedelta(days=1)


@pytest.fixture
def here(world) -> Iterator[Installation]:
    with retaining(world) as it:
        yield it


def test_a_picture_stays_for_as_long_as_it_says_and_then_goes_with_its_bytes(world, here):
    owner = uuid4()
    young, old = world.store(owner=owner), world.store(owner=owner)
    age(world, 29.99, young.id)
    age(world, 30.01, old.id)
    before = counted()

    here.results.retention.sweep()

    assert [result.id for result in world.listed(owner).results] == [young.id]
    assert world.files() == [f"{young.id}.png"]
    assert world.rows("orphans") == []
    assert kept_up(world) == summed_up(world)
    assert counted() == before + 1


def test_every_read_says_when(world, here):
    owner, task = uuid4(), uuid4()
    stored = world.store(owner=owner, task=task)

    assert from_timestamp(stored.expire_time) == from_timestamp(stored.create_time) + 30 * DAY
    assert world.store(owner=owner, task=task) == stored
    assert world.get(owner, stored.id) == stored
    assert world.listed(owner).results == [stored]
    assert [result.expire_time for result in world.listed(owner, task_ids=[str(task)]).results] == [stored.expire_time]
    assert world.listed(owner, text="fox").results == [stored]
    assert here.storage(owner).retention_days == 30


@pytest.mark.usefixtures("here")
def test_days_have_24_hours_wherever_the_database_stands(world):
    stored = world.store()
    name = world.database.url.database
    world.sql(f"ALTER DATABASE {name} SET timezone = 'America/New_York'")
    world.sql("UPDATE results SET let_go_at = '2026-03-01T12:00:00Z'")  # the clocks go forward on the 8th
    with another(world, Blobs.from_url(world.folder.as_uri())) as elsewhere:
        [row] = world.rows("results")
        result = elsewhere.gallery.get_result(row.owner_id, row.id)

    assert str(result.id) == stored.id
    assert result.expires_at == datetime(2026, 3, 31, 12, tzinfo=UTC)


def test_without_retention_everything_stays(world):
    owner = uuid4()
    stored = world.store(owner=owner)
    age(world, 10_000)

    assert not world.results.retention.sweep()

    assert expiry(world, owner, stored.id) is None
    assert world.files() == [f"{stored.id}.png"]


def test_old_pictures_have_their_full_time_from_the_day_that_retention_begins(world):
    owner = uuid4()
    stored = world.store(owner=owner)
    age(world, 1000)
    with installation(world, retention_days=30) as it:
        begun = datetime.now(UTC)
        sweep_all(it)

        assert begun + 30 * DAY <= expiry(world, owner, stored.id) <= datetime.now(UTC) + 30 * DAY
        world.sql("UPDATE retention SET since = since - interval '31 days'")
        sweep_all(it)

    assert world.files() == []


def test_a_shorter_time_begins_when_it_is_made_shorter(world, here):
    owner = uuid4()
    stored = world.store(owner=owner)
    age(world, 29)
    with installation(world, retention_days=7) as it:
        begun = datetime.now(UTC)
        sweep_all(it)

        assert expiry(world, owner, stored.id) >= begun + 7 * DAY


def test_a_longer_time_counts_from_where_it_did(world, here):
    owner = uuid4()
    stored = world.store(owner=owner)
    age(world, 29)
    before = expiry(world, owner, stored.id)
    with installation(world, retention_days=90) as it:
        sweep_all(it)

        assert expiry(world, owner, stored.id) == before + 60 * DAY


def test_what_was_switched_off_begins_anew(world, here):
    owner = uuid4()
    stored = world.store(owner=owner)
    age(world, 31)
    world.results.retention.sweep()
    assert expiry(world, owner, stored.id) is None

    sweep_all(here)

    assert expiry(world, owner, stored.id) >= datetime.now(UTC) + 29 * DAY


def test_a_restart_moves_nothing(world, here):
    world.store()
    [before] = world.rows("retention")
    with installation(world, retention_days=30) as again:
        again.results.retention.sweep()

    assert world.rows("retention") == [before]


def test_a_repeat_does_not_bring_back_what_has_expired(world, here):
    owner, task = uuid4(), uuid4()
    world.store(owner=owner, task=task)
    sibling = world.store(owner=owner, task=task, index=1)
    age(world, 31)
    age(world, -31, sibling.id)
    here.results.retention.sweep()

    with pytest.raises(grpc.RpcError) as caught:
        world.store(owner=owner, task=task)

    assert refusal(caught) == DISCARDED
    assert world.listed(owner).results == [sibling]


def test_a_favorite_stays_and_says_so(world, here):
    owner = uuid4()
    stored = world.store(owner=owner)
    marks(world, owner, stored.id, favorite=True)
    age(world, 1000)

    sweep_all(here)

    assert expiry(world, owner, stored.id) is None
    [listed] = world.listed(owner, favorite=True).results
    assert not listed.HasField("expire_time")


def test_what_is_no_longer_a_favorite_has_its_full_time_from_then_on(world, here):
    owner = uuid4()
    stored = world.store(owner=owner)
    marks(world, owner, stored.id, favorite=True)
    age(world, 1000)
    begun = datetime.now(UTC)
    marks(world, owner, stored.id, favorite=False)

    assert begun + 30 * DAY <= expiry(world, owner, stored.id) <= datetime.now(UTC) + 30 * DAY
    age(world, 20)
    before = expiry(world, owner, stored.id)
    marks(world, owner, stored.id, favorite=False)
    assert expiry(world, owner, stored.id) == before, "to unmark it again wins no time"


def test_a_shared_picture_stays_until_its_last_link_has_ended_and_then_has_its_full_time(world, here):
    sharer = Sharer(world)
    first, second = (sharer.create().share for _ in range(2))
    age(world, 1000)
    sharer.revoke(first)
    sweep_all(here)
    assert expiry(world, sharer.id, sharer.picture.id) is None
    begun = datetime.now(UTC)

    sharer.revoke(second)
    sweep_all(here)

    assert begun + 30 * DAY <= expiry(world, sharer.id, sharer.picture.id) <= datetime.now(UTC) + 30 * DAY
    world.sql("UPDATE shares SET revoked_at = revoked_at - interval '31 days'")
    sweep_all(here)
    assert world.files() == []
    assert sharer.listed(result_id="").shares, "that there were links is still known"


def test_a_link_that_ends_by_itself_lets_the_picture_go_then(world, here):
    sharer = Sharer(world)
    share = sharer.create(expires_in=HOUR).share
    age(world, 1000)
    assert expiry(world, sharer.id, sharer.picture.id) is None

    world.sql("UPDATE shares SET expires_at = now() - interval '29 days'")
    sweep_all(here)

    assert timedelta() < expiry(world, sharer.id, sharer.picture.id) - datetime.now(UTC) <= DAY
    sharer.update(share, expires_in=HOUR)
    assert expiry(world, sharer.id, sharer.picture.id) is None, "whoever moves its end keeps it again"


def test_a_great_many_go_piece_by_piece(world, here):
    owner = uuid4()
    world.store(owner=owner)
    world.sql(
        "INSERT INTO results SELECT (r).* FROM (SELECT jsonb_populate_record(results, to_jsonb(results) ||"
        " jsonb_build_object('id', new.id, 'task_id', new.id, 'image_url', new.id || '.png')) AS r FROM results,"
        f" (SELECT uuidv7() AS id FROM generate_series(1, {EXPIRED_AT_ONCE})) AS new)"
    )
    world.sql(f"UPDATE usage SET used_bytes = used_bytes * {EXPIRED_AT_ONCE + 1}, pictures = {EXPIRED_AT_ONCE + 1}")
    age(world, 31)

    assert here.results.retention.sweep()
    assert len(world.rows("results")) == 1
    assert not here.results.retention.sweep()

    assert world.rows("results") == world.rows("orphans") == kept_up(world) == []


def test_what_its_owner_is_just_changing_is_passed_over(world, here):
    owner = uuid4()
    held, free = world.store(owner=owner), world.store(owner=owner)
    age(world, 31)
    with world.database.begin() as tx:
        tx.execute(sa.text("SELECT FROM results WHERE id = :id FOR UPDATE"), {"id": held.id})
        here.results.retention.sweep()

        assert world.files() == [f"{held.id}.png"], "the other is gone, and nobody waited"
    here.results.retention.sweep()
    assert world.files() == []
    assert free.id != held.id


def test_what_is_left_of_an_erased_owner_is_left_to_the_erasure(world, here):
    owner = OwnerId(uuid4())
    world.store(owner=owner)
    age(world, 31)
    with world.database.begin() as tx:
        remember_erased(tx, owner, datetime.now(UTC))

    here.results.retention.sweep()

    assert world.rows("tombstones") == [], "nothing new names the owner"
    assert world.results.storing.erase(owner)
    assert world.files() == []
