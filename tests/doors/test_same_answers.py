"""One list of scenarios, through REST, gRPC and gRPC-web (binary and text): the same code, the same fields named, the
same content.

A deadline that a client sets with its call is gRPC's own and has no twin in REST: there the gateway's holds, which
tests/gateway/test_problems.py shows to become 504 as the table has it.
"""

from collections.abc import Iterator

import grpc
import pytest

from tests.doors.asking import DOORS, contract
from tests.doors.contents import shared, without
from tests.doors.scenarios import SCENARIOS, World


@pytest.fixture(scope="module")
def world(installation) -> Iterator[World]:
    with grpc.insecure_channel(installation.url.removeprefix("http://")) as channel:
        world = World(installation, channel)
        yield world
        for http in (world.http, world.person.http, world.other.http):
            http.close()


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_every_door_gives_the_same_answer(world, scenario):
    answers = {
        door.__name__: door(world, scenario.method, scenario.request(world), scenario.token(world)) for door in DOORS
    }
    for told in answers.values():
        assert (told.code, told.reason, told.wrong.keys()) == (scenario.code, scenario.reason, scenario.fields), answers
    rest, *contracts = answers.values()
    for told in contracts:
        assert (told.message, told.wrong) == (rest.message, rest.wrong)
        if scenario.code is grpc.StatusCode.OK:
            assert shared(rest.content, told.content, scenario.apart) == without(told.content, scenario.apart)


def test_a_deadline_that_passes_is_told_alike_by_grpc_and_grpc_web(world):
    path, message, answer = contract("GetMe", {})
    call = world.channel.unary_unary(path, type(message).SerializeToString, answer.FromString)
    metadata = (("authorization", f"Bearer {world.token}"),)
    with pytest.raises(grpc.RpcError) as late:
        call(message, metadata=metadata, timeout=0.000_001)
    assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    headers = {"content-type": "application/grpc-web+proto", "grpc-timeout": "1n", "authorization": metadata[0][1]}
    # A server that is quick may win against a nanosecond now and then.
    answers = (world.http.post(path, content=b"\0\0\0\0\0", headers=headers) for _ in range(20))
    assert "4" in (answer.headers.get("grpc-status") for answer in answers)
