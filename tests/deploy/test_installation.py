"""What an installation keeps, what its processes get, and what its operator may replace."""

import base64
import re
import socket
import stat

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from deploy.local.credentials import IDENTITIES, load_secrets
from deploy.local.installation import PORTS, Installation
from deploy.local.ports import LOOPBACK, require_free, reserved_ports
from deploy.local.topology import tiers

EXTERNAL_DATABASES = {
    f"{context}_DATABASE_URL": f"postgresql://{context.lower()}.example/x"
    for context in ("AUTH", "GENERATION", "EXECUTOR", "RESULTS")
}


@pytest.fixture
def processes(tmp_path):
    """The process table by name, for a caller's environment."""

    def table(**given):
        secrets = load_secrets(tmp_path / "secrets.json")
        ports = {name: 20_001 + number for number, name in enumerate(PORTS)}
        at = Installation(tmp_path, "127.0.0.1:8080", ports, secrets, {"PATH": "/bin", **given})
        return {process.name: process for tier in tiers(at) for process in tier}

    return table


def test_secrets_stay_the_same_and_are_for_their_owner_only(tmp_path):
    path = tmp_path / "secrets.json"
    first = load_secrets(path)
    assert load_secrets(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_two_installations_share_no_secret(tmp_path):
    one, other = (load_secrets(tmp_path / name) for name in ("one.json", "other.json"))
    assert not set(one.values()) & set(other.values())


def test_a_service_is_known_to_all_by_its_public_key(processes):
    table = processes()
    keys = dict(entry.split("=", 1) for entry in table["auth"].environment["SERVICE_PUBLIC_KEYS"].split(","))
    assert keys.keys() == set(IDENTITIES)
    for name, public in keys.items():
        seed = base64.urlsafe_b64decode(table[name].environment[f"SERVICE_KEY_{name.upper()}"])
        signature = Ed25519PrivateKey.from_private_bytes(seed).sign(b"a token")
        Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(public)).verify(signature, b"a token")


def test_no_process_gets_a_secret_of_another(processes, tmp_path):
    secrets = load_secrets(tmp_path / "secrets.json")
    allowed = {
        "migrate": {f"{context}_database_password" for context in ("auth", "generation", "executor", "results")},
        "auth": {"auth_service_key", "auth_database_password", "auth_encryption_key"},
        "generation": {"generation_service_key", "generation_database_password"},
        "executor": {"executor_service_key", "executor_database_password", "redis_password"},
        "worker": {"worker_service_key", "executor_database_password", "redis_password", "engine_id"},
        "results": {"results_service_key", "results_database_password", "results_signing_key"},
        "gateway": {"gateway_service_key"},
    }
    for name, process in processes().items():
        visible = " ".join([*process.command, *process.environment.values()])
        known = {secret for secret, value in secrets.items() if value in visible}
        assert known == allowed.get(name, set()), name


def test_external_parts_take_the_place_of_the_embedded_ones(processes):
    table = processes(**EXTERNAL_DATABASES, REDIS_URL="redis://r.example", COMFYUI_URL="http://c.example")
    assert not {"postgres", "valkey", "sketch"} & table.keys()
    assert table["migrate"].after == ()
    environment = table["worker"].environment
    assert environment["EXECUTOR_DATABASE_URL"] == EXTERNAL_DATABASES["EXECUTOR_DATABASE_URL"]
    assert environment["REDIS_URL"] == "redis://r.example"
    assert environment["COMFYUI_URL"] == "http://c.example"
    assert "COMFYUI_OUTPUT_DIR" not in environment


def test_one_external_database_leaves_the_others_embedded(processes):
    table = processes(AUTH_DATABASE_URL="postgresql://auth.example/x")
    assert "postgres" in table
    assert table["auth"].environment["AUTH_DATABASE_URL"] == "postgresql://auth.example/x"
    assert "127.0.0.1" in table["results"].environment["RESULTS_DATABASE_URL"]


def test_a_callers_setting_reaches_its_own_context_only(processes):
    table = processes(EXECUTOR_LEASE_SECONDS="2", RESULTS_STORE_URL="s3://bucket", UNRELATED="x")
    having = {name for name, process in table.items() if "EXECUTOR_LEASE_SECONDS" in process.environment}
    assert having == {"executor", "worker"}
    assert table["results"].environment["RESULTS_STORE_URL"] == "s3://bucket"
    assert not any("UNRELATED" in process.environment for process in table.values())


def test_a_caller_cannot_move_the_internal_addresses(processes):
    table = processes(AUTH_LISTEN="0.0.0.0:1", AUTH_ADDRESS="elsewhere:1")
    assert table["auth"].environment["AUTH_LISTEN"] == table["auth"].address
    assert table["gateway"].environment["AUTH_ADDRESS"] == table["auth"].address


def test_sketch_is_as_slow_as_the_caller_wants(processes):
    command = " ".join(processes(SKETCH_STEP_SECONDS="0", SKETCH_LOAD_SECONDS="0.1")["sketch"].command)
    assert re.search(r"--step-seconds 0 --load-seconds 0\.1$", command)


def test_two_launchers_never_hold_the_same_port():
    with reserved_ports(PORTS) as one, reserved_ports(PORTS) as other:
        assert not set(one.values()) & set(other.values())
        assert all(20_000 <= port < 32_000 for port in [*one.values(), *other.values()])


def test_a_port_that_somebody_listens_on_is_not_free():
    with socket.create_server((LOOPBACK, 0)) as server, pytest.raises(OSError, match="in use"):
        require_free(server.getsockname()[1])
