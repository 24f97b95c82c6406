"""The queue in figures, for whoever runs the GPUs: what waits for each model, and who could paint it."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.executor.scheduling.estimates import Estimates
from services.executor.store import QueuedJob
from services.executor.workers import Standing, Worker


@dataclass
class Line:
    """The unfinished jobs for one model.

    Attributes:
        waiting: jobs that the next able worker may take.
        capped: jobs that their owners' running caps hold back; no worker more would begin them sooner.
        held: jobs that a worker has, and whose run has not begun.
        painting: jobs whose run has begun.
        backlog_seconds: what the waiting jobs will probably take in GPU-seconds, loads not counted.
        oldest_seconds: how long ago the first of the waiting ones was accepted; 0 if none waits.
    """

    waiting: int = 0
    capped: int = 0
    held: int = 0
    painting: int = 0
    backlog_seconds: float = 0.0
    oldest_seconds: float = 0.0


@dataclass(frozen=True)
class Census:
    """As it was `at` one moment. Models without unfinished jobs are in no line, and those that no worker can paint now
    have no painters.
    """

    at: datetime
    lines: Mapping[str, Line]
    painters: Mapping[str, int]
    """Workers that are able now, by each model that they have."""
    workers: Mapping[Standing, int]


def take_census(workers: Sequence[Worker], queued: Iterable[QueuedJob], estimates: Estimates, now: datetime) -> Census:
    lines: dict[str, Line] = defaultdict(Line)
    seconds: dict[tuple[str, float], float] = {}  # a long queue asks the same again and again
    for job in queued:
        line = lines[job.model]
        if job.engine_id is not None:
            if job.started_at is None:
                line.held += 1
            else:
                line.painting += 1
        elif job.is_capped:
            line.capped += 1
        else:
            kind = job.model, job.work
            if kind not in seconds:
                seconds[kind] = estimates.run(job.model, None, job.work).p50
            line.waiting += 1
            line.backlog_seconds += seconds[kind]
            line.oldest_seconds = max(line.oldest_seconds, (now - job.created_at).total_seconds())
    return Census(
        at=now,
        lines=lines,
        painters=Counter(model for worker in workers if worker.is_able(now) for model in worker.models),
        workers=Counter(worker.standing(now) for worker in workers),
    )
