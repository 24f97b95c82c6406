"""What an installation keeps, what its processes get, and what its operator may replace."""

import base64
import json
import re
import socket
import stat

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from deploy.local.credentials import IDENTITIES, load_secrets
from deploy.local.engines import MOST_ENGINES, EnginesRefused, engines_of
from deploy.local.installation import Installation, port_names
from deploy.local.ports import LOOPBACK, require_free, reserved_ports
from deploy.local.replicas import MOST_REPLICAS, ReplicasRefused, replicas_of
from deploy.local.topology import tiers

EXTERNAL_DATABASES = {
    f"{context}_DATABASE_URL": f"postgresql://{context.lower()}.example/x"
    for context in ("AUTH", "GENERATION", "EXECUTOR", "RESULTS")
}

ONE_SKETCH = engines_of({})


@pytest.fixture
def processes(tmp_path):
    """The process table by name, for a caller's environment."""

    def table(**given):
        engines = engines_of(given)
        secrets = load_secrets(tmp_path / "secrets.json", engines)
        replicas = replicas_of(given)
        ports = {name: 20_001 + number for number, name in enumerate(port_names(engines, replicas))}
        at = Installation(tmp_path, "127.0.0.1:8080", engines, ports, secrets, {"PATH": "/bin", **given}, replicas)
        return {process.name: process for tier in tiers(at) for process in tier}

    return table


def test_secrets_stay_the_same_and_are_for_their_owner_only(tmp_path):
    path = tmp_path / "secrets.json"
    first = load_secrets(path, ONE_SKETCH)
    assert load_secrets(path, ONE_SKETCH) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_two_installations_share_no_secret(tmp_path):
    one, other = (load_secrets(tmp_path / name, ONE_SKETCH) for name in ("one.json", "other.json"))
    assert not set(one.values()) & set(other.values())


def test_a_folder_of_an_earlier_version_gets_the_secrets_it_lacks_and_keeps_the_others(tmp_path):
    path = tmp_path / "secrets.json"
    path.write_text('{"engine_id": "the known one"}')
    secrets = load_secrets(path, ONE_SKETCH)
    assert secrets["engine_id"] == "the known one"
    assert secrets["operator_service_key"]
    assert json.loads(path.read_text()) == secrets


def test_a_service_is_known_to_all_by_its_public_key(processes):
    table = processes()
    keys = dict(entry.split("=", 1) for entry in table["auth"].environment["SERVICE_PUBLIC_KEYS"].split(","))
    assert keys.keys() == set(IDENTITIES)
    for name in table.keys() & keys.keys():
        seed = base64.urlsafe_b64decode(table[name].environment[f"SERVICE_KEY_{name.upper()}"])
        signature = Ed25519PrivateKey.from_private_bytes(seed).sign(b"a token")
        Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(keys[name])).verify(signature, b"a token")


def test_no_process_gets_a_secret_of_another(processes, tmp_path):
    table = processes(SKETCHES="2")
    secrets = json.loads((tmp_path / "secrets.json").read_text())
    allowed = {
        "migrate": {f"{context}_database_password" for context in ("auth", "generation", "executor", "results")},
        "auth": {"auth_service_key", "auth_database_password", "auth_encryption_key"},
        "generation": {"generation_service_key", "generation_database_password"},
        "executor": {"executor_service_key", "executor_database_password", "redis_password"},
        "worker": {"worker_service_key", "executor_database_password", "redis_password", "engine_id"},
        "worker-2": {"worker_service_key", "executor_database_password", "redis_password", "engine_id-2"},
        "results": {"results_service_key", "results_database_password", "results_signing_key"},
        "gateway": {"gateway_service_key", "redis_password"},
    }
    for name, process in table.items():
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


def test_the_keys_of_the_store_reach_results_alone(processes):
    table = processes(RESULTS_STORE_URL="s3://bucket", RESULTS_STORE_SECRET_ACCESS_KEY="secret")
    having = {name for name, process in table.items() if "RESULTS_STORE_SECRET_ACCESS_KEY" in process.environment}
    assert having == {"results"}


def test_each_comfyui_of_the_caller_gets_a_worker(processes):
    table = processes(COMFYUI_URL="http://a.example:8188 , http://b.example:8188")
    assert not [name for name in table if name.startswith("sketch")]
    one, other = (table[name].environment for name in ("worker", "worker-2"))
    assert one["COMFYUI_URL"] == "http://a.example:8188"
    assert other["COMFYUI_URL"] == "http://b.example:8188"
    assert_are_apart(one, other)
    assert one["SERVICE_KEY_WORKER"] == other["SERVICE_KEY_WORKER"]
    assert "worker-3" not in table


def test_each_sketch_has_a_port_a_folder_and_a_worker_of_its_own(processes):
    table = processes(SKETCHES="2")
    for sketch, worker in ("sketch", "worker"), ("sketch-2", "worker-2"):
        command, environment = table[sketch].command, table[worker].environment
        folder = command[command.index("--base-directory") + 1]
        assert environment["COMFYUI_URL"] == f"http://{table[sketch].address}"
        assert environment["COMFYUI_OUTPUT_DIR"] == f"{folder}/output"
    assert_are_apart(*(table[name].environment for name in ("worker", "worker-2")))


