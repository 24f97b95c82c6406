"""What an installation holds at the end: what its owners are told of every task, and what only a judge may read."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tests.chaos.people import FINAL, Person
from tests.installation import Installation

Row = dict[str, Any]


@dataclass(frozen=True)
class Evidence:
    """What owners are shown of their tasks, and what it comes from: rows by their ids, and files.

    Attributes:
        variants: keys of pictures in other sizes, from before the files were listed.
        orphans: keys that results knows to have no row, or had none then; they wait for its sweep, or were just kept.
        files: names in the store.
    """

    shown: dict[str, Row]
    tasks: dict[str, Row]
    jobs: dict[str, Row]
    results: list[Row]
    orphans: frozenset[str]
    files: frozenset[str]
    variants: frozenset[str] = frozenset()

    @property
    def homeless(self) -> list[Row]:
        """Results of no completed task."""
        return [row for row in self.results if self.shown.get(str(row["task_id"]), {}).get("status") != "completed"]

    @property
    def is_final(self) -> bool:
        """Every task has ended for its owner, and what came to nothing is tidied up."""
        return (
            all(task["status"] in FINAL and not task["results_unavailable"] for task in self.shown.values())
            and not any(job["discard_pending"] or job["finished_at"] is None for job in self.jobs.values())
            and not self.homeless
        )


async def gather(installation: Installation, people: Iterable[Person]) -> Evidence:
    """Raises sqlalchemy's OperationalError while PostgreSQL is away."""
    histories = await asyncio.gather(*(person.tasks() for person in people))
    variants = _keys(installation, "variants")
    files = frozenset(path.name for path in installation.pictures.iterdir())  # before the rows that speak of them
    return Evidence(
        shown={task_id: task for history in histories for task_id, task in history.items()},
        tasks={str(row["id"]): row for row in _rows(installation, "generation", "generation_tasks")},
        jobs={str(row["id"]): row for row in _rows(installation, "executor", "jobs")},
        results=_rows(installation, "results", "results"),
        orphans=_keys(installation, "orphans") | (_keys(installation, "variants") - variants),
        files=files,
        variants=variants,
    )


def _keys(installation: Installation, table: str) -> frozenset[str]:
    return frozenset(row["store_key"] for row in _rows(installation, "results", table))


def _rows(installation: Installation, context: str, table: str) -> list[Row]:
    engine = sa.create_engine(installation.database_url(context), poolclass=sa.NullPool)
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(sa.text(f"SELECT * FROM {table}")).mappings()]
