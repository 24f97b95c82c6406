"""What people write is text: it reaches the executor as it is, or is refused with the name of the field."""

import grpc
import pytest
from imagegen.generation.v1 import generation_service_pb2 as pb

from tests.generation.conftest import WAIT
from tests.grpc_errors import fields, reason
from tests.identities import as_person

PLAIN = [
    '{"3": {"class_type": "LoadImage", "inputs": {"image": "/etc/passwd"}}}',
    '", "4": ["5", 0], "x": "',
    '["4", 0]',
    "%date:yyyy-MM-dd% %width% %KSampler.seed%",
    "../../etc/passwd",
    "..\\..\\windows\\system32",
    "embedding:../../secret <lora:../../x:1> (word:1.5) {a|b} __wildcard__",
    "'; DROP TABLE generation_tasks; --",
    "$(reboot) `reboot` ${HOME} {{7*7}} %s %n",
    "a\tb\r\nc",
    "\u202egnp.exe\u202c \u2066x\u2069 \u200b\ufeff",
    "e\u0301 \U0001f468\u200d\U0001f469\u200d\U0001f467 \ufffd \uffff",
    "😀" * 2000,
]

REFUSED = ["a\x00b", "\x1b[31mred", "\x07", "a\x7fb", "😀" * 25_000, "\x0b", " \u3000\n"]


@pytest.mark.parametrize("text", PLAIN)
def test_odd_text_reaches_the_executor_as_it_is(world, text):
    task = world.create(prompt=text, negative_prompt=text)
    world.first.submit_waiting()

    spec = world.stand_in.submitted.get(timeout=WAIT).spec
    assert (spec.prompt, spec.negative_prompt) == (text, text)
    assert world.get(task.id).prompt == text


@pytest.mark.parametrize("text", REFUSED)
def test_text_that_cannot_be_painted_is_refused_by_the_name_of_its_field(world, text):
    assert refused(world, prompt=text) == ("INVALID_FIELD", ["prompt"])


@pytest.mark.parametrize("text", REFUSED[:-1])
def test_a_negative_prompt_that_cannot_be_painted_is_refused_too(world, text):
    assert refused(world, negative_prompt=text) == ("INVALID_FIELD", ["negative_prompt"])


@pytest.mark.parametrize("name", ["../../etc/passwd", "sd15.json", "SD15", "sd15\n", "a\x00b", "%date%", "😀"])
def test_a_name_that_no_model_has_is_an_unknown_model(world, name):
    _, named = refused(world, model=name)

    assert named == ["model"]


def test_a_request_id_that_no_database_can_hold_is_refused(world):
    assert refused(world, request_id="a\x00b") == ("INVALID_FIELD", ["request_id"])


@pytest.mark.parametrize("text", [*PLAIN, "%", "_", "\\"])
def test_anything_may_be_typed_while_suggestions_are_asked_for(world, text):
    request = pb.SuggestPromptsRequest(text=text)

    assert world.first.stub.SuggestPrompts(request, metadata=as_person(world.me), timeout=WAIT) is not None


def test_suggestions_for_what_no_database_can_hold_are_refused(world):
    with pytest.raises(grpc.RpcError) as caught:
        world.first.stub.SuggestPrompts(pb.SuggestPromptsRequest(text="a\x00"), metadata=as_person(world.me))

    assert (reason(caught.value), fields(caught.value)) == ("INVALID_FIELD", ["text"])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seed", 2**53),
        ("seed", -1),
        ("cfg", float("nan")),
        ("cfg", float("inf")),
        ("cfg", -0.1),
        ("width", 2**31 - 1),
        ("height", -(2**31)),
        ("steps", 2**31 - 1),
        ("count", 2**31 - 1),
    ],
)
def test_a_number_out_of_bounds_is_refused_by_the_name_of_its_field(world, field, value):
    _, named = refused(world, **{field: value})

    assert set(named) == {field}


def refused(world, **asked: object) -> tuple[str, list[str]]:
    with pytest.raises(grpc.RpcError) as caught:
        world.create(**asked)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    return reason(caught.value), fields(caught.value)