def assert_are_apart(one, other):
    """Two workers differ in all that belongs to a single one."""
    own = ["COMFYUI_URL", "EXECUTOR_ENGINE_ID", "EXECUTOR_READY_FILE", "EXECUTOR_LIVENESS_LISTEN", "METRICS_LISTEN"]
    own += ["COMFYUI_OUTPUT_DIR"] if "COMFYUI_OUTPUT_DIR" in one else []
    assert {name for name in one if one[name] != other.get(name)} == set(own)


def test_an_engine_keeps_its_id_from_run_to_run_by_its_position(processes):
    def ids(**given):
        table = processes(**given)
        return [table[name].environment["EXECUTOR_ENGINE_ID"] for name in ("worker", "worker-2") if name in table]

    two = ids(SKETCHES="2")
    assert ids() == two[:1]
    assert ids(COMFYUI_URL="http://a.example,http://b.example", EXECUTOR_ENGINE_ID="the caller's") == two


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"COMFYUI_URL": "http://a:8188,http://A:8188/"}, "COMFYUI_URL names http://A:8188/ twice."),
        ({"COMFYUI_URL": "http://a,http://a:80"}, "COMFYUI_URL names http://a:80 twice."),
        ({"COMFYUI_URL": "http://a,"}, "COMFYUI_URL: '' is not like http://127.0.0.1:8188."),
        ({"COMFYUI_URL": "127.0.0.1:8188"}, "COMFYUI_URL: '127.0.0.1:8188' is not like http://127.0.0.1:8188."),
        ({"COMFYUI_URL": "http://a:port"}, "COMFYUI_URL: 'http://a:port' is not like http://127.0.0.1:8188."),
        ({"COMFYUI_URL": "http://a http://b"}, "COMFYUI_URL: 'http://a http://b' is not like http://127.0.0.1:8188."),
        ({"COMFYUI_URL": "http://[::1"}, "COMFYUI_URL: 'http://[::1' is not like http://127.0.0.1:8188."),
        ({"SKETCHES": "0"}, "SKETCHES must be a number from 1 to 16, not '0'."),
        ({"SKETCHES": "many"}, "SKETCHES must be a number from 1 to 16, not 'many'."),
        (
            {"COMFYUI_URL": ",".join(f"http://a:{port}" for port in range(1, 18))},
            "COMFYUI_URL names 17 engines; one installation has at most 16.",
        ),
    ],
)
def test_engines_that_cannot_be_are_refused_with_one_sentence(given, sentence):
    with pytest.raises(EnginesRefused) as refusal:
        engines_of(given)
    assert str(refusal.value) == sentence


def test_each_service_has_as_many_replicas_as_the_caller_wants_which_differ_in_their_ports_alone(processes):
    table = processes(REPLICAS="2")
    for service in ("auth", "generation", "executor", "results", "gateway"):
        one, other = (table[name].environment for name in (service, f"{service}-2"))
        assert {name for name in one if one[name] != other.get(name)} == {f"{service.upper()}_LISTEN", "METRICS_LISTEN"}
    assert "auth-3" not in table


def test_callers_know_every_replica_and_each_hands_over_before_it_stops(processes):
    table = processes(REPLICAS="2")
    replicas = f"{table['auth'].address},{table['auth-2'].address}"
    assert table["gateway-2"].environment["AUTH_ADDRESS"] == replicas
    assert float(table["auth"].environment["DRAIN_SECONDS"]) > 0
    assert "DRAIN_SECONDS" not in processes()["auth"].environment, "there is nobody to hand over to"


@pytest.mark.parametrize("asked", ["0", "5", "two"])
def test_a_number_of_replicas_that_cannot_be_is_refused_with_one_sentence(asked):
    with pytest.raises(ReplicasRefused) as refusal:
        replicas_of({"REPLICAS": asked})
    assert str(refusal.value) == f"REPLICAS must be a number from 1 to 4, not {asked!r}."


def test_a_caller_cannot_move_the_internal_addresses(processes):
    table = processes(AUTH_LISTEN="0.0.0.0:1", AUTH_ADDRESS="elsewhere:1")
    assert table["auth"].environment["AUTH_LISTEN"] == table["auth"].address
    assert table["gateway"].environment["AUTH_ADDRESS"] == table["auth"].address


def test_a_limit_per_address_is_no_address_and_reaches_the_gateway(processes):
    gateway = processes(GATEWAY_RATE_LIMIT_PER_ADDRESS="5")["gateway"]
    assert gateway.environment["GATEWAY_RATE_LIMIT_PER_ADDRESS"] == "5"


def test_sketch_is_as_slow_as_the_caller_wants(processes):
    command = " ".join(processes(SKETCH_STEP_SECONDS="0", SKETCH_LOAD_SECONDS="0.1")["sketch"].command)
    assert re.search(r"--step-seconds 0 --load-seconds 0\.1$", command)


def test_two_launchers_never_hold_the_same_port():
    names = port_names(engines_of({"SKETCHES": str(MOST_ENGINES)}), MOST_REPLICAS)
    with reserved_ports(names) as one, reserved_ports(names) as other:
        assert one.keys() == set(names)
        assert not set(one.values()) & set(other.values())
        assert all(20_000 <= port < 32_000 for port in [*one.values(), *other.values()])


def test_a_port_that_somebody_listens_on_is_not_free():
    with socket.create_server((LOOPBACK, 0)) as server, pytest.raises(OSError, match="in use"):
        require_free(server.getsockname()[1])
