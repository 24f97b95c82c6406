"""ResultsService: what people see of their pictures."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import grpc
import pytest
from imagegen.results.v1 import result_pb2
from prometheus_client import REGISTRY

from services.results.delivery import Wanted
from services.results.domain import OwnerId, ResultId, ResultNotFound
from services.runtime.pages import encode_page_token
from tests.identities import as_person, as_service
from tests.results.conftest import Refusal, refusal
from tests.results.pictures import a_png, pixels

NOT_FOUND = Refusal("NOT_FOUND", "RESULT_NOT_FOUND")
LINK_INVALID = Refusal("PERMISSION_DENIED", "LINK_INVALID")
PICTURE_LOST = Refusal("DATA_LOSS", "PICTURE_LOST")


def test_its_owner_gets_a_result_as_it_was_stored(world):
    owner = uuid4()
    stored = world.store(owner=owner)

    assert world.get(owner, stored.id) == stored
    assert datetime.now(UTC) - stored.create_time.ToDatetime(tzinfo=UTC) < timedelta(minutes=1)


def test_somebody_elses_result_is_not_there(world):
    stored = world.store(owner=uuid4())
    reads = [
        lambda: world.get(uuid4(), stored.id),
        lambda: world.delete(uuid4(), stored.id),
        lambda: world.download(stored.id, as_person()),
    ]
    for read in reads:
        with pytest.raises(grpc.RpcError) as caught:
            read()
        assert refusal(caught) == NOT_FOUND
    assert len(world.files()) == 1


def test_a_result_id_is_a_uuid(world):
    reads = [
        lambda: world.get(uuid4(), "7"),
        lambda: world.delete(uuid4(), "7"),
        lambda: world.download("7", as_person()),
    ]
    for read in reads:
        with pytest.raises(grpc.RpcError) as caught:
            read()
        assert refusal(caught) == Refusal("INVALID_ARGUMENT", "INVALID_FIELD", ("result_id",))


def test_pages_show_ones_own_results_newest_first_and_each_once(world):
    owner = uuid4()
    stored = [world.store(owner=owner).id for _ in range(5)]
    world.store(owner=uuid4())

    pages, token = [], ""
    while not pages or token:
        page = world.listed(owner, page_size=2, page_token=token)
        pages.append([result.id for result in page.results])
        token = page.next_page_token

    newest_first = sorted(stored, reverse=True)
    assert pages == [newest_first[:2], newest_first[2:4], newest_first[4:]]


def test_a_page_holds_twenty_unless_told_otherwise(world):
    owner, task = uuid4(), uuid4()
    for index in range(21):
        world.store(owner=owner, task=task, index=index)

    page = world.listed(owner)

    assert len(page.results) == 20
    assert len(world.listed(owner, page_token=page.next_page_token).results) == 1


def test_a_page_that_ends_with_the_last_result_is_the_last_page(world):
    owner = uuid4()
    world.store(owner=owner)

    assert world.listed(owner, page_size=1).next_page_token == ""


def test_pages_go_on_where_they_were_when_their_last_result_is_deleted(world):
    owner = uuid4()
    stored = sorted((world.store(owner=owner).id for _ in range(3)), reverse=True)
    page = world.listed(owner, page_size=1)
    world.delete(owner, stored[0])

    assert [r.id for r in world.listed(owner, page_token=page.next_page_token).results] == stored[1:]


def test_the_results_of_tasks_come_on_one_page_by_task_and_index(world):
    owner, tasks = uuid4(), sorted([uuid4(), uuid4()])
    for task in reversed(tasks):
        for index in (2, 0, 1):
            world.store(owner=owner, task=task, index=index)
    world.store(owner=owner)

    page = world.listed(owner, task_ids=[str(task) for task in tasks], page_size=1)

    assert [(UUID(r.task_id), r.index) for r in page.results] == [(t, i) for t in tasks for i in range(3)]
    assert page.next_page_token == ""


def test_the_results_of_somebody_elses_task_are_not_listed(world):
    task = uuid4()
    world.store(owner=uuid4(), task=task)

    assert list(world.listed(uuid4(), task_ids=[str(task)]).results) == []


def test_a_page_token_of_another_make_is_refused(world):
    for token in ("nonsense", "e30", encode_page_token(uuid4())[:-8]):
        with pytest.raises(grpc.RpcError) as caught:
            world.listed(uuid4(), page_token=token)
        assert refusal(caught) == Refusal("INVALID_ARGUMENT", "INVALID_CURSOR", ("page_token",))


def test_every_field_of_a_list_has_its_rule(world):
    broken = [
        ("page_size", -1, "page_size"),
        ("page_size", 101, "page_size"),
        ("page_token", "a" * 257, "page_token"),
        ("task_ids", ["7"], "task_ids[0]"),
        ("task_ids", [str(uuid4()) for _ in range(101)], "task_ids"),
    ]
    for field, value, named in broken:
        with pytest.raises(grpc.RpcError) as caught:
            world.listed(uuid4(), **{field: value})
        assert refusal(caught) == Refusal("INVALID_ARGUMENT", "INVALID_FIELD", (named,))


def test_a_deleted_result_is_gone_from_every_read_and_from_the_store(world):
    owner, task = uuid4(), uuid4()
    stored = world.store(owner=owner, task=task)

    world.delete(owner, stored.id)

    reads = [
        lambda: world.get(owner, stored.id),
        lambda: world.delete(owner, stored.id),
        lambda: world.download(stored.id, as_person(owner)),
        lambda: world.download(stored.id, link=stored.image_link),
    ]
    for read in reads:
        with pytest.raises(grpc.RpcError) as caught:
            read()
        assert refusal(caught) == NOT_FOUND
    assert list(world.listed(owner).results) == list(world.listed(owner, task_ids=[str(task)]).results) == []
    assert world.files() == world.rows("orphans") == []


def test_a_large_picture_is_downloaded_whole_in_pieces_of_256_kib(world):
    owner, png = uuid4(), a_png(700, 500)
    stored = world.store(png, owner=owner)

    picture, chunks = world.download(stored.id, as_person(owner))

    assert picture.sha256 == stored.sha256
    assert len(chunks) > 3
    assert {len(chunk) for chunk in chunks[:-1]} == {256 * 1024}
    assert pixels(b"".join(chunks)) == pixels(png)


def test_whoever_has_the_link_sees_the_picture(world):
    stored = world.store(owner=uuid4())

    for metadata in ((), as_person(), as_service("gateway", "results")):
        picture, chunks = world.download(stored.id, metadata, stored.image_link)
        assert picture.sha256 == stored.sha256
        assert pixels(b"".join(chunks)) == pixels(a_png())


def test_a_link_opens_its_own_picture_only(world):
    owner = uuid4()
    mine, other = world.store(owner=owner), world.store(owner=owner)

    with pytest.raises(grpc.RpcError) as caught:
        world.download(other.id, link=mine.image_link)

    assert refusal(caught) == LINK_INVALID


def test_a_wrong_link_is_refused_even_if_the_owner_shows_it(world):
    owner = uuid4()
    stored = world.store(owner=owner)
    good = stored.image_link
    links = [
        result_pb2.ImageLink(),
        result_pb2.ImageLink(expires=good.expires),
        result_pb2.ImageLink(expires=good.expires, signature="é" + good.signature[1:]),
        result_pb2.ImageLink(expires=good.expires + 86_400, signature=good.signature),
        result_pb2.ImageLink(expires=-1, signature=good.signature),
    ]
    for link in links:
        with pytest.raises(grpc.RpcError) as caught:
            world.download(stored.id, as_person(owner), link)
        assert refusal(caught) == LINK_INVALID


def test_an_expired_link_is_refused(world):
    stored = world.store()
    old = world.links.sign(UUID(stored.id), datetime.now(UTC) - timedelta(days=3))

    with pytest.raises(grpc.RpcError) as caught:
        world.download(stored.id, link=result_pb2.ImageLink(expires=old.expires, signature=old.signature))

    assert refusal(caught) == LINK_INVALID


def test_a_download_without_token_or_link_asks_for_a_token(world):
    stored = world.store()

    with pytest.raises(grpc.RpcError) as caught:
        world.download(stored.id)

    assert refusal(caught) == Refusal("UNAUTHENTICATED", "TOKEN_MISSING")


@pytest.mark.parametrize("loss", ["all", "the end"])
def test_a_picture_whose_bytes_are_lost_is_reported_and_counted(world, loss):
    owner = uuid4()
    stored = world.store(owner=owner)
    file = world.folder / f"{stored.id}.png"
    if loss == "all":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-1])
    counted = REGISTRY.get_sample_value("imagegen_results_pictures_lost_total")

    with pytest.raises(grpc.RpcError) as caught:
        world.download(stored.id, as_person(owner))

    assert refusal(caught) == PICTURE_LOST
    assert REGISTRY.get_sample_value("imagegen_results_pictures_lost_total") == counted + 1


def test_a_picture_that_is_deleted_while_it_is_being_opened_is_not_lost_but_gone(world):
    owner = uuid4()
    stored = world.store(owner=owner)
    result = world.results.delivery.owned(OwnerId(owner), ResultId(UUID(stored.id)))
    world.delete(owner, stored.id)

    with pytest.raises(ResultNotFound):
        asyncio.run(world.results.delivery.open(result, Wanted()))


def test_a_lost_picture_can_still_be_deleted(world):
    owner = uuid4()
    stored = world.store(owner=owner)
    (world.folder / f"{stored.id}.png").unlink()

    world.delete(owner, stored.id)

    assert world.rows("results") == world.rows("orphans") == []
