"""Whether jobs end when users were told that they would."""

from collections.abc import Callable, Sequence

from tests.simulation.demand import Demand, Model
from tests.simulation.learning import Told
from tests.simulation.measures import Measure, Target
from tests.simulation.replay import World

MODELS = [Model("A"), Model("B"), Model("C")]
POPULARITY = [3, 2, 1]
SIZES = [0.5, 1.0, 1.0, 2.0]
SECONDS = 3000.0
MEAN_SERVICE = 10.0 * sum(SIZES) / len(SIZES)


def steady(demand: Demand, capacity: float, load: float = 0.75) -> None:
    """Twenty owners ask at random; `load`: painting asked for, as a share of what the GPUs could paint."""
    owners = demand.owners(20)
    for moment in demand.moments(MEAN_SERVICE / (load * capacity), SECONDS):
        model = demand.random.choices(MODELS, POPULARITY)[0]
        demand.ask(demand.random.choice(owners), model, moment, size=demand.random.choice(SIZES))


def bursts(demand: Demand, capacity: float) -> None:
    """Now and then four owners ask for ten pictures each at once."""
    steady(demand, capacity, 0.3)
    for moment in demand.moments(250.0, SECONDS):
        for owner_id in demand.owners(4):
            model = demand.random.choices(MODELS, POPULARITY)[0]
            demand.ask(owner_id, model, moment, size=demand.random.choice(SIZES), times=10)


def hot_user(demand: Demand, capacity: float) -> None:
    """Twice somebody asks for 80 pictures at once."""
    steady(demand, capacity, 0.5)
    hot = demand.owner()
    for moment in (500.0, 1700.0):
        for number in range(80):
            demand.ask(hot, MODELS[number % 2], moment, size=demand.random.choice(SIZES))


SCENARIOS: dict[str, tuple[Callable[[Demand, float], None], list[float], tuple[tuple[int, float, float], ...]]] = {
    "steady load": (steady, [1.0] * 4, ()),
    "bursts": (bursts, [1.0] * 4, ()),
    "fast and slow GPUs": (steady, [0.5, 0.5, 2.0, 2.0], ()),
    "a hot user arrives": (hot_user, [1.0] * 4, ()),
    "GPUs go and come back": (steady, [1.0] * 4, ((0, 600.0, 1200.0), (1, 1800.0, 2100.0))),
}


def told(scenario: str, seed: int) -> list[Told]:
    ask, paces, absences = SCENARIOS[scenario]
    demand = Demand(seed)
    loaded = (MODELS[0], MODELS[0], MODELS[1], MODELS[2])
    gpus = [demand.gpu(MODELS, model, pace) for model, pace in zip(loaded, paces, strict=True)]
    ask(demand, sum(1 / pace for pace in paces))
    return World(MODELS, gpus, demand.jobs(), {}, absences).foretell().told


def kept(told: Sequence[Told], scenario: str = "") -> float:
    """The share that had ended by the p90 of what they were told."""
    return sum(one.seconds <= one.forecast.p90 for one in told) / len(told)


def eta(seeds: Sequence[int], scenarios: Sequence[str] = tuple(SCENARIOS)) -> list[Measure]:
    return [measure for scenario in scenarios for measure in _eta(scenario, [told(scenario, seed) for seed in seeds])]


def _eta(scenario: str, by_seed: Sequence[Sequence[Told]]) -> list[Measure]:
    def below_p50(told: Sequence[Told]) -> float:
        return sum(one.seconds <= one.forecast.p50 for one in told) / len(told)

    def error(told: Sequence[Told]) -> float:
        return 100 * sum(abs(one.seconds - one.forecast.p50) / one.seconds for one in told) / len(told)

    def of_all(told: Sequence[Told]) -> float:
        return 100 * sum(abs(one.seconds - one.forecast.p50) for one in told) / sum(one.seconds for one in told)

    name = f"ETA: {scenario}"
    return [
        Measure(name, "share that ended before p90", [kept(one) for one in by_seed], Target(0.85, 0.95)),
        Measure(name, "share that ended before p50", [below_p50(one) for one in by_seed]),
        Measure(name, "mean error of p50, % of a job's time", [error(one) for one in by_seed]),
        Measure(name, "sum of errors, % of all time", [of_all(one) for one in by_seed]),
    ]
