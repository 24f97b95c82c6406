"""Another authority for the certificates between services, in the three steps of docs/operations.md, under load."""

import asyncio
import signal
from pathlib import Path

import pytest
import trustme

from deploy.envoy.render import Certificates
from deploy.local.readiness import NotReady, serves
from tests.certificates import put_certificates
from tests.deploy.waiting import wait_until
from tests.installation import Installation, running_installation
from tests.rolling.people import Tally
from tests.rolling.update import HALF_BY_HALF, SETTINGS, crowd, replace_all


def test_nobody_notices_that_certificates_come_from_another_authority(tmp_path):
    former, later = trustme.CA(), trustme.CA()
    files = put_certificates(tmp_path / "certificates", former)
    of_former = Certificates(files["GRPC_TLS_CA"], *list(put_certificates(tmp_path / "former", former).values())[1:])
    (tmp_path / "data").mkdir()
    tally = Tally()
    with running_installation(tmp_path / "data", **SETTINGS, **files) as installation:
        address = installation.processes["auth"]["address"]
        believe(files, former, later)
        update(installation, tally)
        put_certificates(tmp_path / "certificates", later)
        believe(files, former, later)
        update(installation, tally)
        serves(address, of_former)()
        believe(files, later)
        update(installation, tally)
        with pytest.raises(NotReady):
            serves(address, of_former)()
    assert tally.accepted
    assert tally.failed == []
    assert tally.stuck == []
    assert tally.lost == []


def believe(files: dict[str, str], *authorities: trustme.CA) -> None:
    Path(files["GRPC_TLS_CA"]).write_bytes(b"".join(authority.cert_pem.bytes() for authority in authorities))


def update(installation: Installation, tally: Tally) -> None:
    """All processes with certificates: those that have a replica under load, then Envoy, of which there is one."""

    async def under_load() -> None:
        async with crowd(installation.url, 4, tally):
            await replace_all(installation, HALF_BY_HALF, lambda _: None)

    asyncio.run(under_load())
    ready = installation.log.read_text().count("| envoy ready in")
    installation.kill("envoy", signal.SIGTERM)
    wait_until(lambda: installation.log.read_text().count("| envoy ready in") > ready)
    with installation.client() as http:
        wait_until(lambda: http.get("/readyz").is_success and http.get("/api/v1/models").is_success)
