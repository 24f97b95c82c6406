"""What became of every task in the end."""

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from itertools import pairwise

import httpx
from PIL import Image
from sqlalchemy.exc import OperationalError

from tests.chaos.evidence import Row, gather
from tests.chaos.people import PICTURE, Person
from tests.chaos.promises import broken_leases, broken_promises
from tests.installation import Installation

_LOOK_SECONDS = 1.0
_DOWNLOADS_AT_ONCE = 8


@dataclass
class Verdict:
    """The end of every task.

    Attributes:
        seconds: from the beginning of each task to its end.
        pauses: seconds in which no task ended though some waited, and when that began; the longest first.
        violations: a sentence each, beginning with the task's id where it is about one.
    """

    accepted: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    pauses: list[tuple[float, float]] = field(default_factory=list)
    attempts: Counter[int] = field(default_factory=Counter)
    claims: Counter[int] = field(default_factory=Counter)
    pictures: int = 0
    left_for_the_sweep: int = 0
    violations: list[str] = field(default_factory=list)


async def judge(installation: Installation, people: Sequence[Person], *, within: float) -> Verdict:
    """Waits until every task has ended and what it left is tidied up, at most that many seconds; then judges."""
    deadline = time.monotonic() + within
    while True:
        try:
            evidence = await gather(installation, people)
        except OperationalError:  # PostgreSQL is not back yet
            assert time.monotonic() < deadline, "PostgreSQL has not come back"
        else:
            if evidence.is_final or time.monotonic() > deadline:
                break
        await asyncio.sleep(_LOOK_SECONDS)
    asked = [asked for person in people for asked in person.asked]
    verdict = Verdict(accepted=sum(bool(one.task_id) for one in asked))
    verdict.violations += [complaint for person in people for complaint in person.complaints]
    verdict.violations += broken_promises(asked, evidence)
    verdict.violations += broken_leases(installation.log.read_text())
    verdict.violations += await _broken_pictures(evidence.shown.values())
    for task in evidence.shown.values():
        verdict.ends[task["status"]] += 1
        if task["error"]:
            verdict.failures[task["error"]["code"]] += 1
    ended = [row for row in evidence.tasks.values() if row["finished_at"]]
    verdict.seconds = [(row["finished_at"] - row["created_at"]).total_seconds() for row in ended]
    verdict.pauses = _pauses(ended)
    for job in evidence.jobs.values():
        verdict.attempts[job["attempts"]] += 1
        verdict.claims[job["lease_epoch"]] += 1
    verdict.pictures = len(evidence.results)
    verdict.left_for_the_sweep = len({file.removesuffix("#1") for file in evidence.files} & evidence.orphans)
    return verdict


def _pauses(ended: Sequence[Row]) -> list[tuple[float, float]]:
    if not ended:
        return []
    begin = min(row["created_at"] for row in ended)
    moments = sorted(row["finished_at"] for row in ended)
    pauses = []
    for former, latter in pairwise([begin, *moments]):
        waiting = [row["created_at"] for row in ended if row["created_at"] < latter <= row["finished_at"]]
        since = max(former, min(waiting))
        pauses.append(((latter - since).total_seconds(), (since - begin).total_seconds()))
    return sorted(pauses, reverse=True)


async def _broken_pictures(tasks: Iterable[Row]) -> list[str]:
    """As an <img> loads them: without a token."""
    turn = asyncio.Semaphore(_DOWNLOADS_AT_ONCE)
    async with httpx.AsyncClient(timeout=20) as http:

        async def look_at(result: Row) -> str:
            async with turn:
                answer = await http.get(result["image_url"])
            if answer.status_code != 200:
                return f"{result['task_id']}: its picture {result['index']} is answered with {answer.status_code}"
            if hashlib.sha256(answer.content).hexdigest() != result["sha256"]:
                return f"{result['task_id']}: its picture {result['index']} is not the one that was stored"
            image = Image.open(BytesIO(answer.content))
            image.load()
            if image.size != (PICTURE["width"], PICTURE["height"]):
                return f"{result['task_id']}: its picture {result['index']} has the size {image.size}"
            return ""

        found = await asyncio.gather(*(look_at(result) for task in tasks for result in task["results"]))
    return [sentence for sentence in found if sentence]
