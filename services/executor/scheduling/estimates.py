"""How long things take, learnt from how long they took.

A sample is a ratio of what was seen to what was expected, and only the newest count. Three things are learnt: a run
(seconds against the manifest's hint, for each model, engine and size), a load of a model (against its hint), and how
far forecasts of a job's end were off (for each length of the queue). An answer comes from the samples nearest to the
question that are enough to go by: of this engine and size, of this engine, of this size anywhere, of the model; at
last from the hint alone. Engines differ more than sizes do. What was off at one length of the queue says nothing of
another.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from services.executor.domain import EngineId

KEPT = 50
"""Samples kept for each key: enough for a ninth decile, few enough to follow a change within the hour."""

ENOUGH = 3
"""Samples below which a wider circle is asked instead."""

UNLEARNT_P90 = 2.0
"""Ninth decile of what nobody has seen yet, as a multiple of the middle."""

DOUBT = 2
"""So many samples at UNLEARNT_P90 are added to the others for a ninth decile: the newest ones came under one load of
the queue and differ less than those to come will. Without them 79 to 87 % of jobs ended before their p90.
"""


class Kind(StrEnum):
    RUN = "run"
    LOAD = "load"
    FINISH = "finish"


@dataclass(frozen=True)
class Key:
    """What a sample is of. `size`: of a run the rounded log2 of its work, of a finish that of the job's place.

    A finish belongs to no model and no engine.
    """

    kind: Kind
    model: str = ""
    engine_id: EngineId | None = None
    size: int = 0


@dataclass(frozen=True)
class Hint:
    """What a manifest says of its model: seconds per unit of work (pixel × step × picture), seconds of a load."""

    run_seconds: float
    load_seconds: float


@dataclass(frozen=True)
class Spread:
    """Half are below `p50`, nine of ten below `p90`."""

    p50: float
    p90: float

    def times(self, factor: float) -> "Spread":
        return Spread(self.p50 * factor, self.p90 * factor)


def size_of(amount: float) -> int:
    """The size class of an amount of work, or of a place in the queue."""
    return round(math.log2(max(1.0, amount)))


class Estimates:
    """Answers from one set of samples; immutable but for what it remembers of its own answers."""

    def __init__(self, hints: Mapping[str, Hint], samples: Mapping[Key, Sequence[float]]) -> None:
        self._hints = hints
        self._circles: dict[tuple[object, ...], list[float]] = defaultdict(list)
        for key, ratios in samples.items():
            for circle in _circles(key):
                self._circles[circle].extend(ratios)
        self._spreads: dict[Key, Spread] = {}

    def run(self, model: str, engine_id: EngineId | None, work: float) -> Spread:
        """Seconds of a run with the model loaded. Zero for a model that is not installed any more."""
        hint = self._hints.get(model)
        if hint is None:
            return Spread(0.0, 0.0)
        return self._ratio(Key(Kind.RUN, model, engine_id, size_of(work))).times(hint.run_seconds * work)

    def load(self, model: str, engine_id: EngineId | None) -> Spread:
        """Seconds that a run takes longer because it loads its model."""
        hint = self._hints.get(model)
        return self._ratio(Key(Kind.LOAD, model, engine_id)).times(hint.load_seconds) if hint else Spread(0.0, 0.0)

    def finish(self, position: int) -> Spread:
        """By what to multiply a forecast for a job at that place in the queue."""
        return self._ratio(Key(Kind.FINISH, size=size_of(position)))

    def run_sample(self, model: str, engine_id: EngineId, work: float, seconds: float) -> tuple[Key, float] | None:
        """What a run teaches that loaded nothing; None if the model is not installed any more."""
        hint = self._hints.get(model)
        if hint is None:
            return None
        return Key(Kind.RUN, model, engine_id, size_of(work)), seconds / (hint.run_seconds * work)

    def load_sample(self, model: str, engine_id: EngineId, work: float, seconds: float) -> tuple[Key, float] | None:
        """What a run teaches that loaded its model: the load is what it took longer than such a run."""
        hint = self._hints.get(model)
        if hint is None:
            return None
        load = max(0.0, seconds - self.run(model, engine_id, work).p50)
        return Key(Kind.LOAD, model, engine_id), load / hint.load_seconds

    def _ratio(self, key: Key) -> Spread:
        if key not in self._spreads:
            found = (self._circles.get(circle, ()) for circle in _circles(key))
            ratios = next((ratios for ratios in found if len(ratios) >= ENOUGH), ())
            p50 = quantile(ratios, 0.5) if ratios else 1.0
            self._spreads[key] = Spread(p50, quantile([*ratios, *[p50 * UNLEARNT_P90] * DOUBT], 0.9))
        return self._spreads[key]


def finish_sample(position: int, forecast: float, seconds: float) -> tuple[Key, float]:
    """What the end of a job teaches about forecasts: it was forecast at that place, and took so many seconds."""
    return Key(Kind.FINISH, size=size_of(position)), seconds / forecast


def quantile(values: Iterable[float], share: float) -> float:
    """Below it is that share of what the at least one value is a sample of; interpolated, never beyond the values."""
    ordered = sorted(values)
    place = min(max(share * (len(ordered) + 1) - 1, 0.0), len(ordered) - 1.0)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def _circles(key: Key) -> list[tuple[object, ...]]:
    """From the nearest samples to the widest."""
    nearest = (key.kind, key.model, key.engine_id, key.size)
    if key.kind is Kind.FINISH:
        return [nearest]
    return [
        nearest,
        (key.kind, key.model, key.engine_id, "any size"),
        (key.kind, key.model, "any engine", key.size),
        (key.kind, key.model, "any engine", "any size"),
    ]
