"""Downloads of variants, and processes whose stores are watched meanwhile."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from uuid import UUID, uuid4

import grpc
from imagegen.results.v1 import picture_pb2, results_service_pb2_grpc, store_service_pb2_grpc

from services.results.blobs import Blobs
from services.results.server import results_server
from services.results.use_cases import UseCases
from services.runtime.database import Database
from tests.identities import verifier
from tests.results.conftest import Refusal, World
from tests.results.pictures import a_png
from tests.serving import running

PNG, JPEG, WEBP, AVIF = (
    picture_pb2.PICTURE_FORMAT_PNG,
    picture_pb2.PICTURE_FORMAT_JPEG,
    picture_pb2.PICTURE_FORMAT_WEBP,
    picture_pb2.PICTURE_FORMAT_AVIF,
)
NOT_FOUND = Refusal("NOT_FOUND", "RESULT_NOT_FOUND")
LOST = Refusal("DATA_LOSS", "PICTURE_LOST")
SMALL = {"width": 160, "formats": [WEBP]}


def a_picture(world: World, **fields: object) -> tuple[UUID, str]:
    """Its owner and its id."""
    owner = uuid4()
    return owner, world.store(a_png(400, 300), owner=owner, **fields).id


class WatchedStore(Blobs):
    """Counts what is read and written; a step that `held` names waits there until it may go on."""

    def watch(self, held: str = "") -> None:
        self.read_keys: list[str] = []
        self.written = threading.Event()
        self.reached = threading.Event()
        self.go_on = threading.Event()
        self._held = held

    def read(self, key: str) -> bytes:
        self.read_keys.append(key)
        self._wait("read")
        return super().read(key)

    def write(self, key: str, data: bytes, media_type: str) -> None:
        self._wait("write")
        super().write(key, data, media_type)
        self.written.set()

    def _wait(self, step: str) -> None:
        if step == self._held:
            self.reached.set()
            assert self.go_on.wait(20)


@contextmanager
def replica(world: World, blobs: Blobs) -> Iterator[World]:
    """One more process on the same database, with a store of its own kind."""
    database = Database(world.database.url.render_as_string(hide_password=False))
    results = UseCases.on(database, blobs, world.links)
    with (
        running(results_server(results, verifier("results", world.authority), threads=8)) as address,
        grpc.insecure_channel(address) as channel,
    ):
        people = results_service_pb2_grpc.ResultsServiceStub(channel)
        workers = store_service_pb2_grpc.StoreServiceStub(channel)
        yield replace(world, people=people, workers=workers, results=results)
    database.close()


@contextmanager
def watched(world: World, held: str = "") -> Iterator[tuple[World, WatchedStore]]:
    store = WatchedStore.from_url(world.folder.as_uri())
    store.watch(held)
    with replica(world, store) as other:
        yield other, store
