"""The auth service on a real PostgreSQL, and the people who sign in to it."""

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
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from imagegen.auth.v1 import auth_service_pb2 as auth
from imagegen.auth.v1 import auth_service_pb2_grpc

from services.auth.authority import LocalAuthority
from services.auth.passwords import Passwords
from services.auth.server import auth_server
from services.auth.service import Auth
from services.auth.signing import SigningKeys
from services.runtime.database import Database
from services.runtime.tokens import TokenVerifier, TrustedServices, decode_key
from tests.grpc_errors import fields, reason
from tests.identities import SERVICES, Metadata, seed
from tests.serving import running

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
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
    stub: auth_service_pb2_grpc.AuthServiceStub = field(init=False)

    @contextmanager
    def replica(
        self, hasher: PasswordHasher = CHEAP, clock: Clock | None = None
    ) -> Iterator[auth_service_pb2_grpc.AuthServiceStub]:
        """One more process beside the first, on the same database."""
        clock = clock or self.clock
        with closing(Database(self.url)) as database:
            keys = self.signing_keys(database, clock=clock)
            keys.prepare()
            server = auth_server(Auth(database, Passwords(hasher), keys, clock), _verifier(keys), threads=8)
            with running(server) as address, grpc.insecure_channel(address) as channel:
                yield auth_service_pb2_grpc.AuthServiceStub(channel)

    def signing_keys(
        self, database: Database, *fernet_keys: bytes, clock: Callable[[], datetime] | None = None
    ) -> SigningKeys:
        encryption = MultiFernet([Fernet(key) for key in fernet_keys or [self.fernet_key]])
        return SigningKeys(database, encryption, clock or self.clock)

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
        it.stub = cleaning.enter_context(it.replica())
        yield it


def bearer(tokens: auth.Tokens) -> Metadata:
    return (("authorization", f"Bearer {tokens.access_token}"),)


@contextmanager
def refused(code: str, why: str, *named: str) -> Iterator[None]:
    """The call in here fails with this status, ErrorInfo.reason and BadRequest fields."""
    with pytest.raises(grpc.RpcError) as caught:
        yield
    assert (caught.value.code().name, reason(caught.value), fields(caught.value)) == (code, why, list(named))


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


def _verifier(keys: SigningKeys) -> TokenVerifier:
    """Believes the services of tests.identities, and the people who have signed in here."""
    seeds = {name: decode_key(seed(name)) for name in SERVICES}
    trusted = {name: Ed25519PrivateKey.from_private_bytes(raw).public_key() for name, raw in seeds.items()}
    return TokenVerifier("auth", TrustedServices(trusted), LocalAuthority(keys))
