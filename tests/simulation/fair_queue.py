"""The executor's queue in memory: the real policy around sorted lists where the executor has tables."""

from bisect import bisect_left, insort
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

from services.executor.domain import JobId, OwnerId
from services.executor.scheduling.estimates import Estimates
from services.executor.scheduling.fairshare import Account, Head, handicap, in_order
from services.executor.scheduling.forecast import Unfinished, Waiting
from tests.simulation.cluster import Gpu, Job

HEADS = 16
"""Of each model that a claim looks at, in the order of virtual time."""

_SOME_DAY = datetime(2026, 1, 1, tzinfo=UTC)


class FairQueue:
    """Has one head for each owner and model while the owner is under its running cap."""

    def __init__(self, accounts: Iterable[Account], gpus: Iterable[Gpu], estimates: Callable[[], Estimates]) -> None:
        self._accounts = {account.owner_id: account for account in accounts}
        self._estimates = estimates
        self._models = {gpu.engine_id: gpu.models for gpu in gpus}
        self._clocks = dict.fromkeys(self._models, 0.0)
        self._waiting: dict[OwnerId, dict[str, deque[Job]]] = {owner_id: {} for owner_id in self._accounts}
        self._running: Counter[OwnerId] = Counter()
        self._heads: dict[str, list[tuple[float, int, JobId, OwnerId]]] = defaultdict(list)

    def submit(self, job: Job) -> None:
        waiting = self._waiting[job.owner_id]
        self._withdraw(job.owner_id)
        if not waiting:
            self._accounts[job.owner_id] = self._accounts[job.owner_id].arrive(self._arrival_clock(job.model))
        waiting.setdefault(job.model, deque()).append(job)
        self._offer(job.owner_id)

    def claim(self, gpu: Gpu) -> tuple[Job, float] | None:
        estimates, clock = self._estimates(), self._clocks[gpu.engine_id]

        def handicap_of(model: str) -> float:
            return 0.0 if model == gpu.loaded else handicap(estimates.load(model, gpu.engine_id).p50)

        tops = [(model, top) for model in sorted(gpu.models & self._heads.keys()) for top in self._heads[model][:HEADS]]
        owners = {job_id: owner_id for _, (_, _, job_id, owner_id) in tops}
        heads = [Head(job_id, model, vtime, number, _SOME_DAY) for model, (vtime, number, job_id, _) in tops]
        first = next(iter(in_order(heads, clock, handicap_of)), None)
        if first is None:
            return None
        owner_id = owners[first.job_id]
        self._withdraw(owner_id)
        job = self._take(owner_id, first.model)
        cost = estimates.run(job.model, gpu.engine_id, job.work).p50
        self._accounts[owner_id], self._clocks[gpu.engine_id] = self._accounts[owner_id].charge(clock, cost)
        self._running[owner_id] += 1
        self._offer(owner_id)
        return job, cost

    def settle(self, job: Job, cost: float, used: float) -> None:
        self._withdraw(job.owner_id)
        self._running[job.owner_id] -= 1
        self._accounts[job.owner_id] = self._accounts[job.owner_id].settle(cost, used)
        self._offer(job.owner_id)

    def give_back(self, job: Job) -> None:
        """It waits again, at its old place."""
        self._withdraw(job.owner_id)
        self._waiting[job.owner_id].setdefault(job.model, deque()).appendleft(job)
        self._offer(job.owner_id)

    def __iter__(self) -> Iterator[Waiting]:
        """Every waiting job, in the order in which fair share would start it if nothing more arrived."""
        estimates = self._estimates()
        waiting: list[Waiting] = []
        for owner_id, by_model in self._waiting.items():
            account = self._accounts[owner_id]
            start = account.vtime
            for job in sorted((job for jobs in by_model.values() for job in jobs), key=lambda job: job.number):
                waiting.append(Waiting(Unfinished(job.id, job.model, job.work), start, job.number))
                start += estimates.run(job.model, None, job.work).p50 / account.weight
        return iter(sorted(waiting, key=lambda one: (one.start, one.queue_number)))

    def _arrival_clock(self, model: str) -> float:
        return max(clock for engine_id, clock in self._clocks.items() if model in self._models[engine_id])

    def _take(self, owner_id: OwnerId, model: str) -> Job:
        waiting = self._waiting[owner_id]
        job = waiting[model].popleft()
        if not waiting[model]:
            del waiting[model]
        return job

    def _offer(self, owner_id: OwnerId) -> None:
        for model, head in self._heads_of(owner_id):
            insort(self._heads[model], head)

    def _withdraw(self, owner_id: OwnerId) -> None:
        for model, head in self._heads_of(owner_id):
            del self._heads[model][bisect_left(self._heads[model], head)]

    def _heads_of(self, owner_id: OwnerId) -> list[tuple[str, tuple[float, int, JobId, OwnerId]]]:
        account = self._accounts[owner_id]
        if account.running_cap is not None and self._running[owner_id] >= account.running_cap:
            return []
        return [
            (model, (account.vtime, jobs[0].number, jobs[0].id, owner_id))
            for model, jobs in self._waiting[owner_id].items()
        ]
