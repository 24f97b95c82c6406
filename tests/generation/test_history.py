"""ListTasks' filters: what is wanted, all of it and each task once."""

from datetime import UTC, datetime, timedelta
from itertools import chain
from uuid import uuid4

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from imagegen.generation.v1 import generation_service_pb2 as pb
from imagegen.generation.v1 import task_pb2

from services.runtime.protos import to_enum, to_timestamp
from tests.generation.builders import a_model_message
from tests.generation.conftest import state_of
from tests.grpc_errors import fields, reason


def found(world, *states: str, **filters: object) -> list[str]:
    """The prompts of the tasks that pass, newest first."""
    wanted = [to_enum(task_pb2.TaskState, state) for state in states]
    return [task.prompt for task in world.listed(states=wanted, **filters).tasks]


def refused(world, **filters: object) -> tuple[str, list[str]]:
    with pytest.raises(grpc.RpcError) as caught:
        world.listed(**filters)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    return reason(caught.value), fields(caught.value)


def test_tasks_are_found_by_their_states(world):
    for state in ("pending", "processing", "completed", "failed", "canceled"):
        task_id = world.submitted(prompt=state)
        if state != "pending":
            failure = {"failure": {"reason": task_pb2.FAILURE_REASON_TIMED_OUT, "message": "."}}
            world.stand_in.tell(task_id, state, **failure if state == "failed" else {})
        world.get(task_id)

    assert found(world, "failed") == ["failed"]
    assert found(world, "pending", "canceled", "pending") == ["canceled", "pending"]
    assert len(found(world)) == 5


def test_a_task_that_has_just_changed_is_not_shown_among_those_of_its_old_state(world):
    still, done = world.submitted(prompt="still"), world.submitted(prompt="done")
    world.stand_in.tell(done, "completed", hint=False)

    assert found(world, "pending") == ["still"]
    assert found(world, "completed") == ["done"]
    assert state_of(world.get(still)) == "pending"


def test_tasks_are_found_by_their_model(world):
    world.stand_in.models = [a_model_message("sd15"), a_model_message("sdxl")]
    world.first.tasks.refresh_catalogue()
    world.create(prompt="small", model="sd15")
    world.create(prompt="large", model="sdxl")

    assert found(world, model="sdxl") == ["large"]
    assert found(world, model="sd") == []


def test_tasks_are_found_by_when_they_were_made(world):
    made = [world.create(prompt=prompt).create_time for prompt in ("first", "second", "third")]

    assert found(world, created_from=made[1]) == ["third", "second"]
    assert found(world, created_before=made[1]) == ["first"]
    assert found(world, created_from=made[1], created_before=made[2]) == ["second"]


def test_between_a_moment_and_an_earlier_one_there_is_nothing(world):
    now = datetime.now(UTC)
    world.create()

    assert found(world, created_from=to_timestamp(now), created_before=to_timestamp(now - timedelta(days=1))) == []
    assert found(world, created_from=to_timestamp(now), created_before=to_timestamp(now)) == []


@pytest.mark.parametrize("field", ["created_from", "created_before"])
@pytest.mark.parametrize("moment", [{"seconds": 10**15}, {"seconds": -(10**15)}, {"nanos": -1}, {"nanos": 2 * 10**9}])
def test_a_moment_that_is_none_is_refused(world, field, moment):
    assert refused(world, **{field: Timestamp(**moment)}) == ("INVALID_FIELD", [field])


def test_the_first_and_the_last_moment_of_all_are_moments(world):
    world.create(prompt="now")

    first, last = Timestamp(seconds=-62_135_596_800), Timestamp(seconds=253_402_300_799, nanos=999_999_999)

    assert found(world, created_from=first, created_before=last) == ["now"]


@pytest.mark.parametrize(
    ("text", "prompts"),
    [
        ("light", ["A LIGHTHOUSE", "a lighthouse"]),
        ("LightHouse", ["A LIGHTHOUSE", "a lighthouse"]),
        ("été", ["Un ÉTÉ à la mer"]),
        ("灯塔", ["海边的灯塔"]),
        ("0%", ["100% 50_50 \\o/"]),
        ("_", ["100% 50_50 \\o/"]),
        ("\\", ["100% 50_50 \\o/"]),
        ("%house", []),
        ("a_lighthouse", []),
        ("' OR '1'='1", []),
        ("", ["100% 50_50 \\o/", "海边的灯塔", "Un ÉTÉ à la mer", "A LIGHTHOUSE", "a lighthouse"]),
    ],
)
def test_tasks_are_found_by_text_of_their_prompt_in_which_every_character_means_itself(world, text, prompts):
    for prompt in ("a lighthouse", "A LIGHTHOUSE", "Un ÉTÉ à la mer", "海边的灯塔", "100% 50_50 \\o/"):
        world.create(prompt=prompt, negative_prompt="light 0% _ \\")

    assert found(world, text=text) == prompts


def test_every_filter_must_be_passed(world):
    world.create(prompt="a tower")
    wanted = world.create(prompt="a lighthouse")
    world.cancel(world.create(prompt="a lighthouse").id)

    assert [task.id for task in world.listed(text="light", states=[task_pb2.TASK_STATE_PENDING]).tasks] == [wanted.id]
    assert found(world, "pending", text="light", model="sdxl") == []


def test_nobody_finds_somebody_elses_tasks(world):
    world.create(prompt="a lighthouse")

    assert world.listed(uuid4(), text="light", model="sd15").tasks == []


def test_a_list_with_filters_is_read_in_pages_and_each_task_once(world):
    made = [world.create(prompt=prompt).id for prompt in ("a tower", "a lighthouse") * 5]
    pages, token = [], ""
    while token or not pages:
        page = world.listed(page_size=2, text="light", page_token=token)
        pages.append([task.id for task in page.tasks])
        token = page.next_page_token
        world.create(prompt="a later lighthouse")

    assert [len(page) for page in pages] == [2, 2, 1]
    assert list(chain(*pages)) == made[1::2][::-1]


def test_a_page_token_goes_with_its_filters(world):
    for _ in range(3):
        world.create(prompt="a lighthouse")
    filtered = world.listed(page_size=1, text="light").next_page_token
    unfiltered = world.listed(page_size=1).next_page_token
    refusal = ("INVALID_CURSOR", ["page_token"])

    assert refused(world, page_token=filtered, text="house") == refusal
    assert refused(world, page_token=filtered) == refusal
    assert refused(world, page_token=unfiltered, text="light") == refusal
    assert len(found(world, page_token=filtered, text="light", page_size=2)) == 2


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("text", "a\x00b"),
        ("text", "x" * 201),
        ("model", "a\x00b"),
        ("model", "x" * 65),
        ("states", [0]),
        ("states", [99]),
        ("states", [1] * 6),
        ("page_size", 101),
    ],
)
def test_a_filter_that_breaks_the_contract_is_named(world, field, value):
    refusal, [named] = refused(world, **{field: value})

    assert (refusal, named.partition("[")[0]) == ("INVALID_FIELD", field)


def test_a_list_may_ask_for_everything_at_once(world):
    task = world.create(prompt="a lighthouse")

    answer = world.listed(
        states=list(task_pb2.TaskState.values())[1:],
        model="sd15",
        created_from=task.create_time,
        created_before=to_timestamp(datetime.now(UTC) + timedelta(hours=1)),
        text="LIGHT",
        page_size=100,
    )

    assert answer == pb.ListTasksResponse(tasks=[task])
