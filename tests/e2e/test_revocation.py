"""What ends a session or a key is known to every service within a second, and open streams end with it.

Each service is asked at its own port, again and again; what is measured is the last call that was still let in, counted
from the answer to the deed. The promise is about what the services do and not about a machine that lets none of
them run: a deed that took longer is done again by somebody new, twice at most, and the longest figures stand at the
end of the report.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Self

import grpc
import httpx
import httpx_sse
import jwt
import pytest
from imagegen.auth.v1 import auth_service_pb2 as auth
from imagegen.executor.v1 import operator_service_pb2 as operators
from imagegen.generation.v1 import generation_service_pb2 as generation
from imagegen.generation.v1 import generation_service_pb2_grpc as generation_grpc
from imagegen.generation.v1 import task_pb2
from imagegen.results.v1 import results_service_pb2 as results

from tests.accounts import Account, an_operator
from tests.installation import Installation
from tests.security import rpcs

PROMISE_SECONDS = 1.0
POLL_SECONDS = 0.02
PATIENCE_SECONDS = 10.0
TRIES = 3

PAINTED = ("completed", "failed")
"""Ends of a task that come by themselves; one is canceled where its owner's account ends."""

PAINTED_STATES = (task_pb2.TASK_STATE_COMPLETED, task_pb2.TASK_STATE_FAILED)

DOORS = {
    "auth": ("imagegen.auth.v1.AuthService/GetMe", auth.GetMeRequest()),
    "generation": ("imagegen.generation.v1.GenerationService/ListTasks", generation.ListTasksRequest()),
    "results": ("imagegen.results.v1.ResultsService/ListResults", results.ListResultsRequest()),
    "executor": ("imagegen.executor.v1.OperatorService/ListWorkers", operators.ListWorkersRequest()),
}

Doomed = tuple[str, Callable[[], object]]
"""A token, and the deed that ends it."""


def logging_out(account: Account) -> Doomed:
    return account.token, lambda: account.http.post("/api/v1/auth/logout").raise_for_status()


def ending_it_from_another_session(account: Account) -> Doomed:
    doomed = account.token
    (session,) = (session.id for session in account.sessions() if session.is_current)
    account.use(account.sign_in())
    return doomed, lambda: account.call("EndSession", auth.EndSessionRequest(session_id=session))


def logging_out_everywhere(account: Account) -> Doomed:
    doomed = account.token
    account.use(account.sign_in())
    return doomed, lambda: account.call("LogoutEverywhere", auth.LogoutEverywhereRequest())


def changing_the_password(account: Account) -> Doomed:
    doomed = account.token
    account.use(account.sign_in())
    change = auth.ChangePasswordRequest(current_password=account.password, new_password="quite another password")
    return doomed, lambda: account.call("ChangePassword", change)


def deleting_the_account(account: Account) -> Doomed:
    return account.token, account.delete


def revoking_the_key(account: Account) -> Doomed:
    key = account.api_key(["read", "admin"])
    return key.secret, lambda: account.revoke(key.api_key.id)


WAYS = (
    logging_out,
    ending_it_from_another_session,
    logging_out_everywhere,
    changing_the_password,
    deleting_the_account,
    revoking_the_key,
)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_every_service_refuses_a_revoked_token_within_a_second_and_ends_its_streams(installation, record_property, way):
    told = [measured(installation, way)]
    while max(told[-1].values()) > PROMISE_SECONDS and len(told) < TRIES:
        told.append(measured(installation, way))
    for seconds in told:
        record_property("revocation reached", seconds)
    assert max(told[-1].values()) <= PROMISE_SECONDS, told


def test_a_new_signing_key_signs_nobody_out(installation):
    account = an_operator(installation)
    before, kid = account.tokens, key_id(account.token)
    refused: list[tuple[str, str]] = []
    rotated = threading.Event()

    def go_on_working() -> None:
        """With the tokens of before, and with such as came in between."""
        with ExitStack() as open_channels:
            channels = {
                name: open_channels.enter_context(grpc.insecure_channel(installation.processes[name]["address"]))
                for name in DOORS
            }
            rounds_after = 0
            while rounds_after < 3:
                rounds_after += rotated.is_set()
                for token in (before["access_token"], account.sign_in()["access_token"]):
                    told = ((name, rpcs.call(channels[name], *DOORS[name], token)[0]) for name in DOORS)
                    refused.extend((name, code) for name, code in told if code)

    person = threading.Thread(target=go_on_working)
    person.start()
    for _ in range(2):
        rotate_signing_key(installation)
    rotated.set()
    person.join()
    assert refused == []
    refreshed = account.http.post("/api/v1/auth/refresh", json={"refresh_token": before["refresh_token"]})
    assert key_id(refreshed.raise_for_status().json()["access_token"]) != kid
    listed = {key["kid"] for key in account.http.get("/.well-known/jwks.json").json()["keys"]}
    assert {kid, key_id(account.sign_in()["access_token"])} < listed, "and the one in between"


