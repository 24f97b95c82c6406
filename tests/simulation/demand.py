"""Who asks for what, and when: seeded, and the same for every scheduler."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from uuid import UUID

from services.executor.domain import EngineId, JobId, OwnerId
from services.executor.scheduling.estimates import Hint
from tests.simulation.cluster import Gpu, Job

WORK = 512 * 512 * 20
"""Pixels × steps × pictures of a job of size 1."""

LUCK = 0.15
"""Sigma of the lognormal factor by which runs of the same kind differ."""


@dataclass(frozen=True)
class Model:
    """`seconds`: of a job of size 1 on a GPU of pace 1."""

    name: str
    seconds: float = 10.0
    load_seconds: float = 15.0


def hints(models: list[Model]) -> dict[str, Hint]:
    return {model.name: Hint(model.seconds / WORK, model.load_seconds) for model in models}


class Demand:
    """A growing list of jobs to be."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self._asked: list[tuple[float, OwnerId, str, float, float, float]] = []

    def owner(self) -> OwnerId:
        return OwnerId(self._id())

    def owners(self, number: int) -> list[OwnerId]:
        return [self.owner() for _ in range(number)]

    def gpu(self, models: list[Model], loaded: Model | None, pace: float = 1.0) -> Gpu:
        able = frozenset(model.name for model in models)
        return Gpu(EngineId(self._id()), able, loaded.name if loaded else "", pace)

    def ask(self, owner_id: OwnerId, model: Model, at: float, *, size: float = 1.0, times: int = 1) -> None:
        for _ in range(times):
            luck = self.random.lognormvariate(0, LUCK), self.random.lognormvariate(0, LUCK)
            self._asked.append((at, owner_id, model.name, size, *luck))

    def moments(self, every: float, until: float, since: float = 0.0) -> Iterator[float]:
        """A Poisson process."""
        at = since + self.random.expovariate(1 / every)
        while at < until:
            yield at
            at += self.random.expovariate(1 / every)

    def jobs(self) -> list[Job]:
        return [
            Job(JobId(self._id()), owner_id, model, size * WORK, number, at, run_luck, load_luck)
            for number, (at, owner_id, model, size, run_luck, load_luck) in enumerate(
                sorted(self._asked, key=lambda asked: asked[0]), 1
            )
        ]

    def _id(self) -> UUID:
        return UUID(int=self.random.getrandbits(128), version=4)
