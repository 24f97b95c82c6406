"""StoreService: what workers may bring, and what stays away."""

import hashlib
from uuid import UUID, uuid4

import grpc
import pytest
from imagegen.results.v1 import store_service_pb2

from services.results.domain import MAX_BYTES
from tests.results.conftest import WORKER, Refusal, a_recipe, refusal
from tests.results.pictures import a_jpeg, a_png, chunk, gray_png, header, pixels, png_of

NOT_A_PICTURE = Refusal("INVALID_ARGUMENT", "NOT_A_PICTURE")
TOO_LARGE = Refusal("INVALID_ARGUMENT", "PICTURE_TOO_LARGE")
MISMATCH = Refusal("INVALID_ARGUMENT", "CHECKSUM_MISMATCH")
DISCARDED = Refusal("FAILED_PRECONDITION", "RESULT_DISCARDED")
MISPLACED_HEADER = Refusal("INVALID_ARGUMENT", "INVALID_FIELD", ("header",))


def a_header(**fields: object) -> store_service_pb2.StoreResultHeader:
    values = {
        "task_id": str(uuid4()),
        "owner_id": str(uuid4()),
        "size_bytes": 1,
        "sha256": "0" * 64,
        "recipe": a_recipe(),
    }
    return store_service_pb2.StoreResultHeader(**(values | fields))


def test_a_stored_picture_is_described_as_it_is_stored(world):
    task, owner = uuid4(), uuid4()
    sent = a_png(640, 480, text="the graph")

    result = world.store(sent, task=task, owner=owner, index=3)

    [name] = world.files()
    stored = (world.folder / name).read_bytes()
    assert UUID(result.id).version == 7
    assert (result.task_id, result.index) == (str(task), 3)
    assert (result.width, result.height, result.media_type) == (640, 480, "image/png")
    assert (result.size_bytes, result.sha256) == (len(stored), hashlib.sha256(stored).hexdigest())
    assert b"the graph" not in stored
    assert pixels(stored) == pixels(sent)
    assert world.rows("orphans") == []


def test_a_repeat_gets_the_first_result_even_with_other_bytes(world):
    task, owner = uuid4(), uuid4()
    first = world.store(a_png(seed=1), task=task, owner=owner)

    again = world.store(a_png(seed=2), task=task, owner=owner)

    assert again == first
    assert len(world.files()) == len(world.rows("results")) == 1
    assert world.rows("orphans") == []


def test_the_pictures_of_one_task_do_not_stand_in_each_others_way(world):
    task = uuid4()

    ids = {world.store(task=task, index=index).id for index in range(4)}

    assert len(ids) == len(world.files()) == 4


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (a_jpeg(), NOT_A_PICTURE),
        (a_png()[:-20], NOT_A_PICTURE),
        (a_png() + b"PK\x03\x04 and so on", NOT_A_PICTURE),
        (gray_png(b"\0ab"), NOT_A_PICTURE),
        (png_of(header(100_000, 100_000), chunk(b"IDAT", b"x")), TOO_LARGE),
    ],
    ids=["a JPEG named PNG", "a truncated PNG", "a PNG with a ZIP tail", "a PNG that lacks a row", "a PNG bomb"],
)
def test_what_is_no_picture_of_ours_is_refused_and_leaves_nothing(world, data, why):
    with pytest.raises(grpc.RpcError) as caught:
        world.store(data)

    assert refusal(caught) == why
    assert world.files() == world.rows("results") == world.rows("orphans") == []


@pytest.mark.parametrize(
    "announced",
    [{"sha256": "0" * 64}, {"size": len(a_png()) + 1}, {"size": len(a_png()) - 1}],
    ids=["another checksum", "more bytes", "fewer bytes"],
)
def test_a_picture_that_differs_from_what_was_announced_is_refused(world, announced):
    with pytest.raises(grpc.RpcError) as caught:
        world.store(a_png(), **announced)

    assert refusal(caught) == MISMATCH
    assert world.files() == []


