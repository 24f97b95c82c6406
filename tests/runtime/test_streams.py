"""How a stream ends that is in the middle of a message: whole, and with the reason."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import grpc
import pytest
from imagegen.generation.v1 import error_reason_pb2 as reasons
from imagegen.generation.v1 import generation_service_pb2 as pb
from imagegen.generation.v1 import generation_service_pb2_grpc

from services.runtime.errors import ErrorTable
from services.runtime.server import Server
from tests.grpc_errors import reason
from tests.identities import TestAuthority, as_person, verifier
from tests.serving import running

WAIT = 15.0
LARGE = pb.WatchTaskResponse(preview=pb.Preview(image=bytes(3 * 1024 * 1024)))
"""More than a connection holds while nobody reads."""


class Servicer(generation_service_pb2_grpc.GenerationServiceServicer):
    """Its session is revoked as soon as the message of this number is on its way."""

    revoked_in = 0

    def __init__(self) -> None:
        self.authority = TestAuthority()
        self.sid = uuid4()

    async def WatchTask(self, request, context):
        revoked = {self.sid: datetime.now(UTC) + timedelta(minutes=1)}
        for number in range(2):
            if number == self.revoked_in:
                asyncio.get_running_loop().call_soon(self.authority.revocations.add, revoked)
            yield LARGE
        await asyncio.Event().wait()


@pytest.fixture
def servicer() -> Servicer:
    return Servicer()


@pytest.fixture
def stub(servicer) -> Iterator[generation_service_pb2_grpc.GenerationServiceStub]:
    server = Server(
        [pb.DESCRIPTOR.services_by_name["GenerationService"]],
        lambda server: generation_service_pb2_grpc.add_GenerationServiceServicer_to_server(servicer, server),
        verifier=verifier("generation", servicer.authority),
        errors=ErrorTable("generation.imagegen", reasons.ErrorReason, {}),
        threads=1,
    )
    with running(server) as address, grpc.insecure_channel(address) as channel:
        yield generation_service_pb2_grpc.GenerationServiceStub(channel)


@pytest.mark.parametrize("number", [0, 1])
def test_a_stream_that_is_revoked_in_the_middle_of_a_message_says_so_after_it(stub, servicer, number):
    servicer.revoked_in = number
    request = pb.WatchTaskRequest(task_id=str(uuid4()))
    call = stub.WatchTask(request, metadata=as_person(sid=servicer.sid), timeout=WAIT)

    for _ in range(number + 1):
        assert next(call) == LARGE
    with pytest.raises(grpc.RpcError) as caught:
        next(call)

    assert (caught.value.code(), reason(caught.value)) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_REVOKED")
