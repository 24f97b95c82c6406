"""gRPC between services with certificates: who is let in, who is believed, and what a half-made setting does."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
import trustme
from grpc_health.v1 import health_pb2, health_pb2_grpc
from imagegen.generation.v1 import generation_service_pb2 as pb
from imagegen.generation.v1 import generation_service_pb2_grpc
from pydantic import ValidationError

from deploy.local.ports import reserved_ports
from services.runtime.channels import aio_channel, channel
from services.runtime.errors import ErrorTable
from services.runtime.server import Server
from services.runtime.settings import ProcessSettings, TlsSettings
from tests.certificates import put_certificates
from tests.identities import verifier
from tests.serving import running

PROJECT = Path(__file__).parents[2]

SERVICE = pb.DESCRIPTOR.services_by_name["GenerationService"]
NAMES = ("GRPC_TLS_CA", "GRPC_TLS_CERT", "GRPC_TLS_KEY")


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def use(monkeypatch):
    """Makes these the certificates of every channel and server from here on."""

    def setting(files):
        for name in NAMES:
            monkeypatch.setenv(name, files.get(name, ""))

    return setting


@pytest.fixture
def files(tmp_path, authority, use):
    files = put_certificates(tmp_path / "ours", authority)
    use(files)
    return files


@pytest.fixture
def address(files):
    servicer = generation_service_pb2_grpc.GenerationServiceServicer()
    server = Server(
        [SERVICE],
        lambda server: generation_service_pb2_grpc.add_GenerationServiceServicer_to_server(servicer, server),
        verifier=verifier("generation"),
        errors=ErrorTable("generation.imagegen", None, {}),
        threads=1,
    )
    with running(server) as address:
        yield address


def serves(opened: grpc.Channel) -> bool:
    with opened:
        try:
            answer = health_pb2_grpc.HealthStub(opened).Check(health_pb2.HealthCheckRequest(), timeout=5)
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.UNAVAILABLE
            return False
        return answer.status == health_pb2.HealthCheckResponse.SERVING


def test_a_neighbour_with_a_certificate_of_the_authority_is_let_in(address):
    assert serves(channel(address))


def test_a_channel_of_the_event_loop_is_let_in_too(address):
    async def call():
        async with aio_channel(address) as opened:
            return await health_pb2_grpc.HealthStub(opened).Check(health_pb2.HealthCheckRequest(), timeout=5)

    assert asyncio.run(call()).status == health_pb2.HealthCheckResponse.SERVING


def test_who_speaks_in_the_clear_is_refused(address, use):
    use({})
    assert not serves(channel(address))


def test_who_shows_no_certificate_is_refused(address, authority):
    assert not serves(grpc.secure_channel(address, grpc.ssl_channel_credentials(authority.cert_pem.bytes())))


def test_a_certificate_of_another_authority_is_refused(address, files, tmp_path, use):
    use({**put_certificates(tmp_path / "foreign"), "GRPC_TLS_CA": files["GRPC_TLS_CA"]})
    assert not serves(channel(address))


def test_a_server_of_another_authority_is_not_believed(address, use, tmp_path):
    use(put_certificates(tmp_path / "foreign"))
    assert not serves(channel(address))


def test_a_server_whose_certificate_has_another_name_is_not_believed(address, tmp_path, authority):
    put_certificates(tmp_path / "ours", authority, "elsewhere.example")
    assert not serves(channel(address))


def test_renewed_certificates_are_used_for_the_next_connection(address, tmp_path):
    put_certificates(tmp_path / "ours", trustme.CA())
    assert serves(channel(address))


def test_certificates_that_are_away_leave_the_former_ones_in_use(address, tmp_path, authority, use):
    use(put_certificates(tmp_path / "others", authority))
    (tmp_path / "ours" / "GRPC_TLS_KEY").unlink()
    assert serves(channel(address))


def test_without_certificates_grpc_goes_in_the_clear(use):
    use({})
    assert TlsSettings().certificates() is None


@pytest.mark.parametrize("missing", NAMES)
def test_some_certificates_are_refused_with_a_sentence(files, use, missing):
    use({name: file for name, file in files.items() if name != missing})
    with pytest.raises(ValidationError, match="GRPC_TLS_CA, GRPC_TLS_CERT and GRPC_TLS_KEY go together"):
        ProcessSettings()


def test_a_file_that_is_not_there_is_named_at_the_start(files, use):
    use({**files, "GRPC_TLS_KEY": "/nowhere/key.pem"})
    with pytest.raises(ValidationError, match=r"grpc_tls_key\n  Path does not point to a file"):
        ProcessSettings()


def test_a_process_that_is_given_some_certificates_does_not_start(files):
    paths = {"PYTHONPATH": os.pathsep.join([str(PROJECT), str(PROJECT / "protos" / "gen")])}
    environment = {**os.environ, **paths, "GRPC_TLS_KEY": "", "SERVICE_KEY_GATEWAY": ""}
    started = subprocess.run(
        [sys.executable, "-m", "gateway.main"], env=environment, capture_output=True, text=True, timeout=30, check=False
    )
    assert started.returncode == 1
    assert "GRPC_TLS_CA, GRPC_TLS_CERT and GRPC_TLS_KEY go together" in started.stderr


def probed(address: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command that a pod runs to be judged."""
    paths = {"PYTHONPATH": os.pathsep.join([str(PROJECT), str(PROJECT / "protos" / "gen")])}
    command = [sys.executable, "-m", "services.runtime.probe", address]
    given = {**os.environ, **paths, **environment}
    return subprocess.run(command, env=given, capture_output=True, text=True, timeout=30, check=False)


def test_a_probe_is_let_in_by_the_certificates_of_the_process_that_it_judges(address):
    assert probed(f"localhost:{address.rpartition(':')[2]}").returncode == 0


def test_a_probe_says_what_is_the_matter_with_who_does_not_answer(files):
    with reserved_ports(["nobody"]) as ports:
        refused = probed(f"localhost:{ports['nobody']}")
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"localhost:{ports['nobody']}: UNAVAILABLE")


def test_a_probe_without_certificates_is_refused_by_who_has_some(address):
    refused = probed(address, **dict.fromkeys(NAMES, ""))
    assert refused.returncode == 1
    assert refused.stderr.startswith(address)
