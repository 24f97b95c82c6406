"""Each pod's environment is what its process reads: nothing is missing, misspelt or of another process."""

import stat
from itertools import chain

import jwt
import pytest
from pydantic import ValidationError

from app.web.settings import Settings as AppSettings
from deploy.k8s.secrets import manifests, write_env_files
from deploy.local.credentials import IDENTITIES, load_secrets
from deploy.local.engines import engines_of
from deploy.local.installation import Installation, port_names
from deploy.local.topology import tiers
from gateway.settings import Settings as GatewaySettings
from services.auth.settings import Settings as AuthSettings
from services.executor.settings import QueueSettings, ServerSettings, WorkerSettings
from services.generation.settings import GenerationSettings
from services.results.settings import Settings as ResultsSettings
from services.runtime.settings import ProcessSettings, service_identity
from services.runtime.tokens import ServiceIdentity, TrustedServices
from tests.deploy.rendered import OVERLAYS, environment, of_kind, own, pods

# By the module that a pod starts: what its main() reads.
SETTINGS = {
    "services.auth.main": [AuthSettings],
    "services.generation.main": [GenerationSettings],
    "services.executor.main": [ServerSettings, QueueSettings],
    "services.executor.worker": [WorkerSettings, QueueSettings],
    "services.results.main": [ResultsSettings],
    "gateway.main": [GatewaySettings],
    "app.web.main": [AppSettings],
}
EVERY_KIND = list(dict.fromkeys([ProcessSettings, *chain(*SETTINGS.values())]))
NAMELESS = {"app"}
"""It speaks REST like any client, and so has no identity among the services."""
# What a launcher needs and an image does not: where things lie, and a terminal's kind of log.
LAUNCHERS = {"PATH", "PYTHONPATH", "PYTHONUNBUFFERED", "LOG_FORMAT", "EXECUTOR_MODELS_DIR"}

every_overlay = pytest.mark.parametrize("name", OVERLAYS)


@pytest.fixture(scope="module")
def made_by_operator():
    """What deploy.k8s.secrets makes, by name."""
    items = manifests(namespace="imagegen")["items"]
    return {item["metadata"]["name"]: item.get("stringData") or item["data"] for item in items}


@pytest.fixture
def environments(made_by_operator):
    """An overlay's environment of each of our processes; a migration is none."""

    def of(name):
        configs = of_kind(name, "ConfigMap")
        mains = {process: main for process, main in own(pods(name)).items() if main["args"][0] in SETTINGS}
        assert len(mains) == len(SETTINGS)
        return {process: (main, environment(main, configs, made_by_operator)) for process, main in mains.items()}

    return of


def variables(settings):
    """A class's variables, and which of them it does without."""
    prefix = settings.model_config.get("env_prefix", "")
    return {
        (str(field.validation_alias or f"{prefix}{name}").upper(), field.is_required())
        for name, field in settings.model_fields.items()
    }


def identity_of(process):
    return set() if process in NAMELESS else {f"SERVICE_KEY_{process.upper()}"}


@every_overlay
def test_no_process_lacks_a_setting(name, environments):
    for process, (main, given) in environments(name).items():
        needed = {variable for settings in SETTINGS[main["args"][0]] for variable, must in variables(settings) if must}
        assert needed | identity_of(process) | {"METRICS_LISTEN"} <= given.keys(), process


@every_overlay
def test_no_process_is_given_what_it_does_not_read(name, environments):
    for process, (main, given) in environments(name).items():
        classes = [*SETTINGS[main["args"][0]], ProcessSettings]
        read = {variable for settings in classes for variable, _ in variables(settings)}
        assert given.keys() <= read | identity_of(process), process


@every_overlay
def test_every_setting_is_one_that_its_process_accepts(name, environments, monkeypatch):
    for process, (main, given) in environments(name).items():
        with monkeypatch.context() as patch:
            for variable, value in given.items():
                patch.setenv(variable, value)
            for settings in [*SETTINGS[main["args"][0]], ProcessSettings]:
                settings()
            if process not in NAMELESS:
                service_identity(process).token("auth")


@pytest.mark.parametrize("settings", EVERY_KIND, ids=lambda it: it.__module__)
def test_a_start_with_refused_settings_quotes_none(settings, monkeypatch):
    missing = next((variable for variable, must in variables(settings) if must), "")
    for variable, _ in variables(settings):
        monkeypatch.setenv(variable, "HUNTER2")
    monkeypatch.delenv(missing, raising=False)
    with pytest.raises(ValidationError) as caught:
        settings()
    assert "HUNTER2" not in str(caught.value)


@every_overlay
def test_a_process_has_what_the_launcher_gives_it_on_one_machine(name, environments, tmp_path):
    engines = engines_of({})
    secrets = load_secrets(tmp_path / "secrets.json", engines)
    ports = {port: 20_001 + number for number, port in enumerate(port_names(engines))}
    at = Installation(tmp_path, "127.0.0.1:8080", engines, ports, secrets, {"PATH": "/bin"})
    launched = {process.name: process.environment.keys() for tier in tiers(at) for process in tier}
    for process, (_, given) in environments(name).items():
        serves_nobody = {"SERVICE_PUBLIC_KEYS"} if process == "worker" else set()
        assert launched[process] - LAUNCHERS - serves_nobody <= given.keys(), process


def test_the_public_keys_are_those_of_the_secrets(made_by_operator):
    known = TrustedServices.parse(made_by_operator["service-public-keys"]["SERVICE_PUBLIC_KEYS"]).keys
    for identity in IDENTITIES:
        token = ServiceIdentity(identity, made_by_operator[identity][f"SERVICE_KEY_{identity.upper()}"]).token("auth")
        (key,) = known[identity]
        jwt.decode(token, key, algorithms=["EdDSA"], audience="auth")


def test_nobody_has_anothers_secret(made_by_operator):
    holders = {}
    for process, data in made_by_operator.items():
        for value in data.values():
            holders.setdefault(value, set()).add(process)
    shared = {frozenset(processes) for processes in holders.values() if len(processes) > 1}
    assert shared == {frozenset({"executor", "worker"}), frozenset({"executor", "worker", "gateway"})}


def test_an_operators_own_databases_leave_no_secret_for_ours():
    made = manifests(namespace="x", database_url="postgresql://{context}@db/{context}", redis_url="redis://r/0")
    names = {item["metadata"]["name"]: item for item in made["items"]}
    assert not {"postgres", "redis"} & names.keys()
    assert names["auth"]["stringData"]["AUTH_DATABASE_URL"] == "postgresql://auth@db/auth"
    assert names["gateway"]["stringData"]["REDIS_URL"] == "redis://r/0"


def test_files_for_compose_are_for_their_owner_only_and_never_written_over(tmp_path):
    folder = tmp_path / "compose"
    write_env_files(folder, manifests(namespace="x"))
    files = {path.name: path.read_text() for path in folder.iterdir()}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    with pytest.raises(FileExistsError):
        write_env_files(folder, manifests(namespace="x"))
    assert {path.name: path.read_text() for path in folder.iterdir()} == files
