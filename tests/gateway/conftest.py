from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import httpx
import pytest

from tests.gateway.gateways import serving
from tests.gateway.neighbours import Neighbours, Script, neighbours
from tests.identities import access_token

AUTHORIZATION = {"authorization": f"Bearer {access_token(expires_in=86_400)}"}


@pytest.fixture(scope="session")
def served() -> Iterator[tuple[Neighbours, dict[str, str]]]:
    with neighbours() as both:
        yield both


@pytest.fixture(scope="session")
def origin(served) -> Iterator[str]:
    """URL of the gateway that the tests share."""
    with serving(served[1]) as gateway:
        yield gateway.origin


@pytest.fixture
def behind(served) -> Neighbours:
    """The services behind the gateway, with no answers laid down."""
    for neighbour in vars(served[0]).values():
        neighbour.reset()
    return served[0]


@pytest.fixture
def script(behind) -> Script:
    """What WatchTask tells."""
    behind.generation.answers["WatchTask"] = script = Script()
    return script


@pytest.fixture
def visitor(origin, behind) -> Iterator[httpx.Client]:
    """A client without a token."""
    with httpx.Client(base_url=origin, timeout=20) as client:
        yield client


@pytest.fixture
def client(visitor) -> httpx.Client:
    """A signed-in client."""
    visitor.headers.update(AUTHORIZATION)
    return visitor


@pytest.fixture
def passing(served, behind) -> Callable[[], AbstractContextManager[httpx.Client]]:
    """A signed-in client of a gateway of its own, which has stopped when the block ends: a gateway writes its log
    and its metrics after the answer has gone out.
    """

    @contextmanager
    def run() -> Iterator[httpx.Client]:
        with (
            serving(served[1]) as gateway,
            httpx.Client(base_url=gateway.origin, headers=AUTHORIZATION, timeout=20) as client,
        ):
            yield client

    return run