def rotate_signing_key(installation: Installation) -> None:
    """As an operator does it, at the database."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "AUTH_DATABASE_URL": installation.database_url("auth"),
        "AUTH_ENCRYPTION_KEYS": installation.secret("auth_encryption_key"),
    }
    subprocess.run([sys.executable, "-m", "services.auth", "keys", "rotate-signing"], env=environment, check=True)


def key_id(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


def measured(installation: Installation, way: Callable[[Account], Doomed]) -> Mapping[str, float]:
    """Service or stream → how long after the deed was answered it still let the token in."""
    account, other = an_operator(installation), Account(installation)
    other.until(other.generate(width=1024, height=1024, steps=100)["id"], "processing")
    waiting = account.generate()["id"]
    token, deed = way(account)
    watchers = [Poller(installation.processes[name]["address"], *DOORS[name], token, name) for name in DOORS]
    watchers += [SseStream(installation.url, waiting, token), GrpcStream(installation.url, waiting, token)]
    with ExitStack() as running:
        running.callback(other.delete)  # and with it what nobody waits for any more
        for watcher in watchers:
            running.enter_context(watcher)
        deed()
        answered = time.monotonic()
        return {watcher.name: watcher.ended() - answered for watcher in watchers}


class Watcher:
    """Uses a token in a thread of its own; entered once the token has been good for something."""

    name = ""

    def __init__(self) -> None:
        self._good = threading.Event()
        self._ended_at: float | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._good.wait(PATIENCE_SECONDS), f"{self.name} was never let in: {self._error}"
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(PATIENCE_SECONDS)

    def ended(self) -> float:
        """When it was let in last."""
        self._thread.join(PATIENCE_SECONDS)
        assert self._ended_at is not None, f"{self.name} is let in for ever: {self._error}"
        return self._ended_at

    def _run(self) -> None:
        try:
            self._use()
        except BaseException as error:  # noqa: BLE001 - told by who waits for this thread
            self._error = error

    def _use(self) -> None:
        raise NotImplementedError


class Poller(Watcher):
    """Calls a service until it has refused ten times in a row."""

    def __init__(self, address: str, operation: str, request: object, token: str, name: str) -> None:
        super().__init__()
        self.name = name
        self._call = (operation, request, token)
        self._address = address

    def _use(self) -> None:
        refusals, last = 0, 0.0
        until = time.monotonic() + PATIENCE_SECONDS
        with grpc.insecure_channel(self._address) as channel:
            while refusals < 10 and time.monotonic() < until:
                began = time.monotonic()
                code, _ = rpcs.call(channel, *self._call)
                if code:
                    assert code in ("token_revoked", "user_not_found"), "the latter by auth, before its revocations"
                    refusals += 1
                else:
                    refusals, last = 0, began
                    self._good.set()
                time.sleep(POLL_SECONDS)
        if refusals == 10:
            self._ended_at = last


class SseStream(Watcher):
    name = "SSE"

    def __init__(self, url: str, task_id: str, token: str) -> None:
        super().__init__()
        self._url = f"{url}/api/v1/generation/tasks/{task_id}/events"
        self._headers = {"authorization": f"Bearer {token}"}

    def _use(self) -> None:
        with (
            httpx.Client(timeout=PATIENCE_SECONDS) as http,
            httpx_sse.connect_sse(http, "GET", self._url, headers=self._headers) as source,
        ):
            for event in source.iter_sse():
                assert json.loads(event.data).get("status") not in PAINTED, "it has ended by itself"
                self._good.set()
        self._ended_at = time.monotonic()


class GrpcStream(Watcher):
    name = "gRPC stream"

    def __init__(self, url: str, task_id: str, token: str) -> None:
        super().__init__()
        self._address = url.removeprefix("http://")
        self._call = (generation.WatchTaskRequest(task_id=task_id), (("authorization", f"Bearer {token}"),))

    def _use(self) -> None:
        request, metadata = self._call
        with grpc.insecure_channel(self._address) as channel:
            stub = generation_grpc.GenerationServiceStub(channel)
            try:
                for event in stub.WatchTask(request, metadata=metadata):
                    self._good.set()
                    assert event.status.state not in PAINTED_STATES, "it has ended by itself"
            except grpc.RpcError as refusal:
                assert refusal.code() in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.NOT_FOUND)
        self._ended_at = time.monotonic()
