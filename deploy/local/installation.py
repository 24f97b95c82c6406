"""One installation: its data folder, ports and secrets, and every setting that follows from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from deploy.envoy.render import Certificates
from deploy.local import credentials
from deploy.local.certificates import SETTINGS, certificates_of
from deploy.local.credentials import CONTEXTS
from deploy.local.engines import Engine
from deploy.local.ports import LOOPBACK
from deploy.local.postgres import Postgres
from deploy.local.replicas import replica_names

REPLICATED = (*CONTEXTS, "gateway")
PROJECT = Path(__file__).resolve().parents[2]
DATABASE_URLS = tuple(f"{context.upper()}_DATABASE_URL" for context in CONTEXTS)
# How processes meet is for the launcher alone to say.
_WIRING = ("_LISTEN", "_READY_FILE", "_ENGINE_ID", *(f"{context.upper()}_ADDRESS" for context in CONTEXTS))


def port_names(engines: Sequence[Engine], replicas: int = 1) -> Sequence[str]:
    """Everything that an installation with these engines and so many of each service needs a port for."""
    services = ["app", *(name for service in REPLICATED for name in replica_names(service, replicas))]
    return (
        *("postgres", "valkey", *services),
        *(f"{name}_metrics" for name in services),
        *(
            name
            for engine in engines
            for name in (engine.sketch, f"{engine.worker}_metrics", f"{engine.worker}_liveness")
        ),
    )


@dataclass(frozen=True)
class Installation:
    """What the process table is made from.

    Attributes:
        data: the data folder.
        public: `host:port` of the public door.
        engines: what `given` asks for.
        ports: a free port on loopback for each of `port_names(engines, replicas)`.
        given: the caller's environment. REDIS_URL or all four `X_DATABASE_URL` in it take the place of the embedded
            part.
        replicas: how many of each of REPLICATED there are, which share the work.
    """

    data: Path
    public: str
    engines: Sequence[Engine]
    ports: Mapping[str, int]
    secrets: Mapping[str, str]
    given: Mapping[str, str]
    replicas: int = 1

    @property
    def public_url(self) -> str:
        return f"http://{self.public}"

    @property
    def run(self) -> Path:
        """The folder of what means nothing to the next run."""
        return self.data / "run"

    @property
    def pictures(self) -> Path:
        return self.data / "pictures"

    def sketch(self, engine: Engine) -> Path:
        """The folder of what that sketch has painted."""
        return self.data / engine.sketch

    def engine_url(self, engine: Engine) -> str:
        return engine.external or f"http://{self.address(engine.sketch)}"

    def liveness(self, engine: Engine) -> str:
        """Where the engine's worker says whether it works."""
        return self.address(f"{engine.worker}_liveness")

    @property
    def operator(self) -> Mapping[str, str]:
        """The environment in which an operator's commands are let in by the executor, and work on the accounts."""
        return {
            "AUTH_DATABASE_URL": self.settings["AUTH_DATABASE_URL"],
            "AUTH_ENCRYPTION_KEYS": self.settings["AUTH_ENCRYPTION_KEYS"],
            "EXECUTOR_ADDRESS": self.addresses("executor"),
            "SERVICE_KEY_OPERATOR": self.secrets["operator_service_key"],
            **self.tls,
        }

    @cached_property
    def certificates(self) -> Certificates | None:
        return certificates_of(self.given)

    @property
    def tls(self) -> Mapping[str, str]:
        """The settings of whoever calls a service or is one; empty if gRPC goes in the clear."""
        return dict(zip(SETTINGS, self.certificates, strict=True)) if self.certificates else {}

    @property
    def postgres(self) -> Postgres:
        return Postgres(self.data / "postgres", self.ports["postgres"], self.secrets["postgres_password"])

    @property
    def database_passwords(self) -> Mapping[str, str]:
        return {context: self.secrets[f"{context}_database_password"] for context in CONTEXTS}

    @cached_property
    def public_keys(self) -> str:
        return credentials.public_keys(self.secrets)

    def address(self, name: str) -> str:
        return f"{LOOPBACK}:{self.ports[name]}"

    def addresses(self, service: str) -> str:
        """`host:port` of each of its replicas, separated by commas."""
        return ",".join(map(self.address, replica_names(service, self.replicas)))

    def embeds(self, *settings: str) -> bool:
        """Whether the caller leaves a part to the launcher: not every setting that names it is given."""
        return not all(self.given.get(name) for name in settings)

    def given_for(self, prefixes: Sequence[str]) -> Mapping[str, str]:
        """The caller's variables under these prefixes."""
        return {
            name: value
            for name, value in self.given.items()
            if name.startswith(tuple(prefixes)) and not name.endswith(_WIRING)
        }

    @cached_property
    def settings(self) -> Mapping[str, str]:
        """Every setting that all services share, by its name: the caller's, or else that of the embedded part."""
        settings = {
            "REDIS_URL": f"redis://:{self.secrets['redis_password']}@{self.address('valkey')}/0",
            "AUTH_ENCRYPTION_KEYS": self.secrets["auth_encryption_key"],
            "EXECUTOR_MODELS_DIR": str(PROJECT / "services" / "executor" / "models"),
            "RESULTS_SIGNING_KEY": self.secrets["results_signing_key"],
            "RESULTS_STORE_URL": self.pictures.as_uri(),
        }
        for context, password in self.database_passwords.items():
            settings[f"{context.upper()}_DATABASE_URL"] = self.postgres.url(context, password)
            settings[f"{context.upper()}_ADDRESS"] = self.addresses(context)
        replaceable = [name for name in settings if not name.endswith(_WIRING)]
        return settings | {name: self.given[name] for name in replaceable if self.given.get(name)}
