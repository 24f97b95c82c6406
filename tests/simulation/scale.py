"""What the policy itself costs, from one GPU and ten jobs to a thousand and a hundred thousand, in CPU time."""

from collections.abc import Callable
from time import process_time

from tests.simulation.demand import Demand, Model
from tests.simulation.fair_queue import FairQueue
from tests.simulation.learning import Oracle
from tests.simulation.measures import Measure
from tests.simulation.replay import FAIR, World

SIZES = ((1, 10), (10, 1_000), (100, 10_000), (1_000, 100_000))
JOBS_OF_AN_OWNER = 50

MODELS = [Model(name) for name in "ABCDE"]


def scales() -> list[Measure]:
    return [measure for gpus, jobs in SIZES for measure in _scale(gpus, jobs, max(1, jobs // JOBS_OF_AN_OWNER))]


def _scale(gpus: int, jobs: int, owners: int) -> list[Measure]:
    demand = Demand(1)
    owner_ids = demand.owners(owners)
    for _ in range(jobs):
        demand.ask(demand.random.choice(owner_ids), demand.random.choice(MODELS), 0.0)
    crowd = [demand.gpu(MODELS, demand.random.choice(MODELS)) for _ in range(gpus)]
    cluster, learning = World(MODELS, crowd, demand.jobs(), {}).open(FAIR)
    queue = cluster.queue
    assert isinstance(queue, FairQueue)
    waiting = demand.jobs()
    for job in waiting:
        queue.submit(job)
    claims = [_seconds(lambda gpu=gpu: queue.claim(gpu)) for gpu in cluster.gpus]
    forecast = _seconds(Oracle(cluster, queue, learning).forecast)
    name = f"{gpus:,} GPUs, {jobs:,} jobs of {owners:,} owners"
    return [
        Measure(name, "µs of policy for a claim", [1e6 * sum(claims) / len(claims)]),
        Measure(name, "ms for a forecast of all", [1e3 * forecast]),
    ]


def _seconds(work: Callable[[], object]) -> float:
    began = process_time()
    work()
    return process_time() - began
