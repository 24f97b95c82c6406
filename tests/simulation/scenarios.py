"""Who waits how long, who gets how much, and what changing models costs."""

from collections import defaultdict
from collections.abc import Sequence

from services.executor.domain import OwnerId
from services.executor.scheduling.fairshare import handicap
from tests.simulation.cluster import Run
from tests.simulation.demand import Demand, Model
from tests.simulation.measures import Measure, Target, jain, percentile
from tests.simulation.replay import AFFINITY, FAIR, FIFO, World

A, B, C, D, E = (Model(name) for name in "ABCDE")
SERVICE = A.seconds

SCHEDULERS = (FAIR, FIFO, AFFINITY)


def light_waits(seed: int) -> dict[str, list[float]]:
    """Scheduler → waits in service times of users with two jobs each; one user has put in 200 before them."""
    demand = Demand(seed)
    gpus = [demand.gpu([A, B], model) for model in (A, A, B, B)]
    hot = demand.owner()
    for _ in range(100):
        demand.ask(hot, A, 0.0)
        demand.ask(hot, B, 0.0)
    for moment in demand.moments(25.0, 450.0):
        demand.ask(demand.owner(), demand.random.choice([A, B]), moment, times=2)
    world = World([A, B], gpus, demand.jobs(), {})
    return {
        scheduler: [run.waited / SERVICE for run in world.replay(scheduler) if run.job.owner_id != hot]
        for scheduler in SCHEDULERS
    }


def light_users(waits: Sequence[dict[str, list[float]]]) -> list[Measure]:
    def over_seeds(scheduler: str, share: float) -> list[float]:
        return [percentile(of_seed[scheduler], share) for of_seed in waits]

    return [
        Measure(
            "light users beside a hot one, 4 GPUs, 2 models",
            f"wait p{share * 100:.0f} / service time",
            over_seeds(FAIR, share),
            target,
            {scheduler: over_seeds(scheduler, share) for scheduler in (FIFO, AFFINITY)},
        )
        for share, target in ((0.5, None), (0.95, Target(most=2.0)))
    ]


def separate_pools(seeds: Sequence[int]) -> list[Measure]:
    """Light users of model B, which one GPU has, beside a hot one; three others are kept busy with A by somebody."""

    def p95(seed: int, *, is_beside: bool, scheduler: str = FAIR) -> float:
        demand = Demand(seed)
        hot_b = demand.owner()
        light = set()
        demand.ask(hot_b, B, 0.0, times=100)
        for moment in demand.moments(60.0, 900.0):
            light.add(owner_id := demand.owner())
            demand.ask(owner_id, B, moment, times=2)
        gpus = [demand.gpu([B], B)]
        if is_beside:
            demand.ask(demand.owner(), A, 0.0, times=400)
            gpus += [demand.gpu([A], A) for _ in range(3)]
        world = World([A, B], gpus, demand.jobs(), {})
        return percentile([run.waited / SERVICE for run in world.replay(scheduler) if run.job.owner_id in light], 0.95)

    return [
        Measure(
            "the same, and a busy pool of GPUs that share no model",
            "wait p95 / service time",
            [p95(seed, is_beside=True) for seed in seeds],
            Target(most=10.0),
            {
                "that pool absent": [p95(seed, is_beside=False) for seed in seeds],
                FIFO: [p95(seed, is_beside=True, scheduler=FIFO) for seed in seeds],
            },
        )
    ]


