"""The results service on a real PostgreSQL and a real folder, and everybody who calls it."""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import grpc
import pytest
import sqlalchemy as sa
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from imagegen.results.v1 import (
    picture_pb2,
    recipe_pb2,
    result_pb2,
    results_service_pb2,
    results_service_pb2_grpc,
    share_service_pb2_grpc,
    store_service_pb2,
    store_service_pb2_grpc,
)

from services.results.blobs import Blobs
from services.results.links import ImageLinks
from services.results.server import results_server
from services.results.use_cases import UseCases
from services.runtime.database import Database
from tests.identities import Metadata, TestAuthority, as_person, as_service, verifier
from tests.results.pictures import a_png
from tests.results.store_servers import S3Server, running_moto, running_rclone
from tests.results.stores import ALL, S3, Store, behind_a_proxy
from tests.serving import running

WORKER = as_service("worker", "results")


def a_recipe(**fields: object) -> recipe_pb2.Recipe:
    values = {"model": "sdxl", "prompt": "a fox", "width": 64, "height": 64, "steps": 4, "cfg": 7.0, "count": 1}
    return recipe_pb2.Recipe(**(values | fields))


@dataclass
class World:
    """A running service, and what lies below it."""

    people: results_service_pb2_grpc.ResultsServiceStub
    workers: store_service_pb2_grpc.StoreServiceStub
    shares: share_service_pb2_grpc.ShareServiceStub
    results: UseCases
    links: ImageLinks
    folder: Path
    database: sa.Engine
    authority: TestAuthority

    def store(
        self,
        png: bytes | None = None,
        *,
        owner: UUID | None = None,
        task: UUID | None = None,
        index: int = 0,
        size: int | None = None,
        sha256: str | None = None,
        **recipe: object,
    ) -> result_pb2.Result:
        """As a worker stores a picture; what is not given is true, or does not matter."""
        png = a_png() if png is None else png
        header = store_service_pb2.StoreResultHeader(
            task_id=str(task or uuid4()),
            owner_id=str(owner or uuid4()),
            index=index,
            size_bytes=len(png) if size is None else size,
            sha256=sha256 or hashlib.sha256(png).hexdigest(),
            recipe=a_recipe(**recipe),
        )
        return self.send([header, *(png[at : at + 65_536] for at in range(0, len(png), 65_536))])

    def send(self, parts: Iterable[store_service_pb2.StoreResultHeader | bytes]) -> result_pb2.Result:
        """As a worker sends these parts of a StoreResult stream."""
        request = store_service_pb2.StoreResultRequest
        messages = (request(chunk=part) if isinstance(part, bytes) else request(header=part) for part in parts)
        return self.workers.StoreResult(messages, metadata=WORKER, timeout=30).result

    def discard(self, task: UUID, owner: UUID) -> None:
        request = store_service_pb2.DiscardResultsRequest(task_id=str(task), owner_id=str(owner))
        self.workers.DiscardResults(request, metadata=WORKER)

    def get(self, owner: UUID, result_id: str) -> result_pb2.Result:
        request = results_service_pb2.GetResultRequest(result_id=result_id)
        return self.people.GetResult(request, metadata=as_person(owner)).result

    def listed(self, owner: UUID, **fields: object) -> results_service_pb2.ListResultsResponse:
        return self.people.ListResults(results_service_pb2.ListResultsRequest(**fields), metadata=as_person(owner))

    def delete(self, owner: UUID, result_id: str) -> None:
        request = results_service_pb2.DeleteResultRequest(result_id=result_id)
        self.people.DeleteResult(request, metadata=as_person(owner))

    def download(
        self, result_id: str, metadata: Metadata = (), link: result_pb2.ImageLink | None = None, **wanted: object
    ) -> tuple[picture_pb2.Picture, list[bytes]]:
        """The first message and all chunks."""
        request = results_service_pb2.DownloadResultRequest(result_id=result_id, link=link, **wanted)
        first, *others = self.people.DownloadResult(request, metadata=metadata, timeout=30)
        assert first.WhichOneof("part") == "picture"
        return first.picture, [message.chunk for message in others]

    def revoke(self, sid: UUID) -> None:
        """Before any call is made under it."""
        self.authority.revocations.add({sid: datetime.now(UTC) + timedelta(minutes=10)})

    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())

    def rows(self, table: str) -> list[sa.Row]:
        with self.database.begin() as tx:
            return list(tx.execute(sa.text(f"SELECT * FROM {table}")))

    def sql(self, statement: str) -> None:
        with self.database.begin() as tx:
            tx.execute(sa.text(statement))


@pytest.fixture
def world(fresh_database, tmp_path) -> Iterator[World]:
    url = fresh_database("results")
    folder = tmp_path / "pictures"
    database = Database(url)
    links = ImageLinks(bytes(range(32)))
    results = UseCases.on(database, Blobs.from_url(folder.as_uri()), links)
    authority = TestAuthority()
    engine = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg2"))
    with (
        running(results_server(results, verifier("results", authority), threads=8)) as address,
        grpc.insecure_channel(address) as channel,
    ):
        people = results_service_pb2_grpc.ResultsServiceStub(channel)
        workers = store_service_pb2_grpc.StoreServiceStub(channel)
        shares = share_service_pb2_grpc.ShareServiceStub(channel)
        yield World(people, workers, shares, results, links, folder, engine, authority)
    engine.dispose()
    database.close()


@pytest.fixture(scope="session")
def moto() -> Iterator[S3Server]:
    with running_moto() as server:
        yield server


@pytest.fixture(scope="session")
def rclone(tmp_path_factory) -> Iterator[S3Server]:
    with running_rclone(tmp_path_factory.mktemp("rclone")) as server:
        yield server


@pytest.fixture
def a_folder(tmp_path) -> Store:
    folder = tmp_path / "pictures"

    @contextmanager
    def outage() -> Iterator[None]:
        aside = folder.rename(folder.with_name("aside"))
        folder.write_text("in the way")
        yield
        folder.unlink()
        aside.rename(folder)

    return Store(Blobs.from_url(folder.as_uri()), outage)


@pytest.fixture
def memory() -> Store:
    return Store(Blobs.from_url("memory:///"))


@pytest.fixture
def s3_on_moto(moto) -> Iterator[Store]:
    with behind_a_proxy(moto) as store:
        yield store


@pytest.fixture
def s3_on_rclone(rclone) -> Iterator[Store]:
    with behind_a_proxy(rclone) as store:
        yield store


@pytest.fixture(params=ALL)
def store(request) -> Store:
    return request.getfixturevalue(request.param)


@pytest.fixture(params=S3)
def s3(request) -> Store:
    return request.getfixturevalue(request.param)


@dataclass(frozen=True)
class Refusal:
    """How the service said no."""

    code: str
    reason: str
    fields: tuple[str, ...] = ()


def refusal(caught: pytest.ExceptionInfo[grpc.RpcError]) -> Refusal:
    return refusal_of(caught.value)


def refusal_of(error: grpc.RpcError) -> Refusal:
    status = rpc_status.from_call(error)
    reason, fields = "", ()
    for detail in status.details if status else ():
        info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        if detail.Unpack(info):
            reason = info.reason
        if detail.Unpack(bad):
            fields = tuple(violation.field for violation in bad.field_violations)
    return Refusal(error.code().name, reason, fields)


@pytest.fixture
def sharer(world):
    from tests.results.sharing import Sharer  # which needs the world above

    return Sharer(world)
