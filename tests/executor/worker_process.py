"""A worker as a real process, and a results service that remembers what it was given."""

import os
import signal
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self
from uuid import UUID, uuid4

import grpc
from imagegen.results.v1 import result_pb2, store_service_pb2_grpc
from imagegen.results.v1 import store_service_pb2 as pb

from tests.identities import seed
from tests.serving import stand_in

PROJECT = Path(__file__).parents[2]


class Gate:
    """Where one store is held up: `arrived` is set when it comes, `open` lets it go on."""

    def __init__(self) -> None:
        self.arrived = threading.Event()
        self._opened = threading.Event()

    def pass_through(self) -> None:
        self.arrived.set()
        assert self._opened.wait(60), "the test forgot to open it"

    def open(self) -> None:
        self._opened.set()


class RememberingStore(store_service_pb2_grpc.StoreServiceServicer):
    """First write wins, as in results; `refuse` holds status codes for the next stores."""

    address = ""
    is_away = False

    def __init__(self) -> None:
        self.pictures: dict[str, dict[int, bytes]] = defaultdict(dict)
        self.headers: list[pb.StoreResultHeader] = []
        self.discarded: set[str] = set()
        self.refuse: list[grpc.StatusCode] = []
        self._gates: list[Gate] = []

    def hold_next(self) -> Gate:
        """Hold up the next store, before it changes anything."""
        gate = Gate()
        self._gates.append(gate)
        return gate

    def StoreResult(self, request_iterator, context):
        header = next(request_iterator).header
        picture = b"".join(part.chunk for part in request_iterator)
        if self._gates:
            self._gates.pop(0).pass_through()
        if self.is_away:
            context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        if self.refuse:
            context.abort(self.refuse.pop(0), "as the test asked")
        if header.task_id in self.discarded:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "discarded")
        self.headers.append(header)
        self.pictures[header.task_id].setdefault(header.index, picture)
        return pb.StoreResultResponse(result=result_pb2.Result(task_id=header.task_id, index=header.index))

    def DiscardResults(self, request, context):
        if self.is_away:
            context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        self.discarded.add(request.task_id)
        self.pictures.pop(request.task_id, None)
        return pb.DiscardResultsResponse()


@contextmanager
def remembering_results() -> Iterator[tuple[str, RememberingStore]]:
    store = RememberingStore()
    with stand_in(lambda server: store_service_pb2_grpc.add_StoreServiceServicer_to_server(store, server)) as address:
        store.address = address
        yield address, store


class WorkerProcess:
    """Start, kill and restart one worker; it keeps its engine id."""

    def __init__(
        self, *, database_url: str, redis_url: str, results_address: str, comfyui_url: str, **settings: str
    ) -> None:
        """`settings`: more of the environment."""
        self.engine_id: UUID = uuid4()
        self._environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(PROJECT), str(PROJECT / "protos" / "gen")]),
            "EXECUTOR_DATABASE_URL": database_url,
            "EXECUTOR_ENGINE_ID": str(self.engine_id),
            "EXECUTOR_LEASE_SECONDS": "2",
            "EXECUTOR_GRACE_SECONDS": "2",
            "EXECUTOR_STOP_GRACE_SECONDS": "0.2",
            "REDIS_URL": redis_url,
            "RESULTS_ADDRESS": results_address,
            "COMFYUI_URL": comfyui_url,
            "SERVICE_KEY_WORKER": seed("worker"),
            "LOG_FORMAT": "console",
            **settings,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self, **settings: str) -> None:
        """`settings`: of the environment, for this start alone."""
        command = [sys.executable, "-m", "services.executor.worker"]
        self._process = subprocess.Popen(command, env=self._environment | settings, cwd=PROJECT)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def terminate(self) -> int:
        """SIGTERM; returns the exit code."""
        self.signal(signal.SIGTERM)
        return self.join()

    def join(self) -> int:
        """Wait until it ends by itself; returns the exit code."""
        assert self._process is not None
        return self._process.wait(30)

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
