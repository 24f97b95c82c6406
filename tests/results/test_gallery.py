"""What people find in their gallery, mark in it, and throw out of it."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from imagegen.results.v1 import results_service_pb2 as pb

from services.results.store.shelves import SHELF
from tests.identities import as_person
from tests.results.conftest import Refusal, World, a_recipe, refusal
from tests.results.pictures import a_png

NOT_FOUND = Refusal("NOT_FOUND", "RESULT_NOT_FOUND")
DELETED, MISSING = pb.BatchDeleteResultsResponse.OUTCOME_DELETED, pb.BatchDeleteResultsResponse.OUTCOME_NOT_FOUND


def found(world: World, owner: UUID, *, size: int = 100, **wanted: object) -> list[str]:
    """The prompts of all pages."""
    prompts: list[str] = []
    token = ""
    while True:
        page = world.listed(owner, page_size=size, page_token=token, **wanted)
        assert len(page.results) <= size
        prompts += [result.prompt for result in page.results]
        token = page.next_page_token
        if not token:
            return prompts


def fill_shelf(world: World) -> None:
    """So that the next picture stands on another."""
    last = f"(ordinal / {SHELF} + 1) * {SHELF} - 1"
    world.sql(f"UPDATE results SET ordinal = {last} WHERE ordinal = (SELECT max(ordinal) FROM results)")


def at(moment: datetime) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromDatetime(moment)
    return timestamp


def marks(world: World, owner: UUID, result_id: str, favorite: bool) -> None:
    request = pb.SetFavoriteRequest(result_id=result_id, favorite=favorite)
    world.people.SetFavorite(request, metadata=as_person(owner))


def deletes(world: World, owner: UUID, ids: Sequence[str]) -> list[int]:
    request = pb.BatchDeleteResultsRequest(result_ids=ids)
    return list(world.people.BatchDeleteResults(request, metadata=as_person(owner)).outcomes)


@pytest.fixture
def painted(world) -> Callable[..., UUID]:
    """Somebody with a picture of each prompt, in this order."""

    def paint(*prompts: str, owner: UUID | None = None, **recipe: object) -> UUID:
        owner = owner or uuid4()
        for prompt in prompts:
            world.store(owner=owner, prompt=prompt, **recipe)
        return owner

    return paint


def test_a_result_says_what_it_was_painted_with_and_from(world):
    owner, task = uuid4(), uuid4()
    stored = world.store(owner=owner, task=task, model="sdxl", prompt="a fox")

    assert (stored.model, stored.prompt, stored.favorite) == ("sdxl", "a fox", False)
    assert world.listed(owner).results[0] == world.get(owner, stored.id) == stored
    (of_task,) = world.listed(owner, task_ids=[str(task)]).results
    assert (of_task.id, of_task.model, of_task.prompt) == (stored.id, "", "")


def test_a_text_is_found_newest_first_and_only_among_ones_own(world, painted):
    owner = painted("a red fox", "a lighthouse", "雨后的江南古镇", "a fox and a lighthouse")
    painted("a red fox")

    assert found(world, owner, text="fox") == ["a fox and a lighthouse", "a red fox"]
    assert found(world, owner, text="light FOX") == ["a fox and a lighthouse"]
    assert found(world, owner, text="江南") == ["雨后的江南古镇"]
    assert found(world, owner, text="wolf") == found(world, owner, text="?!") == []
    assert len(found(world, owner, text="  ")) == 4


def test_every_filter_narrows_what_the_others_leave(world):
    owner = uuid4()
    for prompt, model in (("a fox", "sdxl"), ("a fox at night", "sd15"), ("a wolf", "sdxl")):
        marks(world, owner, world.store(owner=owner, prompt=prompt, model=model).id, favorite=prompt != "a wolf")

    assert found(world, owner, model="sdxl") == ["a wolf", "a fox"]
    assert found(world, owner, model="sd") == []
    assert found(world, owner, favorite=True) == ["a fox at night", "a fox"]
    assert found(world, owner, favorite=False) == ["a wolf"]
    assert found(world, owner, model="sdxl", favorite=True) == ["a fox"]
    assert found(world, owner, model="sdxl", favorite=True, text="wolf") == []
    assert found(world, owner, model="sd15", favorite=True, text="night") == ["a fox at night"]


@pytest.mark.parametrize("text", ["", "fox"])
def test_dates_bound_what_is_found_from_one_moment_on_and_before_another(world, painted, text):
    owner = painted("fox 0", "fox 1", "fox 2")
    moments = [result.create_time for result in reversed(world.listed(owner).results)]

    assert found(world, owner, text=text, created_from=moments[1]) == ["fox 2", "fox 1"]
    assert found(world, owner, text=text, created_before=moments[1]) == ["fox 0"]
    assert found(world, owner, text=text, created_from=moments[1], created_before=moments[2]) == ["fox 1"]
    assert found(world, owner, text=text, created_from=moments[2], created_before=moments[1]) == []
    ever = {
        "created_from": at(datetime.min.replace(tzinfo=UTC)),
        "created_before": at(datetime.max.replace(tzinfo=UTC)),
    }
    assert found(world, owner, text=text, **ever) == ["fox 2", "fox 1", "fox 0"]
    assert found(world, owner, text=text, created_before=at(datetime.now(UTC) - timedelta(days=1))) == []


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_pages_of_a_search_go_on_from_shelf_to_shelf(world, painted, size):
    owner = uuid4()
    for number in range(5):
        painted(f"fox {number}", f"wolf {number}", owner=owner)
        fill_shelf(world)
    foxes = [f"fox {number}" for number in reversed(range(5))]

    assert {row.ordinal // SHELF for row in world.rows("results")} == set(range(5))
    assert found(world, owner, size=size, text="fox") == foxes
    assert found(world, owner, size=size, model="sdxl") == found(world, owner, size=size)


def test_a_search_goes_on_where_it_was_when_its_last_result_is_deleted(world, painted):
    owner = painted("fox 0", "fox 1", "fox 2")
    page = world.listed(owner, page_size=1, text="fox")
    world.delete(owner, page.results[0].id)
    painted("fox 3", owner=owner)

    rest = world.listed(owner, page_token=page.next_page_token, text="fox").results
    assert [result.prompt for result in rest] == ["fox 1", "fox 0"]


def test_some_are_listed_by_their_ids_as_far_as_they_are_there(world, painted):
    owner = painted("fox 0", "fox 1", "fox 2")
    two, _, zero = (result.id for result in world.listed(owner).results)
    (foreign,) = (result.id for result in world.listed(painted("a wolf")).results)

    page = world.listed(owner, result_ids=[zero, str(uuid4()), foreign, two], page_size=1, text="wolf")
    assert ([result.id for result in page.results], page.next_page_token) == ([two, zero], "")
    for ids, field in (([str(uuid4())] * 101, "result_ids"), (["7"], "result_ids[0]")):
        with pytest.raises(grpc.RpcError) as caught:
            world.listed(owner, result_ids=ids)
        assert refusal(caught) == Refusal("INVALID_ARGUMENT", "INVALID_FIELD", (field,))


def test_a_page_token_goes_with_its_filters(world, painted):
    owner = painted("fox 0", "fox 1")
    token = world.listed(owner, page_size=1, text="fox").next_page_token

    for other in ({}, {"text": "fox", "model": "sdxl"}, {"text": "fox", "favorite": False}):
        with pytest.raises(grpc.RpcError) as caught:
            world.listed(owner, page_token=token, **other)
        assert refusal(caught) == Refusal("INVALID_ARGUMENT", "INVALID_CURSOR", ("page_token",))


def test_every_filter_has_its_rule(world):
    for field, value in (("text", "a" * 201), ("text", "\0"), ("model", "a" * 65), ("model", "\0")):
        with pytest.raises(grpc.RpcError) as caught:
            world.listed(uuid4(), **{field: value})
        assert refusal(caught) == Refusal("INVALID_ARGUMENT", "INVALID_FIELD", (field,))


def test_pictures_that_come_at_the_same_time_are_counted_in_the_order_of_their_ids(world):
    owner = uuid4()
    with ThreadPoolExecutor(8) as workers:
        list(workers.map(lambda _: world.store(owner=owner), range(16)))

    rows = sorted(world.rows("results"), key=lambda row: row.id)
    ordinals = [row.ordinal for row in rows]
    assert ordinals == sorted(ordinals)


def test_a_picture_that_comes_behind_its_time_takes_no_later_place_than_those_that_passed_it(world, painted):
    owner = painted("fox 0")
    fill_shelf(world)
    world.sql("UPDATE results SET id = 'ffffffff-ffff-7fff-bfff-ffffffffffff'")
    painted("fox 1", "fox 2", owner=owner)

    assert found(world, owner, size=1, text="fox") == ["fox 0", "fox 2", "fox 1"]


def test_a_favorite_is_one_until_it_is_unmarked_and_marking_may_be_repeated(world, painted):
    owner = painted("雨后的江南古镇, a fox")
    (result,) = world.listed(owner).results

    for favorite in (True, True, False, False, True):
        marks(world, owner, result.id, favorite)
        assert world.get(owner, result.id).favorite == favorite
        assert len(found(world, owner, favorite=favorite, text="江南古镇 fox")) == 1
        assert found(world, owner, favorite=not favorite) == []


def test_nobody_else_marks_or_deletes_a_picture(world, painted):
    owner = painted("a fox")
    (result,) = world.listed(owner).results

    with pytest.raises(grpc.RpcError) as caught:
        marks(world, uuid4(), result.id, True)
    assert refusal(caught) == NOT_FOUND
    assert deletes(world, uuid4(), [result.id]) == [MISSING]
    assert world.get(owner, result.id) == result


def test_many_are_deleted_at_once_and_each_has_its_outcome(world):
    owner = uuid4()
    first, second, kept = (world.store(owner=owner).id for _ in range(3))
    foreign = world.store(owner=uuid4()).id

    ids = [first, str(uuid4()), second.upper(), foreign, first]
    assert deletes(world, owner, ids) == [DELETED, MISSING, DELETED, MISSING, DELETED]
    assert [result.id for result in world.listed(owner).results] == [kept]
    assert deletes(world, owner, [first, kept]) == [MISSING, DELETED]


def test_what_was_deleted_with_others_is_gone_for_good_and_the_sweep_frees_its_room(world):
    owner, task = uuid4(), uuid4()
    ids = [world.store(owner=owner, task=task, index=index).id for index in range(3)]

    assert deletes(world, owner, ids) == [DELETED] * 3
    for index in range(3):
        with pytest.raises(grpc.RpcError) as caught:
            world.store(owner=owner, task=task, index=index)
        assert refusal(caught).reason == "RESULT_DISCARDED"
    world.results.sweeper.sweep()
    assert world.files() == world.rows("orphans") == []


def test_two_who_delete_the_same_pictures_share_them_out(world):
    owner = uuid4()
    ids = [world.store(owner=owner).id for _ in range(20)]

    with ThreadPoolExecutor(4) as callers:
        answers = list(callers.map(lambda turn: deletes(world, owner, ids[turn:] + ids[:turn]), range(4)))

    assert sum(answer.count(DELETED) for answer in answers) == len(ids)


def test_from_one_to_a_hundred_are_deleted_at_once(world):
    for ids, field in (([], "result_ids"), ([str(uuid4())] * 101, "result_ids"), (["7"], "result_ids[0]")):
        with pytest.raises(grpc.RpcError) as caught:
            deletes(world, uuid4(), ids)
        assert refusal(caught) == Refusal("INVALID_ARGUMENT", "INVALID_FIELD", (field,))


def test_a_recipe_is_all_that_a_picture_was_painted_from(world):
    owner = uuid4()
    recipe = {
        "model": "sdxl",
        "prompt": "雨后的江南古镇",
        "negative_prompt": "模糊",
        "width": 32,
        "height": 24,
        "steps": 25,
        "cfg": 7.5,
        "seed": 2**62,
        "count": 4,
        "engine": "ComfyUI 0.33, cpu",
    }
    stored = world.store(a_png(64, 48), owner=owner, index=3, **recipe)

    answer = world.people.GetRecipe(pb.GetRecipeRequest(result_id=stored.id), metadata=as_person(owner))
    assert (answer.recipe, answer.index) == (a_recipe(**recipe), 3)


def test_somebody_elses_recipe_is_not_there(world, painted):
    (result,) = world.listed(painted("a fox")).results

    with pytest.raises(grpc.RpcError) as caught:
        world.people.GetRecipe(pb.GetRecipeRequest(result_id=result.id), metadata=as_person())
    assert refusal(caught) == NOT_FOUND


def test_a_picture_of_old_has_no_recipe_and_is_found_as_a_favorite(world, painted):
    owner = painted("a fox")
    world.sql("UPDATE results SET model = '', prompt = '', words = ''")
    (result,) = world.listed(owner).results

    with pytest.raises(grpc.RpcError) as caught:
        world.people.GetRecipe(pb.GetRecipeRequest(result_id=result.id), metadata=as_person(owner))
    assert refusal(caught) == Refusal("NOT_FOUND", "RECIPE_UNKNOWN")
    marks(world, owner, result.id, True)
    assert len(found(world, owner, favorite=True)) == 1
