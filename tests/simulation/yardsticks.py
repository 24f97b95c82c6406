"""What fair share is measured against: first come, first served; and never change the model while it is wanted."""

import heapq
from collections import defaultdict

from tests.simulation.cluster import Gpu, Job


class Fifo:
    """The oldest job that the worker can serve."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[tuple[int, Job]]] = defaultdict(list)

    def submit(self, job: Job) -> None:
        heapq.heappush(self._waiting[job.model], (job.number, job))

    def claim(self, gpu: Gpu) -> tuple[Job, float] | None:
        oldest = min((self._waiting[model][0] for model in self._wanted(gpu)), default=None)
        if oldest is None:
            return None
        return heapq.heappop(self._waiting[oldest[1].model])[1], 0.0

    def settle(self, job: Job, cost: float, used: float) -> None:
        """Nobody has an account."""

    def give_back(self, job: Job) -> None:
        self.submit(job)

    def _wanted(self, gpu: Gpu) -> list[str]:
        return [model for model in gpu.models if self._waiting[model]]


class PureAffinity(Fifo):
    """The oldest job of the loaded model while there is one."""

    def _wanted(self, gpu: Gpu) -> list[str]:
        wanted = super()._wanted(gpu)
        return [gpu.loaded] if gpu.loaded in wanted else wanted
