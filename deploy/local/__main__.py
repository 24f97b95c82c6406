"""python -m deploy.local [--port 8080] [--data-dir var]

The environment may put something of the operator's in the place of a part: `AUTH_`, `GENERATION_`, `EXECUTOR_` and
`RESULTS_DATABASE_URL`, REDIS_URL, COMFYUI_URL, RESULTS_STORE_URL. COMFYUI_URL may name several, separated by commas;
without it, SKETCHES says how many of sketch there are. Each engine gets a worker. Other variables with a context's
prefix, or with GATEWAY_, are its services' settings; SKETCH_STEP_SECONDS and SKETCH_LOAD_SECONDS set the pace of
sketch; ENVOY_CORS_ORIGINS (separated by spaces) and ENVOY_ACCESS_LOG are for the public door.
LOG_FORMAT=json writes lines as clusters have them. GRPC_TLS_CA, GRPC_TLS_CERT and GRPC_TLS_KEY name the certificates
by which the processes know each other (for 127.0.0.1).

REPLICAS=2 runs two of each service and of the gateway, which share the work. One that gets SIGTERM (its pid is in
DATA_DIR/run/processes.json) hands over to the other, ends, and is started anew, from the code that is there then.
"""

import argparse
import asyncio
import fcntl
import os
import shlex
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from deploy.local.banner import await_models, banner, register_demo
from deploy.local.certificates import CertificatesRefused, certificates_of
from deploy.local.credentials import load_secrets
from deploy.local.engines import Engine, EnginesRefused, engines_of
from deploy.local.files import replace
from deploy.local.installation import Installation, port_names
from deploy.local.liveness import changes, works
from deploy.local.log import Log
from deploy.local.ports import LOOPBACK, require_free, reserved_ports
from deploy.local.postgres import PostgresError
from deploy.local.replicas import ReplicasRefused, replicas_of
from deploy.local.supervisor import StartFailed, Supervisor
from deploy.local.topology import tiers

_LOCK_SECONDS = 1.0  # the processes of a killed launcher are gone in a tenth of that


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description="Run ImageGen on this machine.")
    parser.add_argument("--port", type=int, default=8080, help="where it listens on 127.0.0.1 (default: 8080)")
    parser.add_argument("--data-dir", type=Path, default=Path("var"), help="what it keeps (default: var)")
    arguments = parser.parse_args()
    try:
        engines = engines_of(os.environ)
        certificates_of(os.environ)
        replicas = replicas_of(os.environ)
    except (EnginesRefused, CertificatesRefused, ReplicasRefused) as refusal:
        sys.exit(str(refusal))
    data = arguments.data_dir.resolve()
    # Others may pass, to a PostgreSQL that runs as nobody (unprivileged.py), but not look around.
    data.mkdir(mode=0o711, parents=True, exist_ok=True)
    with _locked(data) as lock, reserved_ports(port_names(engines, replicas)) as ports:
        try:
            require_free(arguments.port)
        except OSError as error:
            sys.exit(f"Port {arguments.port} cannot be used ({error.strerror}); choose another with --port.")
        secrets = load_secrets(data / "secrets.json", engines)
        at = Installation(data, f"{LOOPBACK}:{arguments.port}", engines, ports, secrets, os.environ, replicas)
        for folder in (at.run, at.pictures, *(at.sketch(engine) for engine in engines if engine.external is None)):
            folder.mkdir(mode=0o700, exist_ok=True)
        at.postgres.forget_former_run()
        operator = at.run / "operator.env"
        replace(operator, "".join(f"{name}={shlex.quote(value)}\n" for name, value in at.operator.items()))
        failed = ""
        try:
            asyncio.run(_launch(at, lock))
        except* (StartFailed, PostgresError) as failures:
            failed = "\n".join(map(str, failures.exceptions))
        finally:
            operator.unlink(missing_ok=True)
        sys.exit(failed or 0)


async def _launch(at: Installation, lock: int) -> None:
    table = tiers(at)
    log = Log(["launcher", *(process.name for tier in table for process in tier)], sys.stdout.buffer)
    status = at.run / "processes.json"
    supervisor = Supervisor(table, status=status, public_url=at.public_url, log=log, lock=lock)

    async def greet_and_report() -> None:
        problem = await asyncio.to_thread(register_demo, at)
        if problem is not None:
            log.write("launcher", f"the demo account could not be registered: {problem}")
        await asyncio.to_thread(await_models, at)
        print(banner(at), flush=True)  # noqa: T201 - without a prefix, to be copied
        await asyncio.gather(*(_report(at, engine, log) for engine in at.engines if engine.external is not None))

    running = asyncio.create_task(supervisor.run(greet_and_report))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    with suppress(asyncio.CancelledError):
        await running


async def _report(at: Installation, engine: Engine, log: Log) -> None:
    """Tells when a ComfyUI of the caller's, which is not the launcher's to restart, stops working and works again."""
    async for is_well in changes(works(at.liveness(engine), "/engine")):
        change = "works again" if is_well else "answers, but does not work; restart it"
        log.write("launcher", f"{engine.external} {change}")


@contextmanager
def _locked(data: Path) -> Iterator[int]:
    """Holds the data folder. Every process inherits the lock, so who gets it knows that all former ones are dead."""
    with data.joinpath("lock").open("a") as lock:
        deadline = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    sys.exit(f"Another launcher runs on {data}; stop it, or choose another folder with --data-dir.")
                time.sleep(0.05)
        yield lock.fileno()


if __name__ == "__main__":
    main()
