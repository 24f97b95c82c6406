"""Several replicas of one service: their callers share themselves out, and leave one that is about to stop."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

import grpc
import pytest
import trustme
from grpc_health.v1 import health_pb2, health_pb2_grpc
from imagegen.generation.v1 import generation_service_pb2 as pb
from imagegen.generation.v1 import generation_service_pb2_grpc
from imagegen.results.v1 import results_service_pb2 as results
from imagegen.results.v1 import results_service_pb2_grpc

from services.runtime.channels import aio_channel, channel
from services.runtime.errors import ErrorTable
from services.runtime.server import Server
from tests.certificates import put_certificates
from tests.identities import as_person, verifier
from tests.serving import running

CALLS = 20
ERRORS = ErrorTable("runtime.imagegen", None, {})
RESULT = "01890000-0000-7000-8000-000000000000"


class Replica(generation_service_pb2_grpc.GenerationServiceServicer):
    """Counts the calls that it answers."""

    def __init__(self, name: str, answered: Counter[str]) -> None:
        self._name = name
        self._answered = answered

    def ListModels(self, request, context):
        self._answered[self._name] += 1
        return pb.ListModelsResponse()


class Pictures(results_service_pb2_grpc.ResultsServiceServicer):
    """Sends a picture's second half when it is told to."""

    def __init__(self) -> None:
        self.rest = asyncio.Event()

    async def DownloadResult(self, request, context):
        yield results.DownloadResultResponse(chunk=b"first half, ")
        await self.rest.wait()
        yield results.DownloadResultResponse(chunk=b"second half")


@pytest.fixture
def answered() -> Counter[str]:
    return Counter()


def a_replica(name: str, answered: Counter[str]) -> Server:
    servicer = Replica(name, answered)
    return Server(
        [pb.DESCRIPTOR.services_by_name["GenerationService"]],
        lambda server: generation_service_pb2_grpc.add_GenerationServiceServicer_to_server(servicer, server),
        verifier=verifier("generation"),
        errors=ERRORS,
        threads=1,
    )


@asynccontextmanager
async def started(server: Server) -> AsyncIterator[str]:
    yield f"127.0.0.1:{await server.start('127.0.0.1:0')}"
    await server.stop(0)


async def no_longer_listening(address: str) -> None:
    host, _, port = address.partition(":")
    with pytest.raises(ConnectionRefusedError):
        for _ in range(10_000):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.close()
            await writer.wait_closed()


def share_out(answered: Counter[str]) -> None:
    """Calls two replicas until both have answered, but not for ever."""
    with ExitStack() as running_replicas:
        addresses = [running_replicas.enter_context(running(a_replica(name, answered))) for name in ("one", "other")]
        opened = running_replicas.enter_context(channel(",".join(addresses)))
        stub = generation_service_pb2_grpc.GenerationServiceStub(opened)
        while len(answered) < 2:
            stub.ListModels(pb.ListModelsRequest(), timeout=10)
            assert answered.total() < 10_000, answered


def test_replicas_share_the_calls(answered):
    share_out(answered)


def test_replicas_with_certificates_share_the_calls(answered, tmp_path, monkeypatch):
    for name, file in put_certificates(tmp_path, trustme.CA()).items():
        monkeypatch.setenv(name, file)
    share_out(answered)


def test_a_replica_that_is_about_to_stop_still_answers_and_is_not_chosen(answered):
    async def story() -> None:
        stopping = a_replica("stopping", answered)
        async with (
            started(stopping) as first,
            started(a_replica("other", answered)) as second,
            aio_channel(f"{first},{second}") as both,
            grpc.aio.insecure_channel(first) as direct,
        ):
            stub = generation_service_pb2_grpc.GenerationServiceStub(both)
            while len(answered) < 2:
                await stub.ListModels(pb.ListModelsRequest(), timeout=10)
            draining = asyncio.create_task(stopping.stop(0, drain=600))
            health = health_pb2_grpc.HealthStub(direct)
            async for told in health.Watch(health_pb2.HealthCheckRequest()):
                if told.status == health_pb2.HealthCheckResponse.NOT_SERVING:
                    break
            seen = 0
            while seen < CALLS:  # in a row: the channel hears of it as this test does, and maybe a little later
                before = answered["stopping"]
                await stub.ListModels(pb.ListModelsRequest(), timeout=10)
                seen = seen + 1 if answered["stopping"] == before else 0
                assert answered.total() < 10_000, answered
            await generation_service_pb2_grpc.GenerationServiceStub(direct).ListModels(pb.ListModelsRequest())
            draining.cancel()

    asyncio.run(story())


def test_a_download_that_is_on_its_way_is_finished(answered):
    async def story() -> bytes:
        pictures = Pictures()
        server = Server(
            [results.DESCRIPTOR.services_by_name["ResultsService"]],
            lambda server: results_service_pb2_grpc.add_ResultsServiceServicer_to_server(pictures, server),
            verifier=verifier("results"),
            errors=ERRORS,
            threads=1,
        )
        address = f"127.0.0.1:{await server.start('127.0.0.1:0')}"
        async with grpc.aio.insecure_channel(address) as opened:
            stub = results_service_pb2_grpc.ResultsServiceStub(opened)
            download = stub.DownloadResult(results.DownloadResultRequest(result_id=RESULT), metadata=as_person())
            received = (await download.read()).chunk
            stopping = asyncio.create_task(server.stop(60))
            await no_longer_listening(address)
            pictures.rest.set()
            received += (await download.read()).chunk
            assert await download.read() is grpc.aio.EOF
            await stopping
        return received

    assert asyncio.run(story()) == b"first half, second half"
