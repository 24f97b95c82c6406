"""From an earlier revision to the code that is here, as docs/operations.md says: the schema, then process by process.

People use the installation all along: first as the revision has it, then its processes on today's schema, then, as one
process after the other is replaced, both side by side. A revision without replicas gets the schema alone.
"""

import asyncio
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psycopg2

from deploy.local.credentials import CONTEXTS
from services.runtime.migrate import migrate
from tests.installation import PROJECT, Installation, running_installation
from tests.rolling.people import Tally
from tests.rolling.update import ONE_BY_ONE, SETTINGS, Account, Replaced, answered_by, crowd, replace_all

_PICTURES_EACH = 2  # that everybody is given, on average, before the next thing is done to the installation
_PATIENCE_SECONDS = 300.0


class CannotUpgrade(Exception):
    """The text is one sentence for whoever named the revision."""


@dataclass(frozen=True)
class Upgrade:
    """Attributes:
    revision: the commit that it began with, and its subject.
    schemas: by context, the newest migration before and after.
    """

    revision: str
    schemas: Mapping[str, tuple[str, str]]
    account: Account


def upgrade(data: Path, revision: str, users: int, *, tell: Callable[[str], None] = lambda _: None) -> Upgrade:
    """Args:
        data: an empty folder.
        revision: as git names it; empty: the newest tag, or else the commit before the newest migration.

    Raises:
        CannotUpgrade: there is no such revision.
    """
    revision = _git("log", "-1", "--format=%h %s", revision or _newest()).strip()
    code, later, kept = data / "code", data / "later", data / "data"
    kept.mkdir()
    _lay_out(revision.split()[0], code)
    _copy_ours(later)
    tell(f"from {revision}")
    with running_installation(kept, code, **SETTINGS) as installation:
        before = _schemas(installation)
        account = asyncio.run(_upgrade(installation, users, code, later, tell))
        after = _schemas(installation)
    return Upgrade(revision, {context: (before[context], after[context]) for context in CONTEXTS}, account)


async def _upgrade(
    installation: Installation, users: int, code: Path, later: Path, tell: Callable[[str], None]
) -> Account:
    tally = Tally()

    def told(standing: str) -> None:
        asked, failed = tally.requests.total(), len(tally.failed) + len(tally.stuck)
        tell(f"{standing}: {asked} requests and {len(tally.accepted)} tasks so far, {failed} failures")

    async with crowd(installation.url, users, tally):
        await _pictures(tally, users)
        told("its code on its schema")
        for context in CONTEXTS:
            await asyncio.to_thread(migrate, context, installation.database_url(context))
        await _pictures(tally, users)
        told("its code on today's schema")
        replaced: Sequence[Replaced] = ()
        if all(name in installation.processes for step in ONE_BY_ONE for name in step):
            await asyncio.to_thread(_exchange, code, later)
            replaced = await replace_all(installation, ONE_BY_ONE, tell)
            await _pictures(tally, users)
            told("today's code on today's schema")
        else:
            tell("its processes have no replicas, so none can be replaced unnoticed, and none is")
    return Account(tally, replaced, answered_by(installation))


async def _pictures(tally: Tally, users: int) -> None:
    """Until people have been given some more."""
    enough = _completed(tally) + users * _PICTURES_EACH
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while _completed(tally) < enough:
        if time.monotonic() > deadline:
            tally.failed.append(f"nothing was painted any more: {_completed(tally)} of {enough} pictures")
            return
        await asyncio.sleep(0.5)


def _completed(tally: Tally) -> int:
    return sum(state == "completed" for state in tally.accepted.values())


def _schemas(installation: Installation) -> Mapping[str, str]:
    """Each database's newest migration."""
    found = {}
    for context in CONTEXTS:
        url = installation.database_url(context).replace("+psycopg2", "")
        with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT version_num FROM alembic_version")
            [[found[context]]] = cursor.fetchall()
    return found


def _newest() -> str:
    if tags := _git("tag", "--sort=-creatordate", "--merged"):
        return tags.split()[0]
    return _git("log", "-1", "--format=%H", "--", "services/*/migrations/0*.py").strip() + "^"


def _lay_out(revision: str, folder: Path) -> None:
    """The revision's tree, without git's own."""
    folder.mkdir()
    with subprocess.Popen(["git", "archive", revision], cwd=PROJECT, stdout=subprocess.PIPE) as archive:
        subprocess.run(["tar", "-x", "-C", folder], stdin=archive.stdout, check=True)


def _copy_ours(folder: Path) -> None:
    """The tree that is here, with what is not committed yet."""
    for name in _git("ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0"):
        source = PROJECT / name
        if source.is_file() and not source.is_symlink():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


def _exchange(code: Path, later: Path) -> None:
    """As a checkout does: within the folder, for the launcher is in it, and `python -m` looks there first."""
    former = code.with_name("former")
    former.mkdir()
    for entry in [*code.iterdir()]:
        entry.rename(former / entry.name)
    for entry in [*later.iterdir()]:
        entry.rename(code / entry.name)


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=PROJECT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotUpgrade(done.stderr.strip().splitlines()[0])
    return done.stdout