def test_a_worker_that_sends_more_than_it_announced_is_stopped_at_once(world):
    sent = 0

    def endless():
        nonlocal sent
        yield a_header(size_bytes=1000)
        while True:
            sent += 1
            yield bytes(65_536)

    with pytest.raises(grpc.RpcError) as caught:
        world.send(endless())

    assert refusal(caught) == MISMATCH
    assert sent < 1000


def test_a_picture_larger_than_64_mib_is_refused_by_its_announcement(world):
    with pytest.raises(grpc.RpcError) as caught:
        world.send([a_header(size_bytes=MAX_BYTES + 1)])

    assert refusal(caught) == TOO_LARGE


@pytest.mark.parametrize(
    "parts",
    [[], [b"pixels"], [b"pixels", a_header()], [a_header(), a_header()], [a_header(), b"x", a_header()]],
    ids=["nothing", "only bytes", "bytes first", "two at once", "one more behind the bytes"],
)
def test_the_header_comes_first_and_once(world, parts):
    with pytest.raises(grpc.RpcError) as caught:
        world.send(parts)

    assert refusal(caught) == MISPLACED_HEADER


def test_every_field_of_the_header_has_its_rule(world):
    broken = [
        ("task_id", "7"),
        ("owner_id", ""),
        ("index", -1),
        ("index", 64),
        ("size_bytes", 0),
        ("sha256", "A" * 64),
        ("recipe", None),
        ("recipe.model", a_recipe(model="")),
        ("recipe.width", a_recipe(width=0)),
        ("recipe.cfg", a_recipe(cfg=float("nan"))),
    ]
    for field, value in broken:
        with pytest.raises(grpc.RpcError) as caught:
            world.send([a_header(**{field.partition(".")[0]: value})])
        assert refusal(caught) == Refusal("INVALID_ARGUMENT", "INVALID_FIELD", (f"header.{field}",))


def test_a_discarded_task_loses_its_pictures_and_takes_no_more(world):
    task, owner = uuid4(), uuid4()
    result = world.store(task=task, owner=owner, index=0)
    world.store(task=task, owner=owner, index=1)
    other = world.store(owner=owner)

    world.discard(task, owner)

    with pytest.raises(grpc.RpcError) as caught:
        world.get(owner, result.id)
    assert refusal(caught).code == "NOT_FOUND"
    for index in range(3):
        with pytest.raises(grpc.RpcError) as caught:
            world.store(task=task, owner=owner, index=index)
        assert refusal(caught) == DISCARDED
    assert world.files() == [f"{other.id}.png"]
    assert world.rows("orphans") == []


def test_a_task_of_which_nothing_is_known_can_be_discarded_and_more_than_once(world):
    task, owner = uuid4(), uuid4()

    world.discard(task, owner)
    world.discard(task, owner)

    with pytest.raises(grpc.RpcError) as caught:
        world.store(task=task, owner=owner)
    assert refusal(caught) == DISCARDED


def test_a_deleted_picture_does_not_come_back_but_its_neighbours_may_come(world):
    task, owner = uuid4(), uuid4()
    world.delete(owner, world.store(task=task, owner=owner, index=0).id)

    with pytest.raises(grpc.RpcError) as caught:
        world.store(task=task, owner=owner, index=0)

    assert refusal(caught) == DISCARDED
    assert world.store(task=task, owner=owner, index=1).index == 1


def test_a_discard_touches_nobody_elses_pictures(world):
    task, owner = uuid4(), uuid4()
    result = world.store(task=task, owner=owner)

    world.discard(task, uuid4())

    assert world.get(owner, result.id) == result


def test_a_discard_names_a_task_and_an_owner(world):
    for field in ("task_id", "owner_id"):
        request = store_service_pb2.DiscardResultsRequest(task_id=str(uuid4()), owner_id=str(uuid4()))
        setattr(request, field, "x")
        with pytest.raises(grpc.RpcError) as caught:
            world.workers.DiscardResults(request, metadata=WORKER)
        assert refusal(caught) == Refusal("INVALID_ARGUMENT", "INVALID_FIELD", (field,))
