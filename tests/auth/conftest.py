"""The auth service on a real PostgreSQL, and the people who sign in to it."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Barrier
from uuid import uuid4

import grpc
import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher
from cryptography.fernet import Fernet, MultiFernet
from imagegen.auth.v1 import auth_service_pb2 as auth
from imagegen.auth.v1 import auth_service_pb2_grpc, identity_service_pb2_grpc
from imagegen.auth.v1 import identity_service_pb2 as identity_pb
from imagegen.runtime.v1 import access_pb2

from services.auth.api_keys import ApiKeys
from services.auth.authority import LocalAuthority
from services.auth.domain import Limit, Role
from services.auth.erasures import Erasures
from services.auth.limits import Limits
from services.auth.passwords import Passwords
from services.auth.roles import grant
from services.auth.server import auth_server
from services.auth.service import Auth
from services.auth.settings import LIMIT_PERIOD
from services.auth.signing import SigningKeys
from services.runtime.database import Database
from tests.grpc_errors import fields, reason
from tests.identities import Metadata, as_service, verifier
from tests.serving import running

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
DEARER = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)
SOON = 1.0
"""Seconds within which everybody knows what has been revoked."""
LIMITS = Limits(Limit(10, LIMIT_PERIOD), Limit(50, LIMIT_PERIOD), Limit(100, LIMIT_PERIOD))
PASSWORD = "correct horse battery staple"


@dataclass
class Clock:
    """Tells the true time, until a test lets some pass."""

    ahead: timedelta = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def advance(self, **time: float) -> None:
        self.ahead += timedelta(**time)


@dataclass
class World:
    """A running replica, and what lies below it."""

    url: str
    engine: sa.Engine
    clock: Clock = field(default_factory=Clock)
    fernet_key: bytes = field(default_factory=Fernet.generate_key)
    address: str = field(init=False)
    stub: auth_service_pb2_grpc.AuthServiceStub = field(init=False)
    identity: identity_service_pb2_grpc.IdentityServiceStub = field(init=False)

    @contextmanager
    def replica(
        self, hasher: PasswordHasher = CHEAP, clock: Clock | None = None
    ) -> Iterator[auth_service_pb2_grpc.AuthServiceStub]:
        """One more process beside the first, on the same database."""
        with self.serving(hasher, clock) as address, grpc.insecure_channel(address) as channel:
            yield auth_service_pb2_grpc.AuthServiceStub(channel)

    @contextmanager
    def serving(self, hasher: PasswordHasher = CHEAP, clock: Clock | None = None, url: str = "") -> Iterator[str]:
        """The address of such a process; `url` is another way to the database."""
        clock = clock or self.clock
        with closing(Database(url or self.url, connections=12)) as database:
            keys, erasures = self.signing_keys(database, clock=clock), self.erasures(database)
            keys.prepare()
            erasures.prepare()
            people = self.accounts(database, hasher, clock)
            api_keys = ApiKeys(database, keys, clock)
            authority = LocalAuthority(database, keys, api_keys, clock)
            server = auth_server(people, api_keys, erasures, authority, verifier("auth", authority), threads=8)
            with running(server) as address:
                yield address

    def accounts(self, database: Database, hasher: PasswordHasher = CHEAP, clock: Clock | None = None) -> Auth:
        clock = clock or self.clock
        return Auth(
            database=database,
            passwords=Passwords(hasher),
            signing_keys=self.signing_keys(database, clock=clock),
            erasures=self.erasures(database),
            limits=LIMITS,
            clock=clock,
        )

    def erasures(self, database: Database, *fernet_keys: bytes) -> Erasures:
        return Erasures(database, self.encryption(*fernet_keys), self.clock)

    def encryption(self, *fernet_keys: bytes) -> MultiFernet:
        return MultiFernet([Fernet(key) for key in fernet_keys or [self.fernet_key]])

    def signing_keys(
        self, database: Database, *fernet_keys: bytes, clock: Callable[[], datetime] | None = None
    ) -> SigningKeys:
        return SigningKeys(database, self.encryption(*fernet_keys), clock or self.clock)

    def register(self, username: str = "", email: str = "", password: str = PASSWORD) -> auth.User:
        """What is not given is new."""
        name = f"user-{uuid4().hex[:8]}"
        request = auth.RegisterRequest(
            username=username or name, email=email or f"{name}@example.org", password=password
        )
        return self.stub.Register(request).user

    def login(self, name: str, password: str = PASSWORD) -> auth.Tokens:
        return self.stub.Login(auth.LoginRequest(username=name, password=password)).tokens

    def signed_in(self) -> auth.Tokens:
        """Of somebody new."""
        return self.login(self.register().username)

    def refresh(self, refresh_token: str) -> auth.Tokens:
        return self.stub.Refresh(auth.RefreshRequest(refresh_token=refresh_token)).tokens

    def logout(self, refresh_token: str = "", metadata: Metadata = ()) -> None:
        self.stub.Logout(auth.LogoutRequest(refresh_token=refresh_token), metadata=metadata)

    def me(self, tokens: auth.Tokens) -> auth.User:
        return self.stub.GetMe(auth.GetMeRequest(), metadata=bearer(tokens)).user

    def update_me(self, tokens: auth.Tokens, **changes: str) -> auth.User:
        return self.stub.UpdateMe(auth.UpdateMeRequest(**changes), metadata=bearer(tokens)).user

    def change_password(self, tokens: auth.Tokens, current: str, new: str) -> None:
        request = auth.ChangePasswordRequest(current_password=current, new_password=new)
        self.stub.ChangePassword(request, metadata=bearer(tokens))

    def delete_me(self, tokens: auth.Tokens, password: str = PASSWORD) -> None:
        self.stub.DeleteMe(auth.DeleteMeRequest(password=password), metadata=bearer(tokens))

    def sessions(self, tokens: auth.Tokens) -> Sequence[auth.Session]:
        return self.stub.ListSessions(auth.ListSessionsRequest(), metadata=bearer(tokens)).sessions

    def new_key(
        self, tokens: auth.Tokens, *scopes: str, name: str = "ci", **fields: object
    ) -> auth.CreateApiKeyResponse:
        numbers = [access_pb2.Scope.Value(f"SCOPE_{scope.upper()}") for scope in scopes or ["generate", "read"]]
        request = auth.CreateApiKeyRequest(name=name, scopes=numbers, **fields)
        return self.stub.CreateApiKey(request, metadata=bearer(tokens))

    def keys(self, tokens: auth.Tokens) -> Sequence[auth.ApiKey]:
        return self.stub.ListApiKeys(auth.ListApiKeysRequest(), metadata=bearer(tokens)).api_keys

    def revoke_key(self, tokens: auth.Tokens, key_id: str) -> None:
        self.stub.RevokeApiKey(auth.RevokeApiKeyRequest(api_key_id=key_id), metadata=bearer(tokens))

    def exchange(self, secret: str) -> identity_pb.ExchangeApiKeyResponse:
        request = identity_pb.ExchangeApiKeyRequest(api_key=secret)
        return self.identity.ExchangeApiKey(request, metadata=as_service("generation", "auth"))

    def set_role(self, name: str, role: Role) -> bool:
        with closing(Database(self.url)) as database:
            return grant(database, name, role, self.clock())

    def revoked(self) -> set[str]:
        return {str(row.sid) for row in self.sql("SELECT sid FROM revocations")}

    def jwks(self) -> Sequence[auth.Jwk]:
        return self.stub.GetJwks(auth.GetJwksRequest()).keys

    def sql(self, statement: str, **values: object) -> list[sa.Row]:
        with self.engine.begin() as tx:
            result = tx.execute(sa.text(statement), values)
            return list(result) if result.returns_rows else []

    def until_it_waits_for_a_lock(self, call: Future[object]) -> None:
        while not self.sql("SELECT 1 FROM pg_locks WHERE NOT granted"):
            assert not call.done(), "it did not wait"


@pytest.fixture
def world(fresh_database) -> Iterator[World]:
    url = fresh_database("auth")
    engine = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg2"))
    with ExitStack() as cleaning:
        cleaning.callback(engine.dispose)
        it = World(url, engine)
        it.address = cleaning.enter_context(it.serving())
        channel = cleaning.enter_context(grpc.insecure_channel(it.address))
        it.stub = auth_service_pb2_grpc.AuthServiceStub(channel)
        it.identity = identity_service_pb2_grpc.IdentityServiceStub(channel)
        yield it


def bearer(tokens: auth.Tokens) -> Metadata:
    return (("authorization", f"Bearer {tokens.access_token}"),)


@contextmanager
def refused(code: str, why: str, *named: str) -> Iterator[None]:
    """The call in here fails with this status, ErrorInfo.reason and BadRequest fields."""
    with pytest.raises(grpc.RpcError) as caught:
        yield
    assert (caught.value.code().name, reason(caught.value), fields(caught.value)) == (code, why, list(named))


def until_refused(call: Callable[[], object]) -> str:
    """The reason, once the call is refused."""
    deadline = time.monotonic() + SOON
    while time.monotonic() < deadline:
        try:
            call()
        except grpc.RpcError as error:
            return reason(error)
    raise AssertionError("not refused within a second")


def at_once(calls: Sequence[Callable[[], object]]) -> list[object]:
    """Each call in a thread of its own, all let go together; what it returned, or the reason it was refused with."""
    start = Barrier(len(calls))

    def run(call: Callable[[], object]) -> object:
        start.wait(10)
        try:
            return call()
        except grpc.RpcError as error:
            return reason(error) or error.code().name

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))
