"""One demand on one set of GPUs, under the real policy or under a yardstick."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from services.executor.domain import OwnerId
from services.executor.scheduling.fairshare import Account
from tests.simulation.cluster import Cluster, Gpu, Job, Run
from tests.simulation.demand import Model, hints
from tests.simulation.fair_queue import FairQueue
from tests.simulation.learning import Learning, Oracle
from tests.simulation.yardsticks import Fifo, PureAffinity

FAIR, FIFO, AFFINITY = "fair share", "first come", "pure affinity"


@dataclass(frozen=True)
class World:
    """`absences`: which GPU is gone from when until when. `weights` of owners are 1 unless they are here."""

    models: list[Model]
    gpus: list[Gpu]
    jobs: list[Job]
    weights: Mapping[OwnerId, float]
    absences: tuple[tuple[int, float, float], ...] = ()

    def replay(self, scheduler: str, until: float = float("inf")) -> list[Run]:
        """Every run that began, in that order."""
        cluster, _ = self.open(scheduler)
        cluster.expect(self.jobs)
        cluster.play(until)
        return cluster.runs

    def foretell(self) -> Oracle:
        """Replay under fair share with forecasts."""
        cluster, learning = self.open(FAIR)
        assert isinstance(cluster.queue, FairQueue)
        oracle = Oracle(cluster, cluster.queue, learning)

        def ended(run: Run) -> None:
            learning.ran(run)
            oracle.ended(run)

        cluster.ended = ended
        cluster.expect(self.jobs, oracle.heard)
        cluster.play()
        return oracle

    def open(self, scheduler: str) -> tuple[Cluster, Learning]:
        """The GPUs as they are at the beginning, and nothing in the queue."""
        gpus = [Gpu(gpu.engine_id, gpu.models, gpu.loaded, gpu.pace) for gpu in self.gpus]
        cluster = Cluster(Fifo() if scheduler == FIFO else PureAffinity(), gpus, hints(self.models))
        learning = Learning(cluster.hints, lambda: cluster.now)
        if scheduler == FAIR:
            cluster.queue = FairQueue(self._accounts(), gpus, learning.estimates)
        cluster.ended = learning.ran
        for gpu, since, until in self.absences:
            cluster.absent(gpus[gpu], since, until)
        return cluster, learning

    def _accounts(self) -> Iterable[Account]:
        owner_ids = dict.fromkeys(job.owner_id for job in self.jobs)
        return [Account(owner_id, weight=self.weights.get(owner_id, 1.0)) for owner_id in owner_ids]