def backlogged(seeds: Sequence[int], hours: float = 1.0) -> list[Measure]:
    """Eight owners that always have jobs waiting, of weights 1 to 4, three models, sizes of one to eight."""
    indexes: dict[str, list[float]] = {scheduler: [] for scheduler in SCHEDULERS}
    horizon = hours * 3600.0
    for seed in seeds:
        demand = Demand(seed)
        gpus = [demand.gpu([A, B, C], model) for model in (A, B, C, A)]
        weights = dict(zip(demand.owners(8), (1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 3.0, 4.0), strict=True))
        for number, owner_id in enumerate(weights):
            for _ in range(round(2400 * hours)):
                model = (A, B, C)[number % 3] if number < 6 else demand.random.choice([A, B, C])
                size = demand.random.choice([0.5, 1.0, 2.0, 4.0]) if number % 2 else (0.5, 1.0, 2.0, 4.0)[number // 2]
                demand.ask(owner_id, model, 0.0, size=size)
        world = World([A, B, C], gpus, demand.jobs(), weights)
        for scheduler in SCHEDULERS:
            used = seconds_of_owners(world.replay(scheduler, horizon), horizon)
            indexes[scheduler].append(jain(used[owner_id] / weight for owner_id, weight in weights.items()))
    yardsticks = {scheduler: indexes[scheduler] for scheduler in (FIFO, AFFINITY)}
    figure = "Jain index of GPU-seconds / weight"
    return [Measure("always backlogged owners", figure, indexes[FAIR], Target(least=0.95), yardsticks)]


def seconds_of_owners(runs: Sequence[Run], horizon: float) -> dict[OwnerId, float]:
    used: dict[OwnerId, float] = defaultdict(float)
    for run in runs:
        used[run.job.owner_id] += min(run.ends, horizon) - run.began
    return used


FIVE = [A, B, C, D, E]
MIXES = {
    "2 models, 4 GPUs": ([A, B], [1, 1], [A, A, B, B]),
    "5 models, 4 GPUs": (FIVE, [1, 1, 1, 1, 1], [A, B, C, D]),
    "5 models, 2 GPUs": (FIVE, [1, 1, 1, 1, 1], [A, B]),
    "5 models, 4 GPUs, skewed": (FIVE, [16, 4, 2, 1, 1], [A, A, A, B]),
}


def reloads(seeds: Sequence[int], mixes: Sequence[str] = tuple(MIXES)) -> list[Measure]:
    """Twenty owners ask at random for as much painting as 80 % of the GPUs' time."""
    return [measure for mix in mixes for measure in _reloads(mix, seeds)]


def _reloads(mix: str, seeds: Sequence[int]) -> list[Measure]:
    models, demanded, loaded = MIXES[mix]
    ratios, fifo_ratios = [], []
    lost: dict[str, list[float]] = {scheduler: [] for scheduler in SCHEDULERS}
    for seed in seeds:
        demand = Demand(seed)
        gpus = [demand.gpu(models, model) for model in loaded]
        owners = demand.owners(20)
        for moment in demand.moments(SERVICE / (0.8 * len(gpus)), 3000.0):
            demand.ask(demand.random.choice(owners), demand.random.choices(models, demanded)[0], moment)
        world = World(models, gpus, demand.jobs(), {})
        runs = {scheduler: world.replay(scheduler) for scheduler in SCHEDULERS}
        loads = {scheduler: sum(run.load_seconds > 0 for run in runs[scheduler]) for scheduler in SCHEDULERS}
        ratios.append(loads[FAIR] / loads[AFFINITY])
        fifo_ratios.append(loads[FIFO] / loads[AFFINITY])
        for scheduler in SCHEDULERS:
            lost[scheduler].append(share_of_loads(runs[scheduler]))
    yardsticks = {scheduler: lost[scheduler] for scheduler in (AFFINITY, FIFO)}
    return [
        Measure(mix, "reloads / those of pure affinity", ratios, Target(most=1.2), {FIFO: fifo_ratios}),
        Measure(mix, "share of GPU time lost to loads", lost[FAIR], None, yardsticks),
    ]


def contention(seeds: Sequence[int]) -> list[Measure]:
    """Two owners that always want different models of one GPU: what being fair costs at its worst."""
    lost = []
    for seed in seeds:
        demand = Demand(seed)
        gpu = demand.gpu([A, B], A)
        for model in (A, B):
            demand.ask(demand.owner(), model, 0.0, times=400)
        lost.append(share_of_loads(World([A, B], [gpu], demand.jobs(), {}).replay(FAIR, 3600.0)))
    return [Measure("2 backlogged owners, 2 models, 1 GPU", "share of GPU time lost to loads", lost)]


def share_of_loads(runs: Sequence[Run]) -> float:
    return sum(run.load_seconds for run in runs) / sum(run.used for run in runs)


def unloaded_model(seeds: Sequence[int]) -> list[Measure]:
    """Now and then somebody wants a model that no GPU has loaded, while others always have jobs waiting."""
    return [_unloaded(others, load_seconds, seeds) for others, load_seconds in ((1, 15.0), (20, 15.0), (20, 60.0))]


def _unloaded(others: int, load_seconds: float, seeds: Sequence[int]) -> Measure:
    rare = Model("rare", SERVICE, load_seconds)
    unit = SERVICE + load_seconds
    longest: dict[str, list[float]] = {scheduler: [] for scheduler in SCHEDULERS}
    gpus_at_all = 4
    for seed in seeds:
        demand = Demand(seed)
        gpus = [demand.gpu([A, B, rare], model) for model in (A, A, B, B)]
        for owner_id in demand.owners(others):
            for model in (A, B):
                demand.ask(owner_id, model, 0.0, times=600 // others)
        wanting = set()
        for moment in demand.moments(300.0, 2000.0, 100.0):
            wanting.add(owner_id := demand.owner())
            demand.ask(owner_id, rare, moment)
        world = World([A, B, rare], gpus, demand.jobs(), {})
        for scheduler in SCHEDULERS:
            runs = world.replay(scheduler)
            longest[scheduler].append(
                max((run.waited / unit for run in runs if run.job.owner_id in wanting), default=0)
            )
    lag = (others + 1) * (handicap(1.5 * load_seconds) + 2 * SERVICE) / gpus_at_all
    return Measure(
        f"a model loaded nowhere, {others} backlogged, load {load_seconds:.0f} s",
        "longest wait / (service + load)",
        longest[FAIR],
        Target(most=round((lag + 2 * SERVICE) / unit, 1)),
        {scheduler: longest[scheduler] for scheduler in (FIFO, AFFINITY)},
    )
