"""One installation whose doors are tried: nothing counts how often somebody asks."""

from collections.abc import Iterator

import pytest

from tests.installation import Installation, running_installation

UNLIMITED = {
    "GATEWAY_RATE_LIMIT_PER_USER": "0",
    "GATEWAY_RATE_LIMIT_PER_ADDRESS": "0",
    "AUTH_ADDRESS_REGISTRATIONS": "1000000",
    "AUTH_ADDRESS_FAILURES": "1000000",
    "AUTH_ACCOUNT_FAILURES": "1000000",
}


@pytest.fixture(scope="session")
def installation(tmp_path_factory) -> Iterator[Installation]:
    with running_installation(
        tmp_path_factory.mktemp("installation"),
        SKETCH_STEP_SECONDS="0.1",
        SKETCH_LOAD_SECONDS="0.05",
        **UNLIMITED,
    ) as installation:
        yield installation
