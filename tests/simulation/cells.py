"""What it costs to cut one queue into cells: each owner belongs to one, and no GPU helps out in another."""

from collections.abc import Sequence
from itertools import accumulate
from random import Random

from tests.simulation.demand import Demand, Model
from tests.simulation.measures import Measure, percentile
from tests.simulation.replay import FAIR, World

MODELS = [Model(name) for name in "ABCDE"]
SERVICE = MODELS[0].seconds

BUSY = 0.75
"""Of all GPUs' seconds, in pictures alone; loads come on top."""

OWNERS_OF_A_GPU = 10
UNEVEN = 1.5
"""Sigma of the lognormal by which owners' demands differ: one in a hundred asks for thirty times the median."""

UNTIL = 360.0
SINCE = 120.0
"""Seconds: who came in the first two minutes found emptier GPUs than others do, and does not count."""

ENOUGH = 1_000
"""GPUs: a small cell is replayed more often than a large one."""

SIZES = ((10, 1), (1_000, 100), (1_000, 10), (1_000, 1), (100_000, 100))
"""GPUs in all, and into how many cells they are cut."""


def cells() -> list[Measure]:
    """The load of the fullest cell, which chance alone makes, and the waits there and in the middle one."""
    return [measure for gpus, number in SIZES for measure in cut(gpus, number)]


def cut(gpus: int, number: int, enough: int = ENOUGH) -> list[Measure]:
    """Of GPUs in so many cells; `enough` GPUs over all replays of a cell."""
    random, size = Random(1), gpus // number
    wishes = [[random.lognormvariate(0, UNEVEN) for _ in range(size * OWNERS_OF_A_GPU)] for _ in range(number)]
    at_most = gpus / sum(map(sum, wishes))
    loads = sorted((BUSY * at_most * sum(cell) / size, index) for index, cell in enumerate(wishes))
    if number == 1:
        name, figures, shown = f"{gpus:,} GPUs in one queue", [], {"": loads[0]}
    else:
        name = f"{gpus:,} GPUs in {number} cells"
        figures = [Measure(name, "load of the fullest", [loads[-1][0]])]
        shown = {", the middle cell": loads[number // 2], ", the fullest cell": loads[-1]}
    for where, (load, index) in shown.items():
        seeds = range(max(1, enough // size))
        waits = [wait for seed in seeds for wait in _waits(size, load, wishes[index], seed)]
        figures += [
            Measure(name, f"wait p{share * 100:.0f} / service time{where}", [percentile(waits, share)])
            for share in (0.5, 0.95)
        ]
    return figures


def _waits(gpus: int, load: float, wishes: Sequence[float], seed: int) -> list[float]:
    """In service times, of everybody's jobs under fair share."""
    demand = Demand(seed)
    crowd = [demand.gpu(MODELS, MODELS[number % len(MODELS)]) for number in range(gpus)]
    owner_ids, likely = demand.owners(len(wishes)), list(accumulate(wishes))
    for moment in demand.moments(SERVICE / (load * gpus), UNTIL):
        [owner_id] = demand.random.choices(owner_ids, cum_weights=likely)
        demand.ask(owner_id, demand.random.choice(MODELS), moment)
    runs = World(MODELS, crowd, demand.jobs(), {}).replay(FAIR)
    return [run.waited / SERVICE for run in runs if run.job.submitted >= SINCE]
