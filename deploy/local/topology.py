"""The process table: what runs on one machine, with which command, environment and readiness."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from signal import SIGINT

from deploy.envoy.render import render
from deploy.local import wheels
from deploy.local.credentials import CONTEXTS
from deploy.local.engines import Engine
from deploy.local.files import replace
from deploy.local.installation import DATABASE_URLS, PROJECT, Installation
from deploy.local.liveness import Opinion, works
from deploy.local.ports import LOOPBACK
from deploy.local.readiness import Check, answers, connects, exists, has_databases, opens, serves
from deploy.local.replicas import replica_names
from deploy.local.supervisor import Process

_SYSTEM = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")
# Beside these settings, a service gets what the caller set under its context's prefix and under OpenTelemetry's, and no
# other's secrets.
_NEEDS = {
    "auth": "AUTH_DATABASE_URL AUTH_ENCRYPTION_KEYS",
    "generation": "GENERATION_DATABASE_URL AUTH_ADDRESS EXECUTOR_ADDRESS RESULTS_ADDRESS",
    "executor": "EXECUTOR_DATABASE_URL EXECUTOR_MODELS_DIR AUTH_ADDRESS REDIS_URL",
    "results": "RESULTS_DATABASE_URL RESULTS_STORE_URL RESULTS_SIGNING_KEY AUTH_ADDRESS",
    "worker": "EXECUTOR_DATABASE_URL EXECUTOR_MODELS_DIR RESULTS_ADDRESS REDIS_URL",
    "gateway": "AUTH_ADDRESS GENERATION_ADDRESS RESULTS_ADDRESS EXECUTOR_ADDRESS REDIS_URL",
}
# Envoy asks each replica every second and leaves it when it has said twice that it does not serve (envoy.yaml).
_DRAIN_SECONDS = "3"
_SKETCH_OPTIONS = {"SKETCH_STEP_SECONDS": "--step-seconds", "SKETCH_LOAD_SECONDS": "--load-seconds"}


def tiers(at: Installation) -> Sequence[Sequence[Process]]:
    """Returns the table. A tier uses those before it, so the last is stopped first."""
    return list(_platform(at)), list(_contexts(at)), list(_callers(at)), list(_door(at))


def _platform(at: Installation) -> Iterator[Process]:
    if at.embeds(*DATABASE_URLS):
        yield Process(
            "postgres",
            at.postgres.command,
            _system(at),
            has_databases(at.postgres, at.database_passwords),
            address=at.address("postgres"),
            prepare=at.postgres.initialise,
            stop_signal=SIGINT,
        )
    if at.embeds("REDIS_URL"):
        config = at.run / "valkey.conf"
        yield Process(
            "valkey",
            (wheels.valkey_server(), str(config)),
            _system(at),
            connects(at.address("valkey")),
            address=at.address("valkey"),
            prepare=partial(replace, config, _valkey_config(at)),
        )
    yield from (_sketch(at, engine) for engine in at.engines if engine.external is None)


def _sketch(at: Installation, engine: Engine) -> Process:
    options = ["--port", str(at.ports[engine.sketch]), "--base-directory", str(at.sketch(engine))]
    for variable, option in _SKETCH_OPTIONS.items():
        if variable in at.given:
            options += [option, at.given[variable]]
    address = at.address(engine.sketch)
    return Process(
        engine.sketch,
        _module("services.executor.sketch", *options),
        _python(at),
        answers(address, "/system_stats"),
        address=address,
        alive=works(at.liveness(engine), "/engine"),
    )


def _contexts(at: Installation) -> Iterator[Process]:
    yield Process(
        "migrate",
        _module("services.runtime.migrate", *CONTEXTS),
        {**_python(at), **{name: at.settings[name] for name in DATABASE_URLS}},
        ready=None,
        after=("postgres",) if at.embeds(*DATABASE_URLS) else (),
    )
    for service in CONTEXTS:
        for name in replica_names(service, at.replicas):
            ready = serves(at.address(name), at.certificates)
            yield _replica(at, service, name, f"services.{service}.main", ready, after=("migrate",))


def _callers(at: Installation) -> Iterator[Process]:
    yield from (_worker(at, engine) for engine in at.engines)
    for name in replica_names("gateway", at.replicas):
        yield _replica(at, "gateway", name, "gateway.main", answers(at.address(name), "/readyz"))
    yield _app(at)


def _replica(
    at: Installation, service: str, name: str, module: str, ready: Check, *, after: Sequence[str] = ()
) -> Process:
    own = {f"{service.upper()}_LISTEN": at.address(name)}
    if at.replicas > 1:
        own["DRAIN_SECONDS"] = at.given.get("DRAIN_SECONDS") or _DRAIN_SECONDS
    address = at.address(name)
    return _service(at, name, identity=service, module=module, own=own, ready=ready, after=after, address=address)


def _app(at: Installation) -> Process:
    """The client on the web. It speaks REST like any client, and so has no identity among the services."""
    address = at.address("app")
    environment = {
        **_python(at),
        **at.given_for(("APP_",)),
        "PYTHONPATH": os.pathsep.join([str(PROJECT / "app" / "src"), _python(at)["PYTHONPATH"]]),
        "APP_LISTEN": address,
        "APP_FILES_DIR": str(at.data / "app"),
        "GATEWAY_ADDRESS": at.addresses("gateway"),
        "METRICS_LISTEN": at.address("app_metrics"),
    }
    return Process("app", _module("app.web.main"), environment, answers(address, "/healthz"), address=address)


def _worker(at: Installation, engine: Engine) -> Process:
    ready_file = at.run / f"{engine.worker}.ready"
    own = {
        "COMFYUI_URL": at.engine_url(engine),
        "EXECUTOR_ENGINE_ID": at.secrets[engine.id_secret],
        "EXECUTOR_LIVENESS_LISTEN": at.liveness(engine),
        "EXECUTOR_READY_FILE": str(ready_file),
    }
    if engine.external is None:
        own["COMFYUI_OUTPUT_DIR"] = str(at.sketch(engine) / "output")
    return _service(
        at,
        engine.worker,
        identity="worker",
        module="services.executor.worker",
        prefixes=("EXECUTOR_", "COMFYUI_"),
        own=own,
        ready=exists(ready_file),
        after=("migrate",),
        prepare=partial(ready_file.unlink, missing_ok=True),
        alive=works(at.liveness(engine), "/worker"),
    )


def _door(at: Installation) -> Iterator[Process]:
    config = at.run / "envoy.yaml"
    content = render(
        listen=at.public,
        auth=at.addresses("auth"),
        generation=at.addresses("generation"),
        results=at.addresses("results"),
        executor=at.addresses("executor"),
        gateway=at.addresses("gateway"),
        app=at.address("app"),
        cors_origins=at.given.get("ENVOY_CORS_ORIGINS", "").split(),
        access_log=bool(at.given.get("ENVOY_ACCESS_LOG")),
        tls=at.certificates,
    )
    options = ("--concurrency", "1", "--disable-hot-restart", "--log-level", "warning")
    yield Process(
        "envoy",
        (wheels.envoy(), "-c", str(config), *options),
        _system(at),
        ready=opens(at.public),
        address=at.public,
        prepare=partial(replace, config, content),
    )


def _service(
    at: Installation,
    name: str,
    *,
    ready: Check,
    identity: str,
    module: str,
    prefixes: Sequence[str] = (),
    own: Mapping[str, str] | None = None,
    after: Sequence[str] = (),
    address: str | None = None,
    prepare: Callable[[], object] | None = None,
    alive: Opinion | None = None,
) -> Process:
    environment = {
        **_python(at),
        **at.given_for((*(prefixes or (f"{identity.upper()}_",)), "OTEL_")),
        **{setting: at.settings[setting] for setting in _NEEDS[identity].split()},
        **(own or {}),
        **at.tls,
        "METRICS_LISTEN": at.address(f"{name}_metrics"),
        f"SERVICE_KEY_{identity.upper()}": at.secrets[f"{identity}_service_key"],
        "SERVICE_PUBLIC_KEYS": at.public_keys,
    }
    return Process(name, _module(module), environment, ready, after, address, prepare, alive=alive)


def _module(name: str, *arguments: str) -> Sequence[str]:
    return (sys.executable, "-m", name, *arguments)


def _system(at: Installation) -> Mapping[str, str]:
    return {name: at.given[name] for name in _SYSTEM if name in at.given}


def _python(at: Installation) -> Mapping[str, str]:
    folders = [str(PROJECT), str(PROJECT / "protos" / "gen"), *filter(None, [at.given.get("PYTHONPATH")])]
    return {
        **_system(at),
        "PYTHONPATH": os.pathsep.join(folders),
        "PYTHONUNBUFFERED": "1",  # a crash must not take the last lines with it
        "LOG_FORMAT": at.given.get("LOG_FORMAT") or "console",
    }


def _valkey_config(at: Installation) -> str:
    """The content of a file: a command line would show the password to every user of the machine."""
    return f"""\
bind {LOOPBACK}
port {at.ports["valkey"]}
requirepass {at.secrets["redis_password"]}
save ""
appendonly no
loglevel warning
"""
