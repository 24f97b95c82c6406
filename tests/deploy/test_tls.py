"""An installation with certificates: every process gets them, and none speaks to another in the clear."""

import json
import subprocess
import sys

import grpc
import httpx
import httpx_sse
import pytest
from imagegen.auth.v1 import auth_service_pb2, auth_service_pb2_grpc

from deploy.envoy.render import Certificates, render
from deploy.local import wheels
from deploy.local.certificates import SETTINGS, CertificatesRefused, certificates_of
from deploy.local.credentials import CONTEXTS, load_secrets
from deploy.local.engines import engines_of
from deploy.local.installation import PROJECT, Installation, port_names
from deploy.local.readiness import NotReady, serves
from deploy.local.topology import tiers
from tests.certificates import put_certificates
from tests.installation import running_installation


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return put_certificates(tmp_path_factory.mktemp("certificates"))


CLUSTERS = ("auth", "generation", "results", "executor", "gateway", "app")


@pytest.mark.parametrize("host", ["auth.imagegen.svc", "127.0.0.1", "::1"])
def test_envoy_accepts_the_configuration_with_certificates(tmp_path, files, host):
    config = tmp_path / "envoy.yaml"
    addresses = dict.fromkeys(CLUSTERS, f"{host}:50051")
    config.write_text(render(listen="0.0.0.0:8080", **addresses, tls=certificates_of(files)))
    command = [wheels.envoy(), "--mode", "validate", "-c", str(config)]
    validated = subprocess.run(command, capture_output=True, text=True, check=False)
    assert validated.returncode == 0, validated.stderr


def test_the_configuration_for_a_cluster_is_written_by_command():
    names = {name: f"{name}:50051" for name in ("listen", *CLUSTERS)}
    addresses = [f"--{name}={address}" for name, address in names.items()]
    command = [sys.executable, "-m", "deploy.envoy.render", *addresses, "--tls", "/tls/ca", "/tls/cert", "/tls/key"]
    written = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    names = {
        name: f"{name}:50051" for name in ("listen", "auth", "generation", "results", "executor", "gateway", "app")
    }
    assert written == render(**names, tls=Certificates("/tls/ca", "/tls/cert", "/tls/key"))


def test_every_process_that_speaks_grpc_gets_the_certificates_and_the_operator_too(tmp_path, files):
    engines = engines_of({})
    ports = {name: 20_001 + number for number, name in enumerate(port_names(engines))}
    secrets = load_secrets(tmp_path / "secrets.json", engines)
    at = Installation(tmp_path, "127.0.0.1:8080", engines, ports, secrets, files)
    having = {process.name for tier in tiers(at) for process in tier if files.items() <= process.environment.items()}
    assert having == {"auth", "generation", "executor", "results", "worker", "gateway"}
    assert files.items() <= at.operator.items()


def test_an_empty_setting_names_nothing():
    assert certificates_of(dict.fromkeys(SETTINGS, "")) is None


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"GRPC_TLS_KEY": ""}, "GRPC_TLS_CA, GRPC_TLS_CERT needs GRPC_TLS_KEY as well"),
        ({"GRPC_TLS_CA": "/nowhere"}, "GRPC_TLS_CA: /nowhere is not a file."),
    ],
)
def test_certificates_that_cannot_be_are_refused_with_one_sentence(files, change, sentence):
    with pytest.raises(CertificatesRefused, match=sentence):
        certificates_of(files | change)


def test_a_picture_is_painted_with_every_inner_connection_encrypted(tmp_path, files):
    with running_installation(tmp_path, **files, SKETCH_STEP_SECONDS="0.01", SKETCH_LOAD_SECONDS="0") as installation:
        for context in CONTEXTS:
            address = installation.processes[context]["address"]
            serves(address, certificates_of(files))()
            with pytest.raises(NotReady):
                serves(address)()
        with installation.client() as http:
            token = painted(http)
        with grpc.insecure_channel(installation.url.removeprefix("http://")) as channel:
            me = auth_service_pb2_grpc.AuthServiceStub(channel).GetMe(
                auth_service_pb2.GetMeRequest(), metadata=[("authorization", f"Bearer {token}")], timeout=5
            )
        assert me.user.username == "ada"
        assert an_operator_is_let_in(installation)


def painted(http: httpx.Client) -> str:
    """Somebody's token, once a picture has been painted and fetched."""
    account = {"username": "ada", "password": "correct horse battery"}
    http.post("/api/v1/auth/register", json={**account, "email": "ada@example.com"}).raise_for_status()
    token = http.post("/api/v1/auth/login", json=account).raise_for_status().json()["access_token"]
    http.headers["authorization"] = f"Bearer {token}"
    body = {"prompt": "a lighthouse", "model": "sd15", "width": 64, "height": 64, "steps": 2}
    task = http.post("/api/v1/generation/generate", json=body).raise_for_status().json()
    with httpx_sse.connect_sse(http, "GET", task["links"]["events"]) as source:
        ended = json.loads(list(source.iter_sse())[-1].data)
    assert httpx.get(ended["results"][0]["image_url"]).raise_for_status().content.startswith(b"\x89PNG")
    return token


def an_operator_is_let_in(installation) -> bool:
    command = f'set -a; . "{installation.data}/run/operator.env"; {sys.executable} -m services.executor workers list'
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{PROJECT}:{PROJECT}/protos/gen"}
    return subprocess.run(["sh", "-ec", command], cwd=PROJECT, env=environment, check=False, timeout=20).returncode == 0
